/* Queue backends as scripts give them: athanore.json_file(), or a table of theirs. */
#include "base/alloc.h"
#include "base/str.h"
#include "queue/queue.h"
#include "script/lua_api.h"
#include "script/options.h"
#include "script/script_impl.h"
#include "script/values.h"

#include <lauxlib.h>
#include <stdlib.h>

#define METATABLE "athanore.json_file"

static int json_file_tostring(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_getfield(L, 1, "path");
	lua_pushfstring(L, "athanore.json_file(\"%s\")", luaL_tolstring(L, -1, NULL));
	return 1;
}

/* Checks the arguments of json_file(); mistakes become problems. */
static void read_arguments(
    lua_State *L, struct script *script, struct config *config, const struct place *place)
{
	const struct option_target target = {.config = config,
	    .dir = script->dir,
	    .what = "json_file",
	    .problems = script->problems,
	    .file = place->file,
	    .line = place->line};
	struct error err = {0};

	if (!value_path(L, 1, "the path of json_file", script->dir, &config->backend_path, &err))
		problems_add(script->problems, place->file, place->line, "%s", err.message);
	error_clear(&err);
	if (!lua_isnoneornil(L, 2))
		(void)options_read(L, 2, json_file_options, &target);
}

/* athanore.json_file(path, {user = name}): only says which; the queue is opened by the daemon. */
static int json_file(lua_State *L)
{
	struct script *script = script_of(L);
	struct config scratch = {0};
	struct place place = {0};

	if (script->problems == NULL)
		return luaL_error(
		    L, "athanore.json_file is called while the script is loaded only");
	lua_settop(L, 2);
	place_of_caller(L, &place);
	read_arguments(L, script, &scratch, &place);
	place_clear(&place);
	free(scratch.backend_path);
	free(scratch.backend_user);
	lua_createtable(L, 0, 2);
	lua_pushvalue(L, 1);
	lua_setfield(L, -2, "path");
	if (lua_istable(L, 2)) {
		lua_getfield(L, 2, "user");
		lua_setfield(L, -2, "user");
	}
	luaL_setmetatable(L, METATABLE);
	return 1;
}

static bool is_json_file(lua_State *L, int index)
{
	bool same;

	if (!lua_istable(L, index) || lua_getmetatable(L, index) == 0)
		return false;
	luaL_getmetatable(L, METATABLE);
	same = lua_rawequal(L, -1, -2) != 0;
	lua_pop(L, 2);
	return same;
}

bool lua_backend_read_json_file(lua_State *L, int index, struct config *config)
{
	index = lua_absindex(L, index);
	if (!is_json_file(L, index))
		return false;
	config->backend = BACKEND_JSON_FILE;
	lua_getfield(L, index, "path");
	(void)value_path(
	    L, -1, "path", script_of(L)->dir, &config->backend_path, NULL); /* was reported */
	if (lua_getfield(L, index, "user") == LUA_TSTRING)
		(void)value_string(L, -1, "user", &config->backend_user, NULL);
	lua_pop(L, 2);
	return true;
}

/* The names of the operations that the table lacks: "a, b" on top. */
static size_t push_missing(lua_State *L, int index)
{
	size_t missing = 0;

	lua_pushliteral(L, "");
	for (enum queue_op op = 0; op <= QUEUE_DELETE_QUEUE; op++) {
		int type = lua_getfield(L, index, queue_op_name(op));

		lua_pop(L, 1);
		if (type == LUA_TFUNCTION)
			continue;
		lua_pushfstring(L, "%s%s", missing++ > 0 ? ", " : "", queue_op_name(op));
		lua_concat(L, 2);
	}
	return missing;
}

bool lua_backend_check(lua_State *L, int index, const char *name, struct error *err)
{
	size_t missing;

	index = lua_absindex(L, index);
	if (!lua_istable(L, index) && !lua_isuserdata(L, index))
		return error_set(err, ERROR_INVALID,
		    "%s must be athanore.json_file(…) or a table with the functions of a queue, "
		    "got %s",
		    name, value_type_name(L, index));
	if (lua_islightuserdata(L, index))
		return error_set(err, ERROR_INVALID, "%s is %s", name, value_type_name(L, index));
	missing = push_missing(L, index);
	if (missing > 0)
		error_set(err, ERROR_INVALID, "%s lacks the function%s %s", name,
		    missing > 1 ? "s" : "", lua_tostring(L, -1));
	lua_pop(L, 1);
	return missing == 0;
}

void lua_backend_open(lua_State *L)
{
	luaL_newmetatable(L, METATABLE);
	lua_pushcfunction(L, json_file_tostring);
	lua_setfield(L, -2, "__tostring");
	lua_pop(L, 1);
	lua_pushcfunction(L, json_file);
	lua_setfield(L, -2, "json_file");
}
