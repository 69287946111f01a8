/* Calls into Lua as coroutines that wait for one operation at a time. */
#include "script/coroutine.h"

#include "base/alloc.h"
#include "script/guard.h"
#include "script/lua_error.h"

#include <lauxlib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum state {
	STARTING, /* a turn is asked for */
	RUNNING,  /* Lua is on the C stack */
	PARKED,	  /* has an operation */
	WAKING,	  /* its operation is over; a turn is asked for */
	FINISHED, /* done is to be called; a turn is asked for */
	CANCELLED /* freed when its turn comes */
};

struct coroutine {
	struct vm_thread thread; /* what the extra space of L points to */
	lua_State *L;		 /* NULL: not made, or closed */
	int ref;		 /* anchors L in the registry */
	enum state state;
	bool turn_pending;
	bool synchronous;
	bool closing;	   /* its __close handlers run */
	bool to_be_closed; /* cancelled while it ran */
	bool parked;	   /* its last yield was coroutine_park()'s */
	bool began;	   /* Lua code of it has run: there may be __close handlers */
	struct coroutine_spec spec;
	char *what;
	const struct primitive *primitive; /* NULL: no operation */
	void *operation;
	struct loop_timer *deadline;
	struct error err;
	int status; /* of the last lua_resume() */
	LIST_ENTRY(coroutine) link;
};

static void on_turn(void *arg);

static struct vm *vm_of_call(struct coroutine *co)
{
	return co->thread.vm;
}

static void ask_for_turn(struct coroutine *co)
{
	if (co->turn_pending || co->synchronous)
		return;
	co->turn_pending = true;
	loop_defer(vm_loop(vm_of_call(co)), on_turn, co);
}

static void release_operation(struct coroutine *co)
{
	const struct primitive *primitive = co->primitive;

	co->primitive = NULL;
	if (primitive != NULL)
		primitive->release(co->operation);
	co->operation = NULL;
}

static int create_thread(lua_State *L)
{
	struct coroutine *co = lua_touserdata(L, 1);
	lua_State *thread = lua_newthread(L);
	int count;

	lua_pushvalue(L, -1);
	co->ref = luaL_ref(L, LUA_REGISTRYINDEX);
	co->L = thread;
	vm_set_thread(thread, &co->thread);
	lua_pushcfunction(L, co->spec.body);
	lua_pushlightuserdata(L, co->spec.arg);
	count = co->spec.push != NULL ? co->spec.push(L, co->spec.arg) : 0;
	if (!lua_checkstack(thread, count + 2))
		return luaL_error(L, "too many arguments for %s", co->what);
	lua_xmove(L, thread, count + 2);
	return 0;
}

static int reset_thread(lua_State *L)
{
	struct coroutine *co = lua_touserdata(L, 1);

	(void)lua_resetthread(co->L); /* errors of __close handlers change nothing now */
	return 0;
}

static int unref_thread(lua_State *L)
{
	struct coroutine *co = lua_touserdata(L, 1);

	luaL_unref(L, LUA_REGISTRYINDEX, co->ref);
	return 0;
}

/* The one place where a thread ends: its __close handlers run, under a deadline of their own. */
static void close_thread(struct coroutine *co)
{
	struct vm *vm = vm_of_call(co);

	loop_timer_free(co->deadline);
	co->deadline = NULL;
	release_operation(co);
	if (co->L == NULL)
		return;
	if (co->began) {
		co->closing = true;
		vm_calls(vm)->running = co;
		guard_enter(co->L);
		(void)vm_protect(vm, reset_thread, co, NULL);
		guard_leave();
		vm_calls(vm)->running = NULL;
	}
	/* The script may have kept the thread: it is nothing of ours any more. */
	vm_set_thread(co->L, vm_main_thread(vm));
	(void)vm_protect(vm, unref_thread, co, NULL);
	co->L = NULL;
}

static void coroutine_free(struct coroutine *co)
{
	error_clear(&co->err);
	free(co->what);
	free(co);
}

/* Closes it; err is set already on failure. */
static void finish(struct coroutine *co)
{
	close_thread(co);
	co->state = FINISHED;
}

