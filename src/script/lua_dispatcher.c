/* athanore.dispatcher{}, dispatcher:route{} and dispatcher:run{}. */
#include "base/alloc.h"
#include "base/log.h"
#include "script/lua_api.h"
#include "script/options.h"
#include "script/script_impl.h"
#include "script/values.h"

#include <lauxlib.h>
#include <stdlib.h>

#define METATABLE "athanore.dispatcher"

/* The user values of a dispatcher. */
enum { VALUE_AGENT = 1, VALUE_BACKEND, VALUE_COUNT = VALUE_BACKEND };

struct script_dispatcher *lua_dispatcher_test(lua_State *L, int index)
{
	struct script_dispatcher **box = luaL_testudata(L, index, METATABLE);

	return box != NULL ? *box : NULL;
}

/* The dispatcher whose method is called. Its record lives only while the script is loaded. */
static struct script_dispatcher *check_self(lua_State *L, const char *method)
{
	struct script_dispatcher **box = luaL_testudata(L, 1, METATABLE);

	if (box == NULL)
		luaL_error(L, "call it with a colon: dispatcher:%s { … }", method);
	if (script_of(L)->problems == NULL)
		luaL_error(L, "dispatcher:%s is called while the script is loaded only", method);
	return *box;
}

static struct option_target target_of(struct script *script,
    const struct script_dispatcher *dispatcher, struct route *route, const struct place *place,
    const char *what)
{
	return (struct option_target){.config = dispatcher->config,
	    .route = route,
	    .dir = script->dir,
	    .what = what,
	    .problems = script->problems,
	    .file = place->file,
	    .line = place->line};
}

/* Reports err at a place, if it is set, and empties it. */
static void report(struct script *script, const struct place *place, struct error *err)
{
	if (err->code != ERROR_NONE)
		problems_add(script->problems, place->file, place->line, "%s", err->message);
	error_clear(err);
}

/* ---- athanore.dispatcher ---- */

static struct script_dispatcher *create(lua_State *L, struct script *script)
{
	struct script_dispatcher *dispatcher = xcalloc(1, sizeof(*dispatcher));

	dispatcher->config = config_create();
	dispatcher->config->script_path = xstrdup(script->path);
	dispatcher->config->script_dir = xstrdup(script->dir);
	place_of_caller(L, &dispatcher->place);
	STAILQ_INSERT_TAIL(&script->dispatchers, dispatcher, next);
	return dispatcher;
}

/* What routes inherit from options of the dispatcher that it keeps for itself, too. */
static void set_defaults(struct script_dispatcher *dispatcher)
{
	const struct config *config = dispatcher->config;
	struct route *defaults = config->defaults;

	defaults->command = xstrv_dup((const char *const *)config->command);
	defaults->in_progress_queue = xstrdup("In Progress");
	defaults->timeout = config->agent_timeout;
	defaults->poll_interval = config->poll_interval;
	defaults->max_retries = config->max_retries;
	defaults->dead_letter_queue = xstrdup(config->dead_letter_queue);
}

/* queue_backend of the table at 1, into the user value of the dispatcher on top. */
static void read_backend(lua_State *L, struct script *script, struct script_dispatcher *dispatcher)
{
	int type = lua_getfield(L, 1, "queue_backend");
	int create_adapter = LUA_TNIL;
	struct error *err = &script->scratch;

	if (type == LUA_TTABLE || (type == LUA_TUSERDATA)) {
		create_adapter = lua_getfield(L, -1, "create_adapter");
		lua_pop(L, 1);
	}
	if (type != LUA_TNIL && !lua_backend_read_json_file(L, -1, dispatcher->config)) {
		dispatcher->config->backend = BACKEND_LUA;
		if (create_adapter != LUA_TFUNCTION)
			(void)lua_backend_check(L, -1, "queue_backend", err);
		report(script, &dispatcher->place, err);
	}
	lua_setiuservalue(L, -2, VALUE_BACKEND);
}

/* default_agent of the table at 1, or athanore.subprocess{}, likewise. */
static void read_default_agent(
    lua_State *L, struct script *script, struct script_dispatcher *dispatcher)
{
	bool needs_command;
	char agent[100];

	if (lua_getfield(L, 1, "default_agent") == LUA_TNIL) {
		lua_pop(L, 1);
		luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
		lua_getfield(L, -1, "athanore.agents.subprocess");
		lua_remove(L, -2);
		if (lua_isfunction(L, -1)) {
			lua_newtable(L);
			lua_call(L, 1, 1);
		}
	}
	(void)lua_agent_check(L, -1, "default_agent", &needs_command, &script->scratch);
	report(script, &dispatcher->place, &script->scratch);
	dispatcher->config->agent_needs_command = needs_command;
	lua_agent_name(L, -1, agent, sizeof(agent));
	dispatcher->config->defaults->agent = xstrdup(agent);
	lua_setiuservalue(L, -2, VALUE_AGENT);
}

static int dispatcher_create(lua_State *L)
{
	struct script *script = script_of(L);
	struct script_dispatcher **box, *dispatcher;
	struct option_target target;

	if (script->problems == NULL)
		return luaL_error(
		    L, "athanore.dispatcher is called while the script is loaded only");
	lua_settop(L, 1);
	box = lua_newuserdatauv(L, sizeof(struct script_dispatcher *), VALUE_COUNT);
	*box = dispatcher = create(L, script);
	luaL_setmetatable(L, METATABLE);
	target = target_of(
	    script, dispatcher, dispatcher->config->defaults, &dispatcher->place, "dispatcher");
	(void)options_read(L, 1, dispatcher_options, &target);
	set_defaults(dispatcher);
	if (!lua_istable(L, 1)) {
		lua_newtable(L); /* reported; go on to find more */
		lua_replace(L, 1);
	}
	read_backend(L, script, dispatcher);
	read_default_agent(L, script, dispatcher);
	/* Of several dispatchers the first counts until one is chosen; several are a mistake. */
	if (dispatcher == STAILQ_FIRST(&script->dispatchers)) {
		lua_getiuservalue(L, -1, VALUE_BACKEND);
		script_set_backend(L);
		lua_createtable(L, 0, 1);
		lua_getiuservalue(L, -2, VALUE_AGENT);
		lua_setfield(L, -2, "agent");
		script_set_route_functions(L, -1);
	}
	return 1;
}

