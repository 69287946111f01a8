/* Routes that come, change and go while tasks wait for them and claims are made. */
#include "check.h"

#include "base/alloc.h"
#include "base/json.h"
#include "dispatch/route_table.h"

#include <stdlib.h>
#include <string.h>

static struct config *config;
static struct dispatcher d;

static struct route *script_route(const char *queue_name, const char *in_progress, int order)
{
	struct route *route = route_create(order);

	route->queue_name = xstrdup(queue_name);
	route->in_progress_queue = xstrdup(in_progress);
	route->command = xstrv_add(NULL, "x");
	route->poll_interval = 30;
	route->script_index = order;
	route->line = order + 1;
	return route;
}

static int set_up(void **state)
{
	(void)state;
	config = config_create();
	config->script_dir = xstrdup("/tmp");
	config->defaults->in_progress_queue = xstrdup("WIP");
	config->defaults->command = xstrv_add(NULL, "agent");
	config->defaults->poll_interval = 30;
	config->defaults->max_retries = 2;
	config_add_route(config, script_route("A", "A wip", 0));
	config_add_route(config, script_route("B", "B wip", 1));
	d = (struct dispatcher){.config = config};
	route_table_load(&d);
	return 0;
}

static int tear_down(void **state)
{
	struct live *live, *next;

	(void)state;
	HASH_ITER (hh, d.lives, live, next) {
		HASH_DEL(d.lives, live);
		run_free(live->run);
		free(live);
	}
	xstrv_free(d.paused_queues);
	route_table_free(&d);
	config_free(config);
	return 0;
}

static struct json_object *parse(const char *text)
{
	struct json_object *value = json_parse(text, strlen(text), NULL);

	assert_non_null(value);
	return value;
}

static struct route *define(const char *text, bool replace, const char *field, const char *why)
{
	struct json_object *options = parse(text);
	const char *got_field = "untouched";
	struct error err = {0};
	struct route *route =
	    route_define(&d, d.config->defaults, replace, options, &got_field, &err);

	json_object_put(options);
	if (why == NULL && route == NULL)
		fail_msg("%s", err.message);
	if (why != NULL) {
		assert_null(route);
		if (strstr(err.message, why) == NULL)
			fail_msg("'%s' does not contain '%s'", err.message, why);
		assert_string_equal(got_field, field);
	}
	error_clear(&err);
	return route;
}

/* What a poll has brought for the route. */
static void add_task(const char *id, const char *queue_name)
{
	struct route_state *route = poller_route(&d, queue_name);
	struct json_object *task = json_object_new_object();

	json_put_string(task, "id", id);
	json_put_string(task, "queue", queue_name);
	route->tasks = xreallocarray(route->tasks, route->task_count + 1, sizeof(task));
	route->tasks[route->task_count++] = task;
}

/* A claim that is being let go, or a run. */
static struct live *add_live(const char *task_id, const char *queue_name, bool preparing)
{
	struct run *run = run_create();
	struct live *live;

	run->task_id = xstrdup(task_id);
	run->queue_name = xstrdup(queue_name);
	live = live_create(&d, run);
	live->has_slot = true;
	live->stored = !preparing;
	live->let_go = preparing;
	return live;
}

static void assert_order(const char *expected)
{
	char got[64] = "";

	for (size_t i = 0; i < d.route_count; i++)
		strcat(got, d.routes[i].route->queue_name);
	assert_string_equal(got, expected);
}

static void test_order(void **state)
{
	(void)state;
	assert_order("AB");
	route_table_put(&d,
	    define("{\"queue_name\":\"C\",\"prompt\":\"x\",\"priority\":1}", false, NULL, NULL),
	    parse("{}"));
	assert_order("CAB");
	route_table_put(
	    &d, define("{\"queue_name\":\"D\",\"prompt\":\"x\"}", false, NULL, NULL), parse("{}"));
	assert_order("CABD");
	route_table_remove(&d, poller_route(&d, "A"));
	assert_order("CBD");
	assert_null(poller_route(&d, "A"));
}

static void assert_tasks(const char *queue_name, size_t next, const char *ids)
{
	const struct route_state *route = poller_route(&d, queue_name);
	char got[16] = "";

	for (size_t i = 0; i < route->task_count; i++)
		strcat(got, json_get_string(route->tasks[i], "id"));
	assert_string_equal(got, ids);
	assert_int_equal(route->task_next, next);
}

