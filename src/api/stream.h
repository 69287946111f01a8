#ifndef ATHANORE_API_STREAM_H
#define ATHANORE_API_STREAM_H

#include "api/request.h"

/*
 * Answers of the type text/event-stream, as far as they are bytes: sent no faster than the
 * client reads, with heartbeats while there is nothing to send.
 */
struct api_stream;
struct evbuffer;

struct api_streams *api_streams_create(struct loop *loop);
/* After the connections. NULL is fine. */
void api_streams_free(struct api_streams *streams);

/* Ends all streams; gone is called for each. */
void api_streams_stop(struct api_streams *streams);

/* The user of a stream. gone: the stream is over, by another hand than api_stream_end()'s. */
struct api_stream_user {
	void (*writable)(void *arg); /* all that was sent is on its way: more is welcome */
	void (*gone)(void *arg);
	void *arg;
};

/*
 * Begins the answer with len bytes of words; the request is over. NULL where there is nobody to get
 * one: the client is gone, the server stops, or it was a HEAD, which is answered here; nobody is
 * called then.
 */
struct api_stream *api_stream_start(
    struct api_request *request, const struct api_stream_user *user, const char *words, size_t len);

/* Whether it still sends what it was given. */
bool api_stream_busy(const struct api_stream *stream);

/* Sends what is in data, which is emptied. Not while it is busy. within: an event is not
 * complete with it, so that no heartbeat may come before more was sent. */
void api_stream_send(struct api_stream *stream, struct evbuffer *data, bool within);

/* Ends the answer and frees the stream. */
void api_stream_end(struct api_stream *stream);

#endif
