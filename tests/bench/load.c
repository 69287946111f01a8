/* Loads an HTTP server: load PORT PATH CONNECTIONS REQUESTS, on connections that are kept alive. */
#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_CONNECTIONS 1024
#define ANSWER_MAX 65536

struct connection {
	int fd;
	size_t len;
	char answer[ANSWER_MAX];
};

static struct str request;
static int epoll_fd;

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void send_request(struct connection *connection)
{
	connection->len = 0;
	if (fs_write_all(connection->fd, request.data, request.len) == -1)
		die("write");
}

static void connect_to(struct connection *connection, int port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
	int one = 1;

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connection->fd == -1 ||
	    connect(connection->fd, (struct sockaddr *)&addr, sizeof(addr)) == -1)
		die("connect");
	setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) == -1)
		die("epoll_ctl");
	send_request(connection);
}

/* Whether all of the answer is there. */
static int is_complete(struct connection *connection)
{
	char *end, *length;

	connection->answer[connection->len] = '\0';
	end = strstr(connection->answer, "\r\n\r\n");
	if (end == NULL)
		return 0;
	if (strncmp(connection->answer, "HTTP/1.1 200 ", 13) != 0) {
		fprintf(stderr, "load: the answer is no 200: %s\n", connection->answer);
		exit(1);
	}
	length = strcasestr(connection->answer, "\r\nContent-Length:");
	if (length == NULL || length > end) {
		fprintf(stderr, "load: the answer has no Content-Length\n");
		exit(1);
	}
	return connection->len >=
	       (size_t)(end + 4 - connection->answer) + strtoul(length + 17, NULL, 10);
}

static int receive(struct connection *connection)
{
	ssize_t n = read(
	    connection->fd, connection->answer + connection->len, ANSWER_MAX - 1 - connection->len);

	if (n == -1)
		die("read");
	if (n == 0) {
		fprintf(stderr, "load: the server closed a connection, or its answer is long\n");
		exit(1);
	}
	connection->len += (size_t)n;
	return is_complete(connection);
}

static void run(long requests)
{
	struct epoll_event events[64];
	long sent = 0, answered = 0;

	while (answered < requests) {
		int n = epoll_wait(epoll_fd, events, 64, 10000);

		if (n <= 0)
			die("the server does not answer");
		for (int i = 0; i < n; i++) {
			struct connection *connection = events[i].data.ptr;

			if (!receive(connection))
				continue;
			answered++;
			if (sent++ < requests)
				send_request(connection);
		}
	}
}

int main(int argc, char **argv)
{
	int count = argc == 5 ? atoi(argv[3]) : 0;
	struct connection *connections;
	double start;

	if (count < 1 || count > MAX_CONNECTIONS) {
		fprintf(stderr, "usage: load PORT PATH CONNECTIONS REQUESTS\n");
		return 2;
	}
	str_printf(&request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n\r\n", argv[2], argv[1]);
	connections = calloc((size_t)count, sizeof(*connections));
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (connections == NULL || epoll_fd == -1)
		die("epoll_create1");
	for (int i = 0; i < count; i++)
		connect_to(&connections[i], atoi(argv[1]));
	start = clock_monotonic();
	run(atol(argv[4]));
	printf("%.0f\n", (double)atol(argv[4]) / (clock_monotonic() - start));
	return 0;
}
