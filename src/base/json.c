/* json-c with our habits: strict parsing with line and column, borrowed getters. */
#include "base/json.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"

#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Line and column, from 1, of the byte at offset. */
static void position(const char *text, size_t offset, size_t *line, size_t *column)
{
	*line = 1;
	*column = 1;
	for (size_t i = 0; i < offset; i++) {
		if (text[i] == '\n') {
			(*line)++;
			*column = 1;
		} else {
			(*column)++;
		}
	}
}

static void parse_failed(
    struct error *err, const char *text, size_t len, size_t offset, const char *why)
{
	size_t line, column;

	position(text, offset < len ? offset : len, &line, &column);
	error_set(
	    err, ERROR_INVALID, "invalid JSON at line %zu, column %zu: %s", line, column, why);
}

static bool is_key_end(const char *text, size_t len, size_t at)
{
	while (at < len && strchr(" \t\r\n", text[at]) != NULL)
		at++;
	return at < len && text[at] == ':';
}

/* Moves *at from the opening to the closing quote of a string; NULL or what is wrong with it. */
static const char *check_string(const char *text, size_t len, size_t *at)
{
	bool has_nul = false;

	for ((*at)++; *at < len && text[*at] != '"'; (*at)++) {
		if ((unsigned char)text[*at] < 0x20)
			return "a control character in a string must be escaped";
		if ((unsigned char)text[*at] >= 0x80) {
			size_t n = str_utf8_length((const unsigned char *)text + *at, len - *at);

			if (n == 0)
				return "invalid UTF-8";
			*at += n - 1;
		}
		if (text[*at] != '\\')
			continue;
		has_nul |= len - *at > 5 && memcmp(text + *at, "\\u0000", 6) == 0;
		(*at)++;
	}
	if (has_nul && is_key_end(text, len, *at + 1))
		return "a key must not hold \\u0000";
	return NULL;
}

/*
 * Looks in JSON that json-c took for what it takes though it should not: NaN, Infinity, "1.", keys
 * in single quotes, control characters, overlong UTF-8, and keys that it would cut at a NUL. NULL,
 * or what is wrong at *at.
 */
static const char *check_strictly(const char *text, size_t len, size_t *at)
{
	for (*at = 0; *at < len; (*at)++) {
		const char *why = NULL;
		char c = text[*at];

		if (c == '"')
			why = check_string(text, len, at);
		else if (c == '\'')
			why = "strings and keys stand in double quotes";
		else if (c == 'N' || c == 'I')
			why = "NaN and Infinity are no JSON";
		else if (c == '.' && (*at + 1 == len || !isdigit((unsigned char)text[*at + 1])))
			why = "a digit is expected behind the point";
		if (why != NULL)
			return why;
	}
	return NULL;
}

struct json_object *json_parse(const char *text, size_t len, struct error *err)
{
	const char *why;
	struct json_tokener *tok;
	struct json_object *value;
	enum json_tokener_error status;
	size_t end;

	if (len >= INT_MAX) {
		error_set(err, ERROR_INVALID, "JSON of %zu bytes is too large", len);
		return NULL;
	}
	tok = json_tokener_new_ex(JSON_MAX_DEPTH);
	if (tok == NULL)
		fatal("json_tokener_new_ex failed");
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	/* A number at the very end is complete only once a byte follows: +1 counts the NUL. */
	value = json_tokener_parse_ex(tok, text, (int)len + 1);
	status = json_tokener_get_error(tok);
	end = json_tokener_get_parse_end(tok);
	json_tokener_free(tok);
	if (status == json_tokener_success && end < len)
		status = json_tokener_error_parse_unexpected;
	why = status == json_tokener_success ? check_strictly(text, len, &end) : NULL;
	if (status == json_tokener_success && why == NULL && value != NULL)
		return value;
	json_object_put(value);
	if (why != NULL)
		parse_failed(err, text, len, end, why);
	else if (status == json_tokener_success)
		parse_failed(err, text, len, 0, "null is not expected here");
	else if (status == json_tokener_continue || status == json_tokener_error_parse_eof)
		parse_failed(err, text, len, end, "it ends too early");
	else
		parse_failed(err, text, len, end, json_tokener_error_desc(status));
	return NULL;
}

