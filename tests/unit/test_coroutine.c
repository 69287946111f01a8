/* Calls into Lua: deadlines, memory, errors, waiting, cancelling. */
#include "script_helper.h"

#include "base/clock.h"

#define STOPPED "routes.lua:4: stopped after 0.15 s of CPU time"

static void test_endless_loop(void **state)
{
	(void)state;
	expect_error("while true do end", STOPPED);
	expect_error("local function f() return f() end f()", STOPPED);
}

static void test_pcall_does_not_swallow(void **state)
{
	(void)state;
	expect_error("while true do pcall(function() while true do end end) end", STOPPED);
	expect_error("while true do xpcall(function() while true do end end, function() while true "
		     "do end end) end",
	    STOPPED);
	expect_error("pcall(function() while true do end end) return 'survived'", STOPPED);
}

static void test_own_coroutines(void **state)
{
	(void)state;
	expect_error("coroutine.wrap(function() while true do end end)() return 'x'", STOPPED);
	expect_error("while true do local co = coroutine.create(function() while true do end end) "
		     "coroutine.resume(co) end",
	    STOPPED);
	expect_error(
	    "while true do pcall(coroutine.wrap(function() while true do end end)) end", STOPPED);
	expect_error("local co = coroutine.create(function() local x <close> = setmetatable({}, "
		     "{__close = function() while true do end end}) coroutine.yield() end) "
		     "coroutine.resume(co) coroutine.close(co) return 'x'",
	    STOPPED);
	expect_error("local function nest(n) if n == 0 then while true do end end "
		     "coroutine.wrap(nest)(n - 1) end nest(20)",
	    STOPPED);
	expect_prompt("local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) "
		      "return b * 2 end) return co(1) .. ',' .. co(21)",
	    "2,42");
	expect_prompt(
	    "local co = coroutine.create(function() error('no', 0) end) "
	    "local ok, e = coroutine.resume(co) "
	    "return tostring(ok) .. e .. coroutine.status(co) .. tostring(coroutine.close(co))",
	    "falsenodeadfalse");
	expect_error("coroutine.resume(coroutine.running()) return 'x'",
	    "routes.lua:4: bad argument #1 to 'resume' (this coroutine belongs to athanore)");
	expect_prompt(
	    "local ok, e = pcall(coroutine.wrap(function() error({1}) end)) return type(e)",
	    "table");
	expect_error("coroutine.wrap(function() local x = nil + 1 end)()",
	    "routes.lua:4: routes.lua:4: attempt to perform arithmetic on a nil value");
}

static void test_callbacks_of_c(void **state)
{
	(void)state;
	expect_error("table.sort({3, 1, 2}, function() while true do end end)", STOPPED);
	expect_error(
	    "while true do pcall(table.sort, {3, 1, 2}, function() while true do end end) end",
	    STOPPED);
	expect_error(
	    "(('x'):rep(9)):gsub('.', function() pcall(function() while true do end end) end)",
	    STOPPED);
	expect_error("local t = setmetatable({}, {__index = function() while true do end end}) "
		     "return t.x",
	    STOPPED);
	expect_error(
	    "return tostring(setmetatable({}, {__tostring = function() while true do end end}))",
	    STOPPED);
}

/* The hook of an entry that was stopped is no trouble for the next one. */
static void test_goes_on_after_a_stop(void **state)
{
	struct script *script =
	    load_ok("local athanore = require 'athanore'\n"
		    "local d = athanore.dispatcher { command = 'agent', queue_backend = "
		    "athanore.json_file 'b.json' }\n"
		    "local first, co = true, coroutine.create(function() local n = 0 while true do "
		    "n = n + 1 "
		    "if n % 100 == 0 and done then coroutine.yield() end end end)\n"
		    "d:route { queue_name = 'Todo', prompt = function()\n"
		    "if first then first = false coroutine.resume(co) end\n"
		    "done = true return tostring(coroutine.resume(co))\n"
		    "end }\n"
		    "return d");
	struct answer answer;

	(void)state;
	prepare_task(script, TASK, &answer);
	assert_contains(answer.err.message, "stopped after");
	answer_clear(&answer);
	prepare_task(script, TASK, &answer);
	assert_non_null(answer.prepared);
	assert_string_equal(answer.prepared->prompt, "true");
	answer_clear(&answer);
	script_unref(script);
}

