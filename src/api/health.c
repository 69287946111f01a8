/* GET /healthz and /readyz: the daemon's loop turns; and whether it can do its work. */
#include "api/handlers.h"

#include "base/json.h"
#include "dispatch/control.h"

#include <stdlib.h>
#include <string.h>

void api_get_health(struct api_request *request)
{
	static const char text[] = "{\"status\":\"ok\"}";

	api_reply_text(request, 200, text, sizeof(text) - 1);
}

/* A problem document with the reasons as a member of its own. Takes over reasons. */
static void reply_not_ready(struct api_request *request, struct json_object *reasons)
{
	struct json_object *problem = json_object_new_object();
	char *text;

	json_put_string(problem, "type", "about:blank");
	json_put_string(problem, "title", api_status_title(503));
	json_put_int(problem, "status", 503);
	json_put_string(
	    problem, "detail", json_get_string(json_object_array_get_idx(reasons, 0), "message"));
	json_put_string(problem, "code", "not_ready");
	json_put(problem, "reasons", reasons);
	text = json_print(problem);
	api_reply_header(request, "Retry-After", "5");
	api_reply_typed(request, 503, "application/problem+json", text, strlen(text));
	free(text);
	json_object_put(problem);
}

void api_get_ready(struct api_request *request)
{
	static const char text[] = "{\"status\":\"ready\"}";
	struct json_object *reasons = dispatcher_obstacles(api_request_dispatcher(request));

	if (json_object_array_length(reasons) > 0) {
		reply_not_ready(request, reasons);
		return;
	}
	json_object_put(reasons);
	api_reply_text(request, 200, text, sizeof(text) - 1);
}
