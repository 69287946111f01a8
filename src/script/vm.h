#ifndef ATHANORE_SCRIPT_VM_H
#define ATHANORE_SCRIPT_VM_H

#include "base/error.h"
#include "loop/loop.h"

#include <lua.h>
#include <stddef.h>
#include <sys/queue.h>

/*
 * A Lua state with a memory cap, the standard libraries and athanore's own.
 * Nothing here or above may call into a state unprotected: a script must never be able to end
 * the process.
 */
struct vm;
struct coroutine;

/* What one script may allocate. */
#define VM_MEMORY_LIMIT ((size_t)256 << 20)

/* The extra space of every thread of a state points to one of these. */
struct vm_thread {
	struct vm *vm;
	struct coroutine *call; /* NULL: the main thread, or a coroutine of the script's own */
};

LIST_HEAD(vm_coroutines, coroutine);

/* The calls into a state; coroutine.c keeps it. */
struct vm_calls {
	struct vm_coroutines list;
	struct coroutine *running; /* NULL: none */
};

/* NULL with err set where there is no memory. script_dir is copied, owner is the caller's. */
struct vm *vm_create(struct loop *loop, const char *script_dir, void *owner, struct error *err);

/* Closes the state; its finalizers run. No coroutine may be left. NULL is fine. */
void vm_free(struct vm *vm);

lua_State *vm_state(struct vm *vm);
struct loop *vm_loop(struct vm *vm);
void *vm_owner(struct vm *vm);
struct vm_calls *vm_calls(struct vm *vm);

/* Of any thread of a state. */
struct vm *vm_of(lua_State *L);
struct vm_thread *vm_thread_of(lua_State *L);
void vm_set_thread(lua_State *L, struct vm_thread *thread);

/* The main thread's, for threads that are no call of ours any more. */
struct vm_thread *vm_main_thread(struct vm *vm);

/*
 * Calls fn on the main thread with arg as its only argument, a light userdata. False with err
 * set (err may be NULL) where it raised an error.
 */
bool vm_protect(struct vm *vm, lua_CFunction fn, void *arg, struct error *err);

/* "not enough memory …" with the limit named. */
void vm_memory_error(const char *where, struct error *err);

/* Tests: after `after` more allocations of any state, `count` ones fail. count 0: none does. */
void vm_fail_allocations(size_t after, size_t count);
/* How many of them have not failed yet. */
size_t vm_fail_allocations_left(void);

/* Tests: another limit for states made from now on; 0: VM_MEMORY_LIMIT again. */
void vm_set_memory_limit(size_t bytes);

#endif
