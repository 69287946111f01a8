/* Asks a route's `when` alone: would the task be taken? */
#include "base/alloc.h"
#include "script/lua_json.h"
#include "script/script_impl.h"

#include <lauxlib.h>
#include <stdlib.h>

struct when {
	struct script_call call;
	bool answer;
	script_fn fn;
	void *arg;
	/* Borrowed, while it is begun. */
	const struct route *route;
	struct json_object *task;
};

static int push_arguments(lua_State *L, void *arg)
{
	const struct when *when = arg;

	luaL_checkstack(L, 8, NULL);
	script_push_route_functions(L, when->route);
	lua_json_push(L, when->task, 0);
	return 2;
}

static int after_when(lua_State *L, int status, lua_KContext context)
{
	struct when *when = (struct when *)context;

	(void)status;
	when->answer = lua_toboolean(L, -1) != 0;
	return 0;
}

/* 1: the call, 2: the route's functions, 3: the task. */
static int when_body(lua_State *L)
{
	struct when *when = lua_touserdata(L, 1);

	if (lua_getfield(L, 2, "when") == LUA_TNIL) {
		when->answer = true;
		return 0;
	}
	lua_pushvalue(L, 3);
	lua_callk(L, 1, 1, (lua_KContext)when, after_when);
	return after_when(L, LUA_OK, (lua_KContext)when);
}

static void when_free(struct script_call *base)
{
	free(base);
}

static void on_done(void *arg, const struct error *err)
{
	struct when *when = arg;
	struct json_object *result = json_object_new_boolean(when->answer);

	script_call_end(&when->call);
	when->fn(when->arg, err == NULL ? result : NULL, err);
	json_object_put(result);
	when_free(&when->call);
}

struct script_call *script_when(struct script *script, const struct route *route,
    struct json_object *task, script_fn fn, void *arg)
{
	struct when *when = xcalloc(1, sizeof(*when));
	char *what = xasprintf("asking when of route '%s'", route->queue_name);
	const struct coroutine_spec spec = {
	    .push = push_arguments,
	    .body = when_body,
	    .done = on_done,
	    .arg = when,
	    .timeout = SCRIPT_PREPARE_TIMEOUT,
	    .what = what,
	};

	when->call.free = when_free;
	when->fn = fn;
	when->arg = arg;
	when->route = route;
	when->task = task;
	script_call_begin(&when->call, script, &spec);
	when->route = NULL;
	when->task = NULL;
	free(what);
	return &when->call;
}
