/* Runs that are not done: their states, slots, commits and second tries. */
#include "dispatch/state.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/json_text.h"
#include "base/log.h"
#include "store/runlog.h"

#include <stdarg.h>
#include <stdlib.h>

struct live *live_create(struct dispatcher *d, struct run *run)
{
	struct live *live = xcalloc(1, sizeof(*live));

	live->d = d;
	live->run = run;
	HASH_ADD_KEYPTR(hh, d->lives, run->task_id, strlen(run->task_id), live);
	return live;
}

struct live *live_find(struct dispatcher *d, const char *task_id)
{
	struct live *live;

	HASH_FIND_STR(d->lives, task_id, live);
	return live;
}

void live_retire(struct live *live)
{
	struct dispatcher *d = live->d;
	bool begun = live->begun;

	if (live->script_call != NULL || live->queue_call != NULL || live->folder_busy)
		fatal("run %s is retired with something under way", live->run->id);
	live_free_slot(live);
	HASH_DEL(d->lives, live);
	if (live->stored)
		history_tell(live, true);
	process_free(live->process);
	loop_timer_free(live->timer);
	json_object_put(live->task);
	free(live->cgroup);
	run_end_clear(&live->end);
	run_free(live->run);
	free(live);
	if (begun) /* the poller itself goes on with what a script has refused */
		poller_kick(d);
	dispatcher_check_rest(d);
}

void live_take_slot(struct live *live)
{
	struct route_state *route = poller_route(live->d, live->run->queue_name);

	live->has_slot = true;
	live->d->slots_used++;
	if (route != NULL)
		route->running++;
}

void live_free_slot(struct live *live)
{
	struct route_state *route = poller_route(live->d, live->run->queue_name);

	if (!live->has_slot)
		return;
	live->has_slot = false;
	live->d->slots_used--;
	if (route != NULL)
		route->running--;
	if (live->begun)
		poller_kick(live->d);
}

void live_set_state(struct live *live, enum run_state state)
{
	enum run_state from = live->run->state;
	bool ok = false;

	switch (state) {
	case RUN_CLAIMING:
		break;
	case RUN_STARTING:
		ok = from == RUN_CLAIMING;
		break;
	case RUN_RUNNING:
		ok = from == RUN_STARTING || from == RUN_RUNNING;
		break;
	case RUN_FINISHING:
		ok = from == RUN_CLAIMING || from == RUN_STARTING || from == RUN_RUNNING;
		break;
	case RUN_DONE:
		ok = from == RUN_FINISHING;
		break;
	}
	if (!ok)
		fatal("run %s cannot go from %s to %s", live->run->id, run_state_name(from),
		    run_state_name(state));
	live->run->state = state;
	if (live->d->stopping != STOP_NO)
		dispatcher_check_rest(live->d);
	live_log(live, LOG_DEBUG, "run is %s", run_state_name(state));
}

static void on_again(void *arg)
{
	struct live *live = arg;

	live->again(live);
}

void live_retry(struct live *live, double max, void (*again)(struct live *live))
{
	double delay = 1;

	for (int i = 0; i < live->failures && delay < max; i++)
		delay *= 2;
	live->failures++;
	live->again = again;
	if (live->timer == NULL)
		live->timer = loop_timer_create(live->d->loop, on_again, live);
	loop_timer_set(live->timer, delay < max ? delay : max);
}

bool live_frozen(const struct live *live)
{
	return live->d->stopping == STOP_DONE;
}

static void commit(struct live *live);

void live_store_result(struct dispatcher *d, const struct error *err)
{
	if (err != NULL && !str_equal(d->store_error, err->message))
		log_error("%s; trying again until it works", err->message);
	if (err == NULL && d->store_error != NULL)
		log_info("storing works again");
	free(d->store_error);
	d->store_error = err == NULL ? NULL : xstrdup(err->message);
}

