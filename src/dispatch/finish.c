/* What follows an agent's end: the outcome, then comments and moves until the backend has them. */
#include "dispatch/state.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

/* Longest pause between two tries of a step, in seconds. */
#define LONGEST_PAUSE 300.0

static void next_step(struct live *live);
static void do_step(struct live *live);

static struct run_step *current_step(struct live *live)
{
	for (size_t i = 0; i < live->run->step_count; i++)
		if (live->run->steps[i].state != STEP_DONE)
			return &live->run->steps[i];
	return NULL;
}

/* ---- the end of all steps ---- */

/* A queue that we moved the task to may be another route's, which need not wait for its tick. What
 * we put back is held. */
static void poll_targets(struct live *live)
{
	for (size_t i = 0; i < live->run->step_count; i++) {
		const struct run_step *step = &live->run->steps[i];
		struct route_state *target =
		    step->kind == STEP_MOVE ? poller_route(live->d, step->text) : NULL;

		if (target != NULL)
			target->behind = true;
	}
}

static void on_done(struct live *live)
{
	struct dispatcher *d = live->d;
	const struct route *route = live_route(live);
	struct route_state *state = poller_route(d, live->run->queue_name);
	double now = clock_monotonic();

	if (live->run->retries_ours && route != NULL) {
		double backoff = json_get_double(live->run->options, "retry_backoff", 0);
		double until = state->next_poll;

		for (int i = 1; i < live->run->retries_after && backoff < LONGEST_PAUSE; i++)
			backoff *= 2;
		if (backoff > 0)
			until = now + backoff;
		holds_set(&d->holds, live->run->task_id, until, true);
		poller_retry_at(state, until);
		journal_run(live, "retried", NULL);
	}
	journal_run(live, "done",
	    (const char *const[]){"outcome", run_outcome_name(live->run->outcome), NULL});
	poll_targets(live);
	live_log(live, LOG_INFO, "run ended: %s%s%s", run_outcome_name(live->run->outcome),
	    live->run->error != NULL ? ": " : "", live->run->error != NULL ? live->run->error : "");
	live_retire(live);
}

static void after_hook(struct live *live)
{
	live_set_state(live, RUN_DONE);
	live_commit(live, on_done);
}

static void all_done(struct live *live)
{
	free(live->run->attention);
	live->run->attention = NULL;
	hooks_after(live, after_hook);
}

/* ---- one step ---- */

/* The step is done, or there is nothing to do for it: on to the next, in one commit with it. */
static void step_done(struct live *live)
{
	current_step(live)->state = STEP_DONE;
	live->unsure = false;
	live->failures = 0;
	next_step(live);
}

/* The task is gone: there is nobody to tell. */
static void task_gone(struct live *live)
{
	live_log(live, LOG_WARN, "the task is gone; nothing more is done for it");
	for (size_t i = 0; i < live->run->step_count; i++)
		live->run->steps[i].state = STEP_DONE;
	next_step(live);
}

/* Whether trying again is likely to help without somebody mending something. */
static bool will_pass(const struct error *err)
{
	return err->code == ERROR_UNAVAILABLE || err->code == ERROR_TIMEOUT ||
	       err->code == ERROR_RATE_LIMITED || err->code == ERROR_INTERNAL;
}

/* While it does not work, the slot is not kept from other tasks. Until then it is: the task may be
 * on its way to a queue that is served first. */
static void try_later(struct live *live, void (*again)(struct live *live))
{
	live_free_slot(live);
	live_retry(live, LONGEST_PAUSE, again);
}

static void wait_and_do(struct live *live)
{
	try_later(live, do_step);
}

static void step_failed(struct live *live, const struct error *err)
{
	const struct run_step *step = current_step(live);
	char *what = step->kind == STEP_MOVE
			 ? xasprintf("cannot move the task to \"%s\": %s", step->text, err->message)
			 : xasprintf("cannot comment on the task: %s", err->message);

	live->unsure = true;
	live_log(live, live->failures == 0 ? LOG_WARN : LOG_DEBUG, "%s; trying again", what);
	if (will_pass(err) || str_equal(live->run->attention, what)) {
		wait_and_do(live);
		if (err->retry_after > 0)
			loop_timer_set(live->timer, err->retry_after);
		free(what);
		return;
	}
	free(live->run->attention);
	live->run->attention = what;
	live_commit(live, wait_and_do);
}

