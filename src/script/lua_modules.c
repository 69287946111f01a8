/* What scripts can require: embedded modules, cjson, files beside the script. */
#include "script/lua_modules.h"

#include "base/log.h"
#include "script/lua_api.h"
#include "script/lua_files.h"

#include <lauxlib.h>
#include <lua-cjson.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The header of Debian's package leaves it out. */
extern int luaopen_cjson_safe(lua_State *L);

static const struct lua_file *find_embedded(const char *module)
{
	for (const struct lua_file *file = lua_files; file->module != NULL; file++)
		if (strcmp(file->module, module) == 0)
			return file;
	return NULL;
}

/* Pushes the path of a module in a folder, if it is there. */
static bool push_override(lua_State *L, const char *folder, const char *module)
{
	static const char *const patterns[] = {"%s/%s.lua", "%s/%s/init.lua"};
	const char *path = luaL_gsub(L, module, ".", "/");

	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		const char *file = lua_pushfstring(L, patterns[i], folder, path);

		if (access(file, R_OK) == 0)
			return true;
		lua_pop(L, 1);
	}
	return false;
}

/* A package searcher: the loader and where it comes from, or why there is none. */
static int search_own(lua_State *L)
{
	const char *module = luaL_checkstring(L, 1);
	const char *folder = getenv("ATHANORE_LUA_PATH");
	const struct lua_file *file;

	if (strcmp(module, "athanore") != 0 && strncmp(module, "athanore.", 9) != 0)
		return 0;
	if (folder != NULL && folder[0] != '\0' && push_override(L, folder, module)) {
		const char *path = lua_tostring(L, -1);

		if (luaL_loadfile(L, path) != LUA_OK)
			return lua_error(L);
		lua_pushstring(L, path);
		return 2;
	}
	file = find_embedded(module);
	if (file == NULL) {
		lua_pushfstring(L, "athanore has no module '%s'", module);
		return 1;
	}
	lua_pushfstring(L, "@%s.lua", luaL_gsub(L, module, ".", "/"));
	if (luaL_loadbufferx(L, file->text, file->len, lua_tostring(L, -1), "t") != LUA_OK)
		return lua_error(L);
	lua_pushfstring(L, "(built in) %s", module);
	return 2;
}

/* Puts search_own behind the searcher of package.preload. */
static void add_searcher(lua_State *L)
{
	lua_Integer n;

	lua_getfield(L, -1, "searchers");
	n = luaL_len(L, -1);
	for (lua_Integer i = n; i >= 2; i--) {
		lua_rawgeti(L, -1, i);
		lua_rawseti(L, -2, i + 1);
	}
	lua_pushcfunction(L, search_own);
	lua_rawseti(L, -2, 2);
	lua_pop(L, 1);
}

static void add_script_dir(lua_State *L, const char *dir)
{
	if (strpbrk(dir, ";?") != NULL) {
		log_warn(
		    "require finds no files beside the script: the name of its folder '%s' has "
		    "';' or '?' in it",
		    dir);
		return;
	}
	lua_getfield(L, -1, "path");
	lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", dir, dir, luaL_checkstring(L, -1));
	lua_setfield(L, -3, "path");
	lua_pop(L, 1);
}

/* Loads a module of cjson strictly: no NaN, Infinity or hexadecimal numbers in what is decoded. */
static int open_cjson(lua_State *L)
{
	lua_settop(L, 1);
	lua_pushcfunction(
	    L, strcmp(luaL_checkstring(L, 1), "cjson") == 0 ? luaopen_cjson : luaopen_cjson_safe);
	lua_call(L, 0, 1);
	lua_getfield(L, -1, "decode_invalid_numbers");
	lua_pushboolean(L, 0);
	lua_call(L, 1, 0);
	return 1;
}

void lua_modules_open(lua_State *L, const char *script_dir)
{
	lua_getglobal(L, LUA_LOADLIBNAME);
	add_script_dir(L, script_dir);
	add_searcher(L);
	lua_getfield(L, -1, "preload");
	lua_pushcfunction(L, open_cjson);
	lua_setfield(L, -2, "cjson");
	lua_pushcfunction(L, open_cjson);
	lua_setfield(L, -2, "cjson.safe");
	lua_pushcfunction(L, lua_athanore_open);
	lua_setfield(L, -2, "athanore.core");
	lua_pop(L, 2);
	lua_coroutine_open(L);
}
