/* Why a task is not running, in one sentence and in reasons for programs. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "dispatch/control.h"
#include "dispatch/inquiry.h"

#include <stdlib.h>

/* Takes over message; returns the reason, for more members. */
static struct json_object *add(struct json_object *reasons, const char *code, char *message)
{
	struct json_object *reason = json_object_new_object();

	json_put_string(reason, "code", code);
	json_put_string(reason, "message", message);
	free(message);
	json_object_array_add(reasons, reason);
	return reason;
}

/* A monotonic time on the calendar. */
static int64_t wall(double monotonic)
{
	return clock_now_ms() + (int64_t)((monotonic - clock_monotonic()) * 1000);
}

static char *at_time(const char *what, double monotonic)
{
	char text[CLOCK_TEXT_SIZE];

	return xasprintf("%s %s", what, clock_format(wall(monotonic), text));
}

/* ---- the reasons ---- */

static void explain_live(struct json_object *reasons, const struct live *live)
{
	const struct run *run = live->run;
	bool finishing = run->state == RUN_FINISHING;
	struct json_object *reason;

	if (!live->stored)
		reason = add(reasons, "claiming", xstrdup("it is being claimed at this moment"));
	else if (finishing)
		reason = add(reasons, "finishing",
		    xasprintf("run %s on it has ended, and its last steps are being done%s%s",
			run->id, run->attention != NULL ? ": " : "",
			run->attention != NULL ? run->attention : ""));
	else
		reason = add(reasons, "running", xasprintf("run %s is on it", run->id));
	json_put_string(reason, "run_id", run->id);
	json_put_string(reason, "state", run_state_name(run->state));
	json_put_time(reason, "since", run->started_at);
}

static void explain_backend(
    struct dispatcher *d, struct json_object *reasons, const struct error *task_err)
{
	const struct error *fault = queue_fault(d->queue);
	const char *message = fault != NULL		     ? fault->message
			      : task_err->code != ERROR_NONE ? task_err->message
							     : d->poll_error;

	if (message != NULL)
		json_put_time(add(reasons, "backend_unavailable",
				  xasprintf("the queue cannot be used: %s", message)),
		    "until", d->poll_not_before > clock_monotonic() ? wall(d->poll_not_before) : 0);
	if (d->store_error != NULL)
		add(reasons, "storage_error",
		    xasprintf("nothing can be stored, so nothing is claimed: %s", d->store_error));
}

static bool failed(const struct run *run)
{
	return run->outcome == OUTCOME_FAILURE || run->outcome == OUTCOME_TIMEOUT ||
	       run->outcome == OUTCOME_STALLED || run->outcome == OUTCOME_LOST;
}

/* The task is where its last run left it. */
static void explain_last_run(struct json_object *reasons, const struct run *run, const char *queue)
{
	struct json_object *reason;
	int max = (int)json_get_int(run->options, "max_retries", 0);

	if (!str_equal(run->in_progress_queue, queue) &&
	    !str_equal(json_get_string(run->options, "dead_letter_queue"), queue))
		return;
	if (failed(run)) {
		reason = add(reasons, "retries_used_up",
		    xasprintf(
			"its retries are used up (%d of %d), and its last run, %s, ended with "
			"%s; POST /tasks/{task_id}/retry starts it anew",
			run->attempt, max, run->id, run_outcome_name(run->outcome)));
		json_put_int(reason, "max_retries", max);
	} else {
		reason = add(reasons, "left_there",
		    xasprintf("its last run, %s, ended with %s and left it in \"%s\"", run->id,
			run_outcome_name(run->outcome), queue));
	}
	json_put_string(reason, "run_id", run->id);
	json_put_string(reason, "outcome", run_outcome_name(run->outcome));
}

static void explain_hold(struct dispatcher *d, struct json_object *reasons, const char *task_id,
    struct route_state *state)
{
	struct hold_view hold;
	struct json_object *reason;
	double now = clock_monotonic();
	char *until;

	if (!holds_look(&d->holds, task_id, now, &hold))
		return;
	until = at_time("until", hold.until);
	if (hold.retry) {
		reason = add(reasons, "backing_off",
		    xasprintf("it was put back to be tried again and waits %s", until));
	} else {
		reason = add(reasons, "prompt_failed",
		    xasprintf("it could not be prepared or claimed, and waits %s: %s", until,
			hold.reason != NULL ? hold.reason : "see the log"));
		json_put_string(reason, "error", hold.reason);
	}
	json_put_time(reason, "until", wall(hold.until));
	json_put_int(reason, "retry_count",
	    retries_get(&d->retries, task_id, state->route->queue_name, NULL));
	free(until);
}

/* Who holds slots: of one route, or (NULL) of all. */
static struct json_object *holders(const struct dispatcher *d, const char *queue_name)
{
	struct json_object *list = json_object_new_array();

	for (const struct live *live = d->lives; live != NULL; live = live->hh.next) {
		struct json_object *item;

		if (!live->has_slot ||
		    (queue_name != NULL && !str_equal(queue_name, live->run->queue_name)))
			continue;
		item = json_object_new_object();
		json_put_string(item, "run_id", live->run->id);
		json_put_string(item, "task_id", live->run->task_id);
		json_put_string(item, "queue_name", live->run->queue_name);
		json_object_array_add(list, item);
	}
	return list;
}

