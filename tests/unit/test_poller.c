/* Polling and claiming: nothing is polled for nothing, nothing ready is left out. */
#include "dispatch_helper.h"

#define SHELL "command = {'/bin/sh', '-c'}, poll_interval = 60"

static bool all_done(void)
{
	for (size_t i = 0; i < host.queue->count; i++)
		if (str_equal(host.queue->tasks[i].queue, "Todo"))
			return false;
	return true;
}

static bool polled(void)
{
	return calls(QUEUE_GET_READY_TASKS) > 0;
}

static bool polled_twice(void)
{
	return calls(QUEUE_GET_READY_TASKS) > 1;
}

/* What `when` refuses is asked for until all of it was seen, and then not before the next tick. */
static void test_refused(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		fake_add(&"1\0002\0003\0004\0005"[2 * i], "Todo");
	host_start(
	    "max_concurrent_agents = 1, " SHELL, "when = function() return false end", false);
	wait_until(polled);
	serve(0.3);
	assert_in_range(calls(QUEUE_GET_READY_TASKS), 3, 4); /* 1, 2, 4, 8 */
	assert_int_equal(calls(QUEUE_MOVE_TASK), 0);
}

/* A route of one slot gets past a task that is refused. */
static void test_refused_first(void **state)
{
	(void)state;
	fake_add("1", "Todo");
	fake_add("2", "Todo");
	host_start("max_concurrent_agents = 4, " SHELL,
	    "args = {'exit 0 #'}, max_concurrent = 1, success_queue = 'Done', "
	    "when = function(task) return task.id == '2' end",
	    true);
	wait_until(has_stopped);
	assert_task("2", "Done", "");
	assert_task("1", "Todo", "");
	assert_in_range(calls(QUEUE_GET_READY_TASKS), 1, 3);
}

/* A prompt that fails beside a task that is refused: both wait for the tick. */
static void test_held_and_refused(void **state)
{
	(void)state;
	fake_add("1", "Todo");
	fake_add("2", "Todo");
	host_start("max_concurrent_agents = 4, command = 'true', poll_interval = 0.2",
	    "when = function(task) if task.id == '1' then error('bad') end return false end",
	    false);
	log_set_level(LOG_ERROR + 1);
	wait_until(polled_twice);
	serve(0.5);
	assert_in_range(calls(QUEUE_GET_READY_TASKS), 2, 6);
}

/* More tasks than slots: each freed slot is filled at once, not at the next tick. */
static void test_more_than_slots(void **state)
{
	(void)state;
	for (int i = 0; i < 6; i++)
		fake_add(&"1\0002\0003\0004\0005\0006"[2 * i], "Todo");
	host_start("max_concurrent_agents = 2, " SHELL,
	    "args = {'exit 0 #'}, success_queue = 'Done'", false);
	wait_until(all_done);
}

/* A queue that lists a task which is elsewhere: looked at once, then at the next tick. */
static void test_lagging_index(void **state)
{
	(void)state;
	fake_add("1", "Done")->listed = "Todo";
	host_start("max_concurrent_agents = 1, " SHELL, "args = {'exit 0 #'}", false);
	wait_until(polled);
	serve(0.3);
	assert_int_equal(calls(QUEUE_GET_TASK), 1);
	assert_in_range(calls(QUEUE_GET_READY_TASKS), 1, 3);
	assert_task("1", "Done", "");
}

/* A look at the task that fails before anything was moved leaves the slot to others. */
static void test_look_fails(void **state)
{
	(void)state;
	host.queue->ops[QUEUE_GET_TASK] = (struct fake_op){.failures = 1, .code = ERROR_FORBIDDEN};
	fake_add("1", "Todo");
	fake_add("2", "Todo");
	log_set_level(LOG_ERROR + 1);
	host_start("max_concurrent_agents = 1, " SHELL,
	    "args = {'exit 0 #'}, success_queue = 'Done'", true);
	wait_until(has_stopped);
	assert_task("1", "Todo", "");
	assert_task("2", "Done", "");
}

/* A move that was made although it failed is found out, not made twice. */
static void test_uncertain_move(void **state)
{
	(void)state;
	host.queue->ops[QUEUE_MOVE_TASK] =
	    (struct fake_op){.failures = 1, .code = ERROR_TIMEOUT, .done_anyway = true};
	fake_add("1", "Todo");
	host_start("max_concurrent_agents = 1, " SHELL, "args = {'exit 0 #'}", true);
	wait_until(has_stopped);
	assert_task("1", "Doing", "");
	assert_int_equal(calls(QUEUE_MOVE_TASK), 1);
	assert_false(dispatcher_failed(host.dispatcher));
}

/* A retry waits for its time, and `once` for the retry. */
static void test_retry(void **state)
{
	(void)state;
	fake_add("1", "Todo");
	host_start("max_concurrent_agents = 1, " SHELL,
	    "args = {'exit 7 #'}, max_retries = 1, retry_backoff = 0.2, dead_letter_queue = 'Dead'",
	    true);
	wait_until(has_stopped);
	assert_task("1", "Dead",
	    "Agent failed: exit code 7.\n"
	    "Retry 1/1: exit code 7. Moving back to source queue for retry.\n"
	    "Agent failed: exit code 7.\n"
	    "Max retries (1) exhausted. Moving to dead-letter queue.\n");
	assert_in_range(calls(QUEUE_GET_READY_TASKS), 2, 5);
}

/* A backend that never answers a poll ends `once` with a failure. */
static void test_once_fails(void **state)
{
	(void)state;
	host.queue->ops[QUEUE_GET_READY_TASKS] =
	    (struct fake_op){.failures = 1000, .code = ERROR_UNAVAILABLE};
	log_set_level(LOG_ERROR + 1);
	host_start("max_concurrent_agents = 1, " SHELL, "args = {}", true);
	wait_until(has_stopped);
	assert_true(dispatcher_failed(host.dispatcher));
	assert_int_equal(calls(QUEUE_GET_READY_TASKS), 3);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    with_host(test_refused),
	    with_host(test_refused_first),
	    with_host(test_held_and_refused),
	    with_host(test_more_than_slots),
	    with_host(test_lagging_index),
	    with_host(test_look_fails),
	    with_host(test_uncertain_move),
	    with_host(test_retry),
	    with_host(test_once_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
