/* Sends event streams at their readers' pace. */
#include "api/stream.h"

#include "api/connection.h"
#include "api/limits.h"
#include "base/alloc.h"
#include "base/log.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <stdlib.h>
#include <sys/socket.h>

struct api_stream {
	struct api_streams *owner;
	struct evhttp_request *evreq;
	struct api_connection *connection;
	struct api_stream_user user;
	bool busy;   /* part of it waits for the client */
	bool within; /* an event is not complete */
	bool quiet;  /* nothing was sent since the last heartbeat */
	LIST_ENTRY(api_stream) next;
};

struct api_streams {
	struct loop_timer *heartbeat; /* set only while there are streams */
	struct evbuffer *scratch;
	LIST_HEAD(, api_stream) list;
};

static void on_heartbeat(void *arg)
{
	struct api_streams *streams = arg;
	struct api_stream *stream;

	LIST_FOREACH (stream, &streams->list, next) {
		if (stream->quiet && !stream->busy && !stream->within) {
			if (evbuffer_add(streams->scratch, ":\n\n", 3) != 0)
				fatal("evbuffer_add failed");
			api_stream_send(stream, streams->scratch, false);
		}
		stream->quiet = true;
	}
	if (!LIST_EMPTY(&streams->list))
		loop_timer_set(streams->heartbeat, API_HEARTBEAT_SECONDS);
}

struct api_streams *api_streams_create(struct loop *loop)
{
	struct api_streams *streams = xcalloc(1, sizeof(*streams));

	streams->heartbeat = loop_timer_create(loop, on_heartbeat, streams);
	streams->scratch = evbuffer_new();
	if (streams->scratch == NULL)
		fatal("evbuffer_new failed");
	LIST_INIT(&streams->list);
	return streams;
}

void api_streams_free(struct api_streams *streams)
{
	if (streams == NULL)
		return;
	loop_timer_free(streams->heartbeat);
	evbuffer_free(streams->scratch);
	free(streams);
}

static void stream_free(struct api_stream *stream)
{
	LIST_REMOVE(stream, next);
	if (LIST_EMPTY(&stream->owner->list))
		loop_timer_cancel(stream->owner->heartbeat);
	free(stream);
}

/* evhttp frees the request with its connection, unless it has let go of it before. */
static void on_gone(void *arg)
{
	struct api_stream *stream = arg;
	struct api_stream_user user = stream->user;

	if (evhttp_request_get_connection(stream->evreq) == NULL)
		evhttp_request_free(stream->evreq);
	stream_free(stream);
	user.gone(user.arg);
}

static void on_written(struct evhttp_connection *evcon, void *arg)
{
	struct api_stream *stream = arg;

	(void)evcon;
	if (!stream->busy)
		return;
	stream->busy = false;
	api_connection_sending(stream->connection, false);
	stream->user.writable(stream->user.arg);
}

static void add_header(struct evhttp_request *evreq, const char *name, const char *value)
{
	if (evhttp_add_header(evhttp_request_get_output_headers(evreq), name, value) != 0)
		fatal("evhttp_add_header refused %s", name);
}

static void add_headers(struct evhttp_request *evreq)
{
	add_header(evreq, "Content-Type", "text/event-stream");
	add_header(evreq, "Cache-Control", "no-store");
	add_header(evreq, "X-Accel-Buffering", "no");
	add_header(evreq, "Connection", "close");
}

/* The kernel would take megabytes for a client that does not read, more with each stream. */
static void limit_kernel(struct evhttp_request *evreq)
{
	struct bufferevent *bev =
	    evhttp_connection_get_bufferevent(evhttp_request_get_connection(evreq));
	int size = API_STREAM_SEND_BUFFER;

	if (setsockopt(bufferevent_getfd(bev), SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == -1)
		log_debug("cannot limit the send buffer of a stream");
}

static void refuse(struct api_request *request)
{
	struct api_problem problem = {0};

	api_problem_set(
	    &problem, 503, "unavailable", "the daemon is stopping; try again in a moment");
	problem.retry_after = 1;
	api_reply_problem(request, &problem);
}

static struct api_stream *stream_create(struct api_streams *streams, struct evhttp_request *evreq,
    struct api_connection *connection, const struct api_stream_user *user)
{
	struct api_stream *stream = xcalloc(1, sizeof(*stream));

	stream->owner = streams;
	stream->evreq = evreq;
	stream->connection = connection;
	stream->user = *user;
	if (LIST_EMPTY(&streams->list))
		loop_timer_set(streams->heartbeat, API_HEARTBEAT_SECONDS);
	LIST_INSERT_HEAD(&streams->list, stream, next);
	return stream;
}

struct api_stream *api_stream_start(
    struct api_request *request, const struct api_stream_user *user, const char *words, size_t len)
{
	struct api_streams *streams = api_request_shared(request)->streams;
	struct api_connection *connection;
	struct evhttp_request *evreq;
	struct api_stream *stream;

	if (api_request_shared(request)->stopping) {
		refuse(request);
		return NULL;
	}
	evreq = api_reply_detach(request, &connection);
	if (evreq == NULL)
		return NULL;
	add_headers(evreq);
	if (evhttp_request_get_command(evreq) == EVHTTP_REQ_HEAD) {
		api_connection_reply(connection, evreq, false);
		evhttp_send_reply(evreq, 200, "OK", NULL);
		return NULL;
	}
	stream = stream_create(streams, evreq, connection, user);
	limit_kernel(evreq);
	evhttp_send_reply_start(evreq, 200, "OK");
	api_connection_stream(connection, on_gone, stream);
	if (evbuffer_add(streams->scratch, words, len) != 0)
		fatal("evbuffer_add failed");
	api_stream_send(stream, streams->scratch, false);
	return stream;
}

bool api_stream_busy(const struct api_stream *stream)
{
	return stream->busy;
}

void api_stream_send(struct api_stream *stream, struct evbuffer *data, bool within)
{
	if (stream->busy)
		fatal("a stream was given more than it could send");
	stream->busy = true;
	stream->quiet = false;
	stream->within = within;
	api_connection_sending(stream->connection, true);
	evhttp_send_reply_chunk_with_cb(stream->evreq, data, on_written, stream);
}

void api_stream_end(struct api_stream *stream)
{
	struct evhttp_request *evreq = stream->evreq;
	struct api_connection *connection = stream->connection;

	stream_free(stream);
	api_connection_reply(connection, evreq, false);
	evhttp_send_reply_end(evreq);
}

void api_streams_stop(struct api_streams *streams)
{
	struct api_stream *stream;

	while ((stream = LIST_FIRST(&streams->list)) != NULL) {
		struct api_stream_user user = stream->user;

		api_stream_end(stream);
		user.gone(user.arg);
	}
}
