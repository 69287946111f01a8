/* What a route's functions make of a ready task: when, prompt, and the agent's command line. */
#include "base/alloc.h"
#include "script/lua_error.h"
#include "script/lua_json.h"
#include "script/prepared.h"
#include "script/script_impl.h"
#include "script/values.h"

#include <lauxlib.h>
#include <stdlib.h>

/* The stack of the coroutine; results of functions come behind. */
enum { AT_SELF = 1, AT_FUNCTIONS, AT_TASK, AT_RUN, AT_END = AT_RUN };

struct prepare {
	struct script_call call;
	struct script_prepared *result;
	script_prepare_fn fn;
	void *arg;
	char *queue_name;
	struct error failure; /* what the functions answered makes no run */
	/* Borrowed, while it is begun. */
	const struct route *route;
	struct json_object *task, *run;
	char *prompt; /* made already; NULL: the route's function makes it */
	size_t prompt_len;
};

static int after_when(lua_State *L, int status, lua_KContext context);
static int after_prompt(lua_State *L, int status, lua_KContext context);
static int after_command(lua_State *L, int status, lua_KContext context);

static int push_arguments(lua_State *L, void *arg)
{
	struct prepare *prepare = arg;

	luaL_checkstack(L, 8, NULL);
	script_push_route_functions(L, prepare->route);
	/* What a prompt never looks at holds up no task. */
	lua_json_push(L, prepare->task, LUA_JSON_INFINITE);
	lua_json_push(L, prepare->run, 0);
	lua_pushvalue(L, -2);
	lua_setfield(L, -2, "task");
	lua_route_push(L, prepare->route);
	lua_setfield(L, -2, "route");
	return 3;
}

static int prepare_body(lua_State *L)
{
	lua_KContext context = (lua_KContext)lua_touserdata(L, AT_SELF);

	lua_settop(L, AT_END);
	if (lua_getfield(L, AT_FUNCTIONS, "when") == LUA_TNIL) {
		lua_pushboolean(L, 1);
		return after_when(L, LUA_OK, context);
	}
	lua_pushvalue(L, AT_TASK);
	lua_callk(L, 1, 1, context, after_when);
	return after_when(L, LUA_OK, context);
}

static int after_when(lua_State *L, int status, lua_KContext context)
{
	struct prepare *prepare = (struct prepare *)context;

	(void)status;
	prepare->result->ready = lua_toboolean(L, -1) != 0;
	lua_settop(L, AT_END);
	if (!prepare->result->ready)
		return 0;
	if (prepare->prompt != NULL) {
		lua_pushlstring(L, prepare->prompt, prepare->prompt_len);
		return after_prompt(L, LUA_OK, context);
	}
	lua_getfield(L, AT_FUNCTIONS, "prompt");
	lua_getfield(L, AT_TASK, "id");
	lua_getfield(L, AT_TASK, "name");
	lua_pushvalue(L, AT_TASK);
	lua_callk(L, 3, 1, context, after_prompt);
	return after_prompt(L, LUA_OK, context);
}

/* The prompt is on top. */
static void wrong_prompt(lua_State *L, struct prepare *prepare)
{
	char where[LUA_IDSIZE + 16];

	lua_getfield(L, AT_FUNCTIONS, "prompt");
	lua_error_function_where(L, -1, where, sizeof(where));
	error_set(&prepare->failure, ERROR_INVALID,
	    "%s: the prompt function of route '%s' must return a string, got %s", where,
	    prepare->queue_name, value_type_name(L, -2));
}

static int after_prompt(lua_State *L, int status, lua_KContext context)
{
	struct prepare *prepare = (struct prepare *)context;
	const char *text;

	(void)status;
	if (lua_type(L, -1) != LUA_TSTRING) {
		wrong_prompt(L, prepare);
		return 0;
	}
	text = lua_tolstring(L, -1, &prepare->result->prompt_len);
	prepare->result->prompt = xmemdup0(text, prepare->result->prompt_len);
	lua_setfield(L, AT_RUN, "prompt");
	lua_settop(L, AT_END);
	lua_getfield(L, AT_FUNCTIONS, "agent");
	lua_getfield(L, -1, "command");
	lua_pushvalue(L, AT_RUN);
	lua_callk(L, 1, 4, context, after_command);
	return after_command(L, LUA_OK, context);
}

static int after_command(lua_State *L, int status, lua_KContext context)
{
	struct prepare *prepare = (struct prepare *)context;
	struct error err = {0};
	char agent[100];

	(void)status;
	lua_getfield(L, AT_FUNCTIONS, "agent");
	lua_agent_name(L, -1, agent, sizeof(agent));
	lua_pop(L, 1);
	if (lua_isnil(L, -4) && !lua_isnil(L, -3)) { /* nil, error */
		lua_error_read(L, -3, &prepare->failure);
		return 0;
	}
	if (!prepared_read(L, lua_gettop(L) - 3, prepare->result, prepare->call.script->dir, &err))
		error_set(&prepare->failure, ERROR_INVALID,
		    "command(run) of the agent adapter '%s': %s", agent, err.message);
	error_clear(&err);
	return 0;
}

static void prepare_free(struct script_call *call)
{
	struct prepare *prepare = (struct prepare *)call;

	script_prepared_free(prepare->result);
	error_clear(&prepare->failure);
	free(prepare->queue_name);
	free(prepare->prompt);
	free(prepare);
}

static void on_done(void *arg, const struct error *err)
{
	struct prepare *prepare = arg;
	struct script_prepared *result = prepare->result;

	script_call_end(&prepare->call);
	if (err == NULL && prepare->failure.code != ERROR_NONE)
		err = &prepare->failure;
	if (err == NULL)
		prepare->result = NULL; /* the caller's */
	prepare->fn(prepare->arg, err == NULL ? result : NULL, err);
	prepare_free(&prepare->call);
}

struct script_call *script_prepare_prompt(struct script *script, const struct route *route,
    const struct str *prompt, struct json_object *task, struct json_object *run,
    script_prepare_fn fn, void *arg)
{
	struct prepare *prepare = xcalloc(1, sizeof(*prepare));
	char *what = xasprintf("preparing a task of route '%s'", route->queue_name);
	const struct coroutine_spec spec = {
	    .push = push_arguments,
	    .body = prepare_body,
	    .done = on_done,
	    .arg = prepare,
	    .timeout = SCRIPT_PREPARE_TIMEOUT,
	    .what = what,
	};

	prepare->call.free = prepare_free;
	prepare->result = xcalloc(1, sizeof(*prepare->result));
	prepare->fn = fn;
	prepare->arg = arg;
	prepare->queue_name = xstrdup(route->queue_name);
	prepare->route = route;
	prepare->task = task;
	prepare->run = run;
	if (prompt != NULL) {
		prepare->prompt = xmemdup0(prompt->len > 0 ? prompt->data : "", prompt->len);
		prepare->prompt_len = prompt->len;
	}
	script_call_begin(&prepare->call, script, &spec);
	prepare->route = NULL;
	prepare->task = prepare->run = NULL;
	free(what);
	return &prepare->call;
}

struct script_call *script_prepare(struct script *script, const struct route *route,
    struct json_object *task, struct json_object *run, script_prepare_fn fn, void *arg)
{
	return script_prepare_prompt(script, route, NULL, task, run, fn, arg);
}
