/* JSON into Lua, and the marks that tell lists and null. */
#include "script/lua_json.h"

#include <lauxlib.h>
#include <math.h>
#include <stdint.h>

#define OWNER_METATABLE "athanore.json.owner"

/* Deeper JSON than this comes from nowhere: what is parsed has at most JSON_MAX_DEPTH. */
#define PUSH_MAX_DEPTH 150

/* Their addresses are keys of the registry and light userdata. */
static const char list_key, empty_array;

static int owner_gc(lua_State *L)
{
	struct json_object **owner = luaL_checkudata(L, 1, OWNER_METATABLE);

	json_object_put(*owner);
	*owner = NULL;
	return 0;
}

void lua_json_setup(lua_State *L)
{
	lua_createtable(L, 0, 1);
	lua_pushliteral(L, "athanore.json.list");
	lua_setfield(L, -2, "__name");
	lua_rawsetp(L, LUA_REGISTRYINDEX, &list_key);
	luaL_newmetatable(L, OWNER_METATABLE);
	lua_pushcfunction(L, owner_gc);
	lua_setfield(L, -2, "__gc");
	lua_pop(L, 1);
}

struct json_object **lua_json_push_owner(lua_State *L)
{
	struct json_object **owner = lua_newuserdatauv(L, sizeof(*owner), 0);

	*owner = NULL;
	luaL_setmetatable(L, OWNER_METATABLE);
	return owner;
}

void lua_json_mark_list(lua_State *L)
{
	lua_rawgetp(L, LUA_REGISTRYINDEX, &list_key);
	lua_setmetatable(L, -2);
}

bool lua_json_is_marked(lua_State *L, int index)
{
	bool marked;

	if (lua_getmetatable(L, index) == 0)
		return false;
	lua_rawgetp(L, LUA_REGISTRYINDEX, &list_key);
	marked = lua_rawequal(L, -1, -2) != 0;
	lua_pop(L, 2);
	return marked;
}

bool lua_json_is_null(lua_State *L, int index)
{
	return lua_type(L, index) == LUA_TLIGHTUSERDATA && lua_touserdata(L, index) == NULL;
}

bool lua_json_is_empty_array(lua_State *L, int index)
{
	return lua_type(L, index) == LUA_TLIGHTUSERDATA &&
	       lua_touserdata(L, index) == (const void *)&empty_array;
}

void lua_json_push_empty_array(lua_State *L)
{
	lua_pushlightuserdata(L, (void *)&empty_array);
}

static void push_value(lua_State *L, struct json_object *value, unsigned flags, int depth);

static void push_list(lua_State *L, struct json_object *list, unsigned flags, int depth)
{
	size_t n = json_object_array_length(list);

	lua_createtable(L, n < INT32_MAX ? (int)n : 0, 0);
	for (size_t i = 0; i < n; i++) {
		push_value(L, json_object_array_get_idx(list, i), flags, depth);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	lua_json_mark_list(L);
}

static void push_object(lua_State *L, struct json_object *object, unsigned flags, int depth)
{
	lua_createtable(L, 0, json_object_object_length(object));
	json_object_object_foreach (object, key, value) {
		if (value == NULL && (flags & LUA_JSON_KEEP_NULL) == 0)
			continue;
		lua_pushstring(L, key);
		push_value(L, value, flags, depth);
		lua_rawset(L, -3);
	}
}

static void push_value(lua_State *L, struct json_object *value, unsigned flags, int depth)
{
	if (depth > PUSH_MAX_DEPTH)
		luaL_error(L, "JSON is nested deeper than %d levels", PUSH_MAX_DEPTH);
	luaL_checkstack(L, 6, "JSON is nested too deeply");
	switch (json_object_get_type(value)) {
	case json_type_null:
		lua_pushlightuserdata(L, NULL);
		break;
	case json_type_boolean:
		lua_pushboolean(L, json_object_get_boolean(value));
		break;
	case json_type_int:
		lua_pushinteger(L, json_object_get_int64(value));
		break;
	case json_type_double:
		if (!isfinite(json_object_get_double(value)) && (flags & LUA_JSON_INFINITE) == 0)
			luaL_error(L, "the number %s is too large", json_object_get_string(value));
		lua_pushnumber(L, json_object_get_double(value));
		break;
	case json_type_string:
		lua_pushlstring(
		    L, json_object_get_string(value), (size_t)json_object_get_string_len(value));
		break;
	case json_type_array:
		push_list(L, value, flags, depth + 1);
		break;
	case json_type_object:
		push_object(L, value, flags, depth + 1);
		break;
	}
}

void lua_json_push(lua_State *L, struct json_object *value, unsigned flags)
{
	push_value(L, value, flags, 0);
}