char *json_print(struct json_object *value)
{
	size_t len;
	const char *text = json_object_to_json_string_length(
	    value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);

	struct str clean = {0};

	if (text == NULL)
		fatal("json_object_to_json_string failed");
	if (str_utf8_valid(text, len))
		return xmemdup0(text, len);
	str_append_utf8(&clean, text, len);
	return str_steal(&clean);
}

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (object != NULL && json_object_is_type(object, json_type_object))
		json_object_object_get_ex(object, key, &value);
	return value;
}

const char *json_get_string(struct json_object *object, const char *key)
{
	struct json_object *value = member(object, key);

	if (json_object_is_type(value, json_type_string) ||
	    json_object_is_type(value, json_type_int))
		return json_object_get_string(value);
	return NULL;
}

int64_t json_get_int(struct json_object *object, const char *key, int64_t fallback)
{
	struct json_object *value = member(object, key);

	return json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : fallback;
}

double json_get_double(struct json_object *object, const char *key, double fallback)
{
	struct json_object *value = member(object, key);

	if (json_object_is_type(value, json_type_int) ||
	    json_object_is_type(value, json_type_double))
		return json_object_get_double(value);
	return fallback;
}

bool json_get_bool(struct json_object *object, const char *key, bool fallback)
{
	struct json_object *value = member(object, key);

	return json_object_is_type(value, json_type_boolean) ? json_object_get_boolean(value)
							     : fallback;
}

struct json_object *json_get_array(struct json_object *object, const char *key)
{
	struct json_object *value = member(object, key);

	return json_object_is_type(value, json_type_array) ? value : NULL;
}

struct json_object *json_get_object(struct json_object *object, const char *key)
{
	struct json_object *value = member(object, key);

	return json_object_is_type(value, json_type_object) ? value : NULL;
}

void json_put(struct json_object *object, const char *key, struct json_object *value)
{
	if (json_object_object_add(object, key, value) != 0)
		fatal("json_object_object_add failed");
}

void json_put_string(struct json_object *object, const char *key, const char *value)
{
	json_put(object, key, value == NULL ? NULL : json_object_new_string(value));
}

void json_put_int(struct json_object *object, const char *key, int64_t value)
{
	json_put(object, key, json_object_new_int64(value));
}

void json_put_double(struct json_object *object, const char *key, double value)
{
	char text[32];

	if (!isfinite(value)) {
		json_put(object, key, NULL);
		return;
	}
	if (value == floor(value) && fabs(value) < 1e15) {
		json_put_int(object, key, (int64_t)value);
		return;
	}
	snprintf(text, sizeof(text), "%.15g", value);
	json_put(object, key, json_object_new_double_s(value, text));
}

void json_put_bool(struct json_object *object, const char *key, bool value)
{
	json_put(object, key, json_object_new_boolean(value));
}

void json_put_time(struct json_object *object, const char *key, int64_t ms)
{
	char text[CLOCK_TEXT_SIZE];

	json_put_string(object, key, ms == 0 ? NULL : clock_format(ms, text));
}

struct json_object *json_from_strv(const char *const *list)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		json_object_array_add(array, json_object_new_string(list[i]));
	return array;
}

char **json_to_strv(struct json_object *array)
{
	size_t n = array == NULL ? 0 : json_object_array_length(array);
	char **list = xcalloc(n + 1, sizeof(*list));
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		struct json_object *item = json_object_array_get_idx(array, i);

		if (json_object_is_type(item, json_type_string))
			list[used++] = xstrdup(json_object_get_string(item));
	}
	return list;
}
