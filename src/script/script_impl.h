#ifndef ATHANORE_SCRIPT_SCRIPT_IMPL_H
#define ATHANORE_SCRIPT_SCRIPT_IMPL_H

#include "script/coroutine.h"
#include "script/problems.h"
#include "script/script.h"
#include "script/vm.h"

#include <sys/queue.h>

/* What the files of the script layer share about a loaded script. */

/* One athanore.dispatcher{}: what it and its routes say. Of several, one is chosen. */
struct script_dispatcher {
	struct config *config;
	struct place place;	    /* of the constructor's call */
	struct place *route_places; /* one for each of config->routes */
	bool *route_needs_command;  /* likewise: its agent runs route.command */
	bool ran;		    /* dispatcher:run{} was called */
	STAILQ_ENTRY(script_dispatcher) next;
};

STAILQ_HEAD(dispatcher_list, script_dispatcher);
LIST_HEAD(script_calls, script_call);

struct script {
	unsigned references;
	struct loop *loop;
	struct vm *vm;
	char *path; /* absolute */
	char *dir;  /* absolute */
	char *name; /* the file's name, for messages */
	struct config *config;
	struct script_calls calls;

	/* While it is being loaded, otherwise NULL and empty. */
	struct script_problems *problems;
	struct dispatcher_list dispatchers;
	int route_count; /* of all dispatchers: the next script_index */
	/* What is held here cannot leak where Lua raises; empty between two functions. */
	struct error scratch;
};

/* A call in flight; first member of its own kind's struct, which `free` frees. */
struct script_call {
	struct script *script;
	struct coroutine *co;
	void (*free)(struct script_call *call);
	LIST_ENTRY(script_call) link;
};

void script_call_begin(
    struct script_call *call, struct script *script, const struct coroutine_spec *spec);
/* Before the caller is told: the handle is of no use any more. */
void script_call_end(struct script_call *call);

void script_dispatcher_free(struct script_dispatcher *dispatcher);

/* The script that a state belongs to. */
struct script *script_of(lua_State *L);

/* Says what is wrong with a dispatcher as a whole: routes that do not fit together. */
void script_check(struct script *script, const struct script_dispatcher *dispatcher);

/*
 * Kept in the registry: the functions of each route {prompt=, when=, agent=} by script_index, and
 * the chosen dispatcher's queue_backend.
 */
void script_set_route_functions(lua_State *L, int script_index); /* pops the table */
/* Raises where there are none. */
/* A route that the script does not have (script_index -1) gets {agent=} of the dispatcher's
 * default. */
void script_push_route_functions(lua_State *L, const struct route *route);
void script_set_backend(lua_State *L); /* pops it */
void script_push_backend(lua_State *L);

/* Pushes the route as adapters see it: its values, and format_command(). */
void lua_route_push(lua_State *L, const struct route *route);
/* Prepares a state for that. */
void lua_route_setup(lua_State *L);

/* The record of the dispatcher at index, or NULL where it is none. */
struct script_dispatcher *lua_dispatcher_test(lua_State *L, int index);

/* Whether the value at index is athanore.json_file(); then into config. */
bool lua_backend_read_json_file(lua_State *L, int index, struct config *config);
/* Says which functions a backend lacks: "get_task, move_task"; false with err set. May raise. */
bool lua_backend_check(lua_State *L, int index, const char *name, struct error *err);

/* Checks an agent adapter; false with err set. May raise. *needs_command: it runs route.command. */
bool lua_agent_check(
    lua_State *L, int index, const char *name, bool *needs_command, struct error *err);
/* The adapter's name, copied into buf; "custom" where it has none. */
void lua_agent_name(lua_State *L, int index, char *buf, size_t size);

#endif
