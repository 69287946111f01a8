/* Keeps count and time of the API's connections. */
#include "api/connection.h"

#include "api/error_page.h"
#include "api/gate.h"
#include "api/limits.h"
#include "api/linger.h"
#include "api/wire.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <uthash.h>

#define SWEEP_SECONDS 0.5
#define EVICT_SECONDS 1 /* idle for so long, a connection may have to make room */
#define EVICT_AT_ONCE 64

enum connection_state {
	CONNECTION_IDLE,    /* no byte of a request */
	CONNECTION_READING, /* part of a request */
	CONNECTION_PENDING, /* a request is ours */
	CONNECTION_REPLYING,
	CONNECTION_STREAMING,
};

struct api_connection {
	struct api_connections *owner;
	struct evhttp_connection *evcon; /* NULL until adopted */
	struct bufferevent *bev;	 /* referenced until adopted; after that evhttp's */
	struct evbuffer_cb_entry *input_watch;
	struct evbuffer_cb_entry *output_watch;
	struct event *adopt;   /* active until adopted */
	struct event *foreign; /* active when evhttp wrote an answer of its own */
	enum connection_state state;
	double deadline;
	struct api_wire wire;
	bool linger;
	void (*gone)(void *arg); /* while pending */
	void *gone_arg;
	TAILQ_ENTRY(api_connection) next;
	UT_hash_handle hh; /* by evcon */
};

struct api_connections {
	struct loop *loop;
	struct api_gate *gate;
	struct loop_timer *sweep;
	struct api_lingers *lingers;
	size_t busy;			   /* connections with a request of ours */
	TAILQ_HEAD(, api_connection) list; /* the longest idle first among the idle */
	struct api_connection *by_evcon;
};

static void set_state(struct api_connection *connection, enum connection_state state)
{
	connection->owner->busy += state >= CONNECTION_PENDING;
	connection->owner->busy -= connection->state >= CONNECTION_PENDING;
	connection->state = state;
	switch (state) {
	case CONNECTION_IDLE:
		connection->deadline = clock_monotonic() + API_IDLE_SECONDS;
		TAILQ_REMOVE(&connection->owner->list, connection, next);
		TAILQ_INSERT_TAIL(&connection->owner->list, connection, next);
		return;
	case CONNECTION_READING:
		connection->deadline = clock_monotonic() + API_READ_SECONDS;
		return;
	case CONNECTION_PENDING:
		/* Every operation that a request can wait for has a deadline of its own. */
		connection->deadline = 0;
		return;
	case CONNECTION_REPLYING:
		connection->deadline = clock_monotonic() + API_WRITE_SECONDS;
		return;
	case CONNECTION_STREAMING:
		connection->deadline = 0; /* see api_connection_sending() */
		return;
	}
	fatal("connection state %d", (int)state);
}

static void connection_free(struct api_connection *connection)
{
	struct api_connections *owner = connection->owner;

	TAILQ_REMOVE(&owner->list, connection, next);
	if (connection->evcon != NULL)
		HASH_DEL(owner->by_evcon, connection);
	owner->busy -= connection->state >= CONNECTION_PENDING;
	event_free(connection->adopt);
	event_free(connection->foreign);
	free(connection);
	api_gate_leave(owner->gate);
}

/* Feeds the last n bytes of input to the wire watcher. */
static void watch_tail(struct api_connection *connection, struct evbuffer *input, size_t n)
{
	struct evbuffer_ptr at;
	size_t from = evbuffer_get_length(input) - n;

	while (n > 0 && evbuffer_ptr_set(input, &at, from, EVBUFFER_PTR_SET) == 0) {
		struct evbuffer_iovec part;

		if (evbuffer_peek(input, (ev_ssize_t)n, &at, &part, 1) < 1 || part.iov_len == 0)
			return;
		if (part.iov_len > n)
			part.iov_len = n;
		api_wire_feed(&connection->wire, part.iov_base, part.iov_len);
		from += part.iov_len;
		n -= part.iov_len;
	}
}

/* Runs on each read, before evhttp sees the bytes. */
static void on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg)
{
	struct api_connection *connection = arg;

	if (info->n_added == 0)
		return;
	if (connection->state == CONNECTION_IDLE)
		set_state(connection, CONNECTION_READING);
	watch_tail(connection, input, info->n_added);
}

/* Output while no answer of ours is under way is evhttp's own: 100 Continue, or an error page. It
 * is not complete yet, and is not sent before the event had its turn. */