static void test_tasks_follow(void **state)
{
	struct route *copy = route_copy(poller_route(&d, "B")->route);

	(void)state;
	add_task("0", "A");
	add_task("1", "A");
	add_task("2", "B");
	add_task("3", "A");
	add_task("4", "B");
	poller_route(&d, "A")->task_next = 1;
	route_table_put(&d,
	    define("{\"queue_name\":\"C\",\"prompt\":\"x\",\"priority\":1}", false, NULL, NULL),
	    parse("{}"));
	assert_tasks("A", 1, "013");
	assert_tasks("B", 0, "24");
	assert_tasks("C", 0, "");
	route_table_remove(&d, poller_route(&d, "A"));
	assert_tasks("B", 0, "24");
	route_table_put(&d, copy, NULL);
	assert_tasks("B", 0, "24");
	route_table_put(
	    &d, define("{\"queue_name\":\"A\",\"prompt\":\"x\"}", false, NULL, NULL), parse("{}"));
	assert_tasks("A", 0, "");
}

static void test_slots_are_counted_anew(void **state)
{
	struct route *copy = route_copy(poller_route(&d, "A")->route);

	(void)state;
	add_live("1", "A", false);
	add_live("2", "A", true);
	add_live("3", "B", false);
	route_table_remove(&d, poller_route(&d, "A"));
	route_table_put(&d, copy, NULL);
	assert_int_equal(poller_route(&d, "A")->running, 2);
}

static void test_define(void **state)
{
	struct route *route =
	    define("{\"queue_name\":\"C\",\"prompt\":\"{{task.id}}\",\"args\":[\"a\"],"
		   "\"timeout\":1.5,\"max_retries\":null,\"priority\":null}",
		false, NULL, NULL);

	(void)state;
	assert_string_equal(route->prompt, "{{task.id}}");
	assert_string_equal(route->in_progress_queue, "WIP");
	assert_string_equal(route->command[0], "agent");
	assert_string_equal(route->args[0], "a");
	assert_true(route->timeout == 1.5);
	assert_int_equal(route->max_retries, 0);
	assert_int_equal(route->script_index, -1);
	assert_false(route->has_priority);
	route_free(route);
}

static void test_refused(void **state)
{
	(void)state;
	define("{\"prompt\":\"x\"}", false, "queue_name", "queue_name is missing");
	define("{\"queue_name\":\"C\"}", false, "prompt", "prompt is missing");
	define("{\"queue_name\":\"A\",\"prompt\":\"x\"}", false, "queue_name",
	    "has a route already, at line 1");
	define("{\"queue_name\":\"C\",\"in_progress_queue\":\"B\",\"prompt\":\"x\"}", false,
	    "in_progress_queue", "watched by the route of line 2");
	define("{\"queue_name\":\"A wip\",\"prompt\":\"x\"}", false, "queue_name",
	    "in_progress_queue of the route of queue 'A'");
	define("{\"queue_name\":\"WIP\",\"prompt\":\"x\"}", false, "in_progress_queue",
	    "the queue that the route watches");
	define("{\"queue_name\":\"C\",\"prompt\":\"x\",\"max_concurrent\":-1}", false,
	    "max_concurrent", "at least 1");
	define("{\"queue_name\":\"C\",\"prompt\":\"x\",\"env\":{\"1A\":\"x\"}}", false, "env",
	    "no name of a variable");
	define("{\"queue_name\":\"C\",\"prompt\":\"x\",\"env\":{\"ATHANORE_API\":\"x\"}}", false,
	    "env", "set by athanore");
	define("{\"queue_name\":\"C\",\"prompt\":\"x\",\"command\":\"no such program -p\"}", false,
	    "command", "one executable");
	/* In the place of the one that is there, it may watch its queue. */
	route_free(define("{\"queue_name\":\"A\",\"prompt\":\"x\"}", true, NULL, NULL));
	xstrv_free(config->defaults->command);
	config->defaults->command = xcalloc(1, sizeof(char *));
	config->agent_needs_command = true;
	define("{\"queue_name\":\"C\",\"prompt\":\"x\"}", false, "command", "command is missing");
}

static void test_pause_follows(void **state)
{
	(void)state;
	d.paused_queues = xstrv_add(NULL, "C");
	pause_apply(&d);
	assert_false(poller_route(&d, "A")->paused);
	route_table_put(
	    &d, define("{\"queue_name\":\"C\",\"prompt\":\"x\"}", false, NULL, NULL), parse("{}"));
	assert_true(poller_route(&d, "C")->paused);
	assert_false(pause_covers_all(&d));
	pause_forget(&d, "C");
	d.paused = true;
	pause_apply(&d);
	assert_true(pause_covers_all(&d));
	d.paused = false;
	pause_apply(&d);
	assert_false(poller_route(&d, "C")->paused);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_tasks_follow, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_slots_are_counted_anew, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_define, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_pause_follows, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
