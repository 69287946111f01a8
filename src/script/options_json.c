/* Reads options from JSON, by the tables and checks that scripts have. */
#include "base/alloc.h"
#include "base/fs.h"
#include "base/json.h"
#include "script/options.h"
#include "script/values.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One option that is being read. */
struct reading {
	const struct option *option;
	const struct option_target *target;
	struct json_object *value; /* NULL: null */
	char *slot;
	struct error *err;
};

static const char *type_name(struct json_object *value)
{
	switch (json_object_get_type(value)) {
	case json_type_null:
		return "null";
	case json_type_boolean:
		return json_object_get_boolean(value) ? "true" : "false";
	case json_type_double:
	case json_type_int:
		return "a number";
	case json_type_object:
		return "an object";
	case json_type_array:
		return "a list";
	case json_type_string:
		return "a string";
	}
	fatal("a JSON value of type %d", (int)json_object_get_type(value));
}

static bool wrong_type(struct reading *reading, const char *expected)
{
	return error_set(reading->err, ERROR_INVALID, "%s must be %s%s, got %s",
	    reading->option->name, expected,
	    (reading->option->flags & OPTION_OFF) != 0 ? " (or null)" : "",
	    type_name(reading->value));
}

/* A string without NUL, or NULL with err set. */
static const char *text_of(struct reading *reading, struct json_object *value, const char *expected)
{
	const char *text;

	if (!json_object_is_type(value, json_type_string)) {
		wrong_type(reading, expected);
		return NULL;
	}
	text = json_object_get_string(value);
	if (strlen(text) == (size_t)json_object_get_string_len(value))
		return text;
	error_set(reading->err, ERROR_INVALID, "%s holds a NUL character", reading->option->name);
	return NULL;
}

static bool read_text(struct reading *reading)
{
	const char *text = text_of(reading, reading->value, "a string");
	char **slot = (char **)(void *)reading->slot;

	if (text == NULL)
		return false;
	if (text[0] == '\0')
		return error_set(
		    reading->err, ERROR_INVALID, "%s is an empty string", reading->option->name);
	free(*slot);
	*slot = reading->option->type == OPTION_PATH ? fs_join(reading->target->dir, text)
						     : xstrdup(text);
	return true;
}

static bool read_number(struct reading *reading, const char *expected)
{
	double value;

	if (!json_object_is_type(reading->value, json_type_int) &&
	    !json_object_is_type(reading->value, json_type_double))
		return wrong_type(reading, expected);
	value = json_object_get_double(reading->value);
	if (!option_check_range(reading->option, value, reading->err))
		return false;
	memcpy(reading->slot, &value, sizeof(value));
	return true;
}

static bool read_whole(struct reading *reading)
{
	double value = json_object_get_double(reading->value);
	int whole;

	if (json_object_is_type(reading->value, json_type_double) && value != floor(value))
		return error_set(reading->err, ERROR_INVALID,
		    "%s must be a whole number, got %.15g", reading->option->name, value);
	if (!json_object_is_type(reading->value, json_type_int) &&
	    !json_object_is_type(reading->value, json_type_double))
		return wrong_type(reading, "a whole number");
	if (!option_check_range(reading->option, value, reading->err))
		return false;
	whole = (int)value;
	memcpy(reading->slot, &whole, sizeof(whole));
	return true;
}

static bool read_flag(struct reading *reading)
{
	bool value = json_object_get_boolean(reading->value);

	if (!json_object_is_type(reading->value, json_type_boolean))
		return wrong_type(reading, "true or false");
	memcpy(reading->slot, &value, sizeof(value));
	return true;
}

/* Takes over list. */
static void set_list(struct reading *reading, char **list)
{
	char ***slot = (char ***)(void *)reading->slot;

	xstrv_free(*slot);
	*slot = list;
}

static bool read_strings(struct reading *reading, char ***list)
{
	const char *expected = reading->option->type == OPTION_COMMAND
				   ? "a string (one executable) or a list of strings"
				   : "a list of strings";
	size_t n;

	if (!json_object_is_type(reading->value, json_type_array)) {
		wrong_type(reading, expected);
		return false;
	}
	n = json_object_array_length(reading->value);
	*list = xcalloc(n + 1, sizeof(**list));
	for (size_t i = 0; i < n; i++) {
		const char *text = text_of(
		    reading, json_object_array_get_idx(reading->value, i), "a list of strings");

		if (text == NULL) {
			xstrv_free(*list);
			return false;
		}
		(*list)[i] = xstrdup(text);
	}
	return true;
}

