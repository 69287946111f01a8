/* The operations of a json_file queue, done to the board in memory. */
#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"
#include "queue/board_edit.h"
#include "queue/json_file_private.h"

#include <stdlib.h>
#include <string.h>

bool json_op_is_read(enum queue_op op)
{
	return op == QUEUE_GET_READY_TASKS || op == QUEUE_GET_TASK || op == QUEUE_LIST_QUEUES ||
	       op == QUEUE_GET_QUEUE;
}

static struct board_task *find_task(const struct board *board, const char *id, struct error *err)
{
	struct board_task *task = id != NULL ? board_task_find(board, id) : NULL;

	if (task == NULL)
		error_set(err, ERROR_NOT_FOUND, "there is no task \"%.200s\" on the board",
		    id != NULL ? id : "");
	return task;
}

/* Names the queues that there are: mostly it is a slip of the pen. */
static struct board_queue *find_queue(
    const struct board *board, const char *name, struct error *err)
{
	struct board_queue *queue = name != NULL ? board_queue_find(board, name) : NULL;
	struct str names = {0};
	size_t left = 20;

	if (queue != NULL)
		return queue;
	for (struct board_queue *it = board_queue_first(board); it != NULL;
	     it = board_queue_next(it)) {
		if (left-- == 0) {
			str_puts(&names, ", …");
			break;
		}
		str_printf(&names, "%s\"%.100s\"", names.len > 0 ? ", " : "", board_queue_name(it));
	}
	error_set(err, ERROR_NOT_FOUND, "there is no queue \"%.200s\" on the board; there %s %s",
	    name != NULL ? name : "", names.len > 0 ? "are" : "is",
	    names.len > 0 ? names.data : "none: add it to the file, or create it");
	str_free(&names);
	return NULL;
}

static struct json_object *queue_json(const struct board_queue *queue)
{
	struct json_object *json = json_object_new_object();

	json_put_string(json, "name", board_queue_name(queue));
	json_put_int(json, "task_count", (int64_t)board_queue_count(queue));
	return json;
}

/* A task that json-c cannot read holds up no other. */
static void add_ready(struct board *board, struct board_task *task, struct json_object *list)
{
	struct error err = {0};
	struct json_object *json = board_task_json(board, task, &err);

	if (json != NULL)
		json_object_array_add(list, json_object_get(json));
	else
		log_warn("%s", err.message);
	error_clear(&err);
}

static void add_queue_ready(
    struct board *board, struct board_queue *queue, size_t limit, struct json_object *list)
{
	struct board_task *task = board_task_first(queue);

	for (size_t n = 0; task != NULL && (limit == 0 || n < limit); n++) {
		add_ready(board, task, list);
		task = board_task_next(task);
	}
}

/* One missing queue holds up no other; it is an error only where there is nothing else to ask. */
static struct json_object *read_ready(
    struct board *board, const struct queue_request *request, struct error *err)
{
	struct json_object *list = json_object_new_array();
	struct error missing = {0};
	size_t found = 0;

	for (size_t i = 0; request->queues != NULL && request->queues[i] != NULL; i++) {
		struct board_queue *queue = find_queue(board, request->queues[i], &missing);

		if (queue != NULL) {
			found++;
			add_queue_ready(board, queue, request->limit, list);
		} else if (board_queue_missed(board, request->queues[i])) {
			log_warn("%s", missing.message);
		}
	}
	if (found == 0 && missing.code != ERROR_NONE) {
		error_set(err, missing.code, "%s", missing.message);
		json_object_put(list);
		list = NULL;
	}
	error_clear(&missing);
	return list;
}

static struct json_object *read_queues(const struct board *board)
{
	struct json_object *list = json_object_new_array();

	for (struct board_queue *it = board_queue_first(board); it != NULL;
	     it = board_queue_next(it))
		json_object_array_add(list, queue_json(it));
	return list;
}

