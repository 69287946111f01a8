/* What scripts are asked while the daemon runs: prompts, command lines, agent adapters. */
#include "script_helper.h"

/* Line 2 makes the dispatcher, line 3 begins the route. */
static struct script *load_route(const char *options)
{
	char *text = xasprintf("local athanore = require 'athanore'\n"
			       "local d = athanore.dispatcher { command = 'agent', "
			       "queue_backend = athanore.json_file 'b.json' }\n"
			       "d:route { queue_name = 'Todo', %s }\nreturn d",
	    options);
	struct script *script = load_ok(text);

	free(text);
	return script;
}

static void prepare_route(const char *options, struct answer *answer)
{
	struct script *script = load_route(options);

	prepare_task(script, TASK, answer);
	script_unref(script);
}

static void expect_no_run(const char *options, const char *message)
{
	struct answer answer;

	prepare_route(options, &answer);
	assert_null(answer.prepared);
	assert_string_equal(answer.err.message, message);
	answer_clear(&answer);
}

static char *join(char *const *list)
{
	struct str out = {0};

	for (; *list != NULL; list++)
		str_printf(&out, "%s|", *list);
	return str_steal(&out);
}

static void expect_argv(const char *options, const char *joined, const char *input)
{
	struct answer answer;
	char *argv;

	prepare_route(options, &answer);
	if (answer.prepared == NULL)
		fail_msg("%s", answer.err.message);
	argv = join(answer.prepared->argv);
	assert_string_equal(argv, joined);
	if (input == NULL)
		assert_null(answer.prepared->input);
	else
		assert_string_equal(answer.prepared->input, input);
	free(argv);
	answer_clear(&answer);
}

#define SAY "prompt = function(id, name, task) return id .. name .. task.queue end"

static void test_command_line(void **state)
{
	(void)state;
	expect_argv("args = {'-p'}, " SAY, "agent|-p|7Fix itTodo|", NULL);
	expect_argv("args = {'-p'}, agent = athanore.subprocess { prompt_via = 'stdin' }, " SAY,
	    "agent|-p|", "7Fix itTodo");
	expect_argv("agent = athanore.subprocess { prompt_via = 'file' }, " SAY,
	    "agent|/run/prompt.txt|", NULL);
	expect_argv(
	    "prompt = function(_, _, task) return tostring(task.description) .. #task.labels end",
	    "agent|nil0|", NULL);
	expect_argv("agent = {command = function(run) return run.route:format_command(run.prompt), "
		    "{X = 1}, "
		    "'sub', 'in' end}, " SAY,
	    "agent|7Fix itTodo|", "in");
	expect_argv("agent = {command = function(run) athanore.sleep(0) return {argv = {run.id, "
		    "run.task.name, "
		    "tostring(run.attempt)}} end}, " SAY,
	    "r1|Fix it|1|", NULL);
	expect_argv("prompt = function() return '\\xff' end", "agent|\xff|", NULL);
}

static void test_env_and_cwd(void **state)
{
	struct answer answer;
	char *real = realpath(folder, NULL), *sub = fs_join(real, "sub"),
	     *tool = fs_join(real, "./tool");
	struct script *script =
	    load_route("agent = {command = function() return {argv = {'./tool'}, env = "
		       "{B = true, A = 'x'}, cwd = 'sub', stdin = 'a\\0b'} end}, " SAY);

	(void)state;
	prepare_task(script, TASK, &answer);
	assert_non_null(answer.prepared);
	assert_string_equal(answer.prepared->argv[0], tool);
	assert_string_equal(answer.prepared->env[0], "A=x");
	assert_string_equal(answer.prepared->env[1], "B=true");
	assert_string_equal(answer.prepared->cwd, sub);
	assert_int_equal(answer.prepared->input_len, 3);
	answer_clear(&answer);
	script_unref(script);
	free(real);
	free(sub);
	free(tool);
}

static void test_when(void **state)
{
	struct answer answer;

	(void)state;
	prepare_route(
	    "when = function(task) athanore.sleep(0) return task.id == '8' end, " SAY, &answer);
	assert_non_null(answer.prepared);
	assert_false(answer.prepared->ready);
	assert_null(answer.prepared->argv);
	answer_clear(&answer);
	prepare_route("when = function(task) return task.id == '7' end, " SAY, &answer);
	assert_true(answer.prepared->ready);
	answer_clear(&answer);
	expect_no_run("when = function(task) error('odd', 0) end, " SAY,
	    "routes.lua:3: odd\nstack traceback:\n\t[C]: in "
	    "function 'error'\n\troutes.lua:3: in "
	    "function <routes.lua:3>\n\t[C]: in ?");
}

