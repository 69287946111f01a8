#ifndef ATHANORE_API_REQUEST_PARTS_H
#define ATHANORE_API_REQUEST_PARTS_H

#include "api/request.h"

/* The inside of a request, for request.c and reply.c alone. */
struct api_request {
	struct api_requests *owner;
	struct evhttp_request *evreq;	   /* NULL: the client is gone */
	struct api_connection *connection; /* NULL together with evreq */
	struct api_path path;
	const char *params[API_MAX_PARAMS];
	struct json_object *body;
	double started;
	struct queue_call *call; /* what it waits for, or NULL */
	api_result_fn then;
	api_awaited_fn awaited;
	api_error_fn on_error;
	bool orphaned; /* a continuation still points here after the answer, and frees this */
	LIST_ENTRY(api_request) next;
};

/* The answer was given: the request is over. */
void api_request_finish(struct api_request *request);

#endif
