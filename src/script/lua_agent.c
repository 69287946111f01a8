/* Agent adapters as scripts give them. */
#include "script/script_impl.h"
#include "script/values.h"

#include <lauxlib.h>
#include <stdio.h>

static const char *const optional[] = {"event", "outcome", "before", "after"};

/* A member that has to be of a type; nil is fine unless it is required. */
static bool check_member(lua_State *L, int index, const char *name, const char *member, int type,
    bool required, struct error *err)
{
	int found = lua_getfield(L, index, member);
	bool ok = found == type || (found == LUA_TNIL && !required);

	if (!ok && found == LUA_TNIL)
		error_set(err, ERROR_INVALID, "%s lacks the function %s(run)", name, member);
	else if (!ok)
		error_set(err, ERROR_INVALID, "%s.%s must be a %s, got %s", name, member,
		    lua_typename(L, type), value_type_name(L, -1));
	lua_pop(L, 1);
	return ok;
}

/* needs_command may be the function that does: it is looked at only while command is still that. */
static bool runs_route_command(lua_State *L, int index)
{
	int type = lua_getfield(L, index, "needs_command");
	bool needed = lua_toboolean(L, -1) != 0;

	lua_getfield(L, index, "command");
	if (type == LUA_TFUNCTION)
		needed = lua_rawequal(L, -1, -2) != 0;
	lua_pop(L, 2);
	return needed;
}

bool lua_agent_check(
    lua_State *L, int index, const char *name, bool *needs_command, struct error *err)
{
	bool ok;

	index = lua_absindex(L, index);
	*needs_command = false;
	if (!lua_istable(L, index))
		return error_set(err, ERROR_INVALID,
		    "%s must be an agent adapter, for example athanore.subprocess {}, got %s", name,
		    value_type_name(L, index));
	ok = check_member(L, index, name, "command", LUA_TFUNCTION, true, err) &&
	     check_member(L, index, name, "name", LUA_TSTRING, false, err);
	for (size_t i = 0; ok && i < sizeof(optional) / sizeof(optional[0]); i++)
		ok = check_member(L, index, name, optional[i], LUA_TFUNCTION, false, err);
	if (!ok)
		return false;
	*needs_command = runs_route_command(L, index);
	return true;
}

void lua_agent_name(lua_State *L, int index, char *buf, size_t size)
{
	index = lua_absindex(L, index);
	if (lua_istable(L, index) && lua_getfield(L, index, "name") == LUA_TSTRING)
		snprintf(buf, size, "%s", lua_tostring(L, -1));
	else
		snprintf(buf, size, "custom");
	if (lua_istable(L, index))
		lua_pop(L, 1);
}
