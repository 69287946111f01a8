/* A loaded script: its references, its calls, and what it keeps in Lua's registry. */
#include "script/script_impl.h"

#include "base/alloc.h"

#include <lauxlib.h>
#include <stdlib.h>

/* Their addresses are keys of the registry. */
static const char routes_key, backend_key;

struct script *script_ref(struct script *script)
{
	script->references++;
	return script;
}

void script_unref(struct script *script)
{
	struct script_dispatcher *dispatcher;
	struct script_call *call;

	if (script == NULL || --script->references > 0)
		return;
	while ((call = LIST_FIRST(&script->calls)) != NULL)
		script_cancel(call);
	vm_free(script->vm);
	while ((dispatcher = STAILQ_FIRST(&script->dispatchers)) != NULL) {
		STAILQ_REMOVE_HEAD(&script->dispatchers, next);
		script_dispatcher_free(dispatcher);
	}
	config_free(script->config);
	error_clear(&script->scratch);
	free(script->path);
	free(script->dir);
	free(script->name);
	free(script);
}

const struct config *script_config(const struct script *script)
{
	return script->config;
}

struct script *script_of(lua_State *L)
{
	return vm_owner(vm_of(L));
}

void script_dispatcher_free(struct script_dispatcher *dispatcher)
{
	size_t n = dispatcher->config != NULL ? dispatcher->config->route_count : 0;

	for (size_t i = 0; i < n; i++)
		place_clear(&dispatcher->route_places[i]);
	free(dispatcher->route_places);
	free(dispatcher->route_needs_command);
	place_clear(&dispatcher->place);
	config_free(dispatcher->config);
	free(dispatcher);
}

void script_call_begin(
    struct script_call *call, struct script *script, const struct coroutine_spec *spec)
{
	call->script = script;
	LIST_INSERT_HEAD(&script->calls, call, link);
	call->co = coroutine_start(script->vm, spec);
}

void script_call_end(struct script_call *call)
{
	LIST_REMOVE(call, link);
	call->co = NULL;
}

void script_cancel(struct script_call *call)
{
	coroutine_cancel(call->co);
	script_call_end(call);
	call->free(call);
}

void script_set_route_functions(lua_State *L, int script_index)
{
	luaL_checkstack(L, 4, NULL);
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &routes_key) == LUA_TNIL) {
		lua_pop(L, 1);
		lua_newtable(L);
		lua_pushvalue(L, -1);
		lua_rawsetp(L, LUA_REGISTRYINDEX, &routes_key);
	}
	lua_insert(L, -2);
	lua_rawseti(L, -2, (lua_Integer)script_index + 1);
	lua_pop(L, 1);
}

void script_push_route_functions(lua_State *L, const struct route *route)
{
	luaL_checkstack(L, 4, NULL);
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &routes_key) != LUA_TTABLE ||
	    lua_rawgeti(L, -1, (lua_Integer)route->script_index + 1) != LUA_TTABLE)
		luaL_error(L, "the script has no route '%s'", route->queue_name);
	lua_remove(L, -2);
}

void script_set_backend(lua_State *L)
{
	lua_rawsetp(L, LUA_REGISTRYINDEX, &backend_key);
}

void script_push_backend(lua_State *L)
{
	lua_rawgetp(L, LUA_REGISTRYINDEX, &backend_key);
}