static void note_step(struct live *live)
{
	const struct run_step *step = current_step(live);

	live_note(live, step->kind == STEP_MOVE ? "moved" : "comment",
	    (const char *const[]){
		step->kind == STEP_MOVE ? "target_queue" : "text", step->text, NULL});
}

static void on_task_there(void *arg, struct json_object *task, const struct error *err)
{
	struct live *live = arg;
	struct error missing = {0};

	(void)task;
	live->queue_call = NULL;
	if (err != NULL && err->code == ERROR_NOT_FOUND) {
		task_gone(live);
		return;
	}
	error_set(&missing, ERROR_INVALID, "there is no such queue");
	step_failed(live, err != NULL ? err : &missing);
	error_clear(&missing);
}

static void get_task(struct live *live, queue_fn fn)
{
	live->queue_call = queue_call(live->d->queue,
	    &(struct queue_request){.op = QUEUE_GET_TASK, .task_id = live->run->task_id},
	    QUEUE_TIMEOUT, fn, live);
}

/* not_found of a move is the task's or the queue's: the task itself tells. */
static void step_error(struct live *live, const struct error *err)
{
	if (err->code != ERROR_NOT_FOUND)
		step_failed(live, err);
	else if (current_step(live)->kind == STEP_MOVE)
		get_task(live, on_task_there);
	else
		task_gone(live);
}

static void on_step(void *arg, struct json_object *result, const struct error *err)
{
	struct live *live = arg;

	live->queue_call = NULL;
	if (err != NULL) {
		step_error(live, err);
		return;
	}
	if (json_object_is_type(result, json_type_boolean) && !json_object_get_boolean(result))
		live_log(live, LOG_INFO, "the task was moved by another hand and stays there");
	else
		note_step(live);
	step_done(live);
}

static void send_step(struct live *live, struct queue_request *request)
{
	request->task_id = live->run->task_id;
	live->queue_call = queue_call(live->d->queue, request, QUEUE_TIMEOUT, on_step, live);
}

/* Without an atomic claim: moves the task if it is where we put it. */
static void on_where(void *arg, struct json_object *task, const struct error *err)
{
	struct live *live = arg;
	const char *queue = json_get_string(task, "queue");

	live->queue_call = NULL;
	if (err != NULL) {
		step_error(live, err);
	} else if (queue != NULL && !str_equal(queue, live->run->in_progress_queue)) {
		live_log(live, LOG_INFO, "the task was moved to %s by another hand and stays there",
		    queue);
		step_done(live);
	} else {
		send_step(live, &(struct queue_request){.op = QUEUE_MOVE_TASK,
				    .target_queue = current_step(live)->text});
	}
}

static void do_move(struct live *live)
{
	if (!queue_supports(live->d->queue, QUEUE_CLAIM_TASK)) {
		get_task(live, on_where);
		return;
	}
	send_step(live, &(struct queue_request){.op = QUEUE_CLAIM_TASK,
			    .from_queue = live->run->in_progress_queue,
			    .target_queue = current_step(live)->text});
}

/* Whether a comment of exactly this text has come since the run began. */
static bool has_comment(struct live *live, struct json_object *task, const char *text)
{
	struct json_object *comments = json_get_array(task, "comments");

	for (size_t i = 0; comments != NULL && i < json_object_array_length(comments); i++) {
		struct json_object *comment = json_object_array_get_idx(comments, i);
		const char *time = json_get_string(comment, "created_at");
		int64_t begun = live->run->created_at;
		int64_t ms;

		if (!str_equal(json_get_string(comment, "text"), text))
			continue;
		/* Some backends tell the second only. */
		if (time != NULL && strchr(time, '.') == NULL)
			begun -= begun % 1000;
		if (time == NULL || !clock_parse(time, &ms) || ms >= begun)
			return true;
	}
	return false;
}

