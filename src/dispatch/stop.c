/* Comes to rest: after a signal by on_shutdown, or because there is nothing left to do. */
#include "dispatch/state.h"

#include "base/clock.h"
#include "base/log.h"

/* A poll that fails this often ends `once`. */
#define ONCE_POLL_TRIES 3

/* A running agent that is to be left to its supervisor. */
static bool may_be_left(const struct dispatcher *d, const struct live *live)
{
	return d->stopping == STOP_DETACH && live->run->state == RUN_RUNNING &&
	       live->process != NULL;
}

/* How many runs are still to be brought to rest. */
static size_t count_live(const struct dispatcher *d)
{
	size_t count = 0;

	for (const struct live *live = d->lives; live != NULL; live = live->hh.next)
		count += !may_be_left(d, live);
	return count;
}

/* Whether an agent has not ended yet. A run that only waits for another try of a call is none. */
static bool agents_live(const struct dispatcher *d)
{
	for (const struct live *live = d->lives; live != NULL; live = live->hh.next)
		if (live->process != NULL && !may_be_left(d, live))
			return true;
	return false;
}

/* With `once`: nothing is ready, and nothing runs. */
static bool nothing_to_do(struct dispatcher *d)
{
	if (d->poll_failures >= ONCE_POLL_TRIES && d->lives == NULL) {
		d->failed = true;
		return true;
	}
	if (d->lives != NULL || d->in_cycle || d->kicked ||
	    (d->last_poll_at == 0 && !pause_covers_all(d)) || d->poll_failures > 0)
		return false;
	for (size_t i = 0; i < d->route_count; i++)
		if (!d->routes[i].paused && (d->routes[i].due || d->routes[i].retry_at != 0))
			return false;
	return true;
}

static void come_to_rest(struct dispatcher *d)
{
	d->stopping = STOP_DONE;
	journal_write(d, "daemon_stopped", NULL);
	poller_stop(d);
	loop_timer_cancel(d->stop_timer);
	d->options.stopped(d->options.arg);
}

static void on_stop_timeout(void *arg)
{
	struct dispatcher *d = arg;

	if (agents_live(d))
		return; /* begun meanwhile; the timer is set again when it has ended */
	log_warn("%zu runs are not finished; they go on at the next start", count_live(d));
	come_to_rest(d);
}

static void check_rest(void *arg)
{
	struct dispatcher *d = arg;

	d->rest_pending = false;
	if (d->stopping == STOP_DONE)
		return;
	if (d->stopping == STOP_NO) {
		if (d->options.once && nothing_to_do(d))
			come_to_rest(d);
		return;
	}
	if (count_live(d) == 0)
		come_to_rest(d);
	else if (!agents_live(d) && !loop_timer_pending(d->stop_timer))
		loop_timer_set(d->stop_timer, d->config->stop_timeout);
}

void dispatcher_check_rest(struct dispatcher *d)
{
	if (d->rest_pending)
		return;
	d->rest_pending = true;
	loop_defer(d->loop, check_rest, d);
}

static void cancel_all(struct dispatcher *d)
{
	struct live *live, *next;

	HASH_ITER (hh, d->lives, live, next)
		if (live->run->state != RUN_FINISHING && live->cancel == CANCEL_NONE)
			runner_cancel(live, CANCEL_SHUTDOWN);
}

void dispatcher_stop(struct dispatcher *d)
{
	static const enum stop_phase by_mode[] = {
	    [SHUTDOWN_CANCEL] = STOP_CANCEL,
	    [SHUTDOWN_DETACH] = STOP_DETACH,
	    [SHUTDOWN_DRAIN] = STOP_DRAIN,
	};
	enum stop_phase phase =
	    d->stopping == STOP_NO ? by_mode[d->config->on_shutdown] : STOP_CANCEL;

	if (d->stopping == STOP_DONE || d->stopping == STOP_CANCEL)
		return;
	if (d->stopping == STOP_NO) {
		poller_stop(d);
		d->stop_timer = loop_timer_create(d->loop, on_stop_timeout, d);
	}
	d->stopping = phase;
	if (phase == STOP_CANCEL) {
		log_info("stopping: ending the agents and putting their tasks back");
		cancel_all(d);
	} else {
		log_info("stopping: %s",
		    phase == STOP_DETACH
			? "the agents go on without the daemon"
			: "waiting for the agents to end (a second signal ends them)");
	}
	finish_poke(d);
	dispatcher_check_rest(d);
}

bool dispatcher_failed(const struct dispatcher *d)
{
	return d->failed;
}
