/* Calls of an agent adapter's functions. */
#include "base/alloc.h"
#include "script/guard.h"
#include "script/lua_error.h"
#include "script/lua_json.h"
#include "script/script_impl.h"

#include <lauxlib.h>
#include <stdlib.h>

/* No function of an adapter has more. */
#define MAX_ARGUMENTS 16

struct agent_call {
	struct script_call call;
	struct json_object *result;
	script_fn fn;
	void *arg;
	char *function;
	struct error failure; /* what the function answered is one */
	/* Borrowed, while it is begun. */
	const struct route *route;
	struct json_object *args;
};

/* null is nil; the first argument, the run, gets the route as command(run) sees it. */
static void push_argument(lua_State *L, const struct agent_call *call, size_t i)
{
	struct json_object *value = json_object_array_get_idx(call->args, i);

	if (value == NULL) {
		lua_pushnil(L);
		return;
	}
	lua_json_push(L, value, 0);
	if (i == 0 && json_object_is_type(value, json_type_object)) {
		lua_route_push(L, call->route);
		lua_setfield(L, -2, "route");
	}
}

static int push_arguments(lua_State *L, void *arg)
{
	const struct agent_call *call = arg;
	size_t n = json_object_array_length(call->args);

	if (n > MAX_ARGUMENTS)
		return luaL_error(L, "too many arguments for %s", call->function);
	luaL_checkstack(L, (int)n + 8, NULL);
	script_push_route_functions(L, call->route);
	lua_getfield(L, -1, "agent");
	lua_remove(L, -2);
	for (size_t i = 0; i < n; i++)
		push_argument(L, call, i);
	return (int)n + 1;
}

static int after_call(lua_State *L, int status, lua_KContext context)
{
	struct agent_call *call = (struct agent_call *)context;
	struct error err = {0};

	(void)status;
	if (lua_isnil(L, -2) && !lua_isnil(L, -1)) { /* nil, error */
		lua_error_read(L, -1, &call->failure);
		return 0;
	}
	lua_pop(L, 1);
	if (!lua_json_read(L, -1, LUA_JSON_TASK, &call->result, &err))
		error_set(&call->failure, ERROR_INTERNAL,
		    "the result of %s of the agent adapter: %s", call->function, err.message);
	error_clear(&err);
	return 0;
}

/* 1: the call, 2: the adapter, then the arguments. */
static int call_body(lua_State *L)
{
	struct agent_call *call = lua_touserdata(L, 1);
	int count = lua_gettop(L) - 2;

	if (lua_getfield(L, 2, call->function) != LUA_TFUNCTION) {
		error_set(&call->failure, ERROR_UNSUPPORTED, "the agent adapter has no function %s",
		    call->function);
		return 0;
	}
	lua_replace(L, 2);
	lua_callk(L, count, 2, (lua_KContext)call, after_call);
	return after_call(L, LUA_OK, (lua_KContext)call);
}

static void agent_call_free(struct script_call *base)
{
	struct agent_call *call = (struct agent_call *)base;

	json_object_put(call->result);
	error_clear(&call->failure);
	free(call->function);
	free(call);
}

static void on_done(void *arg, const struct error *err)
{
	struct agent_call *call = arg;

	script_call_end(&call->call);
	if (err == NULL && call->failure.code != ERROR_NONE)
		err = &call->failure;
	call->fn(call->arg, err == NULL ? call->result : NULL, err);
	agent_call_free(&call->call);
}

struct script_call *script_agent_call(struct script *script, const struct route *route,
    const char *function, struct json_object *args, double timeout, script_fn fn, void *arg)
{
	struct agent_call *call = xcalloc(1, sizeof(*call));
	char *what = xasprintf("%s of the agent adapter '%s'", function,
	    route->agent != NULL ? route->agent : "custom");
	const struct coroutine_spec spec = {
	    .push = push_arguments,
	    .body = call_body,
	    .done = on_done,
	    .arg = call,
	    .timeout = timeout,
	    .what = what,
	};

	call->call.free = agent_call_free;
	call->fn = fn;
	call->arg = arg;
	call->function = xstrdup(function);
	call->route = route;
	call->args = args;
	script_call_begin(&call->call, script, &spec);
	call->route = NULL;
	call->args = NULL;
	free(what);
	return &call->call;
}

struct question {
	const struct route *route;
	const char *function;
	bool answer;
};

static int ask(lua_State *L)
{
	struct question *question = lua_touserdata(L, 1);

	script_push_route_functions(L, question->route);
	if (lua_getfield(L, -1, "agent") == LUA_TTABLE)
		question->answer = lua_getfield(L, -1, question->function) == LUA_TFUNCTION;
	return 0;
}

bool script_agent_has(struct script *script, const struct route *route, const char *function)
{
	struct question question = {.route = route, .function = function};
	bool ok;

	guard_enter(vm_state(script->vm)); /* an adapter's __index may be Lua code */
	ok = vm_protect(script->vm, ask, &question, NULL);
	guard_leave();
	return ok && question.answer;
}