static void cancel(struct coroutine *co)
{
	close_thread(co);
	LIST_REMOVE(co, link);
	co->state = CANCELLED;
	if (!co->turn_pending)
		coroutine_free(co);
}

/* lua_resume() itself may raise on the main thread, where memory ends within its own errors. */
static int resume_thread(lua_State *L)
{
	struct coroutine *co = lua_touserdata(L, 1);
	int arguments = co->state == STARTING ? lua_gettop(co->L) - 1 : 0;
	int results;

	co->state = RUNNING;
	co->began = true;
	co->parked = false;
	co->status = LUA_ERRMEM;
	co->status = lua_resume(co->L, L, arguments, &results);
	return 0;
}

static int describe_error(lua_State *L)
{
	struct coroutine *co = lua_touserdata(L, 1);

	lua_error_describe(L, co->L, &co->err);
	return 0;
}

/* Where memory does not suffice for the traceback, the message stays as it is. */
static int add_traceback(lua_State *L)
{
	struct coroutine *co = lua_touserdata(L, 1);

	luaL_traceback(L, co->L, co->err.message, 0);
	error_set(&co->err, co->err.code, "%s", lua_tostring(L, -1));
	return 0;
}

static int collect_garbage(lua_State *L)
{
	lua_gc(L, LUA_GCCOLLECT);
	return 0;
}

static void set_error(struct coroutine *co, bool stopped)
{
	struct vm *vm = vm_of_call(co);
	char where[LUA_IDSIZE + 16] = "";
	const char *comma = "";

	if (lua_error_where(co->L, where, sizeof(where)))
		comma = ": ";
	if (stopped) {
		error_set(&co->err, ERROR_INTERNAL,
		    "%s: stopped after %g s of CPU time: the script does not end or is too slow "
		    "here",
		    guard_where(), guard_limit());
		(void)vm_protect(vm, add_traceback, co, NULL);
	} else if (co->status == LUA_ERRMEM) {
		vm_memory_error(where[0] != '\0' ? where : NULL, &co->err);
	} else if (co->status == LUA_YIELD) {
		error_set(&co->err, ERROR_INTERNAL,
		    "%s%scoroutine.yield outside of a coroutine of the script's own; to wait, call "
		    "a "
		    "function of athanore",
		    where, comma);
		(void)vm_protect(vm, add_traceback, co, NULL);
	} else {
		struct error failure = {0};

		guard_enter(vm_state(vm));
		/* co->err is sound already where only the traceback could not be made. */
		if (!vm_protect(vm, describe_error, co, &failure) && co->err.code == ERROR_NONE)
			error_set(
			    &co->err, ERROR_INTERNAL, "%s%s%s", where, comma, failure.message);
		guard_leave();
		error_clear(&failure);
	}
}

/* Lets it run until it waits or ends; returns whether it waits. */
static bool run(struct coroutine *co)
{
	struct vm *vm = vm_of_call(co);
	bool out_of_memory, stopped;

	vm_calls(vm)->running = co;
	guard_enter(co->L);
	(void)vm_protect(vm, resume_thread, co, NULL);
	stopped = guard_leave();
	vm_calls(vm)->running = NULL;
	if (!stopped && co->parked && !co->to_be_closed) {
		co->state = PARKED;
		return true;
	}
	if (stopped || co->status != LUA_OK)
		set_error(co, stopped);
	out_of_memory = co->status == LUA_ERRMEM;
	if (co->to_be_closed)
		return false;
	finish(co);
	if (out_of_memory) /* give it back before the next call wants some */
		(void)vm_protect(vm, collect_garbage, NULL, NULL);
	return false;
}

static void deliver(struct coroutine *co)
{
	LIST_REMOVE(co, link);
	co->spec.done(co->spec.arg, co->err.code != ERROR_NONE ? &co->err : NULL);
	coroutine_free(co);
}

