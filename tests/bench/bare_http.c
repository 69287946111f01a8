/* The bare server that the API is compared with: evhttp answers every request with the same bytes.
 */
#include "base/str.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static void on_request(struct evhttp_request *request, void *arg)
{
	const struct str *body = arg;
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);

	evhttp_add_header(headers, "Content-Type", "application/json");
	evbuffer_add(evhttp_request_get_output_buffer(request), body->data, body->len);
	evhttp_send_reply(request, 200, "OK", NULL);
}

/* The answer's body comes from standard input. */
static void read_body(struct str *body)
{
	size_t n;

	while ((n = fread(str_reserve(body, 4096), 1, 4096, stdin)) > 0)
		body->len += n;
}

int main(void)
{
	struct event_base *base = event_base_new();
	struct evhttp *http = evhttp_new(base);
	struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	struct str body = {0};

	if (bound == NULL ||
	    getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&addr, &len) == -1) {
		fprintf(stderr, "bare_http: cannot listen\n");
		return 1;
	}
	read_body(&body);
	evhttp_set_gencb(http, on_request, &body);
	printf("%d\n", ntohs(addr.sin_port));
	fflush(stdout);
	event_base_dispatch(base);
	return 1;
}
