/* Each allocation of Lua failing in turn, over loading, preparing and queue calls: always an
 * error, never an abort, and nothing leaks. */
#include "script_helper.h"

#include "base/clock.h"

#define SCRIPT                                                                                    \
	"local athanore = require 'athanore'\n"                                                   \
	"local a = {}\n"                                                                          \
	"for _, name in ipairs { 'get_ready_tasks', 'get_task', 'move_task', 'add_comment', "     \
	"'update_task',\n"                                                                        \
	"  'create_task', 'list_queues', 'get_queue', 'create_queue', 'update_queue', "           \
	"'delete_queue' } do\n"                                                                   \
	"  a[name] = function() return nil, athanore.error('not_found', 'none') end\n"            \
	"end\n"                                                                                   \
	"a.get_task = function(self, id) athanore.sleep(0)\n"                                     \
	"  return {id = id, name = 'n', queue = 'Todo', labels = {'x'}, description = "           \
	"athanore.json.null} end\n"                                                               \
	"a.create_adapter = function() return a end\n"                                            \
	"local d = athanore.dispatcher { command = 'agent', queue_backend = a, env = {A = 1} }\n" \
	"d:route { queue_name = 'Todo', args = {'-p'}, when = function(t) return t.id end,\n"     \
	"  prompt = function(id, name, task)\n"                                                   \
	"    athanore.sleep(0)\n"                                                                 \
	"    local t <close> = setmetatable({}, {__close = function() return {} end})\n"          \
	"    local co = coroutine.wrap(function() coroutine.yield(athanore.json.encode(task)) "   \
	"end)\n"                                                                                  \
	"    return name .. co() .. tostring(athanore.json.decode('[1,{\"a\":null}]')[1])\n"      \
	"  end }\n"                                                                               \
	"return d\n"

/* How far one round came; each step only after the last one. */
enum step { AT_LOAD, AT_PREPARE, AT_EVENT, AT_OPEN, AT_CALL, AT_END };

static enum step round_of_all(const char *path)
{
	const char *event = "event";
	struct script_problems problems = {0};
	struct script *script = script_load(loop, path, &problems);
	struct json_object *args = parse("[{\"id\":\"1\"},\"x\"]");
	struct error err = {0};
	struct answer answer;
	enum step step = AT_LOAD;
	struct queue *queue;

	if (script == NULL) {
		assert_true(problems.count > 0);
		assert_non_null(problems.list[0].message);
		goto out;
	}
	step = AT_PREPARE;
	prepare_task(script, TASK, &answer);
	if (answer.prepared == NULL) {
		assert_non_null(answer.err.message);
		answer_clear(&answer);
		goto out;
	}
	answer_clear(&answer);
	step = AT_EVENT;
	(void)script_agent_has(script, script_config(script)->routes[0], event);
	script_agent_call(
	    script, script_config(script)->routes[0], event, args, 5, on_result, &answer);
	run_until_stopped();
	assert_int_not_equal(answer.err.code, ERROR_NONE); /* subprocess has no event */
	answer_clear(&answer);
	step = AT_OPEN;
	queue = script_queue(script, &err);
	if (queue == NULL) {
		assert_non_null(err.message);
		goto out;
	}
	step = AT_CALL;
	queue_call(queue, &(struct queue_request){.op = QUEUE_GET_TASK, .task_id = "1"}, 5,
	    on_result, &answer);
	run_until_stopped();
	if (answer.err.code == ERROR_NONE)
		step = AT_END;
	answer_clear(&answer);
	queue_free(queue);
out:
	json_object_put(args);
	error_clear(&err);
	script_problems_free(&problems);
	script_unref(script);
	return step;
}

/* Fails the allocations from the n-th on, `count` of them, for each n until none is left. */
static void sweep(size_t count, size_t stride)
{
	char *path = write_file("routes.lua", SCRIPT);
	bool seen[AT_END + 1] = {false};
	double end = clock_monotonic() + 120;

	vm_fail_allocations(0, 0);
	assert_int_equal(round_of_all(path), AT_END);
	for (size_t n = 0;; n += stride) {
		enum step step;

		vm_fail_allocations(n, count);
		step = round_of_all(path);
		seen[step] = true;
		if (vm_fail_allocations_left() == count)
			break;
		if (clock_monotonic() > end)
			fail_msg("too slow");
	}
	vm_fail_allocations(0, 0);
	assert_true(
	    seen[AT_LOAD] && seen[AT_PREPARE] && seen[AT_OPEN] && seen[AT_CALL] && seen[AT_END]);
	assert_int_equal(round_of_all(path), AT_END);
	free(path);
}

/* Memory stays short: what follows the first failure fails too. */
static void test_all_that_follow(void **state)
{
	(void)state;
	sweep(SIZE_MAX, 1);
}

/* Memory comes back: one allocation, and the second try that Lua makes, fail. */
static void test_one_alone(void **state)
{
	(void)state;
	sweep(2, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_all_that_follow),
	    TEST(test_one_alone),
	};

	return cmocka_run_group_tests_name("script_memory", tests, NULL, NULL);
}