static void on_committed(void *arg, bool ok, const struct error *err)
{
	struct live *live = arg;
	struct dispatcher *d = live->d;

	if (live_frozen(live))
		return;
	live_store_result(d, ok ? NULL : err);
	if (ok) {
		void (*next)(struct live *) = live->again;

		live->failures = 0;
		next(live);
		return;
	}
	/* live->again stays what comes next: commit() is what the timer calls. */
	loop_timer_free(live->timer);
	live->timer = loop_timer_create(d->loop, (void (*)(void *))commit, live);
	loop_timer_set(live->timer, live->failures++ < 4 ? 1 << live->failures : 30);
}

static void commit(struct live *live)
{
	loop_timer_free(live->timer);
	live->timer = NULL;
	if (live_frozen(live))
		return;
	store_update_run(live->d->store, live->run, on_committed, live);
}

void live_commit(struct live *live, void (*next)(struct live *live))
{
	live->again = next;
	live->failures = 0;
	commit(live);
}

char *live_dir(const struct live *live)
{
	return fs_join(live->d->runs_dir, live->run->id);
}

struct note {
	char *dir;
	struct str record;
};

static void write_note(void *arg)
{
	struct note *note = arg;
	struct error err = {0};
	char *path = fs_join(note->dir, "events.jsonl");

	/* A run that ends before its agent was started has no folder yet. */
	if (!fs_mkdir_p(note->dir, 0700, &err) ||
	    !runlog_append(path, note->record.data, note->record.len, &err))
		log_warn("%s", err.message);
	error_clear(&err);
	str_free(&note->record);
	free(path);
	free(note->dir);
	free(note);
}

void live_note(struct live *live, const char *type, const char *const *fields)
{
	struct note *note = xcalloc(1, sizeof(*note));

	note->dir = live_dir(live);
	str_putc(&note->record, '{');
	json_text_member_time(&note->record, "time", clock_now_ms());
	json_text_member(&note->record, "type", type);
	for (size_t i = 0; fields != NULL && fields[i] != NULL; i += 2)
		json_text_member(&note->record, fields[i], fields[i + 1]);
	str_putc(&note->record, '}');
	worker_submit(live->d->worker, &(struct worker_job){.run = write_note, .arg = note});
	journal_run(live, type, fields);
}

void live_log(struct live *live, int level, const char *fmt, ...)
{
	va_list ap;
	char *message;

	if ((enum log_level)level < log_get_level())
		return;
	va_start(ap, fmt);
	message = xvasprintf(fmt, ap);
	va_end(ap);
	log_with((enum log_level)level,
	    (const char *const[]){"task_id", live->run->task_id, "run_id", live->run->id, "queue",
		live->run->queue_name, NULL},
	    "%s", message);
	free(message);
}

struct json_object *live_describe(struct live *live)
{
	const struct route *route = live_route(live);
	struct json_object *run = json_object_new_object();
	char *dir = live_dir(live);
	char *prompt_file = fs_join(dir, "prompt.txt");

	json_put_string(run, "id", live->run->id);
	json_put_string(run, "task_id", live->run->task_id);
	json_put_string(run, "task_name", live->run->task_name);
	json_put_string(run, "queue_name", live->run->queue_name);
	json_put_string(run, "in_progress_queue", live->run->in_progress_queue);
	json_put_int(run, "attempt", live->run->attempt + 1);
	json_put_int(run, "retry_count", live->run->attempt);
	json_put_int(run, "max_retries", route == NULL ? 0 : route->max_retries);
	json_put_string(run, "dir", dir);
	json_put_string(run, "prompt_file", prompt_file);
	json_put_string(run, "api", live->d->options.api_url);
	free(prompt_file);
	free(dir);
	return run;
}

const struct route *live_route(struct live *live)
{
	struct route_state *state = poller_route(live->d, live->run->queue_name);

	return state == NULL ? NULL : state->route;
}
