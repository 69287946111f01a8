#ifndef ATHANORE_BASE_JSON_H
#define ATHANORE_BASE_JSON_H

#include "base/error.h"

#include <json-c/json.h>
#include <stdint.h>

/* Deepest nesting that foreign JSON may have. */
#define JSON_MAX_DEPTH 64

/*
 * Parses one whole JSON text (strict; nothing but white space behind it). text[len] must be NUL, as
 * in a C string or a struct str.
 * NULL with err set (invalid, naming line and column) where it is none; JSON's
 * own `null` is refused too: no caller has a use for it at the top.
 */
struct json_object *json_parse(const char *text, size_t len, struct error *err);

/* Compact text of a value; freed by the caller. Slashes are not escaped; what is no UTF-8 in its
 * strings becomes U+FFFD, so that json_parse() takes it. */
char *json_print(struct json_object *value);

/*
 * Members of an object, borrowed; the fallback where the key is absent, null
 * or of another type. json_get_string gives integers as their text too: ids.
 */
const char *json_get_string(struct json_object *object, const char *key);
int64_t json_get_int(struct json_object *object, const char *key, int64_t fallback);
double json_get_double(struct json_object *object, const char *key, double fallback);
bool json_get_bool(struct json_object *object, const char *key, bool fallback);
struct json_object *json_get_array(struct json_object *object, const char *key);
struct json_object *json_get_object(struct json_object *object, const char *key);

/* Sets members; NULL, a number that is not finite and (for times) 0 become null. */
void json_put(struct json_object *object, const char *key, struct json_object *value);
void json_put_string(struct json_object *object, const char *key, const char *value);
void json_put_int(struct json_object *object, const char *key, int64_t value);
void json_put_double(struct json_object *object, const char *key, double value);
void json_put_bool(struct json_object *object, const char *key, bool value);
void json_put_time(struct json_object *object, const char *key, int64_t ms);

/* A NULL-terminated list as a JSON array, and back (elements that are no strings are skipped). */
struct json_object *json_from_strv(const char *const *list);
char **json_to_strv(struct json_object *array);

#endif
