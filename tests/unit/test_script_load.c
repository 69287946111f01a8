/* Loading scripts: every option, every mistake with its line. */
#include "script_helper.h"

#define HEAD "local athanore = require 'athanore'\n"
#define BACKEND "queue_backend = athanore.json_file 'board.json'"
#define PROMPT "prompt = function() return 'x' end"

/* All problems as "line: message", one a line. */
static char *problems_of(const char *text)
{
	struct script_problems problems;
	struct script *script = load_text(text, &problems);
	struct str out = {0};

	if (script != NULL)
		fail_msg("no problem in: %s", text);
	for (size_t i = 0; i < problems.count; i++) {
		if (strcmp(problems.list[i].file, "routes.lua") != 0)
			str_printf(&out, "%s:", problems.list[i].file);
		str_printf(&out, "%d: %s\n", problems.list[i].line, problems.list[i].message);
	}
	script_problems_free(&problems);
	return str_steal(&out);
}

static void expect_problems(const char *text, const char *expected)
{
	char *found = problems_of(text);

	assert_string_equal(found, expected);
	free(found);
}

/* One dispatcher{} with these options, on line 2, and a good route on line 3. */
static void expect_dispatcher(const char *options, const char *expected)
{
	char *text = xasprintf(HEAD "local d = athanore.dispatcher { %s }\n"
				    "d:route { queue_name = 'Todo', " PROMPT " }\nreturn d",
	    options);

	expect_problems(text, expected);
	free(text);
}

static void expect_route(const char *options, const char *expected)
{
	char *text =
	    xasprintf(HEAD "local d = athanore.dispatcher { command = 'agent', " BACKEND " }\n"
			   "d:route { %s }\nreturn d",
		options);

	expect_problems(text, expected);
	free(text);
}

static void test_defaults(void **state)
{
	struct script *script =
	    load_ok(HEAD "local d = athanore.dispatcher { command = 'agent', " BACKEND
			 " }\nd:route { queue_name = 'Todo', " PROMPT " }\nreturn d");
	const struct config *config = script_config(script);
	const struct route *route = config->routes[0];
	char *real = realpath(folder, NULL);
	char *board = fs_join(real, "board.json");

	(void)state;
	assert_string_equal(config->script_dir, real);
	assert_string_equal(config->backend_path, board);
	assert_int_equal(config->backend, BACKEND_JSON_FILE);
	assert_null(config->backend_user);
	assert_string_equal(config->command[0], "agent");
	assert_true(config->poll_interval == 30);
	assert_true(config->agent_timeout == 0);
	assert_int_equal(config->max_concurrent_agents, 3);
	assert_string_equal(config->api_host, "127.0.0.1");
	assert_int_equal(config->api_port, 8000);
	assert_null(config->api_token);
	assert_int_equal(config->log_level, -1);
	assert_int_equal(config->on_shutdown, SHUTDOWN_CANCEL);
	assert_null(config->state_dir);
	assert_string_equal(route->queue_name, "Todo");
	assert_string_equal(route->in_progress_queue, "In Progress");
	assert_string_equal(route->command[0], "agent");
	assert_null(route->args[0]);
	assert_null(route->env[0]);
	assert_string_equal(route->agent, "subprocess");
	assert_true(route->timeout == 0 && route->poll_interval == 30);
	assert_false(route->has_priority);
	assert_int_equal(route->max_concurrent, 0);
	assert_int_equal(route->script_index, 0);
	assert_int_equal(route->line, 3);
	free(real);
	free(board);
	script_unref(script);
}

