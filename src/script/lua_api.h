#ifndef ATHANORE_SCRIPT_LUA_API_H
#define ATHANORE_SCRIPT_LUA_API_H

#include <lua.h>

/*
 * What C gives to scripts. Each function sets its members in the table on top; all raise
 * errors and are called protected. lua/athanore/_meta describes them for users.
 */

/* The module athanore.core (a lua_CFunction for package.preload), made of all the others. */
int lua_athanore_open(lua_State *L);

void lua_sleep_open(lua_State *L);	/* sleep */
void lua_log_open(lua_State *L);	/* log = {debug, info, warn, error} */
void lua_json_open(lua_State *L);	/* json = {encode, decode, null, array, empty_array} */
void lua_backend_open(lua_State *L);	/* json_file */
void lua_dispatcher_open(lua_State *L); /* dispatcher */

/* Replaces coroutine.resume, wrap and close by ones that tell guard.h who runs. */
void lua_coroutine_open(lua_State *L);

#endif