static void test_bad_prompts(void **state)
{
	(void)state;
	expect_no_run("\nprompt = function() end",
	    "routes.lua:4: the prompt function of route 'Todo' must return a string, got nil");
	expect_no_run("prompt = function() return 5 end",
	    "routes.lua:3: the prompt function of route 'Todo' must return a string, got number");
	expect_no_run("prompt = function() return athanore.json.null end",
	    "routes.lua:3: the prompt function of route 'Todo' must return a string, got null");
	expect_no_run("prompt = print",
	    "(a function of C): the prompt function of route 'Todo' must return a string, got nil");
}

static void test_prompts_that_argv_cannot_hold(void **state)
{
	(void)state;
#define USE ": use agent = athanore.subprocess { prompt_via = \"stdin\" }"
	expect_no_run("prompt = function() return '-x' end",
	    "the prompt of route 'Todo' begins with '-', which a command takes for an option" USE);
	expect_no_run("prompt = function() return ('x'):rep(200000) end",
	    "the prompt of route 'Todo' has 200000 bytes, and an argument may have 131071" USE);
	expect_no_run("prompt = function() return 'a\\0b' end",
	    "the prompt of route 'Todo' holds a NUL byte, which no argument can" USE);
	expect_no_run("agent = {command = function(run) return {'x', run.prompt} end}, "
		      "prompt = function() return 'a\\0b' end",
	    "command(run) of the agent adapter 'custom': argv[2] holds a NUL byte");
	expect_no_run("agent = {command = function(run) return {'x', run.prompt} end}, "
		      "prompt = function() return ('x'):rep(131072) end",
	    "command(run) of the agent adapter 'custom': argv[2] has 131072 bytes, and an argument "
	    "may have "
	    "131071: give the prompt by stdin (prompt_via = \"stdin\") or in a file");
}

static void test_bad_command_lines(void **state)
{
#define AGENT(results) "agent = {name = 'a', command = function() return " results " end}, " SAY
#define BAD "command(run) of the agent adapter 'a': "
	(void)state;
	expect_no_run(AGENT("nil"), BAD "argv is missing: return a list of strings");
	expect_no_run(AGENT("nil, 'no model'"), "no model");
	expect_no_run(AGENT("{}"), BAD "argv is missing: return a list of strings");
	expect_no_run(AGENT("{argv = {}}"), BAD "the command line is empty");
	expect_no_run(AGENT("{''}"), BAD "the command line is empty");
	expect_no_run(AGENT("'claude'"), BAD "argv must be a list of strings, got string");
	expect_no_run(AGENT("{'a', 5}"), BAD "argv[2] must be a string, got number");
	expect_no_run(AGENT("{'a'}, 5"), BAD "env must be a table of variables, got number");
	expect_no_run(AGENT("{'a'}, {ATHANORE_TOKEN = 'x'}"),
	    BAD "env: ATHANORE_TOKEN is set by athanore itself for each run");
	expect_no_run(AGENT("{'a'}, nil, 5"), BAD "cwd must be a string, got number");
	expect_no_run(AGENT("{argv = {'a'}, stdin = 5}"), BAD "stdin must be a string, got number");
}

static void call(
    struct script *script, const char *function, const char *args_text, struct answer *answer)
{
	struct json_object *args = parse(args_text);

	*answer = (struct answer){0};
	script_agent_call(
	    script, script_config(script)->routes[0], function, args, 5, on_result, answer);
	json_object_put(args);
	assert_false(answer->done);
	run_until_stopped();
}

