/* A request under way: what it holds, what it waits for. */
#include "api/request.h"

#include "api/limits.h"
#include "api/request_parts.h"
#include "base/alloc.h"
#include "base/clock.h"

#include <event2/http.h>
#include <stdlib.h>

struct api_request *api_request_create(struct api_requests *requests, struct evhttp_request *evreq)
{
	struct api_request *request = xcalloc(1, sizeof(*request));

	request->owner = requests;
	request->evreq = evreq;
	request->started = clock_monotonic();
	LIST_INSERT_HEAD(&requests->list, request, next);
	return request;
}

static void request_free(struct api_request *request)
{
	api_path_clear(&request->path);
	json_object_put(request->body);
	free(request);
}

void api_request_finish(struct api_request *request)
{
	LIST_REMOVE(request, next);
	request->owner = NULL;
	if (!request->orphaned)
		request_free(request);
}

void api_request_set_connection(struct api_request *request, struct api_connection *connection)
{
	request->connection = connection;
}

void api_request_set_body(struct api_request *request, struct json_object *body)
{
	request->body = body;
}

/* evhttp frees the request with its connection, unless it has let go of it before. */
void api_request_gone(void *arg)
{
	struct api_request *request = arg;

	if (evhttp_request_get_connection(request->evreq) == NULL)
		evhttp_request_free(request->evreq);
	request->evreq = NULL;
	request->connection = NULL;
}

const char *api_request_method(const struct api_request *request)
{
	if (request->evreq == NULL)
		return NULL;
	switch (evhttp_request_get_command(request->evreq)) {
	case EVHTTP_REQ_GET:
		return "GET";
	case EVHTTP_REQ_POST:
		return "POST";
	case EVHTTP_REQ_HEAD:
		return "HEAD";
	case EVHTTP_REQ_PUT:
		return "PUT";
	case EVHTTP_REQ_DELETE:
		return "DELETE";
	case EVHTTP_REQ_OPTIONS:
		return "OPTIONS";
	case EVHTTP_REQ_TRACE:
		return "TRACE";
	case EVHTTP_REQ_CONNECT:
		return "CONNECT";
	case EVHTTP_REQ_PATCH:
		return "PATCH";
	}
	return NULL;
}

const char *api_request_target(const struct api_request *request)
{
	const char *target = request->evreq != NULL ? evhttp_request_get_uri(request->evreq) : NULL;

	return target != NULL ? target : "";
}

struct evhttp_request *api_request_evreq(struct api_request *request)
{
	return request->evreq;
}

struct api_path *api_request_path(struct api_request *request)
{
	return &request->path;
}

const char **api_request_params(struct api_request *request)
{
	return request->params;
}

const char *api_request_param(const struct api_request *request)
{
	return request->params[0];
}

struct json_object *api_request_body(const struct api_request *request)
{
	return request->body;
}

struct dispatcher *api_request_dispatcher(const struct api_request *request)
{
	return request->owner->dispatcher;
}

struct api_requests *api_request_shared(struct api_request *request)
{
	return request->owner;
}

const char *api_request_header(const struct api_request *request, const char *name)
{
	if (request->evreq == NULL)
		return NULL;
	return evhttp_find_header(evhttp_request_get_input_headers(request->evreq), name);
}

static void on_queue(void *arg, struct json_object *result, const struct error *err)
{
	struct api_request *request = arg;

	request->call = NULL;
	if (err != NULL)
		api_reply_error(request, err);
	else
		request->then(request, result);
}

void api_request_call(
    struct api_request *request, const struct queue_request *call, api_result_fn fn)
{
	struct queue *queue = dispatcher_queue(request->owner->dispatcher);

	request->then = fn;
	request->call = queue_call(queue, call, API_QUEUE_SECONDS, on_queue, request);
}

void api_request_expect(struct api_request *request, api_result_fn fn, api_error_fn on_error)
{
	request->then = fn;
	request->on_error = on_error;
}

const struct api_requests *api_request_owner(const struct api_request *request)
{
	return request->owner;
}

void api_request_answered(void *arg, struct json_object *result, const struct error *err)
{
	struct api_request *request = arg;

	if (request->orphaned) /* it was answered when the server ended */
		request_free(request);
	else if (err != NULL && request->on_error != NULL)
		request->on_error(request, result, err);
	else if (err != NULL)
		api_reply_error(request, err);
	else if (request->then != NULL)
		request->then(request, result);
	else
		api_reply_json(request, 200, result);
}

void api_request_await(struct api_request *request, api_awaited_fn fn)
{
	request->awaited = fn;
}

void api_request_awaited(void *arg, struct json_object *result, const struct error *err)
{
	struct api_request *request = arg;

	if (request->orphaned)
		request_free(request);
	else
		request->awaited(request, result, err);
}

void api_request_abandon(struct api_request *request)
{
	struct api_problem problem = {0};

	if (request->call != NULL)
		queue_cancel(request->call);
	else
		request->orphaned = true;
	api_problem_set(
	    &problem, 503, "unavailable", "the daemon is stopping; try again in a moment");
	problem.retry_after = 1;
	api_reply_problem(request, &problem);
}
