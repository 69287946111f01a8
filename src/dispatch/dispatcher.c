/* The dispatcher as a whole: made, started, asked to end an agent, freed. */
#include "dispatch/dispatcher.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "dispatch/inquiry.h"
#include "dispatch/route_table.h"
#include "dispatch/state.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
	STAILQ_INIT(&d->route_changes);
	LIST_INIT(&d->inquiries);
	route_table_load(d);
	return d;
}

bool dispatcher_start(struct dispatcher *d, struct error *err)
{
	if (!fs_mkdir_p(d->runs_dir, 0700, err))
		return false;
	journal_write(d, "daemon_started", NULL);
	if (!route_table_load_stored(d, err) || !pause_load(d, err) || !recovery_run(d, err))
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
	inquiries_end(d);
	HASH_ITER (hh, d->lives, live, next)
		leave(live);
	loop_timer_free(d->poll_timer);
	loop_timer_free(d->stop_timer);
	route_table_free(d);
	xstrv_free(d->paused_queues);
	metrics_clear(&d->metrics);
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
