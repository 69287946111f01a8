/* Retry counts in memory. */
#include "check.h"

#include "dispatch/retries.h"

#include <stdio.h>

static void assert_retries(
    const struct retries *retries, const char *task, const char *queue, int count, bool ours)
{
	bool is_ours = !ours;

	assert_int_equal(retries_get(retries, task, queue, &is_ours), count);
	assert_int_equal(is_ours, ours);
	assert_int_equal(retries_get(retries, task, queue, NULL), count);
}

static void test_set_and_forget(void **state)
{
	struct retries retries = {0};

	(void)state;
	assert_true(retries_empty(&retries));
	assert_retries(&retries, "1", "Todo", 0, false);
	retries_set(&retries, "1", "Todo", 0, true);
	assert_true(retries_empty(&retries));
	retries_set(&retries, "1", "Todo", 1, true);
	assert_retries(&retries, "1", "Todo", 1, true);
	retries_set(&retries, "1", "Todo", 2, false);
	assert_retries(&retries, "1", "Todo", 2, false);
	assert_false(retries_empty(&retries));
	retries_set(&retries, "1", "Todo", 0, true);
	assert_retries(&retries, "1", "Todo", 0, false);
	assert_true(retries_empty(&retries));
	retries_free(&retries);
}

/* Each route counts for itself, and no name runs into its neighbour. */
static void test_by_task_and_route(void **state)
{
	struct retries retries = {0};

	(void)state;
	retries_set(&retries, "1", "Todo", 1, true);
	retries_set(&retries, "1", "QA", 2, false);
	retries_set(&retries, "12", "Todo", 3, true);
	retries_set(&retries, "1", "2Todo", 4, true);
	retries_set(&retries, "", "1Todo", 5, true);
	assert_retries(&retries, "1", "Todo", 1, true);
	assert_retries(&retries, "1", "QA", 2, false);
	assert_retries(&retries, "12", "Todo", 3, true);
	assert_retries(&retries, "1", "2Todo", 4, true);
	assert_retries(&retries, "", "1Todo", 5, true);
	assert_retries(&retries, "2", "Todo", 0, false);
	retries_free(&retries);
	assert_true(retries_empty(&retries));
}

static void test_many(void **state)
{
	struct retries retries = {0};
	char task[16];

	(void)state;
	for (int i = 1; i <= 5000; i++) {
		snprintf(task, sizeof(task), "%d", i);
		retries_set(&retries, task, "Todo", i, i % 2 == 0);
	}
	for (int i = 1; i <= 5000; i++) {
		snprintf(task, sizeof(task), "%d", i);
		assert_retries(&retries, task, "Todo", i, i % 2 == 0);
	}
	retries_free(&retries);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_set_and_forget),
	    cmocka_unit_test(test_by_task_and_route),
	    cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
