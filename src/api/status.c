/* GET /status: capacity, timing, and what is wrong. */
#include "api/handlers.h"

void api_get_status(struct api_request *request)
{
	struct json_object *status = dispatcher_status(api_request_dispatcher(request));

	api_reply_json(request, 200, status);
	json_object_put(status);
}