static void test_agent_functions(void **state)
{
	struct script *script = load_route(
	    "agent = {command = function() return {'x'} end,\n"
	    "event = function(run, line) return {type = line, id = run.id, queue = "
	    "run.route.queue_name} end,\n"
	    "outcome = function(run, exit, extra) return extra == nil and exit.code end,\n"
	    "before = function() return nil, athanore.error('unavailable', 'no disk') end,\n"
	    "after = function() return print end }, " SAY);
	const struct route *route = script_config(script)->routes[0];
	struct route other = {.queue_name = (char *)"Other", .script_index = -1};
	struct json_object *args = parse("[]");
	struct answer answer;

	(void)state;
	assert_true(script_agent_has(script, route, "event"));
	assert_false(script_agent_has(script, route, "name"));
	assert_false(script_agent_has(script, route, "nothing"));
	assert_false(script_agent_has(script, &other, "event"));
	call(script, "event", "[{\"id\":\"9\"},\"text\"]", &answer);
	assert_string_equal(json_object_to_json_string_ext(answer.result, JSON_C_TO_STRING_PLAIN),
	    "{\"id\":\"9\",\"queue\":\"Todo\",\"type\":\"text\"}");
	answer_clear(&answer);
	call(script, "outcome", "[{},{\"code\":3},null]", &answer);
	assert_int_equal(json_object_get_int(answer.result), 3);
	answer_clear(&answer);
	call(script, "before", "[{}]", &answer);
	assert_int_equal(answer.err.code, ERROR_UNAVAILABLE);
	assert_string_equal(answer.err.message, "no disk");
	answer_clear(&answer);
	call(script, "after", "[{}]", &answer);
	assert_string_equal(answer.err.message, "the result of after of the agent adapter: the "
						"value is a function, which JSON has not");
	answer_clear(&answer);
	call(script, "nothing", "[]", &answer);
	assert_int_equal(answer.err.code, ERROR_UNSUPPORTED);
	answer_clear(&answer);
	script_agent_call(script, &other, "event", args, 5, on_result, &answer);
	run_until_stopped();
	/* It has the default agent. */
	assert_contains(answer.err.message, "the agent adapter has no function event");
	answer_clear(&answer);
	other.script_index = 99;
	script_agent_call(script, &other, "event", args, 5, on_result, &answer);
	run_until_stopped();
	assert_contains(answer.err.message, "the script has no route 'Other'");
	answer_clear(&answer);
	json_object_put(args);
	script_unref(script);
}

static void test_log(void **state)
{
	(void)state;
	log_set_level(LOG_ERROR);
	expect_prompt("local log = require('athanore').log log.debug('a') log.info('b', {x = 1}) "
		      "log.warn({}) log.info('c', {a = true, b = {}, c = 2.5}) return 'logged'",
	    "logged");
	expect_error("require('athanore').log.info()", "routes.lua:4: bad argument #1 to 'info'");
	expect_error(
	    "require('athanore').log.info('x', 'y')", "routes.lua:4: bad argument #2 to 'info'");
	expect_error(
	    "require('athanore').log.info('x', {1})", "routes.lua:4: bad argument #2 to 'info'");
	expect_error("local t = {} for i = 1, 33 do t['k' .. i] = i end "
		     "require('athanore').log.info('x', t)",
	    "routes.lua:4: bad argument #2 to 'info' (too many fields, at most 32)");
	expect_error("require('athanore').dispatcher {}",
	    "routes.lua:4: athanore.dispatcher is called while the script is loaded only");
	expect_error("require('athanore').error('odd', 'x')",
	    "routes.lua:4: bad argument #1 to 'error' (unknown code;");
	expect_prompt("return tostring(require('athanore').error('invalid', 'x'))", "invalid: x");
}

/* Another reference keeps the script; a call may end it. */
static void unref_in_answer(void *arg, struct json_object *result, const struct error *err)
{
	(void)result;
	assert_null(err);
	script_unref(arg);
	loop_stop(loop);
}

static void test_references(void **state)
{
	struct script *script =
	    load_route("agent = {command = print, event = function() end}, " SAY);
	struct json_object *args = parse("[]");

	(void)state;
	script_unref(script_ref(script));
	script_agent_call(
	    script, script_config(script)->routes[0], "event", args, 5, unref_in_answer, script);
	json_object_put(args);
	run_until_stopped();
	script_unref(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_command_line),
	    TEST(test_env_and_cwd),
	    TEST(test_when),
	    TEST(test_bad_prompts),
	    TEST(test_prompts_that_argv_cannot_hold),
	    TEST(test_bad_command_lines),
	    TEST(test_agent_functions),
	    TEST(test_log),
	    TEST(test_references),
	};

	return cmocka_run_group_tests_name("script_calls", tests, NULL, NULL);
}
