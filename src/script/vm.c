/* A Lua state with a memory cap, whose every entry is protected. */
#include "script/vm.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/str.h"
#include "script/lua_json.h"
#include "script/lua_modules.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

struct vm {
	lua_State *L;
	size_t used;
	size_t limit;
	struct loop *loop;
	void *owner;
	struct vm_thread thread;
	struct vm_calls calls;
	struct str warning; /* the pieces of a warn() that is not complete */
};

static size_t memory_limit = VM_MEMORY_LIMIT;
static size_t fail_after, fail_count;

void vm_fail_allocations(size_t after, size_t count)
{
	fail_after = after;
	fail_count = count;
}

size_t vm_fail_allocations_left(void)
{
	return fail_count;
}

void vm_set_memory_limit(size_t bytes)
{
	memory_limit = bytes > 0 ? bytes : VM_MEMORY_LIMIT;
}

static bool told_to_fail(void)
{
	if (fail_count == 0)
		return false;
	if (fail_after > 0) {
		fail_after--;
		return false;
	}
	fail_count--;
	return true;
}

/* Lua's allocator. What shrinks never fails: parts of Lua rely on it. */
static void *allocate(void *arg, void *ptr, size_t old_size, size_t size)
{
	struct vm *vm = arg;
	size_t old = ptr != NULL ? old_size : 0;
	void *grown;

	if (size == 0) {
		free(ptr);
		vm->used -= old;
		return NULL;
	}
	if (size > old) {
		if (size > vm->limit || vm->used - old > vm->limit - size || told_to_fail())
			return NULL;
	}
	grown = realloc(ptr, size);
	if (grown == NULL)
		return size <= old ? ptr : NULL;
	vm->used = vm->used - old + size;
	return grown;
}

static int on_panic(lua_State *L)
{
	const char *message = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;

	fatal("unprotected error in Lua: %s", message != NULL ? message : "no message");
}

/* warn() of scripts, and errors in finalizers. Control messages ("@on") mean nothing here. */
static void on_warning(void *arg, const char *text, int continued)
{
	struct vm *vm = arg;

	if (vm->warning.len == 0 && !continued && text[0] == '@')
		return;
	str_puts(&vm->warning, text);
	if (continued)
		return;
	log_warn("%s", vm->warning.data);
	str_clear(&vm->warning);
}

static int no_exit(lua_State *L)
{
	return luaL_error(L, "os.exit would end the daemon: return or raise an error instead");
}

static int open_libraries(lua_State *L)
{
	const char *script_dir = lua_touserdata(L, 1);

	luaL_openlibs(L);
	lua_getglobal(L, LUA_OSLIBNAME);
	lua_pushcfunction(L, no_exit);
	lua_setfield(L, -2, "exit");
	lua_pop(L, 1);
	lua_json_setup(L);
	lua_modules_open(L, script_dir);
	return 0;
}

struct vm *vm_create(struct loop *loop, const char *script_dir, void *owner, struct error *err)
{
	struct vm *vm = xcalloc(1, sizeof(*vm));

	vm->limit = memory_limit;
	vm->loop = loop;
	vm->owner = owner;
	vm->thread.vm = vm;
	LIST_INIT(&vm->calls.list);
	vm->L = lua_newstate(allocate, vm);
	if (vm->L == NULL) {
		vm_memory_error(NULL, err);
		free(vm);
		return NULL;
	}
	vm_set_thread(vm->L, &vm->thread);
	lua_atpanic(vm->L, on_panic);
	lua_setwarnf(vm->L, on_warning, vm);
	if (!vm_protect(vm, open_libraries, (void *)script_dir, err)) {
		vm_free(vm);
		return NULL;
	}
	return vm;
}

void vm_free(struct vm *vm)
{
	if (vm == NULL)
		return;
	if (!LIST_EMPTY(&vm->calls.list))
		fatal("vm_free: a coroutine is left");
	lua_close(vm->L);
	str_free(&vm->warning);
	free(vm);
}

lua_State *vm_state(struct vm *vm)
{
	return vm->L;
}

struct loop *vm_loop(struct vm *vm)
{
	return vm->loop;
}

void *vm_owner(struct vm *vm)
{
	return vm->owner;
}

struct vm_calls *vm_calls(struct vm *vm)
{
	return &vm->calls;
}

struct vm_thread *vm_thread_of(lua_State *L)
{
	struct vm_thread *thread;

	memcpy(&thread, lua_getextraspace(L), sizeof(thread));
	return thread;
}

void vm_set_thread(lua_State *L, struct vm_thread *thread)
{
	memcpy(lua_getextraspace(L), &thread, sizeof(thread));
}

struct vm *vm_of(lua_State *L)
{
	return vm_thread_of(L)->vm;
}

struct vm_thread *vm_main_thread(struct vm *vm)
{
	return &vm->thread;
}

void vm_memory_error(const char *where, struct error *err)
{
	error_set(err, ERROR_INTERNAL, "%s%snot enough memory: a script may use %zu MiB",
	    where != NULL ? where : "", where != NULL ? ": " : "", memory_limit >> 20);
}

bool vm_protect(struct vm *vm, lua_CFunction fn, void *arg, struct error *err)
{
	lua_State *L = vm->L;
	int top = lua_gettop(L);
	int status;

	/* Neither needs memory: a light function and a light userdata. */
	lua_pushcfunction(L, fn);
	lua_pushlightuserdata(L, arg);
	status = lua_pcall(L, 1, 0, 0);
	if (status == LUA_ERRMEM)
		vm_memory_error(NULL, err);
	else if (status != LUA_OK && lua_type(L, -1) == LUA_TSTRING)
		error_set(err, ERROR_INTERNAL, "%s", lua_tostring(L, -1));
	else if (status != LUA_OK)
		error_set(err, ERROR_INTERNAL, "(the error is a %s value)", luaL_typename(L, -1));
	lua_settop(L, top);
	return status == LUA_OK;
}
