/* /routes: which queues are watched, and what is run for their tasks. */
#include "api/handlers.h"

void api_list_routes(struct api_request *request)
{
	api_reply_list(request, "routes", dispatcher_routes(api_request_dispatcher(request)));
}

void api_get_route(struct api_request *request)
{
	struct error err = {0};
	struct json_object *route =
	    dispatcher_route(api_request_dispatcher(request), api_request_param(request), &err);

	if (route == NULL) {
		api_reply_error(request, &err);
		error_clear(&err);
		return;
	}
	api_reply_json(request, 200, route);
	json_object_put(route);
}
