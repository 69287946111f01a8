/* Lua values into JSON. Uses only what raises nothing, so that no JSON can leak. */
#include "script/lua_json.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a value weighs beside its text. */
#define VALUE_WEIGHT 64

/* The way to the value that is being read: a.b[3]. */
struct step {
	const struct step *up;
	const char *key; /* NULL: an index */
	lua_Integer index;
};

struct reader {
	lua_State *L;
	unsigned flags;
	size_t budget;
	struct error *err;
};

/* Members of tasks and of runs that are lists, also when they are empty. */
static const char *const list_names[] = {
    "labels", "assignees", "comments", "tasks", "args", "command", "argv"};

static bool read_value(
    struct reader *reader, int index, const struct step *step, int depth, struct json_object **out);

static void put_path(struct str *out, const struct step *step)
{
	if (step == NULL)
		return;
	put_path(out, step->up);
	if (step->key == NULL)
		str_printf(out, "[%lld]", (long long)step->index);
	else
		str_printf(out, "%s%.60s", out->len > 0 ? "." : "", step->key);
}

static bool fail(struct reader *reader, const struct step *step, const char *what)
{
	struct str path = {0};
	struct str clean = {0};

	put_path(&path, step);
	str_append_utf8(&clean, path.data, path.len);
	if (clean.len > 0)
		error_set(reader->err, ERROR_INVALID, "%s: %s", clean.data, what);
	else
		error_set(reader->err, ERROR_INVALID, "the value %s", what);
	str_free(&path);
	str_free(&clean);
	return false;
}

static bool spend(struct reader *reader, const struct step *step, size_t size)
{
	if (size > reader->budget)
		return fail(reader, step, "is too large for JSON");
	reader->budget -= size;
	return true;
}

/* The shortest text that gives the number back, and that stays a float. */
static struct json_object *from_double(double value)
{
	char text[40];

	snprintf(text, sizeof(text), "%.15g", value);
	if (strtod(text, NULL) != value)
		snprintf(text, sizeof(text), "%.17g", value);
	if (strpbrk(text, ".e") == NULL)
		strcat(text, ".0");
	return json_object_new_double_s(value, text);
}

static bool read_number(
    struct reader *reader, int index, const struct step *step, struct json_object **out)
{
	double value;

	if (lua_isinteger(reader->L, index)) {
		*out = json_object_new_int64(lua_tointeger(reader->L, index));
		return true;
	}
	value = lua_tonumber(reader->L, index);
	if (!isfinite(value))
		return fail(reader, step,
		    isnan(value) ? "is NaN, which JSON has not"
				 : "is infinite, which JSON has not");
	*out = from_double(value);
	return true;
}

static bool read_string(
    struct reader *reader, int index, const struct step *step, struct json_object **out)
{
	size_t len;
	const char *text = lua_tolstring(reader->L, index, &len);

	if (len >= INT_MAX || !spend(reader, step, len))
		return fail(reader, step, "is too large for JSON");
	if (!str_utf8_valid(text, len))
		return fail(reader, step, "is not valid UTF-8");
	*out = json_object_new_string_len(text, (int)len);
	return true;
}

/* What the keys of a table say: n of an 1..n list, 0 where it is empty, -1 where they are strings.
 * False where they are neither. */
static bool look_at_keys(struct reader *reader, int index, const struct step *step, lua_Integer *n)
{
	lua_State *L = reader->L;
	lua_Integer count = 0, highest = 0;
	bool strings = false, numbers = false;

	lua_pushnil(L);
	while (lua_next(L, index) != 0) {
		lua_pop(L, 1);
		if (lua_type(L, -1) == LUA_TSTRING) {
			strings = true;
		} else if (lua_isinteger(L, -1) && lua_tointeger(L, -1) > 0) {
			numbers = true;
			if (lua_tointeger(L, -1) > highest)
				highest = lua_tointeger(L, -1);
			count++;
		} else {
			const struct step at = {step, NULL, lua_tointeger(L, -1)};
			bool number = lua_isinteger(L, -1);

			lua_pop(L, 1);
			return fail(reader, number ? &at : step,
			    "has a key that is neither a string nor an index of a list");
		}
		if (strings && numbers) {
			lua_pop(L, 1);
			return fail(reader, step,
			    "mixes names and indexes: it is neither a list nor an object");
		}
	}
	*n = strings ? -1 : count;
	if (!strings && count != highest) {
		const struct step at = {step, NULL, highest};

		return fail(reader, &at, "is behind a gap: the indexes of a list are 1..n");
	}
	return true;
}