static void test_all_options(void **state)
{
	struct script *script = load_ok(HEAD
	    "local d = athanore.dispatcher { command = {'./bin/agent', '--x'}, poll_interval = "
	    "0.5, "
	    "agent_timeout = 600, max_concurrent_agents = 7, api_host = '::1', api_port = 0, "
	    "queue_backend = athanore.json_file('/b.json', {user = 'me'}), max_retries = 2.0, "
	    "dead_letter_queue = 'Failed', enable_queue_management = true, state_dir = 'state', "
	    "history_days = 1.5, on_shutdown = 'drain', stop_timeout = 0, max_log = 1048576, "
	    "api_token = 'secret', log_level = 'warn', stall_timeout = 60, retry_backoff = 5, "
	    "success_queue = 'Done', require_move = true, cancel_when_moved = true, cwd = 'work', "
	    "env = {B = 1, A = 'a', C = true, D = 2.5} }\n"
	    "d:route { queue_name = 'One', " PROMPT " }\n"
	    "d:route { queue_name = 'Two', in_progress_queue = 'WIP', command = '/bin/x', args = "
	    "{'a', 'b'}, "
	    "timeout = false, poll_interval = 1, priority = -1.5, max_retries = false, "
	    "dead_letter_queue = false, stall_timeout = 0, retry_backoff = false, success_queue = "
	    "false, "
	    "require_move = false, cancel_when_moved = false, max_concurrent = 2, cwd = '/w', "
	    "env = {A = 'other', E = ''}, when = function() return true end, "
	    "agent = {name = 'mine', command = function() end} , " PROMPT " }\n"
	    "d:route({ queue_name = 'Three', timeout = 0, command = 'b' }, function() return 'x' "
	    "end)\n"
	    "d:run { debug = true }");
	const struct config *config = script_config(script);
	const struct route *one = config->routes[0], *two = config->routes[1];
	char *real = realpath(folder, NULL);
	char *path = fs_join(real, "./bin/agent");

	(void)state;
	assert_int_equal(config->route_count, 3);
	assert_string_equal(config->command[0], path);
	assert_string_equal(config->command[1], "--x");
	assert_string_equal(config->backend_user, "me");
	assert_int_equal(config->max_retries, 2);
	assert_int_equal(config->on_shutdown, SHUTDOWN_DRAIN);
	assert_int_equal(config->max_log, 1048576);
	assert_int_equal(config->log_level, LOG_DEBUG);
	assert_true(one->timeout == 600 && one->stall_timeout == 60 && one->retry_backoff == 5);
	assert_int_equal(one->max_retries, 2);
	assert_string_equal(one->dead_letter_queue, "Failed");
	assert_string_equal(one->success_queue, "Done");
	assert_true(one->require_move && one->cancel_when_moved);
	assert_string_equal(one->env[0], "A=a");
	assert_string_equal(one->env[1], "B=1");
	assert_string_equal(one->env[2], "C=true");
	assert_string_equal(one->env[3], "D=2.5");
	assert_string_equal(two->in_progress_queue, "WIP");
	assert_string_equal(two->command[0], "/bin/x");
	assert_null(two->command[1]);
	assert_string_equal(two->args[1], "b");
	assert_true(two->timeout == 0 && two->stall_timeout == 0 && two->retry_backoff == 0);
	assert_true(two->has_priority && two->priority == -1.5);
	assert_int_equal(two->max_retries, 0);
	assert_null(two->dead_letter_queue);
	assert_null(two->success_queue);
	assert_false(two->require_move || two->cancel_when_moved);
	assert_int_equal(two->max_concurrent, 2);
	assert_string_equal(two->cwd, "/w");
	assert_string_equal(two->agent, "mine");
	assert_string_equal(two->env[0], "A=other");
	assert_string_equal(two->env[4], "E=");
	assert_true(config->routes[2]->timeout == 0);
	free(real);
	free(path);
	script_unref(script);
}

