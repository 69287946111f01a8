/* /tasks: reading, commenting on, changing, moving and creating tasks. */
#include "api/handlers.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

const struct api_field api_create_task_fields[] = {
    {"queue_name", API_TEXT, API_REQUIRED | API_FILLED},
    {"name", API_TEXT, API_REQUIRED | API_FILLED},
    {"description", API_TEXT_OR_NULL, 0},
    {0},
};

const struct api_field api_update_task_fields[] = {
    {"name", API_TEXT, API_FILLED},
    {"description", API_TEXT_OR_NULL, 0},
    {"labels", API_TEXTS, 0},
    {"assignees", API_TEXTS, 0},
    {0},
};

const struct api_field api_add_comment_fields[] = {
    {"comment", API_TEXT, API_REQUIRED | API_FILLED},
    {0},
};

const struct api_field api_move_task_fields[] = {
    {"target_queue", API_TEXT, API_REQUIRED | API_FILLED},
    {0},
};

static const char *const lists[] = {"labels", "assignees", "comments", "tasks"};

#define LISTS (sizeof(lists) / sizeof(lists[0]))

/* True where the task can be printed as it is: its lists are lists, and the key that we add is
 * free. */
static bool is_plain(struct json_object *task)
{
	struct json_object *value;

	for (size_t i = 0; i < LISTS; i++)
		if (json_get_array(task, lists[i]) == NULL)
			return false;
	return !json_object_object_get_ex(task, "retry_count", &value);
}

/* A copy of the task (its values are shared) that can. */
static struct json_object *make_plain(struct json_object *task)
{
	struct json_object *copy = json_object_new_object();

	json_object_object_foreach (task, key, value)
		json_put(copy, key, json_object_get(value));
	for (size_t i = 0; i < LISTS; i++)
		if (json_get_array(copy, lists[i]) == NULL)
			json_put(copy, lists[i], json_object_new_array());
	json_object_object_del(copy, "retry_count");
	return copy;
}

/* The task's own text with retry_count at its end, without a copy of the tree. */
static void reply_task(struct api_request *request, int status, struct json_object *task)
{
	struct json_object *copy = is_plain(task) ? NULL : make_plain(task);
	const char *id = json_get_string(task, "id");
	char tail[40];
	const char *text;
	size_t len;
	int tail_len;

	tail_len = snprintf(tail, sizeof(tail), ",\"retry_count\":%d}",
	    id == NULL ? 0 : dispatcher_retry_count(api_request_dispatcher(request), id));
	text = api_json_text(copy != NULL ? copy : task, &len);
	api_reply_parts(request, status, text, len - 1, tail, (size_t)tail_len);
	json_object_put(copy);
}

static void reply_bad_adapter(struct api_request *request, const char *what)
{
	struct api_problem problem = {0};

	api_problem_set(&problem, 500, "internal", "%s; this is a mistake in the adapter", what);
	api_reply_problem(request, &problem);
}

static void reply_found(struct api_request *request, struct json_object *result)
{
	if (json_object_is_type(result, json_type_object)) {
		reply_task(request, 200, result);
		return;
	}
	reply_bad_adapter(request, "the queue's adapter gave no task for get_task");
}

void api_get_task(struct api_request *request)
{
	api_request_call(request,
	    &(struct queue_request){.op = QUEUE_GET_TASK, .task_id = api_request_param(request)},
	    reply_found);
}

/* The changed task, which adapters need not give back. */
static void reply_changed(struct api_request *request, struct json_object *result)
{
	if (json_object_is_type(result, json_type_object))
		reply_task(request, 200, result);
	else
		api_get_task(request);
}

static void updated(struct api_request *request, struct json_object *result)
{
	dispatcher_note(api_request_dispatcher(request), api_request_param(request), "updated",
	    api_request_body(request));
	reply_changed(request, result);
}

void api_update_task(struct api_request *request)
{
	api_request_call(request,
	    &(struct queue_request){.op = QUEUE_UPDATE_TASK,
		.task_id = api_request_param(request),
		.fields = api_request_body(request)},
	    updated);
}

static void moved(struct api_request *request, struct json_object *result)
{
	struct dispatcher *dispatcher = api_request_dispatcher(request);

	dispatcher_note(dispatcher, api_request_param(request), "moved", api_request_body(request));
	dispatcher_poke(dispatcher);
	reply_changed(request, result);
}

void api_move_task(struct api_request *request)
{
	dispatcher_move_asked(api_request_dispatcher(request), api_request_param(request));
	api_request_call(request,
	    &(struct queue_request){.op = QUEUE_MOVE_TASK,
		.task_id = api_request_param(request),
		.target_queue = json_get_string(api_request_body(request), "target_queue")},
	    moved);
}

/* {"text": …}: the comment's record in the run's log, and our answer where the adapter gives none.
 */
static struct json_object *comment_record(struct api_request *request)
{
	struct json_object *record = json_object_new_object();

	json_put_string(record, "text", json_get_string(api_request_body(request), "comment"));
	return record;
}

static void commented(struct api_request *request, struct json_object *result)
{
	struct json_object *record = comment_record(request);

	dispatcher_note(
	    api_request_dispatcher(request), api_request_param(request), "comment", record);
	api_reply_json(
	    request, 201, json_object_is_type(result, json_type_object) ? result : record);
	json_object_put(record);
}

void api_add_comment(struct api_request *request)
{
	api_request_call(request,
	    &(struct queue_request){.op = QUEUE_ADD_COMMENT,
		.task_id = api_request_param(request),
		.text = json_get_string(api_request_body(request), "comment")},
	    commented);
}

static void created(struct api_request *request, struct json_object *result)
{
	const char *id = json_get_string(result, "id");
	struct str location = {0};

	dispatcher_poke(api_request_dispatcher(request));
	if (id == NULL) {
		reply_bad_adapter(request,
		    "the task was created, but the queue's adapter gave no task with an id back");
		return;
	}
	str_puts(&location, "/tasks/");
	api_path_encode(&location, id);
	api_reply_header(request, "Location", location.data);
	str_free(&location);
	reply_task(request, 201, result);
}

void api_create_task(struct api_request *request)
{
	struct json_object *body = api_request_body(request);
	struct json_object *fields = json_object_new_object();
	struct json_object *description = NULL;

	json_put_string(fields, "name", json_get_string(body, "name"));
	if (json_object_object_get_ex(body, "description", &description))
		json_put(fields, "description", json_object_get(description));
	api_request_call(request,
	    &(struct queue_request){.op = QUEUE_CREATE_TASK,
		.queue_name = json_get_string(body, "queue_name"),
		.fields = fields},
	    created);
	json_object_put(fields);
}
