/* Turns the listener off while no further connection can be had. */
#include "api/gate.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <event2/listener.h>
#include <string.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/resource.h>

#define PAUSE_SECONDS 0.1 /* after accept(2) ran out of descriptors */
#define WARN_SECONDS 60
#define MAX_CONNECTIONS 4096
#define RESERVED_DESCRIPTORS 64 /* for agents, storage and queue */

struct api_gate {
	struct evconnlistener *listener; /* NULL: stopped */
	struct loop_timer *pause;
	size_t count;
	size_t max;
	double warned_at; /* 0: never */
	LIST_ENTRY(api_gate) next;
};

/* The error callback of a listener gets evhttp's argument, so the listener itself has to tell. */
static LIST_HEAD(, api_gate) gates = LIST_HEAD_INITIALIZER(gates);

static void update(struct api_gate *gate)
{
	if (gate->listener == NULL)
		return;
	if (gate->count < gate->max && !loop_timer_pending(gate->pause))
		evconnlistener_enable(gate->listener);
	else
		evconnlistener_disable(gate->listener);
}

static void on_pause_over(void *arg)
{
	update(arg);
}

/* The waiting connection would make accept(2) fail again and again, at full speed. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	int errnum = errno;
	double now = clock_monotonic();
	struct api_gate *gate;

	(void)arg;
	LIST_FOREACH (gate, &gates, next) {
		if (gate->listener != listener)
			continue;
		if (gate->warned_at == 0 || now - gate->warned_at > WARN_SECONDS)
			log_warn(
			    "the API cannot accept a connection for now: %s; if this lasts, raise "
			    "the limit of open files (ulimit -n)",
			    strerror(errnum));
		gate->warned_at = now;
		loop_timer_set(gate->pause, PAUSE_SECONDS);
		update(gate);
		return;
	}
}

static size_t connection_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
	    limit.rlim_cur > MAX_CONNECTIONS + RESERVED_DESCRIPTORS)
		return MAX_CONNECTIONS;
	if (limit.rlim_cur < (rlim_t)2 * RESERVED_DESCRIPTORS)
		return (size_t)limit.rlim_cur / 2 + 1;
	return (size_t)limit.rlim_cur - RESERVED_DESCRIPTORS;
}

struct api_gate *api_gate_create(struct loop *loop, struct evconnlistener *listener)
{
	struct api_gate *gate = xcalloc(1, sizeof(*gate));

	gate->listener = listener;
	gate->max = connection_limit();
	gate->pause = loop_timer_create(loop, on_pause_over, gate);
	LIST_INSERT_HEAD(&gates, gate, next);
	evconnlistener_set_error_cb(listener, on_accept_error);
	return gate;
}

void api_gate_stop(struct api_gate *gate)
{
	gate->listener = NULL;
}

void api_gate_free(struct api_gate *gate)
{
	if (gate == NULL)
		return;
	LIST_REMOVE(gate, next);
	loop_timer_free(gate->pause);
	free(gate);
}

void api_gate_enter(struct api_gate *gate)
{
	gate->count++;
	update(gate);
}

void api_gate_leave(struct api_gate *gate)
{
	gate->count--;
	update(gate);
}

bool api_gate_full(const struct api_gate *gate)
{
	return gate->count >= gate->max;
}