static void test_dispatcher_mistakes(void **state)
{
	(void)state;
	expect_dispatcher("command = 'a'", "2: queue_backend is missing in dispatcher: for example "
					   "queue_backend = athanore.json_file(\"board.json\")\n");
	expect_dispatcher(BACKEND,
	    "3: command is missing: set it on the route or on the dispatcher, or give "
	    "the route an agent\n");
	expect_dispatcher(BACKEND ", command = ''",
	    "3: command is missing: set it on the route or on the "
	    "dispatcher, or give the route an agent\n");
	expect_dispatcher(BACKEND ", comand = 'a', command = 'a'",
	    "2: unknown option 'comand' of dispatcher; did you mean 'command'?\n");
	expect_dispatcher(BACKEND ", command = 'a', zzz = 1, xyzzy = 2",
	    "2: unknown option 'xyzzy' of dispatcher\n2: unknown option 'zzz' of dispatcher\n");
	expect_dispatcher(BACKEND ", command = 'a', 5",
	    "2: dispatcher takes options with names: {name = value}\n");
	expect_dispatcher(BACKEND ", command = 'claude -p'",
	    "2: command 'claude -p' is one executable, and there is none of that name; give its "
	    "arguments in args, or a list: {\"program\", \"argument\"}\n"
	    "3: command is missing: set it on the route or on the dispatcher, or give the route an "
	    "agent\n");
	expect_dispatcher(BACKEND ", command = 'a', poll_interval = 0, agent_timeout = -1, "
				  "max_concurrent_agents = 0, api_port = 65536, max_retries = 1.5",
	    "2: poll_interval must be above 0, got 0\n"
	    "2: agent_timeout must be at least 0, got -1\n"
	    "2: max_concurrent_agents must be at least 1, got 0\n"
	    "2: api_port must be at most 65535, got 65536\n"
	    "2: max_retries must be a whole number, got 1.5\n");
	expect_dispatcher(BACKEND
	    ", command = 'a', poll_interval = 0/0, agent_timeout = 1/0, max_retries = 1/0, "
	    "stop_timeout = '5', enable_queue_management = 1, api_host = '', api_token = 5",
	    "2: poll_interval must be above 0, got NaN\n"
	    "2: agent_timeout must be at least 0, got infinity\n"
	    "2: api_host is an empty string\n"
	    "2: api_token must be a string (or false), got number\n"
	    "2: max_retries must be at least 0, got infinity\n"
	    "2: enable_queue_management must be true or false, got number\n"
	    "2: stop_timeout must be a number of seconds, got string\n");
	expect_dispatcher(BACKEND ", command = 'a', on_shutdown = 'explode', log_level = 5",
	    "2: on_shutdown must be one of \"cancel\", \"detach\", \"drain\", got \"explode\"\n"
	    "2: log_level must be one of \"debug\", \"info\", \"warn\", \"error\", got number\n");
	expect_dispatcher("command = 'a', queue_backend = 'board.json'",
	    "2: queue_backend must be athanore.json_file(…) or a table with the functions of a "
	    "queue, got "
	    "string\n");
	expect_dispatcher(
	    "command = 'a', queue_backend = { get_task = print, list_queues = print }",
	    "2: queue_backend lacks the functions get_ready_tasks, move_task, add_comment, "
	    "update_task, "
	    "create_task, get_queue, create_queue, update_queue, delete_queue\n");
	expect_dispatcher("command = 'a', queue_backend = athanore.json_file()",
	    "2: the path of json_file must be a string, got nil\n");
	expect_dispatcher("command = 'a', queue_backend = athanore.json_file('b', {users = 'x'})",
	    "2: unknown option 'users' of json_file; did you mean 'user'?\n");
	expect_dispatcher(BACKEND ", default_agent = 'claude'",
	    "2: default_agent must be an agent adapter, for "
	    "example athanore.subprocess {}, got string\n");
	expect_dispatcher(BACKEND ", default_agent = {event = 1}",
	    "2: default_agent lacks the function command(run)\n");
	expect_dispatcher(BACKEND ", default_agent = {command = print, event = 1}",
	    "2: default_agent.event must be a function, got number\n");
	expect_dispatcher(BACKEND ", command = 'a', env = {['1A'] = 'x'}",
	    "2: env: '1A' is no name of a variable: letters, digits and '_', no digit first\n");
	expect_dispatcher(BACKEND ", command = 'a', env = {A = {}}",
	    "2: env.A must be a string, a number or a boolean, got table\n");
	expect_dispatcher(BACKEND ", command = 'a', env = {'A=1'}",
	    "2: env must be a table of variables: {NAME = \"value\"}\n");
	expect_dispatcher(BACKEND ", command = 'a', env = {ATHANORE_TOKEN = 'x'}",
	    "2: env: ATHANORE_TOKEN is set by athanore itself for each run\n");
	expect_dispatcher(BACKEND ", command = {'a', 5}",
	    "2: command[2] must be a string, got number\n"
	    "3: command is missing: set it on the route or on the dispatcher, or give the route an "
	    "agent\n");
}

