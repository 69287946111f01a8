/* The event loop: libevent with timers in seconds and deferred calls. */
#include "loop/loop.h"

#include "base/alloc.h"

#include <event2/event.h>
#include <math.h>
#include <stdlib.h>
#include <sys/queue.h>

struct deferred {
	void (*fn)(void *arg);
	void *arg;
	STAILQ_ENTRY(deferred) next;
};

STAILQ_HEAD(deferred_list, deferred);

struct loop {
	struct event_base *base;
	struct event *turn; /* a timer of 0 s, set while calls are deferred */
	struct deferred_list deferred;
};

struct loop_timer {
	struct event *event;
	void (*fn)(void *arg);
	void *arg;
};

/* Runs what was deferred up to now; what these calls defer waits for the next turn. */
static void run_deferred(struct loop *loop)
{
	struct deferred_list ready = STAILQ_HEAD_INITIALIZER(ready);
	struct deferred *call;

	STAILQ_CONCAT(&ready, &loop->deferred);
	while ((call = STAILQ_FIRST(&ready)) != NULL) {
		STAILQ_REMOVE_HEAD(&ready, next);
		call->fn(call->arg);
		free(call);
	}
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	run_deferred(arg);
}

struct loop *loop_create(void)
{
	struct loop *loop = xcalloc(1, sizeof(*loop));
	struct event_config *config = event_config_new();

	if (config == NULL || event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER) != 0)
		fatal("event_config_new failed");
	loop->base = event_base_new_with_config(config);
	event_config_free(config);
	if (loop->base == NULL)
		fatal("event_base_new failed");
	loop->turn = evtimer_new(loop->base, on_turn, loop);
	if (loop->turn == NULL)
		fatal("event_new failed");
	STAILQ_INIT(&loop->deferred);
	return loop;
}

void loop_settle(struct loop *loop)
{
	while (!STAILQ_EMPTY(&loop->deferred))
		run_deferred(loop);
}

void loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	loop_settle(loop);
	event_free(loop->turn);
	event_base_free(loop->base);
	free(loop);
}

struct event_base *loop_base(struct loop *loop)
{
	return loop->base;
}

void loop_run(struct loop *loop)
{
	if (event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY) == -1)
		fatal("event_base_loop failed");
}

void loop_stop(struct loop *loop)
{
	event_base_loopbreak(loop->base);
}

void loop_defer(struct loop *loop, void (*fn)(void *arg), void *arg)
{
	static const struct timeval now = {0, 0};
	struct deferred *call = xcalloc(1, sizeof(*call));
	bool first = STAILQ_EMPTY(&loop->deferred);

	call->fn = fn;
	call->arg = arg;
	STAILQ_INSERT_TAIL(&loop->deferred, call, next);
	/* Not event_active(): from a deferred call it would run in the same turn, and calls that go
	 * on deferring would keep timers and descriptors from being served. */
	if (first && evtimer_add(loop->turn, &now) != 0)
		fatal("evtimer_add failed");
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct loop_timer *timer = arg;

	(void)fd;
	(void)what;
	timer->fn(timer->arg);
}

struct loop_timer *loop_timer_create(struct loop *loop, void (*fn)(void *arg), void *arg)
{
	struct loop_timer *timer = xcalloc(1, sizeof(*timer));

	timer->fn = fn;
	timer->arg = arg;
	timer->event = evtimer_new(loop->base, on_timer, timer);
	if (timer->event == NULL)
		fatal("evtimer_new failed");
	return timer;
}

void loop_timer_free(struct loop_timer *timer)
{
	if (timer == NULL)
		return;
	event_free(timer->event);
	free(timer);
}

void loop_timer_set(struct loop_timer *timer, double seconds)
{
	struct timeval tv;

	if (!(seconds > 0))
		seconds = 0;
	if (seconds > 1e9)
		seconds = 1e9;
	tv.tv_sec = (time_t)seconds;
	tv.tv_usec = (suseconds_t)((seconds - floor(seconds)) * 1e6);
	if (evtimer_add(timer->event, &tv) != 0)
		fatal("evtimer_add failed");
}

void loop_timer_cancel(struct loop_timer *timer)
{
	if (timer != NULL)
		evtimer_del(timer->event);
}

bool loop_timer_pending(const struct loop_timer *timer)
{
	return evtimer_pending(timer->event, NULL) != 0;
}