static void on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *arg)
{
	struct api_connection *connection = arg;

	(void)output;
	if (info->n_added > 0 && connection->state <= CONNECTION_READING && !connection->linger)
		event_active(connection->foreign, EV_TIMEOUT, 1);
}

static void on_foreign_output(evutil_socket_t fd, short what, void *arg)
{
	struct api_connection *connection = arg;

	(void)fd;
	(void)what;
	if (api_error_page_replace(bufferevent_get_output(connection->bev), &connection->wire))
		connection->linger = true;
}

/* evhttp frees the connection right after this. */
static void on_close(struct evhttp_connection *evcon, void *arg)
{
	struct api_connection *connection = arg;
	void (*gone)(void *arg) = connection->gone;
	void *gone_arg = connection->gone_arg;

	(void)evcon;
	evbuffer_remove_cb_entry(bufferevent_get_input(connection->bev), connection->input_watch);
	evbuffer_remove_cb_entry(bufferevent_get_output(connection->bev), connection->output_watch);
	if (connection->linger && bufferevent_getfd(connection->bev) != -1)
		api_linger(connection->owner->lingers, bufferevent_getfd(connection->bev));
	connection_free(connection);
	if (gone != NULL)
		gone(gone_arg);
}

/* Makes room by closing those that have been idle longest; the rest may be about to send. */
static void evict_idle(struct api_connections *connections, double now)
{
	struct api_connection *connection, *next;
	size_t left = EVICT_AT_ONCE;

	for (connection = TAILQ_FIRST(&connections->list); connection != NULL && left > 0;
	     connection = next) {
		next = TAILQ_NEXT(connection, next);
		if (connection->state != CONNECTION_IDLE || connection->evcon == NULL ||
		    now < connection->deadline - API_IDLE_SECONDS + EVICT_SECONDS)
			continue;
		evhttp_connection_free(connection->evcon);
		left--;
	}
}

/*
 * Right after evhttp made the connection, and before any event of it: evhttp has set its
 * callbacks, whose argument is its connection. There is no other way to learn of the end of one
 * that never brings a request.
 */
static void adopt(evutil_socket_t fd, short what, void *arg)
{
	struct api_connection *connection = arg;
	struct api_connections *owner = connection->owner;
	struct bufferevent *bev = connection->bev;
	void *evcon = NULL;

	(void)fd;
	(void)what;
	bufferevent_getcb(bev, NULL, NULL, NULL, &evcon);
	if (evcon == NULL) { /* evhttp gave it up at once; ours is the last reference */
		connection_free(connection);
		bufferevent_decref(bev);
		return;
	}
	if (evhttp_connection_get_bufferevent(evcon) != bev)
		fatal("a connection of another libevent than the one this was built for");
	bufferevent_decref(bev);
	connection->evcon = evcon;
	HASH_ADD_PTR(owner->by_evcon, evcon, connection);
	evhttp_connection_set_closecb(evcon, on_close, connection);
	if (!loop_timer_pending(owner->sweep))
		loop_timer_set(owner->sweep, SWEEP_SECONDS);
}

/* evhttp has accepted a connection and asks for its bufferevent. */
static struct bufferevent *make_bufferevent(struct event_base *base, void *arg)
{
	struct api_connections *connections = arg;
	struct api_connection *connection = xcalloc(1, sizeof(*connection));

	connection->owner = connections;
	connection->bev = bufferevent_socket_new(base, -1, 0);
	connection->foreign = event_new(base, -1, 0, on_foreign_output, connection);
	connection->adopt = event_new(base, -1, 0, adopt, connection);
	if (connection->bev == NULL || connection->foreign == NULL || connection->adopt == NULL)
		fatal("bufferevent_socket_new failed");
	bufferevent_incref(connection->bev);
	/* evhttp reads on while it writes; a client that sends and never reads must not fill
	 * memory. */
	bufferevent_setwatermark(connection->bev, EV_READ, 0, API_MAX_INPUT);
	connection->input_watch =
	    evbuffer_add_cb(bufferevent_get_input(connection->bev), on_input, connection);
	connection->output_watch =
	    evbuffer_add_cb(bufferevent_get_output(connection->bev), on_output, connection);
	if (connection->input_watch == NULL || connection->output_watch == NULL)
		fatal("evbuffer_add_cb failed");
	TAILQ_INSERT_TAIL(&connections->list, connection, next);
	api_wire_start(&connection->wire);
	set_state(connection, CONNECTION_IDLE);
	api_gate_enter(connections->gate);
	/* Not deferred: the first request may be there in this very turn. */
	event_active(connection->adopt, EV_TIMEOUT, 1);
	return connection->bev;
}