static void test_route_mistakes(void **state)
{
	(void)state;
	expect_route("que_name = 'Todo', " PROMPT,
	    "3: queue_name is missing in route: for example queue_name = \"Todo\"\n"
	    "3: unknown option 'que_name' of route; did you mean 'queue_name'?\n");
	expect_route("queue_name = 'Todo'",
	    "3: prompt is missing in route: for example prompt = function(task_id, task_name) "
	    "return \"Work on \" .. task_name end\n");
	expect_route(
	    "queue_name = 'Todo', prompt = 'Do %s'", "3: prompt must be a function, got string\n");
	expect_route("queue_name = 'Todo', timeout = '5', when = true, args = 'x', " PROMPT,
	    "3: args must be a list of strings, got string\n"
	    "3: timeout must be a number of seconds (or false), got string\n"
	    "3: when must be a function, got boolean\n");
	expect_route("queue_name = 'Todo', args = {'a', nil, 'c'}, max_concurrent = -1, " PROMPT,
	    "3: args must be a list of strings: {\"a\", \"b\"}, without names or gaps\n"
	    "3: max_concurrent must be at least 1, got -1\n");
	expect_route(
	    "queue_name = 'Todo', args = {'a\\0b'}, " PROMPT, "3: args[1] holds a NUL byte\n");
	expect_route("queue_name = 5, priority = 'high', agent = {}, " PROMPT,
	    "3: queue_name must be a string, got number\n"
	    "3: priority must be a number, got string\n"
	    "3: agent lacks the function command(run)\n");
	expect_route("queue_name = athanore.json.null, " PROMPT,
	    "3: queue_name must be a string, got null\n");
}

static void test_routes_that_do_not_fit(void **state)
{
	(void)state;
	expect_route("queue_name = 'A', in_progress_queue = 'A', " PROMPT,
	    "3: in_progress_queue 'A' is the queue that the route watches: its tasks would be "
	    "taken "
	    "again and again\n");
	expect_route("queue_name = 'A', " PROMPT "}\nd:route { queue_name = 'In Progress', "
		     "in_progress_queue = 'W', " PROMPT,
	    "3: in_progress_queue 'In Progress' is watched by the route of line 4: tasks in "
	    "progress would be "
	    "taken again\n");
	expect_route("queue_name = 'A', " PROMPT "}\nd:route { queue_name = 'A', " PROMPT,
	    "4: queue 'A' has a route already, at line 3\n");
	expect_route("queue_name = 'A', dead_letter_queue = 'A', success_queue = 'A', " PROMPT,
	    "3: dead_letter_queue 'A' is the queue that the route watches: failed tasks would come "
	    "back for "
	    "ever\n"
	    "3: success_queue 'A' is the queue that the route watches: finished tasks would come "
	    "back for "
	    "ever\n");
	expect_route("queue_name = 'A', dead_letter_queue = 'W', success_queue = 'W', "
		     "in_progress_queue = 'W', " PROMPT,
	    "3: success_queue 'W' is the in_progress_queue: finished tasks would stay where they "
	    "are\n"
	    "3: dead_letter_queue 'W' is the in_progress_queue: failed tasks would stay where they "
	    "are\n");
	expect_problems(HEAD
	    "local d = athanore.dispatcher { command = 'a', dead_letter_queue = 'F', " BACKEND
	    " }\nd:route { queue_name = 'F', " PROMPT " }\nreturn d",
	    "3: dead_letter_queue 'F' is the queue that the route watches: failed tasks would come "
	    "back for "
	    "ever; set dead_letter_queue = false on this route\n");
}

