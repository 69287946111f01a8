#ifndef ATHANORE_SCRIPT_LUA_JSON_H
#define ATHANORE_SCRIPT_LUA_JSON_H

#include "base/error.h"

#include <json-c/json.h>
#include <lua.h>

/*
 * Lua values and JSON. Integers stay integers; a table is a list where its keys are 1..n or it is
 * marked as one, otherwise an object, and then its keys are strings. null is
 * athanore.json.null, which is cjson.null.
 */

enum {
	/* Pushing: null members of objects are athanore.json.null; otherwise they are absent. */
	LUA_JSON_KEEP_NULL = 1,
	/* Reading: an empty table under a name that is a list in tasks (labels, args, …) is one. */
	LUA_JSON_TASK = 2,
	/* Pushing: a number beyond Lua's is an infinity, where it would be an error otherwise. */
	LUA_JSON_INFINITE = 4,
};

/* What one value may weigh in JSON, so that a table that holds itself many times cannot fill the
 * memory: about 64 bytes a value, and the text. */
#define LUA_JSON_MAX_SIZE ((size_t)256 << 20)

/* Prepares a state; needed once, before all others. Raises. */
void lua_json_setup(lua_State *L);

/* Pushes the value; lists are marked as lists. Raises where memory ends or a number is no number of
 * Lua's. */
void lua_json_push(lua_State *L, struct json_object *value, unsigned flags);

/*
 * The value at index as JSON, a new object in *out (NULL is null). False with err set (invalid,
 * naming the place in the value) where there is no JSON for it. Raises nothing.
 */
bool lua_json_read(
    lua_State *L, int index, unsigned flags, struct json_object **out, struct error *err);

/* Pushes an owner for a JSON value, so that an error cannot leak it: *owner is put when it is
 * collected. */
struct json_object **lua_json_push_owner(lua_State *L);

/* Marks the table on top as a list, and tells whether the value at index is marked. */
void lua_json_mark_list(lua_State *L);
bool lua_json_is_marked(lua_State *L, int index);

/* Whether a light userdata is athanore.json.null, or athanore.json.empty_array. */
bool lua_json_is_null(lua_State *L, int index);
bool lua_json_is_empty_array(lua_State *L, int index);
void lua_json_push_empty_array(lua_State *L);

#endif
