/* athanore.json: encode and decode with lists, integers and null kept. */
#include "base/json.h"
#include "script/lua_api.h"
#include "script/lua_json.h"

#include <ctype.h>
#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The largest text to decode. */
#define MAX_TEXT ((size_t)64 << 20)

static int push_failure(lua_State *L, struct error *err)
{
	char text[400];

	/* Nothing that C allocated may be held while Lua allocates. */
	snprintf(text, sizeof(text), "%s", err->message);
	error_clear(err);
	lua_pushnil(L);
	lua_pushstring(L, text);
	return 2;
}

static int json_encode(lua_State *L)
{
	struct json_object **owner;
	struct error err = {0};
	const char *text;
	size_t len;

	luaL_checkany(L, 1);
	owner = lua_json_push_owner(L);
	if (!lua_json_read(L, 1, 0, owner, &err))
		return push_failure(L, &err);
	text = json_object_to_json_string_length(
	    *owner, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	if (text == NULL)
		return luaL_error(L, "not enough memory");
	lua_pushlstring(L, text, len);
	json_object_put(*owner);
	*owner = NULL;
	return 1;
}

/* The end of the JSON string that begins at p (behind its quote). */
static const char *skip_string(const char *p, const char *end)
{
	while (p < end && *p != '"')
		p += *p == '\\' ? 2 : 1;
	return p < end ? p + 1 : end;
}

/* An integer that json-c would clamp without a word, or NULL. text ends in a NUL. */
static const char *find_large_integer(const char *text, size_t len, int *digits)
{
	const char *p = text, *end = text + len;

	while (p < end) {
		const char *start = p;

		if (*p == '"') {
			p = skip_string(p + 1, end);
			continue;
		}
		if (*p != '-' && !isdigit((unsigned char)*p)) {
			p++;
			continue;
		}
		p++;
		while (isdigit((unsigned char)*p))
			p++;
		*digits = (int)(p - start);
		errno = 0;
		if (*p != '.' && *p != 'e' && *p != 'E' && *digits >= 19 &&
		    (strtoll(start, NULL, 10), errno == ERANGE))
			return start;
		while (*p == '.' || *p == 'e' || *p == 'E' || *p == '+' || *p == '-' ||
		       isdigit((unsigned char)*p))
			p++;
	}
	return NULL;
}

static bool is_null(const char *text, size_t len)
{
	size_t start = strspn(text, " \t\r\n");

	return len >= start + 4 && memcmp(text + start, "null", 4) == 0 &&
	       start + 4 + strspn(text + start + 4, " \t\r\n") == len;
}

static int json_decode(lua_State *L)
{
	struct json_object **owner;
	struct error err = {0};
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	const char *large;
	int digits;

	if (len > MAX_TEXT) {
		error_set(&err, ERROR_INVALID, "JSON of %zu bytes is too large", len);
		return push_failure(L, &err);
	}
	if (is_null(text, len)) {
		lua_pushlightuserdata(L, NULL);
		return 1;
	}
	large = find_large_integer(text, len, &digits);
	if (large != NULL) {
		error_set(&err, ERROR_INVALID, "the integer %.*s does not fit into 64 bits",
		    digits > 40 ? 40 : digits, large);
		return push_failure(L, &err);
	}
	owner = lua_json_push_owner(L);
	*owner = json_parse(text, len, &err);
	if (*owner == NULL)
		return push_failure(L, &err);
	lua_json_push(L, *owner, LUA_JSON_KEEP_NULL);
	json_object_put(*owner);
	*owner = NULL;
	return 1;
}

/* json.decode(text): what is raised on the way (a number out of range) is an answer too. */
static int json_decode_protected(lua_State *L)
{
	luaL_checkstring(L, 1);
	lua_settop(L, 1);
	lua_pushcfunction(L, json_decode);
	lua_insert(L, 1);
	if (lua_pcall(L, 1, LUA_MULTRET, 0) == LUA_OK)
		return lua_gettop(L);
	lua_pushnil(L);
	lua_insert(L, -2);
	return 2;
}

/* json.array(t): marks t (a new table where it is absent) as a list. */
static int json_array(lua_State *L)
{
	lua_settop(L, 1);
	if (lua_isnil(L, 1)) {
		lua_newtable(L);
		lua_replace(L, 1);
	}
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_json_mark_list(L);
	return 1;
}

void lua_json_open(lua_State *L)
{
	static const luaL_Reg functions[] = {
	    {"encode", json_encode},
	    {"decode", json_decode_protected},
	    {"array", json_array},
	    {NULL, NULL},
	};

	luaL_newlib(L, functions);
	lua_pushlightuserdata(L, NULL);
	lua_setfield(L, -2, "null");
	lua_json_push_empty_array(L);
	lua_setfield(L, -2, "empty_array");
	lua_setfield(L, -2, "json");
}
