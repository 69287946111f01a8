/* From a ready task to a task that is ours: its script, the record, the move, the assignment. */
#include "dispatch/state.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "model/template.h"

#include <stdlib.h>
#include <string.h>

static void claim_move(struct live *live);
static void claim_look(struct live *live);

/* A claim that came to nothing and of which nothing is stored. */
static void drop(struct live *live)
{
	live_retire(live);
}

static void forget(struct live *live);

/* A run that stays in the store would keep the task from every later one. */
static void on_deleted(void *arg, bool ok, const struct error *err)
{
	struct live *live = arg;

	if (live_frozen(live))
		return;
	if (ok) {
		drop(live);
		return;
	}
	live_log(live, live->failures == 0 ? LOG_ERROR : LOG_DEBUG,
	    "%s; trying again until it works", err->message);
	live_retry(live, 30, forget);
}

static void forget(struct live *live)
{
	live_free_slot(live);
	store_delete_run(live->d->store, live->run->id, on_deleted, live);
}

/* The task is not ours: forgets the run. */
static void give_up(struct live *live)
{
	live->failures = 0;
	forget(live);
}

/* The queue still shows a task that is somewhere else, as an index that lags behind does: it is not
 * looked at again before the route's next tick. */
static void not_there(struct live *live)
{
	struct route_state *state = poller_route(live->d, live->run->queue_name);

	if (state != NULL) {
		holds_set(&live->d->holds, live->run->task_id, state->next_poll, false);
		holds_set_reason(&live->d->holds, live->run->task_id,
		    "the queue listed it, but it was not there to be claimed");
	}
	give_up(live);
}

/* Remembers for GET /routes and the log what went wrong with a task of the route. */
static void route_failed(struct live *live, const struct error *err)
{
	struct dispatcher *d = live->d;
	struct route_state *state = poller_route(d, live->run->queue_name);
	double delay, base = 1;

	if (state != NULL) {
		free(state->error);
		state->error = xstrdup(err->message);
		state->error_at = clock_now_ms();
		base = state->route->poll_interval;
	}
	delay = holds_back_off(&d->holds, live->run->task_id, clock_monotonic(), base);
	holds_set_reason(&d->holds, live->run->task_id, err->message);
	live_log(live, LOG_ERROR, "%s; the task stays in %s, next try in %.3g s", err->message,
	    live->run->queue_name, delay);
}

/* What is frozen for the run: nothing that a reload of the script could change under it. */
static struct json_object *make_options(
    struct live *live, const struct route *route, const struct script_prepared *prepared)
{
	struct json_object *options = json_object_new_object();
	struct json_object *env = json_from_strv((const char *const *)route->env);

	for (size_t i = 0; prepared->env != NULL && prepared->env[i] != NULL; i++)
		json_object_array_add(env, json_object_new_string(prepared->env[i]));
	json_put_string(options, "run_id", live->run->id);
	json_put_string(options, "task_id", live->run->task_id);
	json_put_string(options, "task_name", live->run->task_name);
	json_put_string(options, "queue_name", route->queue_name);
	json_put_string(options, "in_progress_queue", route->in_progress_queue);
	json_put_int(options, "attempt", live->run->attempt + 1);
	json_put_string(options, "agent", route->agent);
	json_put(options, "argv", json_from_strv((const char *const *)prepared->argv));
	json_put(options, "env", env);
	json_put_string(options, "cwd",
	    prepared->cwd != NULL ? prepared->cwd
	    : route->cwd != NULL  ? route->cwd
				  : live->d->config->script_dir);
	json_put_double(options, "timeout", route->timeout);
	json_put_double(options, "stall_timeout", route->stall_timeout);
	json_put_int(options, "max_log", live->d->config->max_log);
	json_put_int(options, "max_retries", route->max_retries);
	json_put_double(options, "retry_backoff", route->retry_backoff);
	json_put_string(options, "dead_letter_queue", route->dead_letter_queue);
	json_put_string(options, "success_queue", route->success_queue);
	json_put_bool(options, "require_move", route->require_move);
	json_put_bool(options, "cancel_when_moved", route->cancel_when_moved);
	return options;
}

/* Nothing is claimed that is not on record. A full disk is no fault of the task, which is tried
 * again with the next poll. */
static void not_stored(struct live *live, const struct error *err)
{
	struct dispatcher *d = live->d;
	struct route_state *state = poller_route(d, live->run->queue_name);

	if (err->code == ERROR_CONFLICT || state == NULL) {
		route_failed(live, err);
		return;
	}
	live_store_result(d, err);
	holds_set(
	    &d->holds, live->run->task_id, clock_monotonic() + state->route->poll_interval, false);
	holds_set_reason(&d->holds, live->run->task_id, err->message);
	state->behind = true;
}