static bool read_list(struct reader *reader, int index, lua_Integer n, const struct step *up,
    int depth, struct json_object **out)
{
	struct json_object *list = json_object_new_array();

	for (lua_Integer i = 1; i <= n; i++) {
		const struct step step = {up, NULL, i};
		struct json_object *item = NULL;
		bool ok;

		lua_rawgeti(reader->L, index, i);
		ok = read_value(reader, lua_gettop(reader->L), &step, depth + 1, &item);
		lua_pop(reader->L, 1);
		if (!ok) {
			json_object_put(list);
			return false;
		}
		if (json_object_array_add(list, item) != 0)
			fatal("json_object_array_add failed");
	}
	*out = list;
	return true;
}

/* Reads the member whose key and value are on top. */
static bool read_member(
    struct reader *reader, const struct step *up, int depth, struct json_object *object)
{
	lua_State *L = reader->L;
	size_t len;
	const char *key = lua_tolstring(L, -2, &len);
	const struct step step = {up, key, 0};
	struct json_object *value = NULL;

	if (strlen(key) != len || !str_utf8_valid(key, len))
		return fail(reader, &step, "has a name that is not valid UTF-8 or holds a NUL");
	if (!spend(reader, &step, len) ||
	    !read_value(reader, lua_gettop(L), &step, depth + 1, &value))
		return false;
	json_put(object, key, value);
	return true;
}

struct member {
	const char *key; /* the object's */
	struct json_object *value;
};

static int compare_members(const void *a, const void *b)
{
	return strcmp(((const struct member *)a)->key, ((const struct member *)b)->key);
}

/* Lua's order is another one in each process: what users see and compare is sorted. Takes over the
 * object. */
static struct json_object *sorted(struct json_object *object)
{
	size_t n = (size_t)json_object_object_length(object), used = 0;
	struct json_object *result;
	struct member *members;

	if (n < 2)
		return object;
	members = xcalloc(n, sizeof(*members));
	json_object_object_foreach (object, key, value) {
		members[used++] = (struct member){key, value};
	}
	qsort(members, n, sizeof(*members), compare_members);
	result = json_object_new_object();
	for (size_t i = 0; i < n; i++)
		json_put(result, members[i].key, json_object_get(members[i].value));
	free(members);
	json_object_put(object);
	return result;
}

static bool read_object(
    struct reader *reader, int index, const struct step *up, int depth, struct json_object **out)
{
	struct json_object *object = json_object_new_object();

	lua_pushnil(reader->L);
	while (lua_next(reader->L, index) != 0) {
		if (!read_member(reader, up, depth, object)) {
			lua_pop(reader->L, 2);
			json_object_put(object);
			return false;
		}
		lua_pop(reader->L, 1);
	}
	*out = sorted(object);
	return true;
}

static bool is_list_name(const struct step *step)
{
	if (step == NULL || step->key == NULL)
		return false;
	for (size_t i = 0; i < sizeof(list_names) / sizeof(list_names[0]); i++)
		if (strcmp(list_names[i], step->key) == 0)
			return true;
	return false;
}

static bool read_table(
    struct reader *reader, int index, const struct step *step, int depth, struct json_object **out)
{
	bool marked = lua_json_is_marked(reader->L, index);
	lua_Integer n;

	if (!look_at_keys(reader, index, step, &n))
		return false;
	if (n < 0 && marked)
		return fail(reader, step, "is marked as a list and has names");
	if (n == 0 && !marked && (reader->flags & LUA_JSON_TASK) != 0)
		marked = is_list_name(step);
	if (n > 0 || marked)
		return read_list(reader, index, n, step, depth, out);
	return read_object(reader, index, step, depth, out);
}

static bool read_value(
    struct reader *reader, int index, const struct step *step, int depth, struct json_object **out)
{
	lua_State *L = reader->L;

	*out = NULL;
	if (depth > JSON_MAX_DEPTH || !lua_checkstack(L, 8))
		return fail(reader, step, "is nested too deeply, or contains itself");
	if (!spend(reader, step, VALUE_WEIGHT))
		return false;
	switch (lua_type(L, index)) {
	case LUA_TNIL:
		return true;
	case LUA_TBOOLEAN:
		*out = json_object_new_boolean(lua_toboolean(L, index));
		return true;
	case LUA_TNUMBER:
		return read_number(reader, index, step, out);
	case LUA_TSTRING:
		return read_string(reader, index, step, out);
	case LUA_TTABLE:
		return read_table(reader, index, step, depth, out);
	default:
		break;
	}
	if (lua_json_is_null(L, index))
		return true;
	if (lua_json_is_empty_array(L, index)) {
		*out = json_object_new_array();
		return true;
	}
	return fail(reader, step,
	    lua_type(L, index) == LUA_TFUNCTION ? "is a function, which JSON has not"
						: "is of a type that JSON has not");
}

bool lua_json_read(
    lua_State *L, int index, unsigned flags, struct json_object **out, struct error *err)
{
	struct reader reader = {.L = L, .flags = flags, .budget = LUA_JSON_MAX_SIZE, .err = err};

	return read_value(&reader, lua_absindex(L, index), NULL, 0, out);
}