struct json_object *json_op_read(
    struct board *board, const struct queue_request *request, struct error *err)
{
	struct board_task *task;
	struct board_queue *queue;

	switch (request->op) {
	case QUEUE_GET_READY_TASKS:
		return read_ready(board, request, err);
	case QUEUE_GET_TASK:
		task = find_task(board, request->task_id, err);
		return task != NULL ? json_object_get(board_task_json(board, task, err)) : NULL;
	case QUEUE_LIST_QUEUES:
		return read_queues(board);
	case QUEUE_GET_QUEUE:
		queue = find_queue(board, request->queue_name, err);
		return queue != NULL ? queue_json(queue) : NULL;
	default:
		fatal("json_op_read: %s is no read", queue_op_name(request->op));
	}
}

struct json_op *json_op_create(const struct queue_request *request, struct queue_call *call)
{
	struct json_op *op = xcalloc(1, sizeof(*op));
	struct queue_request *own = &op->request;

	op->call = call;
	*own = *request;
	own->task_id = xstrdup(request->task_id);
	own->queue_name = xstrdup(request->queue_name);
	own->from_queue = xstrdup(request->from_queue);
	own->target_queue = xstrdup(request->target_queue);
	own->text = xstrdup(request->text);
	own->queues = (const char *const *)xstrv_dup(request->queues);
	own->fields = NULL;
	if (request->fields != NULL &&
	    json_object_deep_copy(request->fields, &own->fields, NULL) != 0)
		fatal("json_object_deep_copy failed");
	clock_format(clock_now_ms(), op->created_at);
	queue_call_set_data(call, op);
	return op;
}

static void clear_outcome(struct json_op *op)
{
	json_object_put(op->result);
	op->result = NULL;
	error_clear(&op->err);
	json_change_free(op->change);
	op->change = NULL;
}

void json_op_free(struct json_op *op)
{
	if (op == NULL)
		return;
	clear_outcome(op);
	free((char *)op->request.task_id);
	free((char *)op->request.queue_name);
	free((char *)op->request.from_queue);
	free((char *)op->request.target_queue);
	free((char *)op->request.text);
	xstrv_free((char **)op->request.queues);
	json_object_put(op->request.fields);
	free(op);
}

void json_op_answer(struct json_op *op, const struct error *err)
{
	queue_call_set_data(op->call, NULL);
	if (op->err.code != ERROR_NONE)
		err = &op->err;
	queue_answer(op->call, err == NULL ? json_object_get(op->result) : NULL, err);
	json_op_free(op);
}

/* What was done is done, also to a task that json-c cannot read. */
static void give_task(struct json_op *op, struct board *board, struct board_task *task)
{
	op->result = json_object_get(board_task_json(board, task, NULL));
}

/* Where the task is there already there is nothing to do: finish steps may be repeated. */
static void move(struct json_op *op, struct board_task *task, struct board_queue *target)
{
	if (board_task_queue(task) == target)
		return;
	op->change = json_change_begin(op->request.op, task);
	board_edit_move(task, target);
	json_change_end(op->change, task);
}

static void apply_move(struct json_op *op, struct board *board)
{
	struct board_task *task = find_task(board, op->request.task_id, &op->err);
	struct board_queue *target =
	    task != NULL ? find_queue(board, op->request.target_queue, &op->err) : NULL;

	if (target == NULL)
		return;
	move(op, task, target);
	give_task(op, board, task);
}

static void apply_claim(struct json_op *op, struct board *board)
{
	struct board_queue *target = find_queue(board, op->request.target_queue, &op->err);
	struct board_task *task;
	bool won;

	if (target == NULL)
		return;
	task = op->request.task_id != NULL ? board_task_find(board, op->request.task_id) : NULL;
	won = task != NULL &&
	      str_equal(board_queue_name(board_task_queue(task)), op->request.from_queue);
	if (won)
		move(op, task, target);
	op->result = json_object_new_boolean(won);
}

