/* What the tests of the dispatcher share: a whole one, with a queue that fails and waits at will.
 */
#ifndef TEST_DISPATCH_HELPER_H
#define TEST_DISPATCH_HELPER_H

#include "check.h"

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "dispatch/dispatcher.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define UNUSED __attribute__((unused))
#define MAX_TASKS 16

struct fake_task {
	const char *id;
	char *queue;
	const char *listed; /* a queue that goes on listing it, as a lagging index does */
	char *comments;	    /* all of them, each with a newline */
};

/* How one operation behaves. */
struct fake_op {
	int calls;
	int failures; /* so many calls fail first */
	enum error_code code;
	bool done_anyway; /* a failing call has its effect all the same */
	bool hold;	  /* is answered by fake_release() */
};

struct fake_queue {
	struct queue base;
	struct fake_task tasks[MAX_TASKS];
	size_t count;
	struct fake_op ops[QUEUE_OP_COUNT];
	struct queue_call *held;
	struct json_object *held_result;
};

static struct {
	char *dir;
	struct loop *loop;
	struct worker *worker;
	struct reaper *reaper;
	struct store *store;
	struct script *script;
	struct fake_queue *queue;
	struct dispatcher *dispatcher;
	char *supervisor;
	bool stopped;
} host;

static struct fake_task *fake_find(struct fake_queue *queue, const char *id)
{
	for (size_t i = 0; i < queue->count; i++)
		if (strcmp(queue->tasks[i].id, id) == 0)
			return &queue->tasks[i];
	return NULL;
}

static UNUSED struct fake_task *fake_add(const char *id, const char *queue)
{
	struct fake_task *task = &host.queue->tasks[host.queue->count++];

	assert_true(host.queue->count <= MAX_TASKS);
	*task = (struct fake_task){.id = id, .queue = xstrdup(queue), .comments = xstrdup("")};
	return task;
}

static struct json_object *fake_json(const struct fake_task *task, const char *queue)
{
	struct json_object *object = json_object_new_object();

	json_put_string(object, "id", task->id);
	json_put_string(object, "name", task->id);
	json_put_string(object, "queue", queue);
	return object;
}

static struct json_object *fake_ready(struct fake_queue *queue, const struct queue_request *request)
{
	struct json_object *list = json_object_new_array();

	for (size_t q = 0; request->queues[q] != NULL; q++) {
		size_t taken = 0;

		for (size_t i = 0; i < queue->count && taken < request->limit; i++) {
			const struct fake_task *task = &queue->tasks[i];

			if (!str_equal(task->queue, request->queues[q]) &&
			    !str_equal(task->listed, request->queues[q]))
				continue;
			json_object_array_add(list, fake_json(task, request->queues[q]));
			taken++;
		}
	}
	return list;
}

static struct json_object *fake_perform(
    struct fake_queue *queue, const struct queue_request *request, struct error *err)
{
	struct fake_task *task;

	if (request->op == QUEUE_GET_READY_TASKS)
		return fake_ready(queue, request);
	task = fake_find(queue, request->task_id);
	if (task == NULL) {
		error_set(err, ERROR_NOT_FOUND, "there is no task %s", request->task_id);
		return NULL;
	}
	if (request->op == QUEUE_MOVE_TASK) {
		free(task->queue);
		task->queue = xstrdup(request->target_queue);
	} else if (request->op == QUEUE_ADD_COMMENT) {
		char *old = task->comments;

		task->comments = xasprintf("%s%s\n", old, request->text);
		free(old);
	}
	return fake_json(task, task->queue);
}

static void fake_submit(
    struct queue *base, const struct queue_request *request, struct queue_call *call)
{
	struct fake_queue *queue = (struct fake_queue *)base;
	struct fake_op *op = &queue->ops[request->op];
	struct json_object *result = NULL;
	struct error err = {0};

	op->calls++;
	if (op->failures > 0) {
		op->failures--;
		if (op->done_anyway)
			json_object_put(fake_perform(queue, request, &err));
		error_set(&err, op->code, "it failed");
	} else {
		result = fake_perform(queue, request, &err);
	}
	if (op->hold) {
		assert_null(queue->held);
		op->hold = false;
		queue->held = call;
		queue->held_result = result;
	} else {
		queue_answer(call, result, err.code != ERROR_NONE ? &err : NULL);
	}
	error_clear(&err);
}

static UNUSED void fake_release(struct fake_queue *queue)
{
	struct queue_call *call = queue->held;

	if (call == NULL)
		return;
	queue->held = NULL;
	queue_answer(call, queue->held_result, NULL);
}

static void fake_close(struct queue *base)
{
	fake_release((struct fake_queue *)base);
}

static void fake_free(struct queue *base)
{
	struct fake_queue *queue = (struct fake_queue *)base;

	for (size_t i = 0; i < queue->count; i++) {
		free(queue->tasks[i].queue);
		free(queue->tasks[i].comments);
	}
	free(queue);
}

