/* Ends runs whose task somebody has taken out of the in-progress queue. */
#include "dispatch/state.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"

static void on_looked(void *arg, struct json_object *task, const struct error *err)
{
	struct live *live = arg;
	const char *queue = json_get_string(task, "queue");
	bool gone = err != NULL && err->code == ERROR_NOT_FOUND;

	live->queue_call = NULL;
	if (live->run->state != RUN_RUNNING || live->cancel != CANCEL_NONE ||
	    live->moved_by_agent || clock_monotonic() < live->move_asked_until)
		return;
	if (!gone &&
	    (err != NULL || queue == NULL || str_equal(queue, live->run->in_progress_queue)))
		return;
	live_log(live, LOG_INFO, "the task was taken out of %s: ending its agent",
	    live->run->in_progress_queue);
	runner_cancel(live, CANCEL_MOVED);
}

void moved_check(struct dispatcher *d)
{
	for (struct live *live = d->lives; live != NULL; live = live->hh.next) {
		if (live->run->state != RUN_RUNNING || live->process == NULL ||
		    live->queue_call != NULL || live->moved_by_agent ||
		    !json_get_bool(live->run->options, "cancel_when_moved", false))
			continue;
		live->queue_call = queue_call(d->queue,
		    &(struct queue_request){.op = QUEUE_GET_TASK, .task_id = live->run->task_id},
		    QUEUE_TIMEOUT, on_looked, live);
	}
}