static void apply_comment(struct json_op *op, struct board *board, const char *user)
{
	struct board_task *task = find_task(board, op->request.task_id, &op->err);
	struct json_object *comment;
	struct json_change *change;

	if (task == NULL)
		return;
	if (op->request.text == NULL) {
		error_set(&op->err, ERROR_INVALID, "a comment needs a text");
		return;
	}
	comment = json_object_new_object();
	json_put_string(comment, "author", user != NULL ? user : "athanore");
	json_put_string(comment, "text", op->request.text);
	json_put_string(comment, "created_at", op->created_at);
	change = json_change_begin(op->request.op, task);
	if (board_edit_comment(task, comment, &op->err)) {
		json_change_end(change, task);
		op->change = change;
		op->result = comment;
		return;
	}
	json_change_free(change);
	json_object_put(comment);
}

static void apply_update(struct json_op *op, struct board *board)
{
	struct board_task *task = find_task(board, op->request.task_id, &op->err);
	struct json_change *change;
	bool changed;

	if (task == NULL)
		return;
	change = json_change_begin(op->request.op, task);
	if (board_edit_update(task, op->request.fields, &changed, &op->err))
		give_task(op, board, task);
	else
		changed = false;
	if (changed) {
		json_change_end(change, task);
		op->change = change;
	} else {
		json_change_free(change);
	}
}

static void apply_create(struct json_op *op, struct board *board)
{
	struct board_queue *queue = find_queue(board, op->request.queue_name, &op->err);
	struct board_task *task =
	    queue != NULL ? board_edit_create(queue, op->request.fields, &op->err) : NULL;

	if (task == NULL)
		return;
	op->change = json_change_begin(op->request.op, NULL);
	json_change_end(op->change, task);
	give_task(op, board, task);
}

static void apply_create_queue(struct json_op *op, struct board *board)
{
	struct board_queue *queue = board_edit_add_queue(board, op->request.queue_name, &op->err);

	if (queue == NULL)
		return;
	op->change = json_change_of_queue(op->request.op, NULL, op->request.queue_name);
	op->result = queue_json(queue);
}

static void apply_update_queue(struct json_op *op, struct board *board)
{
	struct board_queue *queue = find_queue(board, op->request.queue_name, &op->err);
	const char *new_name = json_get_string(op->request.fields, "new_name");

	if (queue == NULL)
		return;
	if (!str_equal(new_name, op->request.queue_name)) {
		if (!board_edit_rename_queue(queue, new_name, &op->err))
			return;
		op->change = json_change_of_queue(op->request.op, op->request.queue_name, new_name);
	}
	op->result = queue_json(queue);
}

static void apply_delete_queue(struct json_op *op, struct board *board)
{
	struct board_queue *queue = find_queue(board, op->request.queue_name, &op->err);

	if (queue != NULL && board_edit_remove_queue(queue, &op->err))
		op->change = json_change_of_queue(op->request.op, op->request.queue_name, NULL);
}

void json_op_apply(struct json_op *op, struct board *board, const char *user)
{
	clear_outcome(op);
	switch (op->request.op) {
	case QUEUE_MOVE_TASK:
		apply_move(op, board);
		break;
	case QUEUE_CLAIM_TASK:
		apply_claim(op, board);
		break;
	case QUEUE_ADD_COMMENT:
		apply_comment(op, board, user);
		break;
	case QUEUE_UPDATE_TASK:
		apply_update(op, board);
		break;
	case QUEUE_CREATE_TASK:
		apply_create(op, board);
		break;
	case QUEUE_CREATE_QUEUE:
		apply_create_queue(op, board);
		break;
	case QUEUE_UPDATE_QUEUE:
		apply_update_queue(op, board);
		break;
	case QUEUE_DELETE_QUEUE:
		apply_delete_queue(op, board);
		break;
	default:
		op->result = json_op_read(board, &op->request, &op->err);
	}
}