static void test_recursion(void **state)
{
	(void)state;
	guard_set_limit(20); /* sanitizers are slow */
	expect_error("local function f() return 1 + f() end f()", "routes.lua:4: stack overflow");
	expect_error("local function f() pcall(f) error('x') end f()", "routes.lua:4: ");
	expect_error(
	    "local t = {} for i = 1, 1e6 do t = {t} end local s = setmetatable({}, {__index = "
	    "function(s, k) return s[k] end}) return s.x",
	    "routes.lua:4: ");
	expect_error("return string.rep('(', 1000):match(string.rep('(', 1000))", "routes.lua:4: ");
}

static void test_memory(void **state)
{
	(void)state;
	guard_set_limit(20);
	vm_set_memory_limit((size_t)16 << 20);
	expect_error(
	    "return ('x'):rep(1e9)", "routes.lua:4: not enough memory: a script may use 16 MiB");
	expect_error("local t = {} while true do t[#t + 1] = {} end",
	    "routes.lua:4: not enough memory: a script may use 16 MiB");
	expect_error(
	    "local s = 'x' while true do s = s .. s end", "routes.lua:4: not enough memory");
	expect_prompt("local ok, e = pcall(string.rep, 'x', 1e9) return e", "not enough memory");
	/* The sum counts, not only the single piece. */
	expect_prompt("local t = {} local ok = pcall(function() for i = 1, 200000 do "
		      "t[i] = ('x'):rep(1000) .. i end end) "
		      "return tostring(ok) .. tostring(collectgarbage('count') < 16 * 1024 + 1)",
	    "falsetrue");
	expect_error("local t = {} for i = 1, 1e9 do t[i] = coroutine.create(print) end",
	    "routes.lua:4: not enough memory");
	vm_set_memory_limit(0);
}

static void test_error_values(void **state)
{
	(void)state;
	expect_error("error()", "routes.lua:4: (the error is a nil value)");
	expect_error("error({})", "routes.lua:4: (the error is a table value)");
	expect_error("error(setmetatable({}, {__tostring = function() return 'told' end}))",
	    "routes.lua:4: told");
	expect_error("error(setmetatable({}, {__tostring = function() return {} end}))",
	    "routes.lua:4: '__tostring' must return a string");
	expect_error(
	    "error(setmetatable({}, {__tostring = function() error('deep') end}))", "routes.lua:");
	expect_error("error(setmetatable({}, {__tostring = function() while true do end end}))",
	    "routes.lua:4: ");
	expect_error("error('plain', 0)", "routes.lua:4: plain");
	expect_error("local x = nil; return x.y",
	    "routes.lua:4: attempt to index a nil value (local 'x')\nstack traceback:");
	expect_error("return ('%d'):format('x')", "routes.lua:4: bad argument #1 to 'format'");
	expect_error(
	    "return ('%y'):format(1)", "routes.lua:4: invalid conversion '%y' to 'format'");
	expect_error("coroutine.yield(1)", "routes.lua:4: coroutine.yield outside of a coroutine");
	expect_error("os.exit(1)", "routes.lua:4: os.exit would end the daemon");
	expect_error("error(require('athanore').error('conflict', 'taken'))", "taken");
}

static void test_typed_error(void **state)
{
	struct answer answer;

	(void)state;
	run_prompt("error(require('athanore').error('rate_limited', 'slow', {retry_after = 2.5}))",
	    &answer);
	assert_int_equal(answer.err.code, ERROR_RATE_LIMITED);
	assert_string_equal(answer.err.message, "slow");
	assert_true(answer.err.retry_after > 2.4 && answer.err.retry_after < 2.6);
	answer_clear(&answer);
}

static void test_finalizers(void **state)
{
	(void)state;
	expect_prompt("setmetatable({}, {__gc = function() error('in gc') end}) collectgarbage() "
		      "return 'fine'",
	    "fine");
	expect_prompt(
	    "keep = setmetatable({}, {__gc = function() error({}) end}) return 'fine'", "fine");
	expect_prompt("setmetatable({}, {__gc = function() require('athanore').sleep(1) end}) "
		      "collectgarbage() return 'fine'",
	    "fine");
}

