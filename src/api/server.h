#ifndef ATHANORE_API_SERVER_H
#define ATHANORE_API_SERVER_H

#include "base/error.h"
#include "loop/loop.h"

/*
 * The HTTP API: what agents, the command line and people use. Everything belongs to the loop's
 * thread.
 */
struct api_server;
struct dispatcher;

/*
 * Binds and listens, but does not answer yet: requests wait in the backlog.
 * port 0 is any free one. A host that other machines can reach needs a token (NULL: none), which
 * every request has to bring then. NULL with err set.
 */
struct api_server *api_server_listen(struct loop *loop, const char *host, int port,
    const char *api_token, struct error *err) __attribute__((warn_unused_result));

/* The port that it listens on. */
int api_server_port(const struct api_server *server);

/* Starts answering. dispatcher is borrowed until api_server_free(). */
void api_server_serve(struct api_server *server, struct dispatcher *dispatcher);

/*
 * Accepts nothing more, waits up to API_DRAIN_SECONDS for answers in flight (by running
 * the loop, so never from inside one of its callbacks), and closes. Before the dispatcher and the
 * queue are freed. NULL is fine.
 */
void api_server_free(struct api_server *server);

#endif
