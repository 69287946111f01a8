/* What follows from an agent's end: outcome, retry, comments and moves. */
#include "check.h"

#include "base/json.h"
#include "base/str.h"
#include "dispatch/run_end.h"

#include <string.h>

/* ---- exit.json ---- */

static void test_parse(void **state)
{
	static const char text[] =
	    "{\"exit_code\":3,\"signal\":null,\"reason\":\"exit\",\"log_size\":12}\n";
	struct run_end end = {0};

	(void)state;
	assert_true(run_end_parse(&end, text, strlen(text)));
	assert_string_equal(end.reason, "exit");
	assert_int_equal(end.exit_code, 3);
	assert_int_equal(end.signal, 0);
	assert_null(end.error);
	assert_null(end.stderr_tail);
	run_end_clear(&end);
	assert_null(end.reason);
	assert_int_equal(end.exit_code, -1);
}

static void test_parse_signal_and_error(void **state)
{
	static const char text[] = "{\"exit_code\":null,\"signal\":9,\"reason\":\"spawn_failed\","
				   "\"error\":\"No such file\",\"rusage\":{\"x\":1.5}}";
	struct run_end end = {0};

	(void)state;
	assert_true(run_end_parse(&end, text, strlen(text)));
	assert_int_equal(end.exit_code, -1);
	assert_int_equal(end.signal, 9);
	assert_string_equal(end.error, "No such file");
	run_end_clear(&end);
}

static void test_parse_refuses(void **state)
{
	static const char *const bad[] = {"", "{", "{}", "[]", "null", "12", "\"exit\"",
	    "{\"exit_code\":0}", "{\"reason\":null}", "{\"reason\":\"exit\",\"exit_code\":0",
	    "{\"reason\":\"exit\"} {}", "{\"reason\":\"\xff\"}"};
	struct run_end end;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (run_end_parse(&end, bad[i], strlen(bad[i])))
			fail_msg("%s was taken", bad[i]);
		assert_null(end.reason);
		assert_int_equal(end.exit_code, -1);
	}
}

/* ---- outcome and why ---- */

