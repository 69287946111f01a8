/* /queues: the queues of the backend. */
#include "api/handlers.h"

#include "base/json.h"

const struct api_field api_queue_fields[] = {
    {"name", API_TEXT, API_REQUIRED | API_FILLED},
    {0},
};

static void reply_queues(struct api_request *request, struct json_object *result)
{
	api_reply_list(request, "queues", json_object_get(result));
}

void api_list_queues(struct api_request *request)
{
	api_request_call(request, &(struct queue_request){.op = QUEUE_LIST_QUEUES}, reply_queues);
}

static void reply_queue(struct api_request *request, struct json_object *result)
{
	api_reply_json(request, 200, result);
}

void api_get_queue(struct api_request *request)
{
	api_request_call(request,
	    &(struct queue_request){
		.op = QUEUE_GET_QUEUE, .queue_name = api_request_param(request)},
	    reply_queue);
}

static const char *new_name(struct api_request *request)
{
	return json_get_string(api_request_body(request), "name");
}

/* The queue that the body names, which adapters need not give back. */
static void reply_named(
    struct api_request *request, struct json_object *result, api_result_fn reply)
{
	if (json_object_is_type(result, json_type_object))
		reply(request, result);
	else
		api_request_call(request,
		    &(struct queue_request){.op = QUEUE_GET_QUEUE, .queue_name = new_name(request)},
		    reply);
}

static void reply_created(struct api_request *request, struct json_object *result)
{
	struct str location = {0};

	str_puts(&location, "/queues/");
	api_path_encode(&location, new_name(request));
	api_reply_header(request, "Location", location.data);
	str_free(&location);
	api_reply_json(request, 201, result);
}

static void created(struct api_request *request, struct json_object *result)
{
	reply_named(request, result, reply_created);
}

void api_create_queue(struct api_request *request)
{
	api_request_call(request,
	    &(struct queue_request){.op = QUEUE_CREATE_QUEUE, .queue_name = new_name(request)},
	    created);
}

static void updated(struct api_request *request, struct json_object *result)
{
	dispatcher_poke(api_request_dispatcher(request));
	reply_named(request, result, reply_queue);
}

void api_update_queue(struct api_request *request)
{
	struct json_object *fields = json_object_new_object();

	json_put_string(fields, "new_name", new_name(request));
	api_request_call(request,
	    &(struct queue_request){.op = QUEUE_UPDATE_QUEUE,
		.queue_name = api_request_param(request),
		.fields = fields},
	    updated);
	json_object_put(fields);
}

static void deleted(struct api_request *request, struct json_object *result)
{
	(void)result;
	api_reply_nothing(request);
}

void api_delete_queue(struct api_request *request)
{
	api_request_call(request,
	    &(struct queue_request){
		.op = QUEUE_DELETE_QUEUE, .queue_name = api_request_param(request)},
	    deleted);
}
