/* athanore.log: records of scripts in the daemon's log. */
#include "base/log.h"
#include "script/lua_api.h"

#include <lauxlib.h>

/* A record with more fields than this is no record. */
#define MAX_FIELDS 32

/* Strings stay on the stack until the record is written; fields has room for all. */
static void collect_fields(lua_State *L, int index, const char **fields)
{
	size_t used = 0;

	luaL_checktype(L, index, LUA_TTABLE);
	luaL_checkstack(L, 2 * MAX_FIELDS + 4, NULL);
	lua_pushnil(L);
	while (lua_next(L, index) != 0) {
		if (lua_type(L, -2) != LUA_TSTRING)
			luaL_argerror(L, index, "fields must have names");
		if (used == MAX_FIELDS)
			luaL_argerror(L, index, "too many fields, at most 32");
		fields[2 * used] = lua_tostring(L, -2);
		fields[2 * used + 1] = luaL_tolstring(L, -1, NULL);
		used++;
		/* The text stays; below it, the key for lua_next() to go on with. */
		lua_remove(L, -2);
		lua_pushvalue(L, -2);
	}
	fields[2 * used] = NULL;
}

/* log.info(message, fields): the level is the upvalue. */
static int log_record(lua_State *L)
{
	enum log_level level = (enum log_level)lua_tointeger(L, lua_upvalueindex(1));
	const char *fields[2 * MAX_FIELDS + 1] = {NULL};
	const char *message;

	luaL_checkany(L, 1);
	lua_settop(L, 2);
	message = luaL_tolstring(L, 1, NULL);
	if (!lua_isnil(L, 2))
		collect_fields(L, 2, fields);
	log_with(level, fields, "%s", message);
	return 0;
}

void lua_log_open(lua_State *L)
{
	static const struct {
		const char *name;
		enum log_level level;
	} levels[] = {
	    {"debug", LOG_DEBUG}, {"info", LOG_INFO}, {"warn", LOG_WARN}, {"error", LOG_ERROR}};

	lua_newtable(L);
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		lua_pushinteger(L, levels[i].level);
		lua_pushcclosure(L, log_record, 1);
		lua_setfield(L, -2, levels[i].name);
	}
	lua_setfield(L, -2, "log");
}