static void on_inserted(void *arg, bool ok, const struct error *err)
{
	struct live *live = arg;
	struct dispatcher *d = live->d;

	if (live_frozen(live))
		return;
	if (!ok) {
		not_stored(live, err);
		drop(live);
		return;
	}
	live_store_result(d, NULL);
	live->stored = true;
	history_tell(live, false);
	claim_move(live);
}

static void on_prepared(void *arg, struct script_prepared *prepared, const struct error *err)
{
	struct live *live = arg;
	struct dispatcher *d = live->d;
	struct route_state *state = poller_route(d, live->run->queue_name);
	bool begun = err == NULL && prepared->ready && live->cancel == CANCEL_NONE && state != NULL;

	live->script_call = NULL;
	if (err != NULL)
		route_failed(live, err);
	if (begun) {
		live->begun = true;
		live->run->options = make_options(live, state->route, prepared);
		live->run->prompt = prepared->prompt;
		live->run->prompt_len = prepared->prompt_len;
		live->run->input = prepared->input;
		live->run->input_len = prepared->input_len;
		prepared->prompt = prepared->input = NULL;
		store_insert_run(d->store, live->run, on_inserted, live);
	} else {
		drop(live);
	}
	script_prepared_free(prepared);
	poller_prepared(d, state, begun);
}

static void on_let_go(void *arg)
{
	struct live *live = arg;
	struct dispatcher *d = live->d;
	struct route_state *state = poller_route(d, live->run->queue_name);

	drop(live);
	poller_prepared(d, state, false);
}

void claim_let_go(struct live *live)
{
	script_cancel(live->script_call);
	live->script_call = NULL;
	live->let_go = true;
	loop_defer(live->d->loop, on_let_go, live);
}

bool claim_is_preparing(const struct live *live)
{
	return live->run->state == RUN_CLAIMING && !live->stored &&
	       (live->script_call != NULL || live->let_go);
}

/* Retries used so far. A task that a person has put back starts anew. */
static int retries_used(struct dispatcher *d, const char *task_id, const char *queue_name)
{
	bool ours;
	int count = retries_get(&d->retries, task_id, queue_name, &ours);

	if (count == 0 || ours)
		return count;
	retries_set(&d->retries, task_id, queue_name, 0, false);
	store_save_retries(d->store, task_id, queue_name, 0, false);
	return 0;
}

void claim_begin(struct dispatcher *d, struct route_state *state, struct json_object *task)
{
	const struct route *route = state->route;
	struct run *run = run_create();
	struct json_object *description;
	struct str prompt = {0};
	struct live *live;

	run->task_id = xstrdup(json_get_string(task, "id"));
	run->task_name = xstrdup(json_get_string(task, "name"));
	run->queue_name = xstrdup(route->queue_name);
	run->in_progress_queue = xstrdup(route->in_progress_queue);
	run->attempt = retries_used(d, run->task_id, route->queue_name);
	live = live_create(d, run);
	live->task = json_object_get(task);
	live_take_slot(live);
	description = live_describe(live);
	if (route->prompt != NULL)
		template_expand(route->prompt, task, &prompt);
	live->script_call = script_prepare_prompt(d->script, route,
	    route->prompt != NULL ? &prompt : NULL, task, description, on_prepared, live);
	json_object_put(description);
	str_free(&prompt);
}

/* ---- the move ---- */

static void on_assigned(void *arg, struct json_object *result, const struct error *err)
{
	struct live *live = arg;

	(void)result;
	live->queue_call = NULL;
	if (err != NULL)
		live_log(live, LOG_WARN, "cannot assign the task: %s", err->message);
	runner_start(live);
}

/* The task's assignees and us; NULL where we are among them. */
static struct json_object *assignees_with_us(struct live *live)
{
	struct json_object *old = json_get_array(live->task, "assignees");
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; old != NULL && i < json_object_array_length(old); i++) {
		struct json_object *name = json_object_array_get_idx(old, i);

		if (str_equal(json_object_get_string(name), live->d->user)) {
			json_object_put(list);
			return NULL;
		}
		json_object_array_add(list, json_object_get(name));
	}
	json_object_array_add(list, json_object_new_string(live->d->user));
	return list;
}

static void assign(struct live *live)
{
	struct json_object *assignees = live->d->user == NULL ? NULL : assignees_with_us(live);
	struct json_object *fields;

	if (assignees == NULL) {
		runner_start(live);
		return;
	}
	fields = json_object_new_object();
	json_put(fields, "assignees", assignees);
	live->queue_call = queue_call(live->d->queue,
	    &(struct queue_request){
		.op = QUEUE_UPDATE_TASK, .task_id = live->run->task_id, .fields = fields},
	    QUEUE_TIMEOUT, on_assigned, live);
	json_object_put(fields);
}

static void on_user(void *arg, struct json_object *result, const struct error *err)
{
	struct live *live = arg;
	struct dispatcher *d = live->d;

	live->queue_call = NULL;
	if (err != NULL) {
		live_log(live, LOG_WARN, "cannot learn who we are: %s", err->message);
	} else if (!d->user_known) {
		d->user_known = true;
		d->user = json_object_is_type(result, json_type_string)
			      ? xstrdup(json_object_get_string(result))
			      : NULL;
	}
	assign(live);
}

