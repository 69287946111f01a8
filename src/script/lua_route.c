/* Routes as agent adapters see them: run.route. */
#include "base/alloc.h"
#include "script/lua_json.h"
#include "script/script_impl.h"

#include <lauxlib.h>

#define METATABLE "athanore.route"

/* Appends the strings of the list on top to the list below it. */
static lua_Integer append_list(lua_State *L, lua_Integer used, const char *name)
{
	lua_Integer n;

	if (lua_isnil(L, -1))
		return used;
	if (!lua_istable(L, -1))
		luaL_error(L, "format_command: %s of the route is no list", name);
	n = luaL_len(L, -1);
	for (lua_Integer i = 1; i <= n; i++) {
		lua_geti(L, -1, i);
		lua_seti(L, -3, ++used);
	}
	return used;
}

/* route:format_command(prompt): command, args and, where it is given, the prompt, as one list. */
static int format_command(lua_State *L)
{
	lua_Integer used = 0;

	if (!lua_istable(L, 1))
		return luaL_error(L, "call it with a colon: route:format_command(prompt)");
	if (!lua_isnoneornil(L, 2))
		luaL_checkstring(L, 2);
	lua_settop(L, 2);
	lua_newtable(L);
	lua_getfield(L, 1, "command");
	used = append_list(L, used, "command");
	lua_pop(L, 1);
	lua_getfield(L, 1, "args");
	used = append_list(L, used, "args");
	lua_pop(L, 1);
	if (!lua_isnil(L, 2)) {
		lua_pushvalue(L, 2);
		lua_seti(L, -2, used + 1);
	}
	return 1;
}

void lua_route_push(lua_State *L, const struct route *route)
{
	struct json_object **owner;

	luaL_checkstack(L, 6, NULL);
	owner = lua_json_push_owner(L);
	*owner = route_to_json(route);
	lua_json_push(L, *owner, 0);
	json_object_put(*owner);
	*owner = NULL;
	lua_remove(L, -2);
	luaL_setmetatable(L, METATABLE);
}

void lua_route_setup(lua_State *L)
{
	static const luaL_Reg methods[] = {{"format_command", format_command}, {NULL, NULL}};

	luaL_newmetatable(L, METATABLE);
	luaL_newlib(L, methods);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
}
