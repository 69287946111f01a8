/* The dispatcher's way to rest, whatever is under way. */
#include "dispatch_helper.h"

#include <glob.h>

#define OPTIONS "max_concurrent_agents = 2, command = {'/bin/sh', '-c'}, poll_interval = 60, "

static char *started_path;

/* The agent says by a file that it runs. */
static void start(const char *options, const char *route, const char *then)
{
	char *all = xasprintf(OPTIONS "%s", options);
	char *text;

	free(started_path);
	started_path = fs_join(host.dir, "started");
	text = xasprintf("args = {': > %s; %s #'}, %s", started_path, then, route);
	host_start(all, text, false);
	free(all);
	free(text);
}

static bool agent_runs(void)
{
	return access(started_path, F_OK) == 0;
}

static bool is_held(void)
{
	return host.queue->held != NULL;
}

static size_t count_agents(void)
{
	struct json_object *list = dispatcher_agents(host.dispatcher);
	size_t count = json_object_array_length(list);

	json_object_put(list);
	return count;
}

/* The path of a file that a run's folder has, or NULL. */
static char *run_file(const char *name)
{
	char *pattern = xasprintf("%s/runs/*/%s", host.dir, name);
	char *path = NULL;
	glob_t found;

	if (glob(pattern, 0, NULL, &found) == 0) {
		path = xstrdup(found.gl_pathv[0]);
		globfree(&found);
	}
	free(pattern);
	return path;
}

/* The supervisor has written its last word, so that the folder can go. */
static bool exit_written(void)
{
	char *path = run_file("exit.json");
	bool there = path != NULL;

	free(path);
	return there;
}

static void assert_stop_reason(const char *expected)
{
	char *path = run_file("stop.json");
	struct str text = {0};

	assert_non_null(path);
	assert_true(fs_read(path, &text, 1000, NULL));
	assert_string_equal(text.data, expected);
	str_free(&text);
	free(path);
}

static void test_cancel(void **state)
{
	(void)state;
	fake_add("1", "Todo");
	start("stop_timeout = 60", "max_retries = 3", "sleep 60");
	wait_until(agent_runs);
	dispatcher_stop(host.dispatcher);
	wait_until(has_stopped);
	assert_task("1", "Todo",
	    "Agent stopped: athanore is shutting down. Moving back to source queue.\n");
}

/* What a person has cancelled stays so when the daemon stops in the same moment. */
static void test_cancelled_before(void **state)
{
	struct error err = {0};

	(void)state;
	fake_add("1", "Todo");
	start("stop_timeout = 60", "max_retries = 3", "sleep 60");
	wait_until(agent_runs);
	assert_true(dispatcher_cancel(host.dispatcher, "1", &err));
	dispatcher_stop(host.dispatcher);
	assert_stop_reason("{\"reason\":\"cancelled\"}\n");
	wait_until(has_stopped);
	assert_task("1", "Doing", "Agent cancelled on request; leaving the task in \"Doing\".\n");
}

/* A backend that takes nothing any more holds the stop up for stop_timeout only. */
static void test_dead_backend(void **state)
{
	(void)state;
	fake_add("1", "Todo");
	start("stop_timeout = 0.3", "max_retries = 3", "sleep 60");
	wait_until(agent_runs);
	log_set_level(LOG_ERROR + 1);
	host.queue->ops[QUEUE_ADD_COMMENT] =
	    (struct fake_op){.failures = 1000000, .code = ERROR_UNAVAILABLE};
	dispatcher_stop(host.dispatcher);
	wait_until(has_stopped);
	assert_task("1", "Doing", "");
}

/* The same where the daemon waited for the agent to end by itself. */
static void test_drain_dead_backend(void **state)
{
	(void)state;
	fake_add("1", "Todo");
	start("stop_timeout = 0.3, on_shutdown = 'drain'", "success_queue = 'Done'", "sleep 0.3");
	wait_until(agent_runs);
	log_set_level(LOG_ERROR + 1);
	host.queue->ops[QUEUE_GET_TASK] =
	    (struct fake_op){.failures = 1000000, .code = ERROR_UNAVAILABLE};
	dispatcher_stop(host.dispatcher);
	wait_until(has_stopped);
	assert_task("1", "Doing", "");
}

static void test_drain(void **state)
{
	(void)state;
	fake_add("1", "Todo");
	start("stop_timeout = 60, on_shutdown = 'drain'", "success_queue = 'Done'", "sleep 0.2");
	wait_until(agent_runs);
	dispatcher_stop(host.dispatcher);
	wait_until(has_stopped);
	assert_task("1", "Done", "");
}

