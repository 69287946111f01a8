/* /queues: the queues of the backend. */
#include "api/handlers.h"

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