static void add_comment(struct live *live)
{
	send_step(live,
	    &(struct queue_request){.op = QUEUE_ADD_COMMENT, .text = current_step(live)->text});
}

static void on_comments(void *arg, struct json_object *task, const struct error *err)
{
	struct live *live = arg;

	live->queue_call = NULL;
	if (err != NULL)
		step_error(live, err);
	else if (has_comment(live, task, current_step(live)->text))
		step_done(live);
	else
		add_comment(live);
}

static void do_step(struct live *live)
{
	switch (current_step(live)->kind) {
	case STEP_MOVE:
		do_move(live);
		return;
	case STEP_COMMENT:
		if (live->unsure)
			get_task(live, on_comments);
		else
			add_comment(live);
		return;
	}
	fatal("a step of run %s is of no kind", live->run->id);
}

static void next_step(struct live *live)
{
	struct run_step *step = current_step(live);

	if (step == NULL) {
		all_done(live);
		return;
	}
	step->state = STEP_BEGUN;
	live_commit(live, do_step);
}

/* ---- the outcome ---- */

/* The outcome is known. What it means is committed before anything of it is done. */
static void decided(struct live *live)
{
	struct run *run = live->run;

	run_end_plan(run, &live->end);
	run->ended_at = clock_now_ms();
	metrics_run_ended(&live->d->metrics, run);
	live_note(live, "ended",
	    (const char *const[]){
		"outcome", run_outcome_name(run->outcome), "error", run->error, NULL});
	if (run->retries_after >= 0)
		retries_set(&live->d->retries, run->task_id, run->queue_name, run->retries_after,
		    run->retries_ours);
	live_set_state(live, RUN_FINISHING);
	next_step(live);
}

static void check_move(struct live *live);

static void on_moved_checked(void *arg, struct json_object *task, const struct error *err)
{
	struct live *live = arg;
	const char *queue = json_get_string(task, "queue");

	live->queue_call = NULL;
	if (err != NULL && err->code != ERROR_NOT_FOUND) {
		live_log(
		    live, LOG_WARN, "cannot see where the task is: %s; trying again", err->message);
		try_later(live, check_move);
		return;
	}
	live->end.moved_away = queue != NULL && !str_equal(queue, live->run->in_progress_queue);
	if (live->run->outcome == OUTCOME_SUCCESS && queue != NULL && !live->end.moved_away) {
		live->run->outcome = OUTCOME_FAILURE;
		free(live->end.error);
		live->end.error = xstrdup("exit code 0 without moving the task");
	}
	decided(live);
}

static void check_move(struct live *live)
{
	get_task(live, on_moved_checked);
}

/* What failed and was moved on by another hand is told what happened, but not that it goes back. */
static void on_outcome(struct live *live)
{
	if (live->run->outcome != OUTCOME_SUCCESS ||
	    json_get_bool(live->run->options, "require_move", false))
		check_move(live);
	else
		decided(live);
}

void finish_begin(struct live *live, struct run_end *end)
{
	if (live->queue_call != NULL) { /* where the task is does not matter any more */
		queue_cancel(live->queue_call);
		live->queue_call = NULL;
	}
	run_end_clear(&live->end);
	live->end = *end;
	*end = (struct run_end){.exit_code = -1};
	live->run->outcome = run_end_outcome(&live->end);
	live->failures = 0;
	hooks_outcome(live, on_outcome);
}

void finish_resume(struct live *live)
{
	live->unsure = true;
	next_step(live);
}

void finish_poke(struct dispatcher *d)
{
	for (struct live *live = d->lives; live != NULL; live = live->hh.next)
		if ((live->run->state == RUN_FINISHING || live->run->state == RUN_CLAIMING) &&
		    live->timer != NULL && loop_timer_pending(live->timer))
			loop_timer_set(live->timer, 0);
}
