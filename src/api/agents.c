/* /agents: the running agents. */
#include "api/handlers.h"

#include "base/json.h"

void api_list_agents(struct api_request *request)
{
	api_reply_list(request, "agents", dispatcher_agents(api_request_dispatcher(request)));
}

void api_get_agent(struct api_request *request)
{
	dispatcher_agent(api_request_dispatcher(request), api_request_param(request),
	    api_request_answered, request);
}

void api_cancel_agent(struct api_request *request)
{
	const char *task_id = api_request_param(request);
	struct json_object *answer;
	struct error err = {0};

	if (!dispatcher_cancel(api_request_dispatcher(request), task_id, &err)) {
		api_reply_error(request, &err);
		error_clear(&err);
		return;
	}
	answer = json_object_new_object();
	json_put_string(answer, "task_id", task_id);
	json_put_string(answer, "status", "cancelling");
	api_reply_json(request, 202, answer);
	json_object_put(answer);
}
