/* Checks and completes what the methods of a Lua queue return. */
#include "script/queue_answers.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *type_name(struct json_object *value)
{
	return value == NULL ? "nil" : json_type_to_name(json_object_get_type(value));
}

static bool wrong_type(
    struct error *err, const char *name, const char *expected, struct json_object *got)
{
	return error_set(
	    err, ERROR_INTERNAL, "%s must be %s, got %s", name, expected, type_name(got));
}

/* A C string has to hold all of it. */
static bool is_text(struct json_object *value)
{
	return json_object_is_type(value, json_type_string) &&
	       strlen(json_object_get_string(value)) == (size_t)json_object_get_string_len(value);
}

/* A string that is not empty; integers become strings where it is an id. */
static bool check_text(
    struct json_object *object, const char *key, const char *what, bool is_id, struct error *err)
{
	struct json_object *value = json_object_object_get(object, key);
	char name[80];

	snprintf(name, sizeof(name), "%s.%s", what, key);
	if (is_id && json_object_is_type(value, json_type_int)) {
		value = json_object_new_string(json_object_get_string(value));
		json_put(object, key, value);
	}
	if (value == NULL)
		return error_set(err, ERROR_INTERNAL, "%s is missing", name);
	if (!is_text(value))
		return wrong_type(err, name, "a string", value);
	if (json_object_get_string_len(value) == 0)
		return error_set(err, ERROR_INTERNAL, "%s is empty", name);
	return true;
}

/* A list; with strings only where `strings`. It is added where it is absent. */
static bool check_list(
    struct json_object *task, const char *key, const char *what, bool strings, struct error *err)
{
	struct json_object *value = json_object_object_get(task, key);
	char name[80];

	snprintf(name, sizeof(name), "%s.%s", what, key);
	if (value == NULL) {
		json_put(task, key, json_object_new_array());
		return true;
	}
	if (!json_object_is_type(value, json_type_array))
		return wrong_type(err, name, "a list", value);
	for (size_t i = 0; strings && i < json_object_array_length(value); i++)
		if (!is_text(json_object_array_get_idx(value, i)))
			return wrong_type(
			    err, name, "a list of strings", json_object_array_get_idx(value, i));
	return true;
}

/* queue: what the task's queue is where the task does not say; may be NULL. */
static bool check_task(
    struct json_object *task, const char *what, const char *queue, struct error *err)
{
	struct json_object *description;

	if (!json_object_is_type(task, json_type_object))
		return wrong_type(err, what, "a task (a table)", task);
	if (queue != NULL && json_object_object_get(task, "queue") == NULL)
		json_put_string(task, "queue", queue);
	if (!check_text(task, "id", what, true, err) ||
	    !check_text(task, "name", what, false, err) ||
	    !check_text(task, "queue", what, false, err))
		return false;
	description = json_object_object_get(task, "description");
	if (description == NULL)
		json_put(task, "description", NULL);
	else if (!json_object_is_type(description, json_type_string))
		return wrong_type(err, "task.description", "a string", description);
	return check_list(task, "labels", what, true, err) &&
	       check_list(task, "assignees", what, true, err) &&
	       check_list(task, "comments", what, false, err) &&
	       check_list(task, "tasks", what, false, err);
}

static size_t queue_index(const struct queue_request *request, const char *name)
{
	size_t i = 0;

	while (request->queues[i] != NULL && strcmp(request->queues[i], name) != 0)
		i++;
	return i;
}

/* The tasks, by the order of the queues that were asked for and then the adapter's own. */
static struct json_object *in_order(const struct queue_request *request, struct json_object *tasks)
{
	size_t queues = xstrv_len(request->queues), n = json_object_array_length(tasks);
	struct json_object *sorted = json_object_new_array();
	size_t *queue_of = xcalloc(n, sizeof(*queue_of));

	for (size_t i = 0; i < n; i++)
		queue_of[i] = queue_index(
		    request, json_get_string(json_object_array_get_idx(tasks, i), "queue"));
	for (size_t q = 0; q < queues; q++) {
		size_t taken = 0;

		for (size_t i = 0; i < n; i++) {
			if (queue_of[i] != q || (request->limit > 0 && taken == request->limit))
				continue;
			taken++;
			json_object_array_add(
			    sorted, json_object_get(json_object_array_get_idx(tasks, i)));
		}
	}
	free(queue_of);
	return sorted;
}

