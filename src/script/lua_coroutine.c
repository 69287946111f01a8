/* coroutine.resume, wrap and close for scripts: the standard ones, which also tell who runs. */
#include "script/coroutine.h"
#include "script/guard.h"
#include "script/lua_api.h"
#include "script/vm.h"

#include <lauxlib.h>
#include <lualib.h>

/* The call that a script runs in is ours to resume and to close. */
static lua_State *check_coroutine(lua_State *L, int index)
{
	lua_State *co = lua_tothread(L, index);

	luaL_argexpected(L, co != NULL, index, "coroutine");
	if (vm_thread_of(co)->call != NULL)
		luaL_argerror(L, index, "this coroutine belongs to athanore");
	return co;
}

/* Resumes co with the count values on top of L. Returns how many results are on top of L
 * instead, or -1 with the error value there. */
static int resume(lua_State *L, lua_State *co, int count)
{
	lua_State *previous;
	int status, results;

	if (!lua_checkstack(co, count)) {
		lua_pushliteral(L, "too many arguments to resume");
		return -1;
	}
	lua_xmove(L, co, count);
	previous = guard_switch(co);
	status = lua_resume(co, L, count, &results);
	guard_switch(previous);
	if (status != LUA_OK && status != LUA_YIELD) {
		lua_xmove(co, L, 1);
		return -1;
	}
	if (!lua_checkstack(L, results + 1)) {
		lua_pop(co, results);
		lua_pushliteral(L, "too many results to resume");
		return -1;
	}
	lua_xmove(co, L, results);
	return results;
}

static int coroutine_resume(lua_State *L)
{
	lua_State *co = check_coroutine(L, 1);
	int results = resume(L, co, lua_gettop(L) - 1);

	lua_pushboolean(L, results >= 0);
	lua_insert(L, results >= 0 ? -(results + 1) : -2);
	return results >= 0 ? results + 1 : 2;
}

/* Closes co; its pending __close handlers run. Where they fail, the error is on its top. */
static int close_thread(lua_State *co)
{
	lua_State *previous = guard_switch(co);
	int status = lua_resetthread(co);

	guard_switch(previous);
	return status;
}

static int wrapped(lua_State *L)
{
	lua_State *co = lua_tothread(L, lua_upvalueindex(1));
	int results = resume(L, co, lua_gettop(L));
	int status;

	if (results >= 0)
		return results;
	status = lua_status(co);
	if (status != LUA_OK && status != LUA_YIELD) {
		status = close_thread(co);
		lua_pop(L, 1);
		lua_xmove(co, L, 1); /* the error that closing made of it */
	}
	if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
		luaL_where(L, 1);
		lua_insert(L, -2);
		lua_concat(L, 2);
	}
	return lua_error(L);
}

static int coroutine_wrap(lua_State *L)
{
	lua_State *co;

	luaL_checktype(L, 1, LUA_TFUNCTION);
	co = lua_newthread(L);
	lua_pushvalue(L, 1);
	lua_xmove(L, co, 1);
	lua_pushcclosure(L, wrapped, 1);
	return 1;
}

/* Not running and not waiting for one that it resumed: the same question as coroutine.status. */
static bool can_close(lua_State *L, lua_State *co)
{
	lua_Debug ar;

	if (L == co)
		return false;
	return lua_status(co) != LUA_OK || lua_getstack(co, 0, &ar) == 0;
}

static int coroutine_close(lua_State *L)
{
	lua_State *co = check_coroutine(L, 1);

	if (!can_close(L, co))
		return luaL_error(L, "cannot close a running coroutine");
	if (close_thread(co) == LUA_OK) {
		lua_pushboolean(L, 1);
		return 1;
	}
	lua_pushboolean(L, 0);
	lua_xmove(co, L, 1);
	return 2;
}

void lua_coroutine_open(lua_State *L)
{
	static const luaL_Reg functions[] = {
	    {"resume", coroutine_resume},
	    {"wrap", coroutine_wrap},
	    {"close", coroutine_close},
	    {NULL, NULL},
	};

	lua_getglobal(L, LUA_COLIBNAME);
	luaL_setfuncs(L, functions, 0);
	lua_pop(L, 1);
}