static void on_turn(void *arg)
{
	struct coroutine *co = arg;

	co->turn_pending = false;
	switch (co->state) {
	case STARTING:
	case WAKING:
		if (run(co))
			return;
		if (co->to_be_closed)
			cancel(co);
		else
			deliver(co);
		return;
	case FINISHED:
		deliver(co);
		return;
	case CANCELLED:
		coroutine_free(co);
		return;
	default:
		fatal("a coroutine has its turn in state %d", (int)co->state);
	}
}

static void on_deadline(void *arg)
{
	struct coroutine *co = arg;
	char where[LUA_IDSIZE + 16] = "?";

	(void)lua_error_where(co->L, where, sizeof(where));
	error_set(&co->err, ERROR_TIMEOUT, "%s: %s was not done within %g s%s%s", where, co->what,
	    co->spec.timeout, co->primitive != NULL ? "; it waited in " : "",
	    co->primitive != NULL ? co->primitive->name : "");
	finish(co);
	ask_for_turn(co);
}

static struct coroutine *create(struct vm *vm, const struct coroutine_spec *spec)
{
	struct coroutine *co = xcalloc(1, sizeof(*co));

	co->thread = (struct vm_thread){.vm = vm, .call = co};
	co->state = STARTING;
	co->spec = *spec;
	co->what = xstrdup(spec->what);
	LIST_INSERT_HEAD(&vm_calls(vm)->list, co, link);
	return co;
}

struct coroutine *coroutine_start(struct vm *vm, const struct coroutine_spec *spec)
{
	struct coroutine *co = create(vm, spec);

	if (!vm_protect(vm, create_thread, co, &co->err)) {
		finish(co);
	} else if (spec->timeout > 0) {
		co->deadline = loop_timer_create(vm_loop(vm), on_deadline, co);
		loop_timer_set(co->deadline, spec->timeout);
	}
	ask_for_turn(co);
	return co;
}

bool coroutine_run(struct vm *vm, const struct coroutine_spec *spec, struct error *err)
{
	struct coroutine *co = create(vm, spec);
	bool ok;

	co->synchronous = true;
	if (vm_protect(vm, create_thread, co, &co->err)) {
		if (run(co))
			fatal("%s waits", co->what);
	} else {
		finish(co);
	}
	ok = co->err.code == ERROR_NONE;
	if (!ok)
		error_copy(err, &co->err);
	LIST_REMOVE(co, link);
	coroutine_free(co);
	return ok;
}

void coroutine_cancel(struct coroutine *co)
{
	if (co->state == RUNNING)
		co->to_be_closed = true;
	else
		cancel(co);
}

struct coroutine *coroutine_check(lua_State *L, const char *name)
{
	struct coroutine *running = vm_calls(vm_of(L))->running;

	if (running == NULL)
		luaL_error(L, "%s cannot wait here", name);
	if (running->synchronous)
		luaL_error(L, "%s cannot wait %s", name, running->what);
	if (running->closing)
		luaL_error(L, "%s cannot wait in a __close handler of a call that has ended", name);
	if (vm_thread_of(L)->call != running)
		luaL_error(L, "%s cannot wait inside a coroutine of the script's own", name);
	if (!lua_isyieldable(L))
		luaL_error(L,
		    "%s cannot wait here: inside a sort comparator, a gsub callback, a "
		    "metamethod, a finalizer or a file that is being required",
		    name);
	return running;
}

static int go_on(lua_State *L, int status, lua_KContext context)
{
	struct coroutine *co = (struct coroutine *)context;
	int results = co->primitive->finish(L, co->operation);

	(void)status;
	release_operation(co);
	return results;
}

int coroutine_park(
    struct coroutine *co, lua_State *L, const struct primitive *primitive, void *operation)
{
	release_operation(co); /* one whose finish() raised an error that the script caught */
	co->primitive = primitive;
	co->operation = operation;
	co->parked = true;
	return lua_yieldk(L, 0, (lua_KContext)co, go_on);
}

void coroutine_wake(struct coroutine *co)
{
	if (co->state != PARKED)
		fatal("a coroutine that does not wait is woken (state %d)", (int)co->state);
	co->state = WAKING;
	ask_for_turn(co);
}