static struct fake_queue *fake_open(struct loop *loop)
{
	static const struct queue_vtable vtable = {
	    .kind = "fake", .submit = fake_submit, .free = fake_free, .close = fake_close};
	struct fake_queue *queue = xcalloc(1, sizeof(*queue));

	queue_init(&queue->base, &vtable, loop, "fake");
	return queue;
}

static void on_stopped(void *arg)
{
	(void)arg;
	host.stopped = true;
}

/* The supervisor of the build that this test belongs to: two folders above the test's own. */
static char *find_supervisor(void)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *path;

	assert_true(n > 0);
	self[n] = '\0';
	for (int i = 0; i < 3; i++)
		*strrchr(self, '/') = '\0';
	path = xasprintf("%s/athanore-supervise", self);
	if (access(path, X_OK) != 0)
		fail_msg("%s is missing: make it first", path);
	return path;
}

static UNUSED int host_up(void **state)
{
	struct error err = {0};

	if (make_temp_dir(state) != 0)
		return -1;
	log_set_level(LOG_ERROR);
	host.dir = *state;
	host.stopped = false;
	host.loop = loop_create();
	host.worker = worker_create(host.loop);
	host.reaper = reaper_create(host.loop);
	host.store = store_open(host.worker, host.dir, "fake", &err);
	host.queue = fake_open(host.loop);
	return host.store == NULL ? -1 : 0;
}

/* Starts a dispatcher with `options` and a route "Todo" with `route`: Lua, in a table. */
static UNUSED void host_start(const char *options, const char *route, bool once)
{
	struct script_problems problems = {0};
	struct error err = {0};
	char *path = fs_join(host.dir, "routes.lua");
	char *supervisor = find_supervisor();
	char *text = xasprintf("local athanore = require 'athanore'\n"
			       "local d = athanore.dispatcher { queue_backend = "
			       "athanore.json_file 'b.json', %s }\n"
			       "d:route { queue_name = 'Todo', in_progress_queue = 'Doing', "
			       "prompt = function() return 'go' end, %s }\nreturn d\n",
	    options, route);

	assert_true(fs_write_atomic(path, text, strlen(text), 0600, false, NULL));
	host.script = script_load(host.loop, path, &problems);
	if (host.script == NULL)
		fail_msg("%s", problems.list[0].message);
	host.dispatcher = dispatcher_create(&(struct dispatcher_options){
	    .loop = host.loop,
	    .worker = host.worker,
	    .reaper = host.reaper,
	    .store = host.store,
	    .queue = &host.queue->base,
	    .script = host.script,
	    .state_dir = host.dir,
	    .supervisor = supervisor,
	    .api_url = "http://127.0.0.1:1",
	    .once = once,
	    .stopped = on_stopped,
	});
	if (!dispatcher_start(host.dispatcher, &err))
		fail_msg("%s", err.message);
	free(path);
	free(text);
	host.supervisor = supervisor;
}

static void tick(void *arg)
{
	(void)arg;
	loop_stop(host.loop);
}

/* Serves the loop until the condition holds; fails after 20 seconds. */
static UNUSED void wait_until(bool (*condition)(void))
{
	struct loop_timer *timer = loop_timer_create(host.loop, tick, NULL);

	for (int i = 0; !condition(); i++) {
		if (i == 4000)
			fail_msg("waited for too long");
		loop_timer_set(timer, 0.005);
		loop_run(host.loop);
	}
	loop_timer_free(timer);
}

static UNUSED bool has_stopped(void)
{
	return host.stopped;
}

/* Serves the loop for a time in which something is not to happen. */
static UNUSED void serve(double seconds)
{
	struct loop_timer *timer = loop_timer_create(host.loop, tick, NULL);

	loop_timer_set(timer, seconds);
	loop_run(host.loop);
	loop_timer_free(timer);
}

static UNUSED int calls(enum queue_op op)
{
	return host.queue->ops[op].calls;
}

static UNUSED void assert_task(const char *id, const char *queue, const char *comments)
{
	const struct fake_task *task = fake_find(host.queue, id);

	assert_non_null(task);
	assert_string_equal(task->queue, queue);
	assert_string_equal(task->comments, comments);
}

/* Stops and frees everything, in the daemon's order. */
static UNUSED int host_down(void **state)
{
	if (host.dispatcher != NULL && !host.stopped) {
		dispatcher_stop(host.dispatcher);
		dispatcher_stop(host.dispatcher);
		wait_until(has_stopped);
	}
	worker_flush(host.worker);
	loop_settle(host.loop);
	dispatcher_free(host.dispatcher);
	host.dispatcher = NULL;
	queue_free(&host.queue->base);
	script_unref(host.script);
	host.script = NULL;
	worker_free(host.worker);
	store_free(host.store);
	reaper_free(host.reaper);
	loop_free(host.loop);
	free(host.supervisor);
	host.supervisor = NULL;
	return remove_temp_dir(state);
}

#define with_host(test) cmocka_unit_test_setup_teardown(test, host_up, host_down)

#endif
