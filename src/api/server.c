/* The HTTP API's server: from listening to the last answer. */
#include "api/server.h"

#include "api/connection.h"
#include "api/guard.h"
#include "api/limits.h"
#include "api/listen.h"
#include "api/sse.h"
#include "api/request.h"
#include "api/stream.h"
#include "base/alloc.h"
#include "base/clock.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

struct api_server {
	struct loop *loop;
	int fd; /* -1: evhttp has it */
	int port;
	struct api_guard guard;
	struct evhttp *http; /* NULL until it serves */
	struct evhttp_bound_socket *bound;
	struct api_connections *connections;
	struct api_requests requests;
};

struct api_server *api_server_listen(
    struct loop *loop, const char *host, int port, const char *api_token, struct error *err)
{
	struct api_server *server;
	bool loopback = false;
	int bound = 0;
	int fd = api_listen(host, port, &bound, &loopback, err);

	if (fd == -1)
		return NULL;
	if (!loopback && (api_token == NULL || api_token[0] == '\0')) {
		error_set(err, ERROR_INVALID,
		    "other machines can reach %s, so the API needs a token there: set api_token, "
		    "or use "
		    "127.0.0.1 as --host or api_host",
		    host);
		close(fd);
		return NULL;
	}
	server = xcalloc(1, sizeof(*server));
	server->loop = loop;
	server->fd = fd;
	server->port = bound;
	api_guard_init(&server->guard, host, !loopback, api_token);
	LIST_INIT(&server->requests.list);
	return server;
}

int api_server_port(const struct api_server *server)
{
	return server->port;
}

static bool is_json(struct evhttp_request *evreq)
{
	const char *type =
	    evhttp_find_header(evhttp_request_get_input_headers(evreq), "Content-Type");

	return type != NULL && strncasecmp(type, "application/json", 16) == 0 &&
	       (type[16] == '\0' || type[16] == ';' || type[16] == ' ');
}

/* The body that the endpoint asks for. False with problem set. */
static bool take_body(struct api_request *request, struct evhttp_request *evreq,
    const struct api_field *fields, struct api_problem *problem)
{
	struct evbuffer *input = evhttp_request_get_input_buffer(evreq);
	size_t len = evbuffer_get_length(input);
	struct json_object *body;
	const char *text;

	if (fields == NULL)
		return true;
	if ((len > 0 || !api_body_optional(fields)) && !is_json(evreq))
		return api_problem_set(problem, 415, "unsupported_media_type",
		    "the body must be JSON, with the header \"Content-Type: application/json\"");
	/* The parser looks one byte further than it is told. */
	if (evbuffer_add(input, "", 1) != 0 ||
	    (text = (const char *)evbuffer_pullup(input, -1)) == NULL)
		fatal("evbuffer_pullup failed");
	body = api_body_parse(text, len, fields, problem);
	api_request_set_body(request, body);
	return body != NULL;
}

/* Queues and routes are changed only where the script says so. */
static bool check_management(struct api_server *server, struct api_problem *problem)
{
	return dispatcher_config(server->requests.dispatcher)->enable_queue_management ||
	       api_problem_set(problem, 403, "management_disabled",
		   "queues and routes cannot be changed through the API here; the script's option "
		   "enable_queue_management = true allows it");
}

/* NULL with problem set: the request is refused. */
static const struct api_endpoint *admit(struct api_server *server, struct api_request *request,
    const char *fault, struct api_problem *problem)
{
	struct evhttp_request *evreq = api_request_evreq(request);
	const struct api_endpoint *endpoint;
	const char *authority;
	size_t authority_len;
	bool known;

	if (!api_guard_check_form(evreq, fault, problem) ||
	    !api_path_parse(api_request_path(request), api_request_target(request), &authority,
		&authority_len, problem) ||
	    !api_guard_check_origin(&server->guard, evreq, authority, authority_len, problem))
		return NULL;
	endpoint = api_router_find(api_request_method(request), api_request_path(request),
	    api_request_params(request), problem);
	known = endpoint != NULL && (endpoint->flags & API_PUBLIC) != 0;
	if (!known && !api_guard_check_token(&server->guard, evreq, problem))
		return NULL;
	if (endpoint != NULL && (endpoint->flags & API_MANAGES) != 0 &&
	    !check_management(server, problem))
		return NULL;
	if (endpoint != NULL && !take_body(request, evreq, endpoint->fields, problem))
		return NULL;
	return endpoint;
}

