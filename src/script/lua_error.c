/* What error values of Lua mean, and where they come from. */
#include "script/lua_error.h"

#include <ctype.h>
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define METATABLE "athanore.error"

/* Deep recursion has many levels, and only the first ones can be C. */
#define WHERE_LEVELS 100

bool lua_error_where(lua_State *L, char *buf, size_t size)
{
	lua_Debug ar;

	for (int level = 0; level < WHERE_LEVELS && lua_getstack(L, level, &ar) != 0; level++) {
		if (lua_getinfo(L, "Sl", &ar) != 0 && ar.currentline > 0) {
			snprintf(buf, size, "%s:%d", ar.short_src, ar.currentline);
			return true;
		}
	}
	return false;
}

void lua_error_function_where(lua_State *L, int index, char *buf, size_t size)
{
	lua_Debug ar;

	lua_pushvalue(L, index);
	if (lua_getinfo(L, ">S", &ar) != 0 && ar.linedefined > 0)
		snprintf(buf, size, "%s:%d", ar.short_src, ar.linedefined);
	else
		snprintf(buf, size, "(a function of C)");
}

/* "…:12: …": Lua puts that in front of its own messages. */
static bool has_place(const char *message)
{
	const char *colon = message;

	while ((colon = strchr(colon, ':')) != NULL) {
		const char *digit = ++colon;

		while (isdigit((unsigned char)*digit))
			digit++;
		if (digit > colon && *digit == ':')
			return true;
	}
	return false;
}

/* Pushes the text of the error value at index. */
static void push_text(lua_State *L, int index)
{
	index = lua_absindex(L, index);
	if (lua_type(L, index) == LUA_TSTRING) {
		lua_pushvalue(L, index);
		return;
	}
	if (lua_istable(L, index)) {
		if (lua_getfield(L, index, "message") == LUA_TSTRING)
			return;
		lua_pop(L, 1);
	}
	if (luaL_getmetafield(L, index, "__tostring") != LUA_TNIL) {
		lua_pop(L, 1);
		luaL_tolstring(L, index, NULL);
		return;
	}
	lua_pushfstring(L, "(the error is a %s value)", luaL_typename(L, index));
}

/* The code of a table; ERROR_NONE where it names none. */
static enum error_code read_code(lua_State *L, int index, double *retry_after)
{
	enum error_code code = ERROR_NONE;

	*retry_after = 0;
	index = lua_absindex(L, index);
	if (!lua_istable(L, index))
		return ERROR_NONE;
	if (lua_getfield(L, index, "code") == LUA_TSTRING)
		code = error_code_parse(lua_tostring(L, -1));
	if (lua_getfield(L, index, "retry_after") == LUA_TNUMBER)
		*retry_after = lua_tonumber(L, -1);
	if (!isfinite(*retry_after) || *retry_after < 0)
		*retry_after = 0;
	lua_pop(L, 2);
	return code;
}

void lua_error_read(lua_State *L, int index, struct error *err)
{
	double retry_after;
	enum error_code code = read_code(L, index, &retry_after);

	push_text(L, index);
	error_set(err, code != ERROR_NONE ? code : ERROR_INTERNAL, "%s", lua_tostring(L, -1));
	err->retry_after = retry_after;
	lua_pop(L, 1);
}

void lua_error_describe(lua_State *L, lua_State *co, struct error *err)
{
	char where[LUA_IDSIZE + 16];
	double retry_after;

	luaL_checkstack(L, 8, NULL);
	lua_xmove(co, L, 1);
	if (read_code(L, -1, &retry_after) != ERROR_NONE) {
		lua_error_read(L, -1, err);
		lua_pop(L, 1);
		return;
	}
	push_text(L, -1);
	if (!has_place(lua_tostring(L, -1)) && lua_error_where(co, where, sizeof(where)))
		lua_pushfstring(L, "%s: %s", where, lua_tostring(L, -1));
	/* Should the traceback find no memory, this much is known. */
	error_set(err, ERROR_INTERNAL, "%s", lua_tostring(L, -1));
	luaL_traceback(L, co, lua_tostring(L, -1), 0);
	error_set(err, ERROR_INTERNAL, "%s", lua_tostring(L, -1));
}

static int error_tostring(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	lua_getfield(L, 1, "code");
	lua_getfield(L, 1, "message");
	luaL_tolstring(L, 2, NULL);
	luaL_tolstring(L, 3, NULL);
	lua_pushfstring(L, "%s: %s", lua_tostring(L, 4), lua_tostring(L, 5));
	return 1;
}

/* athanore.error(code, message, {retry_after = seconds}) */
static int error_create(lua_State *L)
{
	const char *code = luaL_checkstring(L, 1);

	luaL_checkstring(L, 2);
	if (error_code_parse(code) == ERROR_NONE)
		return luaL_argerror(L, 1,
		    "unknown code; one of not_found, conflict, invalid, unauthorized, forbidden, "
		    "rate_limited, unavailable, timeout, unsupported, internal");
	lua_settop(L, 3);
	lua_createtable(L, 0, 3);
	lua_pushvalue(L, 1);
	lua_setfield(L, -2, "code");
	lua_pushvalue(L, 2);
	lua_setfield(L, -2, "message");
	if (!lua_isnil(L, 3)) {
		luaL_checktype(L, 3, LUA_TTABLE);
		if (lua_getfield(L, 3, "retry_after") != LUA_TNIL && lua_type(L, -1) != LUA_TNUMBER)
			return luaL_argerror(L, 3, "retry_after must be a number of seconds");
		lua_setfield(L, -2, "retry_after");
	}
	luaL_setmetatable(L, METATABLE);
	return 1;
}

void lua_error_open(lua_State *L)
{
	luaL_newmetatable(L, METATABLE);
	lua_pushcfunction(L, error_tostring);
	lua_setfield(L, -2, "__tostring");
	lua_pop(L, 1);
	lua_pushcfunction(L, error_create);
	lua_setfield(L, -2, "error");
}