static void explain_slots(
    struct dispatcher *d, struct json_object *reasons, const struct route_state *state)
{
	int max = d->config->max_concurrent_agents;
	int own = state->route->max_concurrent;
	struct json_object *reason;

	if (d->slots_used >= max) {
		reason = add(reasons, "slots_full",
		    xasprintf("all %d slots of max_concurrent_agents are taken", max));
		json_put_int(reason, "max_concurrent_agents", max);
		json_put(reason, "held_by", holders(d, NULL));
	}
	if (own > 0 && state->running >= own) {
		reason = add(reasons, "route_full",
		    xasprintf("its route runs %d agents, and its max_concurrent is %d",
			state->running, own));
		json_put_int(reason, "max_concurrent", own);
		json_put(reason, "held_by", holders(d, state->route->queue_name));
	}
}

static void explain_paused(
    struct dispatcher *d, struct json_object *reasons, const struct route_state *state)
{
	if (state->paused)
		json_put_bool(add(reasons, "paused",
				  xasprintf("%s paused; POST /resume ends it",
				      d->paused ? "all routes are" : "its route is")),
		    "all", d->paused);
}

static void explain_poll(
    struct dispatcher *d, struct json_object *reasons, const struct route_state *state)
{
	double next = state->next_poll > d->poll_not_before ? state->next_poll : d->poll_not_before;

	if (state->polled || state->due)
		add(reasons, "polling", xstrdup("its queue is being polled at this moment"));
	else
		json_put_time(add(reasons, "waiting_for_poll",
				  at_time("it waits for the next poll of its queue at", next)),
		    "at", wall(next));
}

/* ---- the answer ---- */

/* One sentence of all messages. */
static char *sentence(const struct inquiry *inquiry, struct json_object *reasons)
{
	struct str text = {0};

	str_printf(&text, "Task %s", inquiry->task_id);
	for (size_t i = 0; i < json_object_array_length(reasons); i++)
		str_printf(&text, "%s%s", i == 0 ? ": " : "; ",
		    json_get_string(json_object_array_get_idx(reasons, i), "message"));
	str_putc(&text, '.');
	return str_steal(&text);
}

static void reply(struct inquiry *inquiry)
{
	struct json_object *result = json_object_new_object();
	char *text = sentence(inquiry, inquiry->data);

	json_put_string(result, "task_id", inquiry->task_id);
	json_put_string(result, "queue_name", json_get_string(inquiry->task, "queue"));
	json_put_string(result, "sentence", text);
	json_put(result, "reasons", json_object_get(inquiry->data));
	free(text);
	inquiry_end(inquiry, result, NULL);
}

static void on_when(void *arg, struct json_object *result, const struct error *err)
{
	struct inquiry *inquiry = arg;
	struct route_state *state =
	    poller_route(inquiry->d, json_get_string(inquiry->task, "queue"));

	inquiry->script_call = NULL;
	if (err != NULL)
		json_put_string(add(inquiry->data, "when_failed",
				    xasprintf("its route's when(task) fails: %s", err->message)),
		    "error", err->message);
	else if (!json_object_get_boolean(result))
		add(inquiry->data, "when_said_no", xstrdup("its route's when(task) says no"));
	else if (json_object_array_length(inquiry->data) == 0 && state != NULL)
		explain_poll(inquiry->d, inquiry->data, state);
	reply(inquiry);
}

/* Whether the route that watches its queue would take it. */
static void explain_route(struct inquiry *inquiry, struct route_state *state)
{
	struct dispatcher *d = inquiry->d;

	explain_paused(d, inquiry->data, state);
	explain_hold(d, inquiry->data, inquiry->task_id, state);
	explain_slots(d, inquiry->data, state);
	inquiry->script_call =
	    script_when(d->script, state->route, inquiry->task, on_when, inquiry);
}

static void explain(struct inquiry *inquiry)
{
	struct dispatcher *d = inquiry->d;
	const struct live *live = live_find(d, inquiry->task_id);
	const char *queue = json_get_string(inquiry->task, "queue");
	struct route_state *state = queue == NULL ? NULL : poller_route(d, queue);

	inquiry->data = json_object_new_array();
	if (live != NULL) {
		explain_live(inquiry->data, live);
		reply(inquiry);
		return;
	}
	if (d->stopping != STOP_NO)
		add(inquiry->data, "stopping", xstrdup("the daemon is stopping"));
	explain_backend(d, inquiry->data, &inquiry->task_err);
	if (state != NULL) {
		explain_route(inquiry, state);
		return;
	}
	if (queue != NULL && inquiry->last_run != NULL)
		explain_last_run(inquiry->data, inquiry->last_run, queue);
	if (queue != NULL)
		json_put_string(add(inquiry->data, "no_route",
				    xasprintf("no route watches its queue, \"%s\"", queue)),
		    "queue_name", queue);
	reply(inquiry);
}

void dispatcher_explain(struct dispatcher *d, const char *task_id, dispatcher_fn fn, void *arg)
{
	inquiry_begin(d, task_id, explain, fn, arg);
}
