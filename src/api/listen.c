/* The listening socket of the HTTP API. */
#include "api/listen.h"

#include "base/alloc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A restart of the daemon must not turn away what waits: as deep as the kernel allows. */
#define BACKLOG 4096

static bool is_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)address;

		return ntohl(in->sin_addr.s_addr) >> 24 == 127;
	}
	if (address->sa_family == AF_INET6) {
		const struct in6_addr *in6 = &((const struct sockaddr_in6 *)address)->sin6_addr;

		return IN6_IS_ADDR_LOOPBACK(in6) ||
		       (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr[12] == 127);
	}
	return false;
}

/* The host without the brackets of "[::1]". */
static char *bare_host(const char *host)
{
	size_t len = strlen(host);

	if (len > 2 && host[0] == '[' && host[len - 1] == ']')
		return xmemdup0(host + 1, len - 2);
	return xstrdup(host);
}

/* NULL with err set. To be ended by freeaddrinfo(). */
static struct addrinfo *resolve(const char *host, int port, struct error *err)
{
	struct addrinfo hints = {
	    .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct addrinfo *list = NULL;
	char *name = bare_host(host), service[12];
	int rc;

	snprintf(service, sizeof(service), "%d", port);
	rc = getaddrinfo(name, service, &hints, &list);
	free(name);
	if (rc == 0)
		return list;
	error_set(err, ERROR_INVALID,
	    "cannot resolve the API's address \"%s\": %s; use --host or api_host", host,
	    rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
	return NULL;
}

static int open_socket(const struct addrinfo *ai)
{
	int on = 1, saved;
	int fd =
	    socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, ai->ai_protocol);

	if (fd == -1)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/*
 * IPv4 first: it is what clients try for "localhost". A port that is taken ends the search: the
 * same port of the other family would be a server that half of the clients do not find.
 */
static int open_first(const struct addrinfo *list, bool *loopback)
{
	errno = EADDRNOTAVAIL;
	for (int pass = 0; pass < 2; pass++) {
		for (const struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
			int fd;

			if ((ai->ai_family == AF_INET) != (pass == 0))
				continue;
			fd = open_socket(ai);
			*loopback = is_loopback(ai->ai_addr);
			if (fd != -1 || errno == EADDRINUSE)
				return fd;
		}
	}
	return -1;
}

static bool bound_port(int fd, int *port)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} address = {0};
	socklen_t len = sizeof(address);

	if (getsockname(fd, &address.any, &len) == -1)
		return false;
	*port =
	    ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
	return true;
}

static void explain(struct error *err, int errnum, const char *host, int port)
{
	if (errnum == EADDRINUSE)
		error_set(err, ERROR_CONFLICT,
		    "port %d on %s is taken by another process; use --port or api_port", port,
		    host);
	else if (errnum == EACCES)
		error_set(err, ERROR_FORBIDDEN,
		    "port %d on %s needs privileges that we do not have; use --port or api_port "
		    "with a "
		    "port above 1023",
		    port, host);
	else if (errnum == EADDRNOTAVAIL)
		error_set(err, ERROR_INVALID,
		    "%s is no address of this machine; use --host or api_host", host);
	else
		error_set_errno(
		    err, ERROR_UNAVAILABLE, errnum, "cannot listen on port %d of %s", port, host);
}

int api_listen(const char *host, int port, int *bound, bool *loopback, struct error *err)
{
	struct addrinfo *list;
	int fd;

	if (port < 0 || port > 65535 || host[0] == '\0') {
		error_set(err, ERROR_INVALID,
		    "\"%s\" port %d is no address to listen on; a port is 0 to 65535", host, port);
		return -1;
	}
	list = resolve(host, port, err);
	if (list == NULL)
		return -1;
	fd = open_first(list, loopback);
	if (fd == -1)
		explain(err, errno, host, port);
	freeaddrinfo(list);
	if (fd != -1 && !bound_port(fd, bound)) {
		error_set_errno(
		    err, ERROR_UNAVAILABLE, errno, "cannot read the address of the API's socket");
		close(fd);
		return -1;
	}
	return fd;
}
