/* Questions about one task: what the queue and the store know of it. */
#include "dispatch/inquiry.h"

#include "base/alloc.h"

#include <stdlib.h>

void inquiry_end(struct inquiry *inquiry, struct json_object *result, const struct error *err)
{
	LIST_REMOVE(inquiry, link);
	inquiry->fn(inquiry->arg, result, err);
	json_object_put(result);
	json_object_put(inquiry->task);
	json_object_put(inquiry->data);
	run_free(inquiry->last_run);
	error_clear(&inquiry->task_err);
	free(inquiry->task_id);
	free(inquiry);
}

static void on_last_run(void *arg, struct run *run)
{
	struct inquiry *inquiry = arg;

	inquiry->reading = false;
	inquiry->last_run = run;
	inquiry->next(inquiry);
}

static void on_task(void *arg, struct json_object *result, const struct error *err)
{
	struct inquiry *inquiry = arg;

	inquiry->queue_call = NULL;
	if (err != NULL && err->code == ERROR_NOT_FOUND) {
		inquiry_end(inquiry, NULL, err);
		return;
	}
	if (err != NULL)
		error_copy(&inquiry->task_err, err);
	inquiry->task = json_object_get(result);
	inquiry->reading = true;
	store_last_run(inquiry->d->store, inquiry->task_id, on_last_run, inquiry);
}

void inquiry_begin(struct dispatcher *d, const char *task_id, void (*next)(struct inquiry *inquiry),
    dispatcher_fn fn, void *arg)
{
	struct inquiry *inquiry = xcalloc(1, sizeof(*inquiry));

	inquiry->d = d;
	inquiry->task_id = xstrdup(task_id);
	inquiry->next = next;
	inquiry->fn = fn;
	inquiry->arg = arg;
	LIST_INSERT_HEAD(&d->inquiries, inquiry, link);
	inquiry->queue_call =
	    queue_call(d->queue, &(struct queue_request){.op = QUEUE_GET_TASK, .task_id = task_id},
		QUEUE_TIMEOUT, on_task, inquiry);
}

void inquiries_end(struct dispatcher *d)
{
	struct inquiry *inquiry;
	struct error err = {0};

	error_set(&err, ERROR_UNAVAILABLE, "the daemon is stopping");
	while ((inquiry = LIST_FIRST(&d->inquiries)) != NULL) {
		if (inquiry->reading)
			fatal("a question about task %s is with the storage thread",
			    inquiry->task_id);
		if (inquiry->queue_call != NULL)
			queue_cancel(inquiry->queue_call);
		if (inquiry->script_call != NULL)
			script_cancel(inquiry->script_call);
		inquiry_end(inquiry, NULL, &err);
	}
	error_clear(&err);
}