static bool read_command(struct reading *reading)
{
	char **list = NULL;
	const char *text;

	if (json_object_is_type(reading->value, json_type_string)) {
		text = text_of(reading, reading->value, "");
		if (text == NULL)
			return false;
		list = xcalloc(2, sizeof(*list));
		list[0] = text[0] != '\0' ? xstrdup(text) : NULL;
	} else if (!read_strings(reading, &list)) {
		return false;
	}
	value_resolve_command(list, reading->target->dir);
	if (list[0] != NULL && !value_check_executable(list, reading->option->name, reading->err)) {
		xstrv_free(list);
		return false;
	}
	set_list(reading, list);
	return true;
}

static bool read_env(struct reading *reading)
{
	char ***slot = (char ***)(void *)reading->slot;

	if (!json_object_is_type(reading->value, json_type_object))
		return wrong_type(reading, "an object of variables");
	json_object_object_foreach (reading->value, key, value) {
		const char *name = reading->option->name;
		bool scalar = value != NULL && !json_object_is_type(value, json_type_object) &&
			      !json_object_is_type(value, json_type_array);

		if (!value_check_variable(key, name, reading->err))
			return false;
		if (!scalar)
			return error_set(reading->err, ERROR_INVALID,
			    "%s.%s must be a string, a number or a boolean, got %s", name, key,
			    type_name(value));
		if (json_object_is_type(value, json_type_string) &&
		    text_of(reading, value, "") == NULL)
			return false;
		value_set_variable(slot, xasprintf("%s=%s", key, json_object_get_string(value)));
	}
	return true;
}

static bool read_value(struct reading *reading)
{
	char **list = NULL;

	switch (reading->option->type) {
	case OPTION_TEXT:
	case OPTION_PATH:
		return read_text(reading);
	case OPTION_NUMBER:
		return read_number(reading, "a number");
	case OPTION_SECONDS:
		return read_number(reading, "a number of seconds");
	case OPTION_WHOLE:
		return read_whole(reading);
	case OPTION_FLAG:
		return read_flag(reading);
	case OPTION_COMMAND:
		return read_command(reading);
	case OPTION_STRINGS:
		if (!read_strings(reading, &list))
			return false;
		set_list(reading, list);
		return true;
	case OPTION_ENV:
		return read_env(reading);
	case OPTION_BYTES:
	case OPTION_CHOICE:
	case OPTION_FUNCTION:
	case OPTION_LUA:
		break;
	}
	return error_set(
	    reading->err, ERROR_INVALID, "%s can be given by a script only", reading->option->name);
}

/* null, and 0 for a number, where the option can be switched off. */
static bool is_off(const struct reading *reading)
{
	struct json_object *value = reading->value;

	if ((reading->option->flags & OPTION_OFF) == 0)
		return false;
	if (value == NULL)
		return true;
	return reading->option->type != OPTION_TEXT &&
	       (json_object_is_type(value, json_type_int) ||
		   json_object_is_type(value, json_type_double)) &&
	       json_object_get_double(value) == 0;
}

/* Whether the object has to have it: what is set already may stay. */
static bool is_missing(const struct reading *reading)
{
	return (reading->option->flags & OPTION_REQUIRED) != 0 &&
	       reading->option->type == OPTION_TEXT && *(char **)(void *)reading->slot == NULL;
}

static bool read_option(const struct option *option, struct json_object *object,
    const struct option_target *target, struct error *err)
{
	struct reading reading = {.option = option, .target = target, .err = err};

	reading.slot =
	    (char *)((option->flags & OPTION_ROUTE) != 0 ? (void *)target->route : target->config);
	if (reading.slot != NULL)
		reading.slot += option->offset;
	if (!json_object_object_get_ex(object, option->name, &reading.value))
		return !is_missing(&reading) || error_set(err, ERROR_INVALID, "%s is missing in %s",
						    option->name, target->what);
	if (!is_off(&reading))
		return read_value(&reading);
	option_clear(option, reading.slot);
	return true;
}

bool options_read_json(struct json_object *object, const struct option *options,
    const struct option_target *target, const char **field, struct error *err)
{
	for (; options->name != NULL; options++) {
		*field = options->name;
		if (!read_option(options, object, target, err))
			return false;
	}
	*field = NULL;
	return true;
}
