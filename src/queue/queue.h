#ifndef ATHANORE_QUEUE_QUEUE_H
#define ATHANORE_QUEUE_QUEUE_H

#include "base/error.h"
#include "loop/loop.h"

#include <json-c/json.h>

/*
 * A task queue behind one vtable: a board file, a database, a tracker's web
 * API. Every call is asynchronous: it is begun by queue_call() and answered
 * once, from the loop, in a later turn, at the latest when its deadline is over.
 *
 * A task is a JSON object of at least {"id": string, "name": string, "queue": string} and
 * "description" (string or null), "labels", "assignees", "comments", "tasks" (lists); more keys
 * are the adapter's own. A queue is {"name": string, "task_count": integer}.
 */
struct queue;

enum queue_op {
	QUEUE_GET_READY_TASKS, /* queues, limit → list of tasks, in the order of `queues` and then
				  the adapter's own; at most `limit` of each queue (0: all) */
	QUEUE_GET_TASK,	       /* task_id → task */
	QUEUE_MOVE_TASK,       /* task_id, target_queue → task or null */
	QUEUE_ADD_COMMENT,     /* task_id, text → comment or null */
	QUEUE_UPDATE_TASK,     /* task_id, fields {name, description, labels, assignees}: absent
				  is unchanged, null clears → task or null */
	QUEUE_CREATE_TASK,     /* queue_name, fields {name, description} → task */
	QUEUE_LIST_QUEUES,     /* → list of queues */
	QUEUE_GET_QUEUE,       /* queue_name → queue */
	QUEUE_CREATE_QUEUE,    /* queue_name → queue or null */
	QUEUE_UPDATE_QUEUE,    /* queue_name, fields {new_name} → queue or null */
	QUEUE_DELETE_QUEUE,    /* queue_name → null; conflict where it has tasks */
	/* Optional; queue_supports() tells. */
	QUEUE_CLAIM_TASK, /* task_id, from_queue, target_queue → true, or false where the task
			     was not in from_queue any more; atomic */
	QUEUE_AUTHENTICATED_USER, /* → string: whom we act as; null: nobody */
	QUEUE_OP_COUNT
};

/* The arguments of a call; what its op does not name is NULL or 0. All borrowed. */
struct queue_request {
	enum queue_op op;
	const char *task_id;
	const char *queue_name;
	const char *from_queue;
	const char *target_queue;
	const char *text;
	const char *const *queues; /* NULL-terminated */
	size_t limit;
	struct json_object *fields;
};

/*
 * The answer. On failure err is set and result NULL; otherwise err is NULL. result is borrowed
 * and read-only: json_object_get() what is to be kept, deep-copy what is to be changed.
 */
typedef void (*queue_fn)(void *arg, struct json_object *result, const struct error *err);

struct queue_call;

/*
 * Begins a call that is over after `timeout` seconds (error timeout). The arguments are copied
 * where they are needed. Returns a handle that is valid until fn was called, for queue_cancel().
 */
struct queue_call *queue_call(struct queue *queue, const struct queue_request *request,
    double timeout, queue_fn fn, void *arg);

/* fn will not be called. What the call has begun in the backend may still happen. */
void queue_cancel(struct queue_call *call);

bool queue_supports(const struct queue *queue, enum queue_op op);

/* "get_ready_tasks", …: the name of the operation in scripts and messages. */
const char *queue_op_name(enum queue_op op);

/* "json_file", …; and what tells one backend from another: the key of what we store about it. */
const char *queue_kind(const struct queue *queue);
const char *queue_identity(const struct queue *queue);

/* What is wrong with the backend as a whole right now (a broken board), or NULL. */
const struct error *queue_fault(const struct queue *queue);

/* Called whenever the backend changed by another hand, and when a fault came or went. */
void queue_on_change(struct queue *queue, void (*fn)(void *arg), void *arg);

/* Ends all calls (unavailable) and frees the queue. Work already begun is finished first. */
void queue_free(struct queue *queue);

/* ---- For adapters ---- */

struct queue_vtable {
	const char *kind;
	unsigned supported; /* bit 1 << op for each optional operation; the first 11 are assumed */
	/*
	 * Begins the operation. request lives until this returns. Answer by queue_answer(call, …)
	 * exactly once, now or later, also after `cancel`.
	 */
	void (*submit)(
	    struct queue *queue, const struct queue_request *request, struct queue_call *call);
	/* The caller lost interest; may be NULL. The call must still be answered. */
	void (*cancel)(struct queue *queue, struct queue_call *call);
	const struct error *(*fault)(const struct queue *queue); /* may be NULL: never one */
	void (*free)(struct queue *queue); /* all calls were answered before */
	/* Gives up what is not begun and finishes what is, answering every call; may run the loop's
	 * worker to its end. May be NULL: every call is answered at once. */
	void (*close)(struct queue *queue);
};

/* First member of an adapter's own struct. */
struct queue {
	const struct queue_vtable *vtable;
	struct loop *loop;
	char *identity; /* owned, freed by queue_free() */
	void (*change_fn)(void *arg);
	void *change_arg;
	size_t open_calls;
};

void queue_init(struct queue *queue, const struct queue_vtable *vtable, struct loop *loop,
    const char *identity);

/* Answers a call, from any place on the loop's thread; fn runs in a later turn. Takes over result;
 * err (copied) is NULL on success. */
void queue_answer(struct queue_call *call, struct json_object *result, const struct error *err);

/* An adapter's own pointer for the call: what it needs to cancel it. */
void queue_call_set_data(struct queue_call *call, void *data);
void *queue_call_data(const struct queue_call *call);

/* Tells queue_on_change()'s listener, in a later turn. */
void queue_changed(struct queue *queue);

#endif