static void on_request(struct evhttp_request *evreq, void *arg)
{
	struct api_server *server = arg;
	struct api_request *request = api_request_create(&server->requests, evreq);
	const struct api_endpoint *endpoint;
	struct api_problem problem = {0};
	const char *fault;

	api_request_set_connection(request,
	    api_connection_begin(server->connections, evreq, api_request_gone, request, &fault));
	endpoint = admit(server, request, fault, &problem);
	if (endpoint != NULL)
		endpoint->handle(request);
	else
		api_reply_problem(request, &problem);
}

void api_server_serve(struct api_server *server, struct dispatcher *dispatcher)
{
	struct evconnlistener *listener = evconnlistener_new(loop_base(server->loop), NULL, NULL,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, server->fd);

	server->requests.dispatcher = dispatcher;
	server->requests.streams = api_streams_create(server->loop);
	server->requests.sse = api_sse_create(server->loop, dispatcher);
	server->http = evhttp_new(loop_base(server->loop));
	if (server->http == NULL || listener == NULL)
		fatal("evhttp_new failed");
	server->fd = -1;
	evhttp_set_gencb(server->http, on_request, server);
	/* Unknown methods too: the refusal is ours then. */
	evhttp_set_allowed_methods(server->http, 0xffff);
	evhttp_set_max_headers_size(server->http, API_MAX_HEAD);
	evhttp_set_max_body_size(server->http, API_MAX_BODY);
	evhttp_set_default_content_type(server->http, NULL);
	if (evhttp_set_flags(server->http, EVHTTP_SERVER_LINGERING_CLOSE) != 0)
		fatal("evhttp_set_flags failed");
	server->connections = api_connections_create(server->loop, server->http, listener);
	server->bound = evhttp_bind_listener(server->http, listener);
	if (server->bound == NULL)
		fatal("evhttp_bind_listener failed");
}

static void on_drain_timeout(void *arg)
{
	*(bool *)arg = true;
}

/* Runs the loop until every answer was sent, or time is over. */
static void drain(struct api_server *server, double seconds)
{
	bool over = false;
	struct loop_timer *timer = loop_timer_create(server->loop, on_drain_timeout, &over);

	loop_timer_set(timer, seconds);
	while (!over && api_connections_busy(server->connections) > 0)
		if (event_base_loop(loop_base(server->loop), EVLOOP_ONCE) == -1)
			fatal("event_base_loop failed");
	loop_timer_free(timer);
}

static void stop(struct api_server *server)
{
	struct api_request *request;

	loop_settle(server->loop);
	server->requests.stopping = true;
	api_connections_stop(server->connections);
	evhttp_del_accept_socket(server->http, server->bound);
	api_streams_stop(server->requests.streams);
	drain(server, API_DRAIN_SECONDS);
	if (!LIST_EMPTY(&server->requests.list)) {
		while ((request = LIST_FIRST(&server->requests.list)) != NULL)
			api_request_abandon(request);
		drain(server, 1);
	}
	evhttp_free(server->http);
	api_connections_free(server->connections);
	api_sse_free(server->requests.sse);
	api_streams_free(server->requests.streams);
}

void api_server_free(struct api_server *server)
{
	if (server == NULL)
		return;
	if (server->http != NULL)
		stop(server);
	if (server->fd != -1)
		close(server->fd);
	api_guard_clear(&server->guard);
	free(server);
}