static void test_outcome(void **state)
{
	static const struct {
		struct run_end end;
		enum run_outcome outcome;
		const char *why;
	} cases[] = {
	    {{.reason = "exit", .exit_code = 0}, OUTCOME_SUCCESS, "exit code 0"},
	    {{.reason = "exit", .exit_code = 1}, OUTCOME_FAILURE, "exit code 1"},
	    {{.reason = "exit", .exit_code = 255}, OUTCOME_FAILURE, "exit code 255"},
	    {{.reason = "exit", .exit_code = -1, .signal = 9}, OUTCOME_FAILURE,
		"killed by signal 9 (Killed)"},
	    {{.reason = "exit", .exit_code = -1}, OUTCOME_FAILURE, "exit code -1"},
	    {{.reason = "timeout", .exit_code = 0}, OUTCOME_TIMEOUT, "timed out"},
	    {{.reason = "timeout", .exit_code = -1, .signal = 15}, OUTCOME_TIMEOUT, "timed out"},
	    {{.reason = "stalled", .exit_code = 0}, OUTCOME_STALLED, "stalled"},
	    {{.reason = "lost", .exit_code = -1}, OUTCOME_LOST, "lost"},
	    {{.reason = "cancelled", .exit_code = 0}, OUTCOME_CANCELLED, "cancelled"},
	    {{.reason = "shutdown", .exit_code = 0}, OUTCOME_CANCELLED, "cancelled"},
	    {{.reason = "moved", .exit_code = 0}, OUTCOME_CANCELLED, "cancelled"},
	    {{.reason = "spawn_failed", .exit_code = -1}, OUTCOME_FAILURE, "could not be started"},
	    {{.reason = "spawn_failed", .exit_code = 0}, OUTCOME_FAILURE, "could not be started"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *why = run_end_why(&cases[i].end);

		assert_int_equal(run_end_outcome(&cases[i].end), cases[i].outcome);
		assert_string_equal(why, cases[i].why);
		free(why);
	}
}

/* An end that we do not know is no success, whatever its exit code. */
static void test_unknown_reason(void **state)
{
	struct run_end end = {.reason = "abducted", .exit_code = 0};

	(void)state;
	assert_int_equal(run_end_outcome(&end), OUTCOME_FAILURE);
}

/* ---- the plan ---- */

/* What a plan has to come to: error, retries ("1!": by us) and steps, one a line. */
static void assert_plan(const char *options, int attempt, struct run_end end, const char *wanted)
{
	struct run *run = run_create();
	struct str text = {0};

	run->queue_name = xstrdup("Todo");
	run->in_progress_queue = xstrdup("WIP");
	run->options = json_parse(options, strlen(options), NULL);
	assert_non_null(run->options);
	run->attempt = attempt;
	run->outcome = run_end_outcome(&end);
	/* What an earlier plan left does not show. */
	run_add_step(run, STEP_MOVE, "old");
	run->error = xstrdup("old");
	run->retries_ours = true;
	run_end_plan(run, &end);
	assert_int_equal(run->exit_code, end.exit_code);
	assert_int_equal(run->signal, end.signal);
	str_printf(&text, "%s; %d%s", run->error == NULL ? "-" : run->error, run->retries_after,
	    run->retries_ours ? "!" : "");
	for (size_t i = 0; i < run->step_count; i++) {
		assert_int_equal(run->steps[i].state, STEP_PENDING);
		str_printf(&text, "\n%s %s", run->steps[i].kind == STEP_MOVE ? "->" : "#",
		    run->steps[i].text);
	}
	assert_string_equal(text.data, wanted);
	str_free(&text);
	run_free(run);
}

static const struct run_end exit_0 = {.reason = "exit", .exit_code = 0};
static const struct run_end exit_1 = {.reason = "exit", .exit_code = 1};
static const struct run_end timeout = {.reason = "timeout", .exit_code = -1, .signal = 15};

static void test_success(void **state)
{
	(void)state;
	assert_plan("{}", 0, exit_0, "-; 0");
	assert_plan("{\"max_retries\":3,\"dead_letter_queue\":\"Dead\"}", 2, exit_0, "-; 0");
	assert_plan("{\"success_queue\":\"Done\"}", 1, exit_0, "-; 0\n-> Done");
	assert_plan("{\"success_queue\":null,\"dead_letter_queue\":null}", 1, exit_0, "-; 0");
}

static void test_retry(void **state)
{
	static const char options[] = "{\"max_retries\":3,\"dead_letter_queue\":\"Dead\","
				      "\"timeout\":600,\"success_queue\":\"Done\"}";

	(void)state;
	assert_plan(options, 0, timeout,
	    "timed out; 1!\n"
	    "# Agent timed out after 600 seconds.\n"
	    "# Retry 1/3: timed out. Moving back to source queue for retry.\n"
	    "-> Todo");
	assert_plan(options, 2, exit_1,
	    "exit code 1; 3!\n"
	    "# Agent failed: exit code 1.\n"
	    "# Retry 3/3: exit code 1. Moving back to source queue for retry.\n"
	    "-> Todo");
}

static void test_exhausted_without_queue(void **state)
{
	(void)state;
	assert_plan("{\"max_retries\":3,\"timeout\":1}", 3, timeout,
	    "timed out; 3\n"
	    "# Agent timed out after 1 second.\n"
	    "# Max retries (3) exhausted. No dead-letter queue configured; leaving in place.");
	/* Fewer retries are allowed than were used already. */
	assert_plan("{\"max_retries\":1,\"dead_letter_queue\":null}", 3, exit_1,
	    "exit code 1; 3\n"
	    "# Agent failed: exit code 1.\n"
	    "# Max retries (1) exhausted. No dead-letter queue configured; leaving in place.");
}

static void test_exhausted_with_queue(void **state)
{
	(void)state;
	assert_plan("{\"max_retries\":2,\"dead_letter_queue\":\"Dead\",\"timeout\":0.5}", 2,
	    timeout,
	    "timed out; 2\n"
	    "# Agent timed out after 0.5 seconds.\n"
	    "# Max retries (2) exhausted. Moving to dead-letter queue.\n"
	    "-> Dead");
	/* Without retries the first failure is exhaustion. */
	assert_plan("{\"max_retries\":0,\"dead_letter_queue\":\"Dead\"}", 0, exit_1,
	    "exit code 1; 0\n"
	    "# Agent failed: exit code 1.\n"
	    "# Max retries (0) exhausted. Moving to dead-letter queue.\n"
	    "-> Dead");
}

/* Neither retries nor a queue for the dead: only what happened is said. */
static void test_failure_alone(void **state)
{
	(void)state;
	assert_plan("{}", 0, exit_1, "exit code 1; 0\n# Agent failed: exit code 1.");
	assert_plan("{\"timeout\":3600}", 0, timeout,
	    "timed out; 0\n# Agent timed out after 3600 seconds.");
}

static void test_each_failure(void **state)
{
	static const char retry[] = "{\"max_retries\":1,\"stall_timeout\":30}";

	(void)state;
	assert_plan(retry, 0, (struct run_end){.reason = "stalled", .exit_code = -1, .signal = 9},
	    "stalled; 1!\n"
	    "# Agent stalled: no output for 30 seconds.\n"
	    "# Retry 1/1: stalled. Moving back to source queue for retry.\n"
	    "-> Todo");
	assert_plan(retry, 0, (struct run_end){.reason = "lost", .exit_code = -1},
	    "lost; 1!\n"
	    "# Agent was lost: its supervisor ended without saying how the agent ended.\n"
	    "# Retry 1/1: lost. Moving back to source queue for retry.\n"
	    "-> Todo");
	assert_plan(retry, 0, (struct run_end){.reason = "exit", .exit_code = -1, .signal = 11},
	    "killed by signal 11 (Segmentation fault); 1!\n"
	    "# Agent failed: killed by signal 11 (Segmentation fault).\n"
	    "# Retry 1/1: killed by signal 11 (Segmentation fault). Moving back to source queue for"
	    " retry.\n"
	    "-> Todo");
	assert_plan(retry, 0,
	    (struct run_end){.reason = "spawn_failed", .exit_code = -1, .error = "no such file"},
	    "no such file; 1!\n"
	    "# Agent could not be started: no such file.\n"
	    "# Retry 1/1: could not be started. Moving back to source queue for retry.\n"
	    "-> Todo");
	assert_plan("{}", 0, (struct run_end){.reason = "spawn_failed", .exit_code = -1},
	    "could not be started; 0\n# Agent could not be started: no reason is known.");
}

/* What somebody has moved on is not put back, and nobody is told that it were. */
static void test_moved_away(void **state)
{
	static const char options[] = "{\"max_retries\":1,\"dead_letter_queue\":\"Dead\"}";
	struct run_end moved = exit_1;

	(void)state;
	moved.moved_away = true;
	assert_plan(options, 0, moved, "exit code 1; 0\n# Agent failed: exit code 1.");
	assert_plan(options, 1, moved, "exit code 1; 1\n# Agent failed: exit code 1.");
	moved = (struct run_end){.reason = "shutdown", .exit_code = -1, .moved_away = true};
	assert_plan(options, 1, moved, "cancelled; 1\n# Agent stopped: athanore is shutting down.");
	moved.reason = "cancelled";
	assert_plan(options, 0, moved, "cancelled; 0\n# Agent cancelled on request.");
}

/* What the agent adapter said of the failure is told in the exit code's place. */
static void test_error_in_words(void **state)
{
	struct run *run = run_create();
	struct run_end end = {.reason = "exit", .exit_code = 0, .error = "it gave up"};

	(void)state;
	assert_plan("{}", 0, (struct run_end){.reason = "exit", .exit_code = 2, .error = "quota"},
	    "quota; 0\n# Agent failed: quota.");
	/* The exit code is no reason where it says success. */
	run->queue_name = xstrdup("Todo");
	run->options = json_parse("{\"max_retries\":2}", 17, NULL);
	run->outcome = OUTCOME_FAILURE;
	run_end_plan(run, &end);
	assert_int_equal(run->step_count, 3);
	assert_string_equal(run->steps[0].text, "Agent failed: it gave up.");
	assert_string_equal(
	    run->steps[1].text, "Retry 1/2: it gave up. Moving back to source queue for retry.");
	run_free(run);
}

static void test_stderr(void **state)
{
	struct run_end end = {.reason = "exit", .exit_code = 1, .stderr_tail = "one\ntwo"};

	(void)state;
	assert_plan("{}", 0, end,
	    "exit code 1; 0\n# Agent failed: exit code 1.\n\n"
	    "Last lines of stderr:\n\n```\none\ntwo\n```");
	end.stderr_tail = "";
	assert_plan("{}", 0, end, "exit code 1; 0\n# Agent failed: exit code 1.");
	/* The agent's words end with the block, whatever they are. */
	end.stderr_tail = "a\n```\nnot quoted?\n`````";
	assert_plan("{}", 0, end,
	    "exit code 1; 0\n# Agent failed: exit code 1.\n\n"
	    "Last lines of stderr:\n\n``````\na\n```\nnot quoted?\n`````\n``````");
}

static void test_cancelled(void **state)
{
	static const char options[] = "{\"max_retries\":3,\"dead_letter_queue\":\"Dead\"}";

	(void)state;
	assert_plan(options, 2,
	    (struct run_end){.reason = "cancelled", .exit_code = -1, .signal = 15},
	    "cancelled; 2\n# Agent cancelled on request; leaving the task in \"WIP\".");
	assert_plan(options, 2, (struct run_end){.reason = "moved", .exit_code = 0},
	    "cancelled; 2\n# Agent stopped: the task was moved out of \"WIP\".");
	assert_plan(options, 2, (struct run_end){.reason = "shutdown", .exit_code = 0},
	    "cancelled; 2!\n"
	    "# Agent stopped: athanore is shutting down. Moving back to source queue.\n"
	    "-> Todo");
	assert_plan(options, 0, (struct run_end){.reason = "shutdown", .exit_code = 0},
	    "cancelled; 0!\n"
	    "# Agent stopped: athanore is shutting down. Moving back to source queue.\n"
	    "-> Todo");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_parse_signal_and_error),
	    cmocka_unit_test(test_parse_refuses),
	    cmocka_unit_test(test_outcome),
	    cmocka_unit_test(test_unknown_reason),
	    cmocka_unit_test(test_success),
	    cmocka_unit_test(test_retry),
	    cmocka_unit_test(test_exhausted_without_queue),
	    cmocka_unit_test(test_exhausted_with_queue),
	    cmocka_unit_test(test_failure_alone),
	    cmocka_unit_test(test_each_failure),
	    cmocka_unit_test(test_moved_away),
	    cmocka_unit_test(test_error_in_words),
	    cmocka_unit_test(test_stderr),
	    cmocka_unit_test(test_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