/* A second signal ends what the first one waited for. */
static void test_drain_twice(void **state)
{
	(void)state;
	fake_add("1", "Todo");
	start("stop_timeout = 60, on_shutdown = 'drain'", "max_retries = 3", "sleep 60");
	wait_until(agent_runs);
	dispatcher_stop(host.dispatcher);
	serve(0.05);
	assert_false(host.stopped);
	dispatcher_stop(host.dispatcher);
	wait_until(has_stopped);
	assert_task("1", "Todo",
	    "Agent stopped: athanore is shutting down. Moving back to source queue.\n");
}

/* A claim that was under way is finished, its agent started and left. */
static void test_detach_claim(void **state)
{
	(void)state;
	fake_add("1", "Todo");
	host.queue->ops[QUEUE_MOVE_TASK].hold = true;
	start("stop_timeout = 60, on_shutdown = 'detach'", "max_retries = 3", "sleep 0.3");
	wait_until(is_held);
	dispatcher_stop(host.dispatcher);
	serve(0.05);
	assert_false(host.stopped);
	fake_release(host.queue);
	wait_until(has_stopped);
	assert_int_equal(count_agents(), 1);
	assert_task("1", "Doing", "");
	wait_until(exit_written);
	assert_true(agent_runs());
}

/* A claim under way is undone where the agents are to be ended. */
static void test_cancel_claim(void **state)
{
	(void)state;
	fake_add("1", "Todo");
	host.queue->ops[QUEUE_MOVE_TASK].hold = true;
	start("stop_timeout = 60", "max_retries = 3", "sleep 60");
	wait_until(is_held);
	dispatcher_stop(host.dispatcher);
	fake_release(host.queue);
	wait_until(has_stopped);
	assert_false(agent_runs());
	assert_task("1", "Todo",
	    "Agent stopped: athanore is shutting down. Moving back to source queue.\n");
}

/* A queue that answers neither a claim nor anything else. */
static void test_claim_without_answer(void **state)
{
	(void)state;
	fake_add("1", "Todo");
	host.queue->ops[QUEUE_MOVE_TASK].hold = true;
	log_set_level(LOG_ERROR + 1);
	start("stop_timeout = 0.2", "max_retries = 3", "sleep 60");
	wait_until(is_held);
	dispatcher_stop(host.dispatcher);
	wait_until(has_stopped);
	assert_false(agent_runs());
}

/* A task that the agent itself is moving was not taken from it; one that nobody asked to move was.
 */
static void test_moved_by_agent(void **state)
{
	struct fake_task *task = fake_add("1", "Todo");

	(void)state;
	start("stop_timeout = 60", "cancel_when_moved = true", "sleep 60");
	wait_until(agent_runs);
	serve(0.1);
	dispatcher_move_asked(host.dispatcher, "1");
	free(task->queue);
	task->queue = xstrdup("Done");
	queue_changed(&host.queue->base);
	serve(0.1);
	assert_int_equal(calls(QUEUE_ADD_COMMENT), 0);
	assert_null(run_file("stop.json"));
	dispatcher_note(host.dispatcher, "1", "moved", NULL);
	queue_changed(&host.queue->base);
	serve(0.05);
	assert_int_equal(count_agents(), 1);
}

static void test_moved_by_another(void **state)
{
	struct fake_task *task = fake_add("1", "Todo");

	(void)state;
	start("stop_timeout = 60", "cancel_when_moved = true", "sleep 60");
	wait_until(agent_runs);
	serve(0.1);
	free(task->queue);
	task->queue = xstrdup("Later");
	queue_changed(&host.queue->base);
	wait_until(exit_written);
	assert_stop_reason("{\"reason\":\"moved\"}\n");
}

static bool run_ended(void)
{
	return host.queue->ops[QUEUE_ADD_COMMENT].calls > 0;
}

/* A look for a moved task that is answered after its run is gone. */
static void test_late_look(void **state)
{
	(void)state;
	fake_add("1", "Todo");
	start("stop_timeout = 60", "cancel_when_moved = true", "sleep 60");
	wait_until(agent_runs);
	serve(0.1);
	host.queue->ops[QUEUE_GET_TASK].hold = true;
	queue_changed(&host.queue->base);
	wait_until(is_held);
	assert_true(dispatcher_cancel(host.dispatcher, "1", NULL));
	wait_until(run_ended);
	serve(0.1);
	fake_release(host.queue);
	serve(0.1);
	assert_int_equal(count_agents(), 0);
}

static int forget_path(void **state)
{
	(void)state;
	free(started_path);
	started_path = NULL;
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    with_host(test_cancel),
	    with_host(test_cancelled_before),
	    with_host(test_dead_backend),
	    with_host(test_drain_dead_backend),
	    with_host(test_drain),
	    with_host(test_drain_twice),
	    with_host(test_detach_claim),
	    with_host(test_cancel_claim),
	    with_host(test_claim_without_answer),
	    with_host(test_late_look),
	    with_host(test_moved_by_agent),
	    with_host(test_moved_by_another),
	};

	return cmocka_run_group_tests(tests, NULL, forget_path);
}
