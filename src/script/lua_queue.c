/* Queues written in Lua: a table of the script behind the vtable of queue.h. */
#include "base/alloc.h"
#include "base/json.h"
#include "script/lua_error.h"
#include "script/lua_json.h"
#include "script/queue_answers.h"
#include "script/script_impl.h"
#include "script/values.h"

#include <lauxlib.h>
#include <stdlib.h>

LIST_HEAD(method_calls, method_call);

struct lua_queue {
	struct queue queue;
	struct queue_vtable vtable; /* its kind and what it supports differ from script to script */
	struct script *script;	    /* referenced; its registry holds the adapter by our address */
	char *name;
	struct method_calls calls;
};

struct method_call {
	struct script_call call;
	struct lua_queue *queue;
	struct queue_call *answer_to;
	struct queue_request request; /* a copy; its strings are owned */
	struct json_object *result;
	struct error failure; /* what the method answered is one */
	LIST_ENTRY(method_call) link;
};

/* ---- Arguments ---- */

static void push_queues(lua_State *L, const char *const *queues)
{
	lua_newtable(L);
	for (lua_Integer i = 0; queues != NULL && queues[i] != NULL; i++) {
		lua_pushstring(L, queues[i]);
		lua_rawseti(L, -2, i + 1);
	}
	lua_json_mark_list(L);
}

static int push_ready_arguments(lua_State *L, const struct queue_request *request)
{
	push_queues(L, request->queues);
	lua_newtable(L);
	if (request->limit > 0) {
		lua_pushinteger(L, (lua_Integer)request->limit);
		lua_setfield(L, -2, "limit");
	}
	return 2;
}

static int push_strings(lua_State *L, const char *first, const char *second, const char *third)
{
	lua_pushstring(L, first);
	lua_pushstring(L, second); /* NULL is nil */
	lua_pushstring(L, third);
	return 3;
}

static int push_with_fields(lua_State *L, const char *key, struct json_object *fields)
{
	lua_pushstring(L, key);
	if (fields != NULL)
		lua_json_push(L, fields, LUA_JSON_KEEP_NULL);
	else
		lua_newtable(L);
	return 2;
}

/* What adapter:method(…) gets behind the adapter. */
static int push_operation(lua_State *L, const struct queue_request *request)
{
	switch (request->op) {
	case QUEUE_GET_READY_TASKS:
		return push_ready_arguments(L, request);
	case QUEUE_MOVE_TASK:
		return push_strings(L, request->task_id, request->target_queue, NULL);
	case QUEUE_ADD_COMMENT:
		return push_strings(L, request->task_id, request->text, NULL);
	case QUEUE_UPDATE_TASK:
		return push_with_fields(L, request->task_id, request->fields);
	case QUEUE_CREATE_TASK:
		return push_strings(L, request->queue_name,
		    json_get_string(request->fields, "name"),
		    json_get_string(request->fields, "description"));
	case QUEUE_UPDATE_QUEUE:
		return push_with_fields(L, request->queue_name, request->fields);
	case QUEUE_CLAIM_TASK:
		return push_strings(
		    L, request->task_id, request->from_queue, request->target_queue);
	case QUEUE_GET_TASK:
		return push_strings(L, request->task_id, NULL, NULL);
	case QUEUE_GET_QUEUE:
	case QUEUE_CREATE_QUEUE:
	case QUEUE_DELETE_QUEUE:
		return push_strings(L, request->queue_name, NULL, NULL);
	case QUEUE_LIST_QUEUES:
	case QUEUE_AUTHENTICATED_USER:
		return 0;
	case QUEUE_OP_COUNT:
		break;
	}
	fatal("queue operation %d", (int)request->op);
}

static int push_arguments(lua_State *L, void *arg)
{
	struct method_call *call = arg;

	luaL_checkstack(L, 8, NULL);
	lua_rawgetp(L, LUA_REGISTRYINDEX, call->queue);
	return 1 + push_operation(L, &call->request);
}

/* ---- The call ---- */