static void test_sleep(void **state)
{
	double before = clock_monotonic();

	(void)state;
	expect_prompt("require('athanore').sleep(0.05) return 'slept'", "slept");
	assert_true(clock_monotonic() - before >= 0.05);
	expect_prompt("local ok = pcall(require('athanore').sleep, 0) return tostring(ok)", "true");
	expect_prompt("for i = 1, 3 do require('athanore').sleep(0) end return 'thrice'", "thrice");
	expect_error("require('athanore').sleep(-1)", "routes.lua:4: bad argument #1 to 'sleep'");
	expect_error("require('athanore').sleep(0/0)", "routes.lua:4: bad argument #1 to 'sleep'");
	expect_error("require('athanore').sleep('x')", "routes.lua:4: bad argument #1 to 'sleep'");
}

static void test_no_waiting_here(void **state)
{
	(void)state;
#define SLEEP "require('athanore').sleep(0) "
	expect_error("table.sort({2, 1}, function(a, b) " SLEEP "return a < b end)",
	    "routes.lua:4: athanore.sleep cannot wait here: inside a sort comparator");
	expect_error("return (('x'):gsub('x', function() " SLEEP "end))",
	    "routes.lua:4: athanore.sleep cannot wait here");
	expect_error("coroutine.wrap(function() " SLEEP "end)()",
	    "routes.lua:4: routes.lua:4: athanore.sleep cannot wait inside a coroutine of the "
	    "script's own");
	expect_error("package.preload.m = function() " SLEEP "end require 'm'",
	    "routes.lua:4: athanore.sleep cannot wait here");
}

static void test_no_waiting_at_load(void **state)
{
	struct script_problems problems;
	struct script *script = load_text("local a = require 'athanore'\na.sleep(1)", &problems);

	(void)state;
	assert_null(script);
	assert_int_equal(problems.count, 1);
	assert_int_equal(problems.list[0].line, 2);
	assert_starts_with(problems.list[0].message,
	    "athanore.sleep cannot wait while the script is being loaded");
	script_problems_free(&problems);
}

static struct script *load_prompt(const char *body)
{
	char *text = xasprintf(
	    "local athanore = require 'athanore'\n"
	    "local d = athanore.dispatcher { command = 'agent', queue_backend = "
	    "athanore.json_file 'b.json' }\n"
	    "d:route { queue_name = 'Todo', agent = {command = function() return {'x'} end, "
	    "event = function() return closed end}, prompt = function()\n%s\nend }\nreturn d",
	    body);
	struct script *script = load_ok(text);

	free(text);
	return script;
}

static void ask_event(struct script *script, struct answer *answer)
{
	struct json_object *args = parse("[]");

	*answer = (struct answer){0};
	script_agent_call(
	    script, script_config(script)->routes[0], "event", args, 5, on_result, answer);
	json_object_put(args);
	run_until_stopped();
}

static void stop_loop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

/* Begins a prompt, lets the loop turn until it sleeps, and returns its handle. */
static struct script_call *begin(struct script *script, struct answer *answer)
{
	struct json_object *task = parse(TASK), *run = parse("{}");
	struct loop_timer *timer = loop_timer_create(loop, stop_loop, NULL);
	struct script_call *call;

	*answer = (struct answer){0};
	call = script_prepare(
	    script, script_config(script)->routes[0], task, run, on_prepared, answer);
	json_object_put(task);
	json_object_put(run);
	loop_timer_set(timer, 0.01);
	loop_run(loop);
	loop_timer_free(timer);
	assert_false(answer->done);
	return call;
}

static void test_cancel(void **state)
{
	struct script *script = load_prompt(
	    "local x <close> = setmetatable({}, {__close = function() closed = 'yes' end}) "
	    "athanore.sleep(60)");
	struct answer answer, other;

	(void)state;
	script_cancel(begin(script, &answer));
	ask_event(script, &other);
	assert_string_equal(json_object_get_string(other.result), "yes");
	answer_clear(&other);
	assert_false(answer.done);
	script_unref(script);
}

static void test_cancel_before_it_began(void **state)
{
	struct script *script = load_prompt("began = true return 'x'");
	struct json_object *task = parse(TASK), *run = parse("{}");
	struct answer answer = {0}, other;

	(void)state;
	script_cancel(script_prepare(
	    script, script_config(script)->routes[0], task, run, on_prepared, &answer));
	json_object_put(task);
	json_object_put(run);
	ask_event(script, &other);
	answer_clear(&other);
	assert_false(answer.done);
	script_unref(script);
}

