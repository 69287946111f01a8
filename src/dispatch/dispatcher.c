/* The dispatcher as a whole: made, started, asked to end an agent, freed. */
#include "dispatch/dispatcher.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "dispatch/state.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int compare_states(const void *a, const void *b)
{
	return route_compare(
	    ((const struct route_state *)a)->route, ((const struct route_state *)b)->route);
}

static void load_routes(struct dispatcher *d)
{
	d->route_count = d->config->route_count;
	d->routes = xcalloc(d->route_count, sizeof(*d->routes));
	for (size_t i = 0; i < d->route_count; i++)
		d->routes[i].route = d->config->routes[i];
	qsort(d->routes, d->route_count, sizeof(*d->routes), compare_states);
}

static void on_queue_change(void *arg)
{
	struct dispatcher *d = arg;

	d->poll_not_before = 0;
	holds_release_refused(&d->holds, clock_monotonic());
	finish_poke(d);
	moved_check(d);
	dispatcher_poke(d);
}

struct dispatcher *dispatcher_create(const struct dispatcher_options *options)
{
	struct dispatcher *d = xcalloc(1, sizeof(*d));

	d->options = *options;
	d->loop = options->loop;
	d->worker = options->worker;
	d->store = options->store;
	d->queue = options->queue;
	d->script = script_ref(options->script);
	d->config = script_config(d->script);
	d->runs_dir = fs_join(options->state_dir, "runs");
	d->started_at = clock_now_ms();
	srand48(d->started_at ^ getpid());
	load_routes(d);
	return d;
}

bool dispatcher_start(struct dispatcher *d, struct error *err)
{
	if (!fs_mkdir_p(d->runs_dir, 0700, err))
		return false;
	journal_write(d, "daemon_started", NULL);
	if (!recovery_run(d, err))
		return false;
	queue_on_change(d->queue, on_queue_change, d);
	poller_start(d);
	return true;
}

bool dispatcher_claims(const struct dispatcher *d)
{
	return d->stopping == STOP_NO && d->poll_timer != NULL;
}

/* Lets go of a run that is left to its supervisor or to the next daemon. */
static void leave(struct live *live)
{
	HASH_DEL(live->d->lives, live);
	if (live->script_call != NULL)
		script_cancel(live->script_call);
	if (live->queue_call != NULL)
		queue_cancel(live->queue_call);
	process_free(live->process);
	loop_timer_free(live->timer);
	json_object_put(live->task);
	free(live->cgroup);
	run_end_clear(&live->end);
	run_free(live->run);
	free(live);
}

void dispatcher_free(struct dispatcher *d)
{
	struct live *live, *next;

	if (d == NULL)
		return;
	d->stopping = STOP_DONE;
	queue_on_change(d->queue, NULL, NULL);
	/* What the storage thread has for us still names our runs. */
	worker_flush(d->worker);
	loop_settle(d->loop);
	worker_flush(d->worker);
	loop_settle(d->loop);
	HASH_ITER (hh, d->lives, live, next)
		leave(live);
	loop_timer_free(d->poll_timer);
	loop_timer_free(d->stop_timer);
	for (size_t i = 0; i < d->route_count; i++)
		free(d->routes[i].error);
	free(d->routes);
	retries_free(&d->retries);
	holds_free(&d->holds);
	free(d->user);
	free(d->poll_error);
	free(d->store_error);
	free(d->runs_dir);
	script_unref(d->script);
	free(d);
}

struct queue *dispatcher_queue(struct dispatcher *d)
{
	return d->queue;
}

const struct config *dispatcher_config(struct dispatcher *d)
{
	return d->config;
}

bool dispatcher_cancel(struct dispatcher *d, const char *task_id, struct error *err)
{
	struct live *live = live_find(d, task_id);

	if (live == NULL || !live->stored)
		return error_set(
		    err, ERROR_NOT_FOUND, "no agent is at work on the task \"%s\"", task_id);
	if (live->run->state == RUN_FINISHING)
		return error_set(err, ERROR_CONFLICT,
		    "the agent on the task \"%s\" has ended; its last steps are being done",
		    task_id);
	if (live->cancel == CANCEL_NONE) {
		live_log(live, LOG_INFO, "cancelled on request");
		journal_run(live, "cancelled", NULL);
		runner_cancel(live, CANCEL_REQUESTED);
	}
	return true;
}

void dispatcher_move_asked(struct dispatcher *d, const char *task_id)
{
	struct live *live = live_find(d, task_id);

	if (live != NULL)
		live->move_asked_until = clock_monotonic() + QUEUE_TIMEOUT;
}

/* Members of an object as alternating names and values. */
static void flatten(struct json_object *fields, const char *list[], size_t max)
{
	size_t count = 0;

	if (fields == NULL)
		return;
	json_object_object_foreach (fields, key, value) {
		if (count + 2 >= max)
			return;
		list[count++] = key;
		list[count++] = json_object_get_string(value);
	}
}

void dispatcher_note(
    struct dispatcher *d, const char *task_id, const char *type, struct json_object *fields)
{
	struct live *live = live_find(d, task_id);
	const char *list[19] = {"task_id", task_id, NULL};

	flatten(fields, list + 2, 17);
	/* Before its folder, or behind its end, a run has no log to add to. */
	if (live == NULL || live->run->state == RUN_CLAIMING || live->run->state == RUN_DONE) {
		journal_write(d, type, list);
		return;
	}
	if (strcmp(type, "moved") == 0)
		live->moved_by_agent = true;
	live_note(live, type, list + 2);
}
