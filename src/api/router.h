#ifndef ATHANORE_API_ROUTER_H
#define ATHANORE_API_ROUTER_H

#include "api/body.h"
#include "api/path.h"

struct api_request;

enum api_endpoint_flags {
	API_PUBLIC = 1,	 /* needs no credentials anywhere */
	API_MANAGES = 2, /* refused unless the script has enable_queue_management */
};

/* One method of one resource. */
struct api_endpoint {
	const char *method;
	const char *pattern; /* "/tasks/{task_id}": a segment in braces is a parameter */
	/* Has to bring about one api_reply…(), now or later. */
	void (*handle)(struct api_request *request);
	const struct api_field *fields; /* what the body holds; NULL: a body is not looked at */
	unsigned flags;
};

/* More than any pattern has. */
#define API_MAX_PARAMS 2

/*
 * The endpoint for a method (NULL: one we do not know) and a path, with its
 * parameters (borrowed from path) in params; HEAD is served by GET's. NULL with problem set:
 * 404, or 405 with what is allowed.
 */
const struct api_endpoint *api_router_find(const char *method, const struct api_path *path,
    const char *params[API_MAX_PARAMS], struct api_problem *problem);

#endif