static bool check_ready(
    const struct queue_request *request, struct json_object **result, struct error *err)
{
	const char *only =
	    request->queues[0] != NULL && request->queues[1] == NULL ? request->queues[0] : NULL;
	struct json_object *sorted;
	size_t n;

	/* An empty table may be either; for us it is no task. */
	if (json_object_is_type(*result, json_type_object) &&
	    json_object_object_length(*result) == 0) {
		json_object_put(*result);
		*result = json_object_new_array();
	}
	if (!json_object_is_type(*result, json_type_array))
		return wrong_type(err, "the result", "a list of tasks", *result);
	n = json_object_array_length(*result);
	for (size_t i = 0; i < n; i++) {
		struct json_object *task = json_object_array_get_idx(*result, i);
		char what[40];

		snprintf(what, sizeof(what), "task %zu", i + 1);
		if (!check_task(task, what, only, err))
			return false;
		if (request->queues[queue_index(request, json_get_string(task, "queue"))] == NULL)
			return error_set(err, ERROR_INTERNAL,
			    "%s.queue is '%s', which was not asked for", what,
			    json_get_string(task, "queue"));
	}
	sorted = in_order(request, *result);
	json_object_put(*result);
	*result = sorted;
	return true;
}

static bool check_queue(struct json_object *queue, const char *what, struct error *err)
{
	struct json_object *count;
	char name[80];
	double value;

	if (!json_object_is_type(queue, json_type_object))
		return wrong_type(err, what, "a queue (a table)", queue);
	if (!check_text(queue, "name", what, false, err))
		return false;
	count = json_object_object_get(queue, "task_count");
	snprintf(name, sizeof(name), "%s.task_count", what);
	value = json_get_double(queue, "task_count", -1);
	if (count == NULL)
		return error_set(err, ERROR_INTERNAL, "%s is missing", name);
	if (value < 0 || value > 1e15 || value != (double)(int64_t)value)
		return wrong_type(err, name, "a whole number", count);
	json_put_int(queue, "task_count", (int64_t)value);
	return true;
}

static bool check_queues(struct json_object **result, struct error *err)
{
	if (json_object_is_type(*result, json_type_object) &&
	    json_object_object_length(*result) == 0) {
		json_object_put(*result);
		*result = json_object_new_array();
	}
	if (!json_object_is_type(*result, json_type_array))
		return wrong_type(err, "the result", "a list of queues", *result);
	for (size_t i = 0; i < json_object_array_length(*result); i++) {
		char what[40];

		snprintf(what, sizeof(what), "queue %zu", i + 1);
		if (!check_queue(json_object_array_get_idx(*result, i), what, err))
			return false;
	}
	return true;
}

/* `return true` says as much as `return nil`: it was done. True where nothing is left to check. */
static bool is_plain_success(struct json_object **result)
{
	if (json_object_is_type(*result, json_type_boolean) && json_object_get_boolean(*result)) {
		json_object_put(*result);
		*result = NULL;
	}
	return *result == NULL;
}

bool queue_answers_check(
    const struct queue_request *request, struct json_object **result, struct error *err)
{
	switch (request->op) {
	case QUEUE_GET_READY_TASKS:
		return check_ready(request, result, err);
	case QUEUE_GET_TASK:
		if (*result == NULL)
			return error_set(
			    err, ERROR_NOT_FOUND, "task '%s' was not found", request->task_id);
		return check_task(*result, "task", NULL, err);
	case QUEUE_CREATE_TASK:
		return check_task(*result, "task", request->queue_name, err);
	case QUEUE_MOVE_TASK:
		return is_plain_success(result) ||
		       check_task(*result, "task", request->target_queue, err);
	case QUEUE_UPDATE_TASK:
		return is_plain_success(result) || check_task(*result, "task", NULL, err);
	case QUEUE_ADD_COMMENT:
		if (is_plain_success(result) || json_object_is_type(*result, json_type_object))
			return true;
		return wrong_type(err, "the result", "a comment (a table) or nil", *result);
	case QUEUE_LIST_QUEUES:
		return check_queues(result, err);
	case QUEUE_GET_QUEUE:
		if (*result == NULL)
			return error_set(
			    err, ERROR_NOT_FOUND, "queue '%s' was not found", request->queue_name);
		return check_queue(*result, "queue", err);
	case QUEUE_CREATE_QUEUE:
	case QUEUE_UPDATE_QUEUE:
		return is_plain_success(result) || check_queue(*result, "queue", err);
	case QUEUE_DELETE_QUEUE:
		json_object_put(*result);
		*result = NULL;
		return true;
	case QUEUE_CLAIM_TASK:
		return json_object_is_type(*result, json_type_boolean) ||
		       wrong_type(err, "the result", "true or false", *result);
	case QUEUE_AUTHENTICATED_USER:
		return *result == NULL || is_text(*result) ||
		       wrong_type(err, "the result", "a string or nil", *result);
	case QUEUE_OP_COUNT:
		break;
	}
	fatal("queue operation %d", (int)request->op);
}
