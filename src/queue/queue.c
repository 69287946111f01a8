/* What all queue adapters share: calls with deadlines, answers in a later turn. */
#include "queue/queue.h"

#include "base/alloc.h"

#include <stdlib.h>

struct queue_call {
	struct queue *queue;
	enum queue_op op;
	queue_fn fn; /* NULL: nobody waits any more */
	void *arg;
	void *data;
	struct loop_timer *deadline;
	double timeout;
	bool answered;
	struct json_object *result;
	struct error err;
};

static const char *const op_names[QUEUE_OP_COUNT] = {
    [QUEUE_GET_READY_TASKS] = "get_ready_tasks",
    [QUEUE_GET_TASK] = "get_task",
    [QUEUE_MOVE_TASK] = "move_task",
    [QUEUE_ADD_COMMENT] = "add_comment",
    [QUEUE_UPDATE_TASK] = "update_task",
    [QUEUE_CREATE_TASK] = "create_task",
    [QUEUE_LIST_QUEUES] = "list_queues",
    [QUEUE_GET_QUEUE] = "get_queue",
    [QUEUE_CREATE_QUEUE] = "create_queue",
    [QUEUE_UPDATE_QUEUE] = "update_queue",
    [QUEUE_DELETE_QUEUE] = "delete_queue",
    [QUEUE_CLAIM_TASK] = "claim_task",
    [QUEUE_AUTHENTICATED_USER] = "authenticated_user",
};

const char *queue_op_name(enum queue_op op)
{
	if (op >= QUEUE_OP_COUNT)
		fatal("queue operation %d", (int)op);
	return op_names[op];
}

const char *queue_kind(const struct queue *queue)
{
	return queue->vtable->kind;
}

const char *queue_identity(const struct queue *queue)
{
	return queue->identity;
}

bool queue_supports(const struct queue *queue, enum queue_op op)
{
	return op <= QUEUE_DELETE_QUEUE || (queue->vtable->supported & (1u << op)) != 0;
}

const struct error *queue_fault(const struct queue *queue)
{
	return queue->vtable->fault != NULL ? queue->vtable->fault(queue) : NULL;
}

void queue_init(
    struct queue *queue, const struct queue_vtable *vtable, struct loop *loop, const char *identity)
{
	*queue = (struct queue){.vtable = vtable, .loop = loop, .identity = xstrdup(identity)};
}

static void tell_change(void *arg)
{
	struct queue *queue = arg;

	if (queue->change_fn != NULL)
		queue->change_fn(queue->change_arg);
}

void queue_on_change(struct queue *queue, void (*fn)(void *arg), void *arg)
{
	queue->change_fn = fn;
	queue->change_arg = arg;
}

void queue_changed(struct queue *queue)
{
	loop_defer(queue->loop, tell_change, queue);
}

static void call_free(struct queue_call *call)
{
	loop_timer_free(call->deadline);
	json_object_put(call->result);
	error_clear(&call->err);
	free(call);
}

static void deliver(void *arg)
{
	struct queue_call *call = arg;

	call->queue->open_calls--;
	if (call->fn != NULL)
		call->fn(call->arg, call->result, call->err.code != ERROR_NONE ? &call->err : NULL);
	call_free(call);
}

void queue_answer(struct queue_call *call, struct json_object *result, const struct error *err)
{
	if (call->answered)
		fatal("%s was answered twice", op_names[call->op]);
	call->answered = true;
	if (err != NULL) {
		json_object_put(result);
		error_copy(&call->err, err);
	} else {
		call->result = result;
	}
	loop_defer(call->queue->loop, deliver, call);
}

/* The caller hears of it now; the adapter's own answer, when it comes, is dropped. */
static void on_deadline(void *arg)
{
	struct queue_call *call = arg;
	struct error err = {0};
	queue_fn fn = call->fn;

	if (call->answered || fn == NULL)
		return;
	call->fn = NULL;
	error_set(&err, ERROR_TIMEOUT, "%s of the %s queue did not answer within %g s",
	    op_names[call->op], call->queue->vtable->kind, call->timeout);
	if (call->queue->vtable->cancel != NULL)
		call->queue->vtable->cancel(call->queue, call);
	fn(call->arg, NULL, &err);
	error_clear(&err);
}

struct queue_call *queue_call(struct queue *queue, const struct queue_request *request,
    double timeout, queue_fn fn, void *arg)
{
	struct queue_call *call = xcalloc(1, sizeof(*call));
	struct error err = {0};

	call->queue = queue;
	call->op = request->op;
	call->fn = fn;
	call->arg = arg;
	call->timeout = timeout;
	call->deadline = loop_timer_create(queue->loop, on_deadline, call);
	loop_timer_set(call->deadline, timeout);
	queue->open_calls++;
	if (queue_supports(queue, request->op)) {
		queue->vtable->submit(queue, request, call);
		return call;
	}
	error_set(&err, ERROR_UNSUPPORTED, "the %s queue has no %s", queue->vtable->kind,
	    op_names[request->op]);
	queue_answer(call, NULL, &err);
	error_clear(&err);
	return call;
}

void queue_cancel(struct queue_call *call)
{
	bool waited = call->fn != NULL;

	call->fn = NULL;
	if (waited && !call->answered && call->queue->vtable->cancel != NULL)
		call->queue->vtable->cancel(call->queue, call);
}

void queue_call_set_data(struct queue_call *call, void *data)
{
	call->data = data;
}

void *queue_call_data(const struct queue_call *call)
{
	return call->data;
}

void queue_free(struct queue *queue)
{
	char *identity;

	if (queue == NULL)
		return;
	identity = queue->identity;
	queue->change_fn = NULL;
	if (queue->vtable->close != NULL)
		queue->vtable->close(queue);
	loop_settle(queue->loop);
	if (queue->open_calls != 0)
		fatal("queue_free: %zu calls are not answered", queue->open_calls);
	queue->vtable->free(queue);
	free(identity);
}
