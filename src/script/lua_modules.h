#ifndef ATHANORE_SCRIPT_LUA_MODULES_H
#define ATHANORE_SCRIPT_LUA_MODULES_H

#include <lua.h>

/*
 * What `require` finds, in this order: athanore's own modules (from the folder in
 * the environment's ATHANORE_LUA_PATH, which holds athanore/init.lua, else from the binary), cjson,
 * files beside the script, Lua's default path. Raises errors: call it protected.
 */
void lua_modules_open(lua_State *L, const char *script_dir);

#endif
