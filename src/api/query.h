#ifndef ATHANORE_API_QUERY_H
#define ATHANORE_API_QUERY_H

#include "api/problem.h"

/* The query of a request's target: "?name=value&…". */

#define API_MAX_QUERY 8 /* parameters that an endpoint may have */

struct api_query {
	char *values[API_MAX_QUERY]; /* by place in names; NULL: not given */
};

/*
 * names is NULL-terminated, and has at most API_MAX_QUERY. False with problem set: 400 where it is
 * not well encoded, 422 where a parameter is unknown or given twice. End with api_query_clear()
 * either way.
 */
bool api_query_parse(struct api_query *query, const char *target, const char *const *names,
    struct api_problem *problem);

void api_query_clear(struct api_query *query);

/* Sets problem to a 422 about a parameter. Always returns false. */
bool api_query_refuse(struct api_problem *problem, const char *name, const char *why);

#endif
