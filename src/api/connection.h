#ifndef ATHANORE_API_CONNECTION_H
#define ATHANORE_API_CONNECTION_H

#include "loop/loop.h"

#include <stddef.h>

/*
 * The connections of the API: how many there may be, how long each may take,
 * and what became of them. evhttp owns them; this learns of their beginning
 * and end, closes those that are too slow and answers where evhttp itself would answer in HTML.
 */
struct api_connections;
struct api_connection;
struct evhttp;
struct evconnlistener;
struct evhttp_request;

/* Takes over the connections of http, which accepts from listener. Both are borrowed. */
struct api_connections *api_connections_create(
    struct loop *loop, struct evhttp *http, struct evconnlistener *listener);

/* Before the listener is freed: no more connections come. */
void api_connections_stop(struct api_connections *connections);

/* After evhttp_free(): no connection is left. NULL is fine. */
void api_connections_free(struct api_connections *connections);

/* How many wait for an answer, or for the rest of one. */
size_t api_connections_busy(const struct api_connections *connections);

/*
 * evhttp has a complete request. gone(arg) is called should the connection end before
 * api_connection_reply(). *fault is what was wrong in its bytes, or NULL.
 */
struct api_connection *api_connection_begin(struct api_connections *connections,
    struct evhttp_request *request, void (*gone)(void *arg), void *arg, const char **fault);

/*
 * To be called right before the answer is handed to evhttp. With linger the connection, closed
 * behind the answer, is drained first.
 */
void api_connection_reply(
    struct api_connection *connection, struct evhttp_request *request, bool linger);

/*
 * In api_connection_reply()'s place, where the answer is a stream: it may be idle for ever.
 * gone(arg) is called should the connection end before api_connection_reply(), which comes before
 * the end of the stream.
 */
void api_connection_stream(struct api_connection *connection, void (*gone)(void *arg), void *arg);

/* Something is on its way to the client, which has some time to take it; or all was taken. */
void api_connection_sending(struct api_connection *connection, bool sending);

#endif
