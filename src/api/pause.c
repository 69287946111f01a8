/* POST /pause, /resume and /poll: whether, and when, tasks are taken. */
#include "api/handlers.h"

#include "base/json.h"
#include "dispatch/control.h"

const struct api_field api_pause_fields[] = {
    {"queue_name", API_TEXT, API_FILLED | API_OPTIONAL},
    {0},
};

static void set_paused(struct api_request *request, bool paused)
{
	dispatcher_pause(api_request_dispatcher(request),
	    json_get_string(api_request_body(request), "queue_name"), paused, api_request_answered,
	    request);
}

void api_pause(struct api_request *request)
{
	set_paused(request, true);
}

void api_resume(struct api_request *request)
{
	set_paused(request, false);
}

void api_poll(struct api_request *request)
{
	struct error err = {0};
	struct json_object *answer = dispatcher_poll(api_request_dispatcher(request), &err);

	if (answer != NULL)
		api_reply_json(request, 202, answer);
	else
		api_reply_error(request, &err);
	json_object_put(answer);
	error_clear(&err);
}
