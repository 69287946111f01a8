/* /tasks/{task_id}/explain and /retry: why it is not running, and what to do about it. */
#include "api/handlers.h"

#include "dispatch/control.h"

void api_explain_task(struct api_request *request)
{
	dispatcher_explain(api_request_dispatcher(request), api_request_param(request),
	    api_request_answered, request);
}

void api_retry_task(struct api_request *request)
{
	dispatcher_retry(api_request_dispatcher(request), api_request_param(request),
	    api_request_answered, request);
}
