/* Routes and the configuration that holds them, as plain records. */
#include "check.h"

#include "base/json.h"
#include "model/config.h"

#include <string.h>

static struct route *with_priority(int order, bool has, double priority)
{
	struct route *route = route_create(order);

	route->has_priority = has;
	route->priority = priority;
	return route;
}

/* By priority, lower first; those without one last; by registration where that says nothing. */
static void test_order(void **state)
{
	struct route *routes[] = {with_priority(4, true, -1), with_priority(3, true, 0.5),
	    with_priority(1, true, 1), with_priority(5, true, 1), with_priority(0, false, 0),
	    with_priority(2, false, -7)};
	size_t count = sizeof(routes) / sizeof(*routes);

	(void)state;
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < count; j++) {
			int order = route_compare(routes[i], routes[j]);

			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
		}
	for (size_t i = 0; i < count; i++)
		route_free(routes[i]);
	route_free(NULL);
}

static void assert_json(const struct route *route, const char *wanted)
{
	struct json_object *object = route_to_json(route);
	char *text = json_print(object);

	assert_string_equal(text, wanted);
	free(text);
	json_object_put(object);
}

static void test_to_json(void **state)
{
	struct route *route = route_create(0);

	(void)state;
	assert_int_equal(route->script_index, -1);
	route->queue_name = xstrdup("Todo");
	route->in_progress_queue = xstrdup("WIP");
	route->agent = xstrdup("subprocess");
	route->poll_interval = 30;
	assert_json(route,
	    "{\"queue_name\":\"Todo\",\"in_progress_queue\":\"WIP\",\"command\":[],\"args\":[],"
	    "\"cwd\":null,\"env\":[],\"agent\":\"subprocess\",\"prompt\":null,\"timeout\":null,"
	    "\"stall_timeout\":null,\"poll_interval\":30,\"retry_backoff\":null,\"priority\":null,"
	    "\"max_retries\":0,\"dead_letter_queue\":null,\"success_queue\":null,"
	    "\"require_move\":false,\"cancel_when_moved\":false,\"max_concurrent\":null}");
	route->command = xstrv_add(NULL, "claude");
	route->args = xstrv_add(xstrv_add(NULL, "-p"), "");
	route->cwd = xstrdup("/tmp");
	route->env = xstrv_add(xstrv_add(NULL, "KEY=secret=value"), "EMPTY=");
	route->prompt = xstrdup("Do {{task.id}}");
	route->timeout = 0.5;
	route->stall_timeout = 60;
	route->retry_backoff = 2.25;
	route->has_priority = true;
	route->max_retries = 3;
	route->dead_letter_queue = xstrdup("Dead");
	route->success_queue = xstrdup("Done");
	route->require_move = route->cancel_when_moved = true;
	route->max_concurrent = 2;
	assert_json(route,
	    "{\"queue_name\":\"Todo\",\"in_progress_queue\":\"WIP\",\"command\":[\"claude\"],"
	    "\"args\":[\"-p\",\"\"],\"cwd\":\"/tmp\",\"env\":[\"KEY\",\"EMPTY\"],"
	    "\"agent\":\"subprocess\",\"prompt\":\"Do "
	    "{{task.id}}\",\"timeout\":0.5,\"stall_timeout\":60,\"poll_interval\":30,"
	    "\"retry_backoff\":2.25,\"priority\":0,\"max_retries\":3,"
	    "\"dead_letter_queue\":\"Dead\",\"success_queue\":\"Done\",\"require_move\":true,"
	    "\"cancel_when_moved\":true,\"max_concurrent\":2}");
	route_free(route);
}

static void test_config(void **state)
{
	struct config *config = config_create();

	(void)state;
	assert_non_null(config->command);
	assert_null(config->command[0]);
	assert_true(config->poll_interval == 30 && config->agent_timeout == 0);
	assert_int_equal(config->max_concurrent_agents, 3);
	assert_string_equal(config->api_host, "127.0.0.1");
	assert_int_equal(config->api_port, 8000);
	assert_null(config->api_token);
	assert_int_equal(config->max_retries, 0);
	assert_null(config->dead_letter_queue);
	assert_false(config->enable_queue_management);
	assert_true(config->history_days == 30 && config->stop_timeout == 10);
	assert_int_equal(config->on_shutdown, SHUTDOWN_CANCEL);
	assert_int_equal(config->max_log, 256 << 20);
	assert_int_equal(config->backend, BACKEND_NONE);
	for (int i = 0; i < 40; i++)
		config_add_route(config, route_create(i));
	assert_int_equal(config->route_count, 40);
	assert_int_equal(config->routes[39]->order, 39);
	config_free(config);
	config_free(NULL);
}

static void test_shutdown_modes(void **state)
{
	enum shutdown_mode mode = SHUTDOWN_DRAIN;

	(void)state;
	assert_false(shutdown_mode_parse("", &mode));
	assert_false(shutdown_mode_parse("Cancel", &mode));
	assert_int_equal(mode, SHUTDOWN_DRAIN);
	for (enum shutdown_mode i = SHUTDOWN_CANCEL; i <= SHUTDOWN_DRAIN; i++) {
		assert_true(shutdown_mode_parse(shutdown_mode_name(i), &mode));
		assert_int_equal(mode, i);
	}
	assert_string_equal(shutdown_mode_name(SHUTDOWN_DETACH), "detach");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_order),
	    cmocka_unit_test(test_to_json),
	    cmocka_unit_test(test_config),
	    cmocka_unit_test(test_shutdown_modes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