static int after_method(lua_State *L, int status, lua_KContext context)
{
	struct method_call *call = (struct method_call *)context;
	struct error err = {0};

	bool refused =
	    call->request.op == QUEUE_CLAIM_TASK ? lua_isnil(L, -2) : !lua_toboolean(L, -2);

	(void)status;
	if (refused && !lua_isnil(L, -1)) { /* nil, error */
		lua_error_read(L, -1, &call->failure);
		return 0;
	}
	lua_pop(L, 1);
	if (!lua_json_read(L, -1, LUA_JSON_TASK, &call->result, &err) ||
	    !queue_answers_check(&call->request, &call->result, &err))
		error_set(&call->failure, err.code == ERROR_NOT_FOUND ? err.code : ERROR_INTERNAL,
		    "queue adapter '%s', %s: %s", call->queue->name,
		    queue_op_name(call->request.op), err.message);
	error_clear(&err);
	return 0;
}

/* 1: the call, 2: the adapter, then the arguments. */
static int method_body(lua_State *L)
{
	struct method_call *call = lua_touserdata(L, 1);
	int count = lua_gettop(L) - 1;

	if (lua_getfield(L, 2, queue_op_name(call->request.op)) != LUA_TFUNCTION) {
		error_set(&call->failure, ERROR_INTERNAL, "queue adapter '%s' has no %s any more",
		    call->queue->name, queue_op_name(call->request.op));
		return 0;
	}
	lua_insert(L, 2);
	lua_callk(L, count, 2, (lua_KContext)call, after_method);
	return after_method(L, LUA_OK, (lua_KContext)call);
}

static void copy_request(struct queue_request *to, const struct queue_request *from)
{
	to->op = from->op;
	to->task_id = xstrdup(from->task_id);
	to->queue_name = xstrdup(from->queue_name);
	to->from_queue = xstrdup(from->from_queue);
	to->target_queue = xstrdup(from->target_queue);
	to->text = xstrdup(from->text);
	to->queues = (const char *const *)xstrv_dup(from->queues);
	to->limit = from->limit;
	to->fields = json_object_get(from->fields);
}

static void clear_request(struct queue_request *request)
{
	free((char *)request->task_id);
	free((char *)request->queue_name);
	free((char *)request->from_queue);
	free((char *)request->target_queue);
	free((char *)request->text);
	xstrv_free((char **)request->queues);
	json_object_put(request->fields);
}

static void method_call_free(struct script_call *base)
{
	struct method_call *call = (struct method_call *)base;

	LIST_REMOVE(call, link);
	clear_request(&call->request);
	json_object_put(call->result);
	error_clear(&call->failure);
	free(call);
}

static void on_done(void *arg, const struct error *err)
{
	struct method_call *call = arg;

	script_call_end(&call->call);
	if (err == NULL && call->failure.code != ERROR_NONE)
		err = &call->failure;
	queue_answer(call->answer_to, json_object_get(call->result), err);
	method_call_free(&call->call);
}

static void submit(
    struct queue *queue, const struct queue_request *request, struct queue_call *answer_to)
{
	struct method_call *call = xcalloc(1, sizeof(*call));
	const struct coroutine_spec spec = {
	    .push = push_arguments,
	    .body = method_body,
	    .done = on_done,
	    .arg = call,
	    .what = queue_op_name(request->op), /* the deadline is the queue's */
	};

	call->call.free = method_call_free;
	call->queue = (struct lua_queue *)queue;
	call->answer_to = answer_to;
	copy_request(&call->request, request);
	LIST_INSERT_HEAD(&call->queue->calls, call, link);
	queue_call_set_data(answer_to, call);
	script_call_begin(&call->call, call->queue->script, &spec);
}

/* Ends the coroutine; nobody may be waiting for the answer any more. */
static void give_up(struct method_call *call, const char *why)
{
	struct queue_call *answer_to = call->answer_to;
	struct error err = {0};

	error_set(&err, ERROR_UNAVAILABLE, "%s of the queue '%s' was given up: %s",
	    queue_op_name(call->request.op), call->queue->name, why);
	script_cancel(&call->call);
	queue_answer(answer_to, NULL, &err);
	error_clear(&err);
}

static void cancel(struct queue *queue, struct queue_call *answer_to)
{
	(void)queue;
	give_up(queue_call_data(answer_to), "it was cancelled");
}

static void close_queue(struct queue *queue)
{
	struct lua_queue *lua_queue = (struct lua_queue *)queue;
	struct method_call *call;

	while ((call = LIST_FIRST(&lua_queue->calls)) != NULL)
		give_up(call, "the queue is being closed");
}

