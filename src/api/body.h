#ifndef ATHANORE_API_BODY_H
#define ATHANORE_API_BODY_H

#include "api/problem.h"

#include <json-c/json.h>

/* The JSON object in the body of a request, checked against what an endpoint takes. */

enum api_field_type {
	API_TEXT,	  /* a string */
	API_TEXT_OR_NULL, /* a string, or null, which clears */
	API_TEXTS,	  /* a list of strings, or null, which clears */
	API_ANY,	  /* the handler looks */
};

enum api_field_flags {
	API_REQUIRED = 1, /* the member must be there */
	API_FILLED = 2,	  /* and be more than white space */
	API_OPTIONAL = 4, /* without it the body may be {}, or empty */
};

struct api_field {
	const char *name; /* NULL ends a list of fields */
	enum api_field_type type;
	unsigned flags;
};

/* Whether there need not be a body: a field is API_OPTIONAL. */
bool api_body_optional(const struct api_field *fields);

/*
 * A new object, or NULL with problem set: 400 where text is no JSON, 422 where it is not what
 * fields ask for, members that they do not name included.
 */
struct json_object *api_body_parse(
    const char *text, size_t len, const struct api_field *fields, struct api_problem *problem);

#endif
