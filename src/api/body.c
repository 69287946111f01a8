/* Checks the bodies of requests by tables of fields. */
#include "api/body.h"

#include "base/alloc.h"
#include "base/json.h"

#include <ctype.h>
#include <string.h>

#define MAX_FIELDS 32

static bool refuse(struct api_problem *problem, const char *field, const char *why)
{
	/* An unknown member's name is the client's, and may be long. */
	api_problem_set(problem, 422, "invalid", "\"%.100s\" %s", field, why);
	problem->field = xasprintf("%.100s", field);
	return false;
}

/* Adapters take C strings: a NUL inside would cut the text short without a word. */
static bool has_nul(struct json_object *text)
{
	return strlen(json_object_get_string(text)) != (size_t)json_object_get_string_len(text);
}

static bool is_blank(const char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	return *text == '\0';
}

static bool check_text(
    const struct api_field *field, struct json_object *value, struct api_problem *problem)
{
	if (!json_object_is_type(value, json_type_string))
		return refuse(problem, field->name,
		    field->type == API_TEXT ? "must be a string" : "must be a string or null");
	if (has_nul(value))
		return refuse(problem, field->name, "must not contain a NUL character");
	if ((field->flags & API_FILLED) != 0 && is_blank(json_object_get_string(value)))
		return refuse(problem, field->name, "must not be empty");
	return true;
}

static bool check_texts(
    const struct api_field *field, struct json_object *value, struct api_problem *problem)
{
	if (!json_object_is_type(value, json_type_array))
		return refuse(problem, field->name, "must be a list of strings, or null");
	for (size_t i = 0; i < json_object_array_length(value); i++) {
		struct json_object *item = json_object_array_get_idx(value, i);

		if (!json_object_is_type(item, json_type_string))
			return refuse(problem, field->name, "must be a list of strings");
		if (has_nul(item))
			return refuse(problem, field->name, "must not contain a NUL character");
	}
	return true;
}

static bool check_field(
    const struct api_field *field, struct json_object *body, struct api_problem *problem)
{
	struct json_object *value;

	if (!json_object_object_get_ex(body, field->name, &value))
		return (field->flags & API_REQUIRED) == 0 ||
		       refuse(problem, field->name, "is required");
	if (field->type == API_ANY || (value == NULL && field->type != API_TEXT))
		return true;
	return field->type == API_TEXTS ? check_texts(field, value, problem)
					: check_text(field, value, problem);
}

static bool check_unknown(
    struct json_object *body, const struct api_field *fields, struct api_problem *problem)
{
	const char *names[MAX_FIELDS + 1] = {NULL};

	for (size_t i = 0; i < MAX_FIELDS && fields[i].name != NULL; i++)
		names[i] = fields[i].name;
	json_object_object_foreach (body, key, value) {
		const char *near;
		size_t i = 0;

		(void)value;
		while (names[i] != NULL && strcmp(names[i], key) != 0)
			i++;
		if (names[i] != NULL)
			continue;
		near = str_nearest(key, names);
		refuse(problem, key, "is not known here");
		if (near != NULL) {
			char *field = problem->field;

			problem->field = NULL;
			api_problem_set(problem, 422, "invalid",
			    "\"%s\" is not known here; did you mean \"%s\"?", field, near);
			problem->field = field;
		}
		return false;
	}
	return true;
}

static bool check(
    struct json_object *body, const struct api_field *fields, struct api_problem *problem)
{
	if (!json_object_is_type(body, json_type_object))
		return api_problem_set(problem, 422, "invalid", "the body must be a JSON object");
	if (!check_unknown(body, fields, problem))
		return false;
	for (const struct api_field *field = fields; field->name != NULL; field++)
		if (!check_field(field, body, problem))
			return false;
	if (json_object_object_length(body) == 0 && !api_body_optional(fields))
		return api_problem_set(problem, 422, "invalid",
		    "the body names nothing to change; \"%s\" would be one member of it",
		    fields->name);
	return true;
}

bool api_body_optional(const struct api_field *fields)
{
	for (; fields->name != NULL; fields++)
		if ((fields->flags & API_OPTIONAL) != 0)
			return true;
	return false;
}

struct json_object *api_body_parse(
    const char *text, size_t len, const struct api_field *fields, struct api_problem *problem)
{
	struct error err = {0};
	struct json_object *body;

	if (len == 0 && api_body_optional(fields))
		return json_object_new_object();
	if (len == 0) {
		api_problem_set(
		    problem, 400, "invalid_json", "the body is empty; a JSON object is expected");
		return NULL;
	}
	body = json_parse(text, len, &err);
	if (body == NULL) {
		api_problem_set(problem, 400, "invalid_json", "the body: %s", err.message);
		error_clear(&err);
		return NULL;
	}
	if (check(body, fields, problem))
		return body;
	json_object_put(body);
	return NULL;
}