static void test_cancel_with_bad_close(void **state)
{
	static const char *const handlers[] = {"while true do end", "error('x')",
	    "pcall(athanore.sleep, 1) athanore.sleep(1)", "coroutine.yield()",
	    "while true do pcall(function() while true do end end) end",
	    "coroutine.wrap(function() while true do end end)()", "local t = {} t.t.t = 1",
	    "error(setmetatable({}, {__tostring = error}))"};

	(void)state;
	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
		char *body = xasprintf("local x <close> = setmetatable({}, {__close = function() "
				       "closed = 'yes' %s end}) "
				       "athanore.sleep(60)",
		    handlers[i]);
		struct script *script = load_prompt(body);
		struct answer answer, other;

		script_cancel(begin(script, &answer));
		ask_event(script, &other);
		assert_string_equal(json_object_get_string(other.result), "yes");
		answer_clear(&other);
		script_unref(script);
		free(body);
	}
}

static void test_unref_cancels(void **state)
{
	struct script *script = load_prompt("athanore.sleep(60)");
	struct answer answer;

	(void)state;
	begin(script, &answer);
	script_unref(script);
	assert_false(answer.done);
}

static void test_deadline(void **state)
{
	struct script *script =
	    load_ok("local athanore = require 'athanore'\n"
		    "local d = athanore.dispatcher { command = 'agent', queue_backend = "
		    "athanore.json_file 'b.json' }\n"
		    "d:route { queue_name = 'Todo', prompt = function() return 'x' end, agent = {\n"
		    "command = function() return {'x'} end,\n"
		    "before = function(run)\n"
		    "  athanore.sleep(60)\n"
		    "end} }\nreturn d");
	struct answer answer = {0};
	struct json_object *args = parse("[{\"id\":\"1\"}]");

	(void)state;
	script_agent_call(
	    script, script_config(script)->routes[0], "before", args, 0.05, on_result, &answer);
	json_object_put(args);
	run_until_stopped();
	assert_int_equal(answer.err.code, ERROR_TIMEOUT);
	assert_string_equal(answer.err.message, "routes.lua:6: before of the agent adapter "
						"'custom' was not done within 0.05 s; it waited in "
						"athanore.sleep");
	answer_clear(&answer);
	script_unref(script);
}

/* A failed resume of one call changes nothing for another that waits. */
static void test_many_at_once(void **state)
{
	struct script *script =
	    load_prompt("n = (n or 0) + 1 local mine = n athanore.sleep(mine / 200) "
			"if mine == 2 then error('second') end return tostring(mine)");
	struct answer answers[3] = {{0}};
	struct json_object *task = parse(TASK), *run = parse("{}");

	(void)state;
	for (int i = 0; i < 3; i++)
		script_prepare(
		    script, script_config(script)->routes[0], task, run, on_prepared, &answers[i]);
	json_object_put(task);
	json_object_put(run);
	while (!answers[0].done || !answers[1].done || !answers[2].done)
		run_until_stopped();
	assert_string_equal(answers[0].prepared->prompt, "1");
	assert_contains(answers[1].err.message, "second");
	assert_string_equal(answers[2].prepared->prompt, "3");
	for (int i = 0; i < 3; i++)
		answer_clear(&answers[i]);
	script_unref(script);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_endless_loop),
	    TEST(test_pcall_does_not_swallow),
	    TEST(test_own_coroutines),
	    TEST(test_callbacks_of_c),
	    TEST(test_goes_on_after_a_stop),
	    TEST(test_recursion),
	    TEST(test_memory),
	    TEST(test_error_values),
	    TEST(test_typed_error),
	    TEST(test_finalizers),
	    TEST(test_sleep),
	    TEST(test_no_waiting_here),
	    TEST(test_no_waiting_at_load),
	    TEST(test_cancel),
	    TEST(test_cancel_before_it_began),
	    TEST(test_cancel_with_bad_close),
	    TEST(test_unref_cancels),
	    TEST(test_deadline),
	    TEST(test_many_at_once),
	};

	return cmocka_run_group_tests_name("coroutine", tests, NULL, NULL);
}
