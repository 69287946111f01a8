/* Lets a task be tried anew at a person's word. */
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "dispatch/control.h"
#include "dispatch/inquiry.h"

static bool agent_on_it(struct inquiry *inquiry, struct error *err)
{
	const struct live *live = live_find(inquiry->d, inquiry->task_id);

	if (live == NULL)
		return false;
	error_set(err, ERROR_CONFLICT,
	    live->run->state == RUN_FINISHING
		? "run %s on the task \"%s\" has ended, and its last steps are being done; try "
		  "again "
		  "when they are"
		: "run %s is at work on the task \"%s\"; DELETE /agents/{task_id} ends it",
	    live->run->id, inquiry->task_id);
	return true;
}

/* Whether the task stands where a run of the route leaves it when it has failed. */
static bool left_by(const struct route *route, const char *queue)
{
	return str_equal(route->in_progress_queue, queue) ||
	       str_equal(route->dead_letter_queue, queue);
}

/* The same by what its last run was told. */
static bool left_by_run(const struct run *run, const char *queue)
{
	return run != NULL &&
	       (str_equal(run->in_progress_queue, queue) ||
		   str_equal(json_get_string(run->options, "dead_letter_queue"), queue));
}

/*
 * The queue that the task goes back to; NULL: it stays where it is, or, with err set, nobody can
 * tell. Its last run knows; without one, the only route that leaves tasks there does.
 */
static const char *source_queue(struct inquiry *inquiry, const char *queue, struct error *err)
{
	struct dispatcher *d = inquiry->d;
	const struct run *run = inquiry->last_run;
	const char *found = NULL;

	if (queue == NULL || poller_route(d, queue) != NULL)
		return NULL;
	if (left_by_run(run, queue) && poller_route(d, run->queue_name) != NULL)
		return run->queue_name;
	for (size_t i = 0; i < d->route_count; i++) {
		const struct route *route = d->routes[i].route;

		if (!left_by(route, queue))
			continue;
		if (found != NULL) {
			error_set(err, ERROR_CONFLICT,
			    "the task is in \"%s\", where the routes of \"%s\" and \"%s\" both "
			    "leave "
			    "tasks; move it to the one that is meant",
			    queue, found, route->queue_name);
			return NULL;
		}
		found = route->queue_name;
	}
	return found;
}

static void forget_count(struct dispatcher *d, const char *task_id, const char *queue_name)
{
	if (retries_get(&d->retries, task_id, queue_name, NULL) == 0)
		return;
	retries_set(&d->retries, task_id, queue_name, 0, false);
	store_save_retries(d->store, task_id, queue_name, 0, false);
}

static void forget_retries(struct inquiry *inquiry)
{
	struct dispatcher *d = inquiry->d;

	for (size_t i = 0; i < d->route_count; i++)
		forget_count(d, inquiry->task_id, d->routes[i].route->queue_name);
	if (inquiry->last_run != NULL)
		forget_count(d, inquiry->task_id, inquiry->last_run->queue_name);
	holds_forget(&d->holds, inquiry->task_id);
}

static void done(struct inquiry *inquiry, const char *queue, bool moved)
{
	struct json_object *result = json_object_new_object();

	json_put_string(result, "task_id", inquiry->task_id);
	json_put_string(result, "queue_name", queue);
	json_put_bool(result, "moved", moved);
	json_put_int(result, "retry_count", 0);
	log_with(LOG_INFO, (const char *const[]){"task_id", inquiry->task_id, "queue", queue, NULL},
	    "to be tried anew%s", moved ? "; moved back" : "");
	if (moved)
		journal_write(inquiry->d, "moved",
		    (const char *const[]){
			"task_id", inquiry->task_id, "target_queue", queue, NULL});
	dispatcher_poke(inquiry->d);
	inquiry_end(inquiry, result, NULL);
}

static void on_moved(void *arg, struct json_object *result, const struct error *err)
{
	struct inquiry *inquiry = arg;
	struct error gone = {0};

	inquiry->queue_call = NULL;
	if (err != NULL) {
		inquiry_end(inquiry, NULL, err);
	} else if (json_object_is_type(result, json_type_boolean) &&
		   !json_object_get_boolean(result)) {
		error_set(&gone, ERROR_CONFLICT,
		    "somebody moved the task \"%s\" at this moment; look where it is",
		    inquiry->task_id);
		inquiry_end(inquiry, NULL, &gone);
		error_clear(&gone);
	} else {
		done(inquiry, json_object_get_string(inquiry->data), true);
	}
}

static void move(struct inquiry *inquiry, const char *from, const char *to)
{
	bool atomic = queue_supports(inquiry->d->queue, QUEUE_CLAIM_TASK);

	inquiry->data = json_object_new_string(to);
	inquiry->queue_call = queue_call(inquiry->d->queue,
	    &(struct queue_request){.op = atomic ? QUEUE_CLAIM_TASK : QUEUE_MOVE_TASK,
		.task_id = inquiry->task_id,
		.from_queue = from,
		.target_queue = to},
	    QUEUE_TIMEOUT, on_moved, inquiry);
}

static void retry(struct inquiry *inquiry)
{
	const char *queue = json_get_string(inquiry->task, "queue");
	const char *source;
	struct error err = {0};

	if (inquiry->task == NULL) {
		inquiry_end(inquiry, NULL, &inquiry->task_err);
		return;
	}
	source = agent_on_it(inquiry, &err) ? NULL : source_queue(inquiry, queue, &err);
	if (err.code != ERROR_NONE) {
		inquiry_end(inquiry, NULL, &err);
		error_clear(&err);
		return;
	}
	forget_retries(inquiry);
	if (source != NULL)
		move(inquiry, queue, source);
	else
		done(inquiry, queue, false);
}

void dispatcher_retry(struct dispatcher *d, const char *task_id, dispatcher_fn fn, void *arg)
{
	inquiry_begin(d, task_id, retry, fn, arg);
}