/* ---- dispatcher:route ---- */

/* A new route with the dispatcher's defaults, owned by its configuration. */
static struct route *add_route(
    lua_State *L, struct script *script, struct script_dispatcher *dispatcher)
{
	size_t n = dispatcher->config->route_count;
	struct route *route = route_copy(dispatcher->config->defaults);

	route->order = (int)n;
	free(route->agent); /* its own will be known when that was read */
	route->agent = NULL;
	route->script_index = script->route_count++;
	config_add_route(dispatcher->config, route);
	dispatcher->route_places =
	    xreallocarray(dispatcher->route_places, n + 1, sizeof(*dispatcher->route_places));
	dispatcher->route_places[n] = (struct place){0};
	dispatcher->route_needs_command = xreallocarray(
	    dispatcher->route_needs_command, n + 1, sizeof(*dispatcher->route_needs_command));
	dispatcher->route_needs_command[n] = false;
	place_of_caller(L, &dispatcher->route_places[n]);
	route->line = dispatcher->route_places[n].line;
	return route;
}

/* dispatcher:route({…}, function): the table at 2 gets it as prompt, in a copy. */
static void merge_prompt(lua_State *L, struct script *script, const struct place *place)
{
	if (lua_isnil(L, 3))
		return;
	if (!lua_istable(L, 2))
		return;
	lua_newtable(L);
	lua_pushnil(L);
	while (lua_next(L, 2) != 0) {
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		lua_rawset(L, -4);
	}
	if (lua_getfield(L, -1, "prompt") != LUA_TNIL)
		problems_add(script->problems, place->file, place->line,
		    "route has two prompt functions: one as an option, one behind the table");
	lua_pop(L, 1);
	lua_pushvalue(L, 3);
	lua_setfield(L, -2, "prompt");
	lua_replace(L, 2);
}

/* Sets agent in the table of functions on top: the route's own, or the default. */
static void read_agent(
    lua_State *L, struct script *script, struct script_dispatcher *dispatcher, size_t n)
{
	const char *name = "agent";
	char agent[100];

	if (lua_getfield(L, 2, "agent") == LUA_TNIL) {
		lua_pop(L, 1);
		lua_getiuservalue(L, 1, VALUE_AGENT);
		name = NULL; /* was checked with the dispatcher */
	}
	(void)lua_agent_check(L, -1, name != NULL ? name : "default_agent",
	    &dispatcher->route_needs_command[n], &script->scratch);
	if (name == NULL)
		error_clear(&script->scratch);
	report(script, &dispatcher->route_places[n], &script->scratch);
	lua_agent_name(L, -1, agent, sizeof(agent));
	dispatcher->config->routes[n]->agent = xstrdup(agent);
	lua_setfield(L, -2, "agent");
}

static int dispatcher_route(lua_State *L)
{
	struct script_dispatcher *dispatcher = check_self(L, "route");
	struct script *script = script_of(L);
	struct option_target target;
	struct route *route;
	size_t n = dispatcher->config->route_count;

	lua_settop(L, 3);
	route = add_route(L, script, dispatcher);
	target = target_of(script, dispatcher, route, &dispatcher->route_places[n], "route");
	merge_prompt(L, script, &dispatcher->route_places[n]);
	(void)options_read(L, 2, route_options, &target);
	if (!lua_istable(L, 2))
		return 0;
	lua_createtable(L, 0, 3);
	route->has_priority = lua_getfield(L, 2, "priority") == LUA_TNUMBER;
	lua_pop(L, 1);
	lua_getfield(L, 2, "prompt");
	lua_setfield(L, -2, "prompt");
	lua_getfield(L, 2, "when");
	lua_setfield(L, -2, "when");
	read_agent(L, script, dispatcher, n);
	script_set_route_functions(L, route->script_index);
	return 0;
}

/* ---- dispatcher:run ---- */

/* Does not block: it says that this is the dispatcher, and how much it logs. */
static int dispatcher_run(lua_State *L)
{
	struct script_dispatcher *dispatcher = check_self(L, "run");
	struct script *script = script_of(L);
	struct run_settings settings = {.log_level = -1};
	struct place place = {0};
	struct option_target target;

	lua_settop(L, 2);
	dispatcher->ran = true;
	if (!lua_isnil(L, 2)) {
		place_of_caller(L, &place);
		target = target_of(script, dispatcher, NULL, &place, "run");
		target.config = &settings;
		(void)options_read(L, 2, run_options, &target);
		place_clear(&place);
	}
	if (settings.debug)
		dispatcher->config->log_level = LOG_DEBUG;
	if (settings.log_level >= 0)
		dispatcher->config->log_level = settings.log_level;
	return 0;
}

void lua_dispatcher_open(lua_State *L)
{
	static const luaL_Reg methods[] = {
	    {"route", dispatcher_route}, {"run", dispatcher_run}, {NULL, NULL}};

	luaL_newmetatable(L, METATABLE);
	luaL_newlib(L, methods);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
	lua_pushcfunction(L, dispatcher_create);
	lua_setfield(L, -2, "dispatcher");
}