/* The request was not complete in time. evhttp has no answer for that and just closes. */
static void time_out(struct api_connection *connection)
{
	struct evbuffer *output = bufferevent_get_output(connection->bev);

	if (evbuffer_get_length(output) > 0)
		return;
	api_error_page_timeout(bufferevent_getfd(connection->bev));
	connection->linger = true;
}

static void on_sweep(void *arg)
{
	struct api_connections *connections = arg;
	struct api_connection *connection, *next;
	double now = clock_monotonic();

	for (connection = TAILQ_FIRST(&connections->list); connection != NULL; connection = next) {
		next = TAILQ_NEXT(connection, next);
		if (connection->evcon == NULL || connection->deadline == 0 ||
		    connection->deadline > now)
			continue;
		if (connection->state == CONNECTION_READING)
			time_out(connection);
		evhttp_connection_free(connection->evcon);
	}
	if (api_gate_full(connections->gate))
		evict_idle(connections, now);
	if (!TAILQ_EMPTY(&connections->list))
		loop_timer_set(connections->sweep, SWEEP_SECONDS);
}

struct api_connections *api_connections_create(
    struct loop *loop, struct evhttp *http, struct evconnlistener *listener)
{
	struct api_connections *connections = xcalloc(1, sizeof(*connections));

	connections->loop = loop;
	connections->gate = api_gate_create(loop, listener);
	connections->sweep = loop_timer_create(loop, on_sweep, connections);
	connections->lingers = api_lingers_create(loop_base(loop));
	TAILQ_INIT(&connections->list);
	evhttp_set_bevcb(http, make_bufferevent, connections);
	return connections;
}

void api_connections_free(struct api_connections *connections)
{
	if (connections == NULL)
		return;
	if (!TAILQ_EMPTY(&connections->list))
		fatal("api_connections_free: connections are open");
	loop_timer_free(connections->sweep);
	api_lingers_free(connections->lingers);
	api_gate_free(connections->gate);
	free(connections);
}

void api_connections_stop(struct api_connections *connections)
{
	api_gate_stop(connections->gate);
}

size_t api_connections_busy(const struct api_connections *connections)
{
	return connections->busy;
}

/* What has arrived behind the request is the beginning of the next one. */
static void watch_next(struct api_connection *connection)
{
	struct evbuffer *input = bufferevent_get_input(connection->bev);

	api_wire_start(&connection->wire);
	watch_tail(connection, input, evbuffer_get_length(input));
}

struct api_connection *api_connection_begin(struct api_connections *connections,
    struct evhttp_request *request, void (*gone)(void *arg), void *arg, const char **fault)
{
	struct evhttp_connection *evcon = evhttp_request_get_connection(request);
	struct api_connection *connection;

	HASH_FIND_PTR(connections->by_evcon, &evcon, connection);
	if (connection == NULL)
		fatal("a request on a connection that nobody knows");
	*fault = connection->wire.fault;
	connection->gone = gone;
	connection->gone_arg = arg;
	set_state(connection, CONNECTION_PENDING);
	watch_next(connection);
	return connection;
}

/* The answer was sent and evhttp turns to the next request, or closes. */
static void on_sent(struct evhttp_request *request, void *arg)
{
	struct api_connection *connection = arg;

	(void)request;
	set_state(connection, evbuffer_get_length(bufferevent_get_input(connection->bev)) > 0
				  ? CONNECTION_READING
				  : CONNECTION_IDLE);
}

void api_connection_reply(
    struct api_connection *connection, struct evhttp_request *request, bool linger)
{
	connection->gone = NULL;
	connection->linger = linger;
	set_state(connection, CONNECTION_REPLYING);
	evhttp_request_set_on_complete_cb(request, on_sent, connection);
}

void api_connection_stream(struct api_connection *connection, void (*gone)(void *arg), void *arg)
{
	connection->gone = gone;
	connection->gone_arg = arg;
	set_state(connection, CONNECTION_STREAMING);
	/* What the client sends now is not read; it is there to notice its end. */
	bufferevent_setwatermark(connection->bev, EV_READ, 0, API_MAX_STREAM_INPUT);
	if (bufferevent_set_timeouts(connection->bev, NULL, NULL) != 0)
		fatal("bufferevent_set_timeouts failed");
}

void api_connection_sending(struct api_connection *connection, bool sending)
{
	connection->deadline = sending ? clock_monotonic() + API_WRITE_SECONDS : 0;
}
