/* The module athanore.core: all that C gives to scripts. */
#include "script/lua_api.h"
#include "script/lua_error.h"
#include "script/script_impl.h"

#include <lauxlib.h>

int lua_athanore_open(lua_State *L)
{
	static void (*const parts[])(lua_State * L) = {lua_dispatcher_open, lua_backend_open,
	    lua_error_open, lua_sleep_open, lua_log_open, lua_json_open};

	lua_route_setup(L);
	lua_newtable(L);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		parts[i](L);
	lua_pushliteral(L, ATHANORE_VERSION);
	lua_setfield(L, -2, "version");
	return 1;
}
