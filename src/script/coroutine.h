#ifndef ATHANORE_SCRIPT_COROUTINE_H
#define ATHANORE_SCRIPT_COROUTINE_H

#include "base/error.h"
#include "script/vm.h"

#include <lua.h>

/*
 * Calls into Lua. Each is a coroutine that is begun and continued from the loop
 * only, under the CPU deadline of guard.h and a deadline of its own, and that may
 * wait for one operation (a primitive) at a time.
 */
struct coroutine;

struct coroutine_spec {
	/* Pushes the arguments of body behind the first and returns how many; called within
	 * coroutine_start(), protected. NULL: none. */
	int (*push)(lua_State *L, void *arg);
	/* What the coroutine runs. Its first argument is arg as light userdata; what it finds out
	 * it leaves there: its results are dropped. */
	lua_CFunction body;
	/* Called once, from the loop, in a later turn; err is NULL on success. */
	void (*done)(void *arg, const struct error *err);
	void *arg;
	double timeout;	  /* seconds until it has to be done; 0: no limit */
	const char *what; /* for messages: "the prompt function"; copied */
};

/* Valid until done was called, or coroutine_cancel(). */
struct coroutine *coroutine_start(struct vm *vm, const struct coroutine_spec *spec);

/* done will not be called. Ends the operation and runs pending __close handlers. Called from the
 * loop, not from a C function that Lua called. */
void coroutine_cancel(struct coroutine *co);

/*
 * Runs a call to its end at once; it cannot wait, and says so: what is "while the script is being
 * loaded". push, body, arg and what count of the spec.
 */
bool coroutine_run(struct vm *vm, const struct coroutine_spec *spec, struct error *err);

/* ---- For primitives: functions that wait ---- */

struct primitive {
	const char *name; /* "athanore.sleep" */
	/* Pushes the results when the coroutine goes on, and returns how many; may raise. */
	int (*finish)(lua_State *L, void *operation);
	/* Ends the operation, whether over or not, and frees it. Called exactly once. */
	void (*release)(void *operation);
};

/* The coroutine that L is, where it can wait now; otherwise raises an error that says why not.
 * Ask before anything is begun. */
struct coroutine *coroutine_check(lua_State *L, const char *name);

/*
 * Parks it until coroutine_wake(): `return coroutine_park(co, L, …)`. The operation is owned from
 * here on. Raises nothing.
 */
int coroutine_park(
    struct coroutine *co, lua_State *L, const struct primitive *primitive, void *operation);

/* The operation is over; Lua goes on in a later turn. Callable from everywhere on the loop. */
void coroutine_wake(struct coroutine *co);

#endif
