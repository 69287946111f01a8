/* Runs as plain records: ids, steps and their text, names, what the API shows. */
#include "check.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "model/run.h"

#include <string.h>

static void test_create(void **state)
{
	struct run *run = run_create();

	(void)state;
	assert_int_equal(run->state, RUN_CLAIMING);
	assert_int_equal(run->outcome, OUTCOME_NONE);
	assert_int_equal(run->exit_code, -1);
	assert_int_equal(run->retries_after, -1);
	assert_true(clock_now_ms() - run->created_at < 60000);
	run_free(run);
	run_free(NULL);
}

/* An id names a folder, so it must be safe in a path, and says when the run was made. */
static void test_id(void **state)
{
	struct run *run = run_create();
	char time[CLOCK_TEXT_SIZE];
	char *wanted;

	(void)state;
	clock_format(run->created_at, time);
	wanted = xasprintf("%.4s%.2s%.2s-%.2s%.2s%.2s-%.3s-", time, time + 5, time + 8, time + 11,
	    time + 14, time + 17, time + 20);
	assert_int_equal(strlen(run->id), 28);
	assert_memory_equal(run->id, wanted, strlen(wanted));
	assert_int_equal(strspn(run->id, "0123456789abcdef-"), strlen(run->id));
	free(wanted);
	run_free(run);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void test_ids_differ_and_sort(void **state)
{
	char *ids[500];
	char *last = NULL;

	(void)state;
	for (size_t i = 0; i < 500; i++) {
		struct run *run = run_create();

		/* Sorted by time down to the millisecond: date, time and the first 3 digits. */
		assert_true(last == NULL || strncmp(last, run->id, 19) <= 0);
		last = ids[i] = xstrdup(run->id);
		run_free(run);
	}
	qsort(ids, 500, sizeof(*ids), compare);
	for (size_t i = 1; i < 500; i++)
		assert_string_not_equal(ids[i - 1], ids[i]);
	for (size_t i = 0; i < 500; i++)
		free(ids[i]);
}

static void test_id_time(void **state)
{
	static const char *const none[] = {"", "x", "20261123-082601-123-4f2a9c0",
	    "20261123-082601-123-4f2a9c011", "20261123-082601-123-4F2a9c01",
	    "20261123-08260x-123-4f2a9c01", "20261123_082601-123-4f2a9c01",
	    "../../../../../../etc/passwd"};
	struct run *run = run_create();
	int64_t ms = 0;

	(void)state;
	assert_true(run_id_time(run->id, &ms));
	assert_true(ms == run->created_at);
	assert_true(run_id_time("20260131-123456-789-0000abcd", &ms));
	assert_true(ms == 1769862896789);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_false(run_id_time(none[i], &ms));
	run_free(run);
}

static void test_steps(void **state)
{
	struct run *run = run_create();
	struct run *copy = run_create();
	char *text;

	(void)state;
	run_add_step(run, STEP_COMMENT, "Retry 1/3: \"quoted\"\n\\ / \x01 \xc3\xa9");
	run_add_step(run, STEP_MOVE, "Todo");
	run_add_step(run, STEP_COMMENT, "");
	run->steps[0].state = STEP_DONE;
	run->steps[1].state = STEP_BEGUN;
	text = run_steps_print(run);
	assert_true(run_steps_parse(copy, text));
	assert_int_equal(copy->step_count, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(copy->steps[i].kind, run->steps[i].kind);
		assert_int_equal(copy->steps[i].state, run->steps[i].state);
		assert_string_equal(copy->steps[i].text, run->steps[i].text);
	}
	run_clear_steps(copy);
	assert_int_equal(copy->step_count, 0);
	assert_null(copy->steps);
	free(text);
	run_free(run);
	run_free(copy);
}

static void test_no_steps(void **state)
{
	struct run *run = run_create();
	char *text = run_steps_print(run);

	(void)state;
	assert_string_equal(text, "[]");
	run_add_step(run, STEP_MOVE, "gone after the parse");
	assert_true(run_steps_parse(run, text));
	assert_int_equal(run->step_count, 0);
	free(text);
	run_free(run);
}

/* A backend's words may be no UTF-8; the run must be readable after a restart all the same. */
static void test_steps_in_bad_utf8(void **state)
{
	struct run *run = run_create();
	char *text;

	(void)state;
	run_add_step(run, STEP_MOVE, "In Arb\xe9it");
	text = run_steps_print(run);
	assert_true(run_steps_parse(run, text));
	assert_string_equal(run->steps[0].text, "In Arb\xef\xbf\xbdit");
	free(text);
	run_free(run);
}

static void test_bad_steps(void **state)
{
	static const char *const bad[] = {"", "null", "{}", "[", "[1]", "[null]", "[{}]", "\"x\"",
	    "[{\"kind\":\"comment\",\"state\":\"done\"}]",
	    "[{\"kind\":\"comment\",\"state\":\"done\",\"text\":null}]",
	    "[{\"kind\":\"dance\",\"state\":\"done\",\"text\":\"x\"}]",
	    "[{\"kind\":\"move\",\"state\":\"over\",\"text\":\"x\"}]",
	    "[{\"kind\":\"move\",\"state\":\"done\",\"text\":\"x\"}] x"};
	struct run *run = run_create();

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (run_steps_parse(run, bad[i]))
			fail_msg("%s was taken", bad[i]);
	run_free(run);
}

static void test_names(void **state)
{
	enum run_state s;
	enum run_outcome o;

	(void)state;
	for (enum run_state i = RUN_CLAIMING; i <= RUN_DONE; i++) {
		assert_true(run_state_parse(run_state_name(i), &s));
		assert_int_equal(s, i);
	}
	for (enum run_outcome i = OUTCOME_NONE; i <= OUTCOME_DROPPED; i++) {
		assert_true(run_outcome_parse(run_outcome_name(i), &o));
		assert_int_equal(o, i);
	}
	s = RUN_RUNNING;
	o = OUTCOME_LOST;
	assert_false(run_state_parse("Running", &s));
	assert_false(run_state_parse("", &s));
	assert_false(run_state_parse(NULL, &s));
	assert_false(run_outcome_parse("running", &o));
	assert_false(run_outcome_parse(NULL, &o));
	assert_int_equal(s, RUN_RUNNING);
	assert_int_equal(o, OUTCOME_LOST);
	assert_string_equal(run_state_name(RUN_FINISHING), "finishing");
	assert_string_equal(run_outcome_name(OUTCOME_RATE_LIMITED), "rate_limited");
}

static void assert_json(struct run *run, const char *wanted)
{
	struct json_object *object = run_to_json(run);
	char *text = json_print(object);

	assert_string_equal(text, wanted);
	free(text);
	json_object_put(object);
}

static void test_to_json(void **state)
{
	struct run *run = run_create();

	(void)state;
	free(run->id);
	run->id = xstrdup("r1");
	run->task_id = xstrdup("7");
	run->task_name = xstrdup("Fix");
	run->queue_name = xstrdup("Todo");
	run->in_progress_queue = xstrdup("WIP");
	run->created_at = 1;
	run->token_hash = xstrdup("secret");
	run->prompt = xstrdup("secret");
	run->options = json_parse("{\"env\":[\"KEY=secret\"]}", 22, NULL);
	assert_json(run,
	    "{\"run_id\":\"r1\",\"task_id\":\"7\",\"task_name\":\"Fix\",\"queue_name\":\"Todo\","
	    "\"in_progress_queue\":\"WIP\",\"state\":\"claiming\",\"outcome\":null,"
	    "\"retry_count\":0,\"created_at\":\"1970-01-01T00:00:00.001Z\",\"started_at\":null,"
	    "\"ended_at\":null,\"exit_code\":null,\"signal\":null,\"error\":null,"
	    "\"needs_attention\":null}");
	run->state = RUN_DONE;
	run->outcome = OUTCOME_FAILURE;
	run->attempt = 2;
	run->started_at = 1000;
	run->ended_at = 61000;
	run->exit_code = 0;
	run->signal = 9;
	run->error = xstrdup("killed");
	run->attention = xstrdup("look");
	assert_json(run,
	    "{\"run_id\":\"r1\",\"task_id\":\"7\",\"task_name\":\"Fix\",\"queue_name\":\"Todo\","
	    "\"in_progress_queue\":\"WIP\",\"state\":\"done\",\"outcome\":\"failure\","
	    "\"retry_count\":2,\"created_at\":\"1970-01-01T00:00:00.001Z\","
	    "\"started_at\":\"1970-01-01T00:00:01.000Z\","
	    "\"ended_at\":\"1970-01-01T00:01:01.000Z\",\"exit_code\":0,\"signal\":9,"
	    "\"error\":\"killed\",\"needs_attention\":\"look\"}");
	run_free(run);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_create),
	    cmocka_unit_test(test_id),
	    cmocka_unit_test(test_ids_differ_and_sort),
	    cmocka_unit_test(test_id_time),
	    cmocka_unit_test(test_steps),
	    cmocka_unit_test(test_no_steps),
	    cmocka_unit_test(test_steps_in_bad_utf8),
	    cmocka_unit_test(test_bad_steps),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_to_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