static void claimed(struct live *live)
{
	struct dispatcher *d = live->d;

	holds_forget(&d->holds, live->run->task_id);
	free(live->run->attention);
	live->run->attention = NULL;
	live->failures = 0;
	live_log(live, LOG_INFO, "claimed \"%s\"", live->run->task_name);
	journal_run(live, "claimed", NULL);
	if (d->user_known || !queue_supports(d->queue, QUEUE_AUTHENTICATED_USER)) {
		assign(live);
		return;
	}
	live->queue_call = queue_call(d->queue,
	    &(struct queue_request){.op = QUEUE_AUTHENTICATED_USER}, QUEUE_TIMEOUT, on_user, live);
}

/* Whether the backend may have moved the task in spite of the error. */
static bool may_have_happened(const struct error *err)
{
	return err->code == ERROR_TIMEOUT || err->code == ERROR_UNAVAILABLE ||
	       err->code == ERROR_INTERNAL || err->code == ERROR_RATE_LIMITED;
}

/* The task may be ours: nothing else can be done before we know. */
static void look_later(struct live *live, const struct error *err)
{
	live_log(live, live->failures == 0 ? LOG_WARN : LOG_DEBUG,
	    "the claim is not certain: %s; looking again", err->message);
	free(live->run->attention);
	live->run->attention = xasprintf("the claim is not certain: %s", err->message);
	live_retry(live, 60, claim_look);
	if (err->retry_after > 0)
		loop_timer_set(live->timer, err->retry_after);
}

static void not_claimed(struct live *live, const struct error *err)
{
	if (may_have_happened(err)) {
		look_later(live, err);
		return;
	}
	route_failed(live, err);
	holds_mark_refused(&live->d->holds, live->run->task_id);
	give_up(live);
}

static void on_claimed(void *arg, struct json_object *result, const struct error *err)
{
	struct live *live = arg;

	live->queue_call = NULL;
	if (err != NULL) {
		not_claimed(live, err);
	} else if (json_object_is_type(result, json_type_boolean) &&
		   !json_object_get_boolean(result)) {
		live_log(live, LOG_INFO, "somebody else was faster");
		not_there(live);
	} else {
		claimed(live);
	}
}

static void send_move(struct live *live, enum queue_op op)
{
	live->queue_call = queue_call(live->d->queue,
	    &(struct queue_request){.op = op,
		.task_id = live->run->task_id,
		.from_queue = live->run->queue_name,
		.target_queue = live->run->in_progress_queue},
	    QUEUE_TIMEOUT, on_claimed, live);
}

/* A claim of which nothing has reached the backend is given up, so that it holds no slot. */
static void look_failed(struct live *live, const struct error *err)
{
	if (live->unsure) {
		look_later(live, err);
		return;
	}
	route_failed(live, err);
	give_up(live);
}

/* Where the task is now; from there the claim is finished, made or dropped. */
static void on_looked(void *arg, struct json_object *task, const struct error *err)
{
	struct live *live = arg;
	const char *queue = json_get_string(task, "queue");

	live->queue_call = NULL;
	if (err != NULL && err->code != ERROR_NOT_FOUND) {
		look_failed(live, err);
		return;
	}
	if (err == NULL && live->task == NULL)
		live->task = json_object_get(task);
	if (err == NULL && live->unsure && str_equal(queue, live->run->in_progress_queue)) {
		claimed(live);
	} else if (live->cancel != CANCEL_NONE) {
		give_up(live);
	} else if (err == NULL && (queue == NULL || str_equal(queue, live->run->queue_name))) {
		live->unsure = true;
		send_move(live, queue_supports(live->d->queue, QUEUE_CLAIM_TASK) ? QUEUE_CLAIM_TASK
										 : QUEUE_MOVE_TASK);
	} else {
		live_log(live, LOG_INFO, "the task is not in %s any more", live->run->queue_name);
		not_there(live);
	}
}

static void claim_look(struct live *live)
{
	live->queue_call = queue_call(live->d->queue,
	    &(struct queue_request){.op = QUEUE_GET_TASK, .task_id = live->run->task_id},
	    QUEUE_TIMEOUT, on_looked, live);
}

/* The queue says atomically whether the task was still there, or we look right before the move. */
static void claim_move(struct live *live)
{
	if (live->cancel != CANCEL_NONE) {
		give_up(live);
	} else if (queue_supports(live->d->queue, QUEUE_CLAIM_TASK)) {
		live->unsure = true;
		send_move(live, QUEUE_CLAIM_TASK);
	} else {
		claim_look(live);
	}
}

void claim_resume(struct live *live)
{
	live->stored = true;
	live->unsure = true;
	claim_look(live);
}
