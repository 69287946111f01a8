/* athanore.sleep: the simplest primitive. */
#include "base/alloc.h"
#include "script/coroutine.h"
#include "script/lua_api.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>

#define NAME "athanore.sleep"

struct sleep {
	struct loop_timer *timer;
	struct coroutine *co;
};

static void on_timer(void *arg)
{
	struct sleep *sleep = arg;

	coroutine_wake(sleep->co);
}

static int finish(lua_State *L, void *operation)
{
	(void)L;
	(void)operation;
	return 0;
}

static void release(void *operation)
{
	struct sleep *sleep = operation;

	loop_timer_free(sleep->timer);
	free(sleep);
}

static const struct primitive sleep_primitive = {NAME, finish, release};

static int lua_sleep(lua_State *L)
{
	double seconds = luaL_checknumber(L, 1);
	struct coroutine *co;
	struct sleep *sleep;

	if (!isfinite(seconds) || seconds < 0)
		return luaL_argerror(L, 1, "must be a number of seconds, 0 or more");
	co = coroutine_check(L, NAME);
	sleep = xcalloc(1, sizeof(*sleep));
	sleep->co = co;
	sleep->timer = loop_timer_create(vm_loop(vm_of(L)), on_timer, sleep);
	loop_timer_set(sleep->timer, seconds);
	return coroutine_park(co, L, &sleep_primitive, sleep);
}

void lua_sleep_open(lua_State *L)
{
	lua_pushcfunction(L, lua_sleep);
	lua_setfield(L, -2, "sleep");
}