static int forget_adapter(lua_State *L)
{
	lua_pushnil(L);
	lua_rawsetp(L, LUA_REGISTRYINDEX, lua_touserdata(L, 1));
	return 0;
}

static void free_queue(struct queue *queue)
{
	struct lua_queue *lua_queue = (struct lua_queue *)queue;

	(void)vm_protect(lua_queue->script->vm, forget_adapter, lua_queue, NULL);
	script_unref(lua_queue->script);
	free(lua_queue->name);
	free(lua_queue);
}

/* ---- Opening ---- */

struct opening {
	struct lua_queue *queue;
	char *identity;
	struct error failure;
};

/* Replaces the backend on top by what its create_adapter() makes; false with failure set. */
static bool create_adapter(lua_State *L, struct opening *opening)
{
	if (lua_getfield(L, -1, "create_adapter") == LUA_TFUNCTION) {
		lua_insert(L, -2);
		lua_call(L, 1, 2);
		if (!lua_toboolean(L, -2) && !lua_isnil(L, -1)) { /* nil, error */
			lua_error_read(L, -1, &opening->failure);
			return false;
		}
		lua_pop(L, 1);
		return lua_backend_check(
		    L, -1, "the result of create_adapter()", &opening->failure);
	}
	lua_pop(L, 1);
	return lua_backend_check(L, -1, "queue_backend", &opening->failure);
}

/* adapter.identity, a string or a function; else it is the script's path. */
static bool read_identity(lua_State *L, struct opening *opening)
{
	int type = lua_getfield(L, -1, "identity");
	bool ok = true;

	if (type == LUA_TFUNCTION) {
		lua_pushvalue(L, -2);
		lua_call(L, 1, 1);
		type = lua_type(L, -1);
	}
	if (type != LUA_TNIL)
		ok = value_string(
		    L, -1, "identity of the queue adapter", &opening->identity, &opening->failure);
	else
		opening->identity = xasprintf("lua:%s", opening->queue->script->path);
	lua_pop(L, 1);
	return ok;
}

static void read_optional(lua_State *L, struct queue_vtable *vtable)
{
	for (enum queue_op op = QUEUE_CLAIM_TASK; op < QUEUE_OP_COUNT; op++) {
		if (lua_getfield(L, -1, queue_op_name(op)) == LUA_TFUNCTION)
			vtable->supported |= 1u << op;
		lua_pop(L, 1);
	}
}

static int open_body(lua_State *L)
{
	struct opening *opening = lua_touserdata(L, 1);
	struct lua_queue *queue = opening->queue;

	script_push_backend(L);
	if (!create_adapter(L, opening) || !read_identity(L, opening))
		return 0;
	if (lua_getfield(L, -1, "name") == LUA_TSTRING)
		(void)value_string(L, -1, "name", &queue->name, NULL);
	lua_pop(L, 1);
	read_optional(L, &queue->vtable);
	lua_rawsetp(L, LUA_REGISTRYINDEX, queue);
	return 0;
}

static struct lua_queue *create(struct script *script)
{
	struct lua_queue *queue = xcalloc(1, sizeof(*queue));

	queue->script = script_ref(script);
	queue->name = xstrdup("lua");
	LIST_INIT(&queue->calls);
	queue->vtable = (struct queue_vtable){
	    .submit = submit, .cancel = cancel, .free = free_queue, .close = close_queue};
	return queue;
}

struct queue *script_queue(struct script *script, struct error *err)
{
	struct opening opening = {.queue = NULL};
	const struct coroutine_spec spec = {
	    .body = open_body,
	    .arg = &opening,
	    .what = "while the queue backend is created",
	};
	bool ok;

	if (script->config->backend != BACKEND_LUA) {
		error_set(err, ERROR_INVALID, "the script's queue_backend is not written in Lua");
		return NULL;
	}
	opening.queue = create(script);
	ok = coroutine_run(script->vm, &spec, err);
	if (ok && opening.failure.code != ERROR_NONE) {
		error_clear(err);
		error_copy(err, &opening.failure);
		ok = false;
	}
	error_clear(&opening.failure);
	if (!ok) {
		free(opening.identity);
		free_queue(&opening.queue->queue);
		return NULL;
	}
	opening.queue->vtable.kind = opening.queue->name;
	queue_init(&opening.queue->queue, &opening.queue->vtable, script->loop, opening.identity);
	free(opening.identity);
	return &opening.queue->queue;
}