static void test_script_mistakes(void **state)
{
	struct script_problems problems = {0};

	(void)state;
	expect_problems("local x = = 1", "1: unexpected symbol near '='\n");
	expect_problems("#!/usr/bin/env athanore\nlocal x = nil\nx.y = 1",
	    "3: attempt to index a nil value (local 'x')\n");
	expect_problems("",
	    "0: the script makes no dispatcher: local dispatcher = athanore.dispatcher { … }\n");
	expect_problems(HEAD "athanore.dispatcher { command = 'a', " BACKEND " }\n",
	    "2: the dispatcher has no routes: add dispatcher:route { queue_name = …, prompt = … }\n"
	    "0: the script does not say which dispatcher to run: end it with `return dispatcher`, "
	    "or call "
	    "dispatcher:run()\n");
	expect_problems(HEAD "local d = athanore.dispatcher { command = 'a', " BACKEND " }\n"
			     "d:route { queue_name = 'A', " PROMPT " }\n"
			     "athanore.dispatcher { command = 'b', " BACKEND " }\nreturn d",
	    "4: a script has one dispatcher; the first is at routes.lua:2\n");
	expect_problems(HEAD "local d = athanore.dispatcher { poll_interval = 'x' }\n"
			     "d:route { queue_name = 5 }\nlocal y = nil + 1",
	    "2: poll_interval must be a number of seconds, got string\n"
	    "2: queue_backend is missing in dispatcher: for example queue_backend = "
	    "athanore.json_file(\"board.json\")\n"
	    "3: queue_name must be a string, got number\n"
	    "3: prompt is missing in route: for example prompt = function(task_id, task_name) "
	    "return \"Work on \" .. task_name end\n"
	    "4: attempt to perform arithmetic on a nil value\n");
	expect_problems(HEAD "local d = athanore.dispatcher { command = 'a', " BACKEND " }\n"
			     "d.route { queue_name = 'A' }",
	    "3: call it with a colon: dispatcher:route { … }\n");
	expect_problems(HEAD "athanore.dispatcher 'x'",
	    "2: dispatcher takes a table of options, got string\n"
	    "2: the dispatcher has no routes: add dispatcher:route { queue_name = …, prompt = … }\n"
	    "0: the script does not say which dispatcher to run: end it with `return dispatcher`, "
	    "or call "
	    "dispatcher:run()\n");
	expect_problems(HEAD "local d = athanore.dispatcher { command = 'a', " BACKEND " }\n"
			     "d:route { queue_name = 'A', " PROMPT " }\nd:run { debgu = true }",
	    "4: unknown option 'debgu' of run; did you mean 'debug'?\n");
	expect_problems("while true do end",
	    "1: stopped after 0.15 s of CPU time: the script does not end or is too slow here\n");
	expect_problems("error({})", "1: (the error is a table value)\n");
	expect_problems("error('one\\ntwo')", "1: one\ntwo\n");
	expect_problems("\x1bLua", "0: attempt to load a binary chunk (mode is 't')\n");
	{
		char *found = problems_of("require 'nothing.there'");

		assert_starts_with(found, "1: module 'nothing.there' not found:");
		free(found);
		found = problems_of("require 'athanore.nothing'");
		assert_contains(found, "athanore has no module 'athanore.nothing'");
		free(found);
	}
	assert_null(script_load(loop, "/nowhere/at/all.lua", &problems));
	assert_int_equal(problems.count, 1);
	assert_string_equal(problems.list[0].file, "all.lua");
	assert_contains(problems.list[0].message, "/nowhere/at/all.lua");
	script_problems_free(&problems);
}

static void test_require(void **state)
{
	struct script *script;

	(void)state;
	free(write_file("helper.lua", "return { queue = 'Todo' }"));
	script = load_ok(HEAD "local helper = require 'helper'\n"
			      "local d = athanore.dispatcher { command = 'a', " BACKEND " }\n"
			      "d:route { queue_name = helper.queue, " PROMPT " }\nreturn d");
	assert_string_equal(script_config(script)->routes[0]->queue_name, "Todo");
	script_unref(script);
	free(write_file("broken.lua", "local x = \n= 1"));
	free(write_file("bad.lua",
	    "local athanore = require 'athanore'\nreturn athanore.dispatcher { x = 1 }"));
	{
		char *found = problems_of("require 'broken'");

		assert_contains(found, "broken.lua:2: unexpected symbol near '='");
		free(found);
		found = problems_of("return require 'bad'");
		assert_contains(found, "bad.lua:2: unknown option 'x' of dispatcher\n");
		free(found);
	}
}

static void test_lua_path(void **state)
{
	struct error err = {0};
	char *inner = fs_join(folder, "lua/athanore/agents");
	struct script *script;

	(void)state;
	assert_true(fs_mkdir_p(inner, 0755, &err));
	free(write_file("lua/athanore/agents/subprocess.lua",
	    "return function() return { name = 'replaced', command = function() end } end"));
	free(inner);
	inner = fs_join(folder, "lua");
	setenv("ATHANORE_LUA_PATH", inner, 1);
	script = load_ok(HEAD "local d = athanore.dispatcher { " BACKEND " }\n"
			      "d:route { queue_name = 'A', " PROMPT " }\nreturn d");
	unsetenv("ATHANORE_LUA_PATH");
	assert_string_equal(script_config(script)->routes[0]->agent, "replaced");
	free(inner);
	script_unref(script);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_defaults),
	    TEST(test_all_options),
	    TEST(test_dispatcher_mistakes),
	    TEST(test_route_mistakes),
	    TEST(test_routes_that_do_not_fit),
	    TEST(test_script_mistakes),
	    TEST(test_require),
	    TEST(test_lua_path),
	};

	return cmocka_run_group_tests_name("script_load", tests, NULL, NULL);
}
