/* Query strings, checked against the names that an endpoint knows. */
#include "api/query.h"

#include "api/path.h"
#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

bool api_query_refuse(struct api_problem *problem, const char *name, const char *why)
{
	/* An unknown parameter's name is the client's, and may be long. */
	api_problem_set(problem, 422, "invalid", "the parameter \"%.100s\" %s", name, why);
	problem->field = xasprintf("%.100s", name);
	return false;
}

/* A copy, decoded; NULL where it is not well encoded. */
static char *decode(const char *text, size_t len)
{
	char *copy = xmemdup0(text, len);
	ssize_t out;

	for (char *at = copy; *at != '\0'; at++)
		if (*at == '+')
			*at = ' ';
	out = api_path_decode(copy, copy, len);
	if (out < 0 || !str_utf8_valid(copy, (size_t)out)) {
		free(copy);
		return NULL;
	}
	copy[out] = '\0';
	return copy;
}

/* Takes over value. */
static bool set(struct api_query *query, const char *name, char *value, const char *const *names,
    struct api_problem *problem)
{
	for (size_t i = 0; names[i] != NULL; i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		if (query->values[i] == NULL) {
			query->values[i] = value;
			return true;
		}
		free(value);
		return api_query_refuse(problem, name, "is given twice");
	}
	free(value);
	return api_query_refuse(problem, name, "is not known here");
}

static bool add(struct api_query *query, const char *text, size_t len, const char *const *names,
    struct api_problem *problem)
{
	const char *equals = memchr(text, '=', len);
	size_t name_len = equals != NULL ? (size_t)(equals - text) : len;
	char *name = decode(text, name_len);
	char *value = equals != NULL ? decode(equals + 1, len - name_len - 1) : xstrdup("");
	bool ok;

	if (name == NULL || value == NULL) {
		free(value);
		ok = api_problem_set(problem, 400, "bad_request",
		    "the query is not well encoded: it must be percent-encoded UTF-8 without NUL");
	} else {
		ok = set(query, name, value, names, problem);
	}
	free(name);
	return ok;
}

bool api_query_parse(struct api_query *query, const char *target, const char *const *names,
    struct api_problem *problem)
{
	const char *at = strchr(target, '?');

	*query = (struct api_query){0};
	if (at == NULL)
		return true;
	for (at++; *at != '\0'; at += strspn(at, "&")) {
		size_t len = strcspn(at, "&");

		if (len > 0 && !add(query, at, len, names, problem))
			return false;
		at += len;
	}
	return true;
}

void api_query_clear(struct api_query *query)
{
	for (size_t i = 0; i < API_MAX_QUERY; i++)
		free(query->values[i]);
	*query = (struct api_query){0};
}
