#ifndef ATHANORE_SCRIPT_GUARD_H
#define ATHANORE_SCRIPT_GUARD_H

#include <lua.h>
#include <stdbool.h>

/*
 * The CPU deadline of one entry into Lua. A signal timer runs while Lua does;
 * only past the deadline is a hook set, on the coroutine that runs: a permanent hook would
 * halve the speed of every script. From then on every instruction is stopped, so that
 * no pcall() survives it. The signal is SIGRTMIN + 1: the loop's thread must not block it.
 *
 * Cannot be stopped: a finalizer (__gc) that loops, a message handler of xpcall that loops inside a
 * sort comparator or the like, one long C function (pattern matching that backtracks).
 */

/* Seconds of CPU time for one entry, until it waits for something or ends. */
#define GUARD_CPU_SECONDS 2.0

/* Begins to watch; L is about to run. Entries do not nest. */
void guard_enter(lua_State *L);

/* Ends it. True where the deadline was over and Lua was stopped. */
bool guard_leave(void);

/* "routes.lua:12", where the last entry was stopped; "?" where it is not known. */
const char *guard_where(void);

/* The limit in seconds, for messages. */
double guard_limit(void);

/* From now on L runs; returns which coroutine did before. Nothing where no entry is watched. */
lua_State *guard_switch(lua_State *L);

/* Tests: another limit; 0: GUARD_CPU_SECONDS again. */
void guard_set_limit(double seconds);

#endif
