/* Tasks that have to wait before they are taken. */
#include "check.h"

#include "dispatch/holds.h"

static void test_set(void **state)
{
	struct holds holds = {0};

	(void)state;
	assert_false(holds_active(&holds, "1", 0));
	holds_set(&holds, "1", 10, true);
	assert_true(holds_active(&holds, "1", 0));
	assert_true(holds_active(&holds, "1", 9.999));
	assert_false(holds_active(&holds, "1", 10));
	assert_false(holds_active(&holds, "2", 0));
	holds_set(&holds, "1", 5, true);
	assert_false(holds_active(&holds, "1", 5));
	holds_set(&holds, "1", 20, false);
	assert_true(holds_active(&holds, "1", 10));
	holds_forget(&holds, "1");
	holds_forget(&holds, "never there");
	assert_false(holds_active(&holds, "1", 0));
	holds_free(&holds);
}

static void test_back_off(void **state)
{
	static const double seconds[] = {30, 60, 120, 240, 480, 900, 900};
	struct holds holds = {0};
	double now = 1000;

	(void)state;
	for (size_t i = 0; i < sizeof(seconds) / sizeof(*seconds); i++) {
		assert_true(holds_back_off(&holds, "1", now, 30) == seconds[i]);
		assert_true(holds_active(&holds, "1", now + seconds[i] - 0.001));
		assert_false(holds_active(&holds, "1", now + seconds[i]));
		now += seconds[i];
	}
	/* Another task has failures of its own, and a task that was taken starts anew. */
	assert_true(holds_back_off(&holds, "2", now, 30) == 30);
	holds_forget(&holds, "1");
	assert_true(holds_back_off(&holds, "1", now, 30) == 30);
	assert_true(holds_back_off(&holds, "3", now, 1800) == 900);
	for (int i = 0; i < 5000; i++)
		holds_back_off(&holds, "4", now, 0.001);
	assert_true(holds_back_off(&holds, "4", now, 0.001) == 900);
	holds_free(&holds);
}

static void test_refused(void **state)
{
	struct holds holds = {0};

	(void)state;
	holds_mark_refused(&holds, "never there");
	holds_back_off(&holds, "1", 0, 30);
	holds_mark_refused(&holds, "1");
	holds_back_off(&holds, "2", 0, 30);
	holds_set(&holds, "3", 30, true);
	holds_release_refused(&holds, 10);
	assert_false(holds_active(&holds, "1", 10));
	assert_true(holds_active(&holds, "2", 10));
	assert_true(holds_active(&holds, "3", 10));
	/* It goes on where it was, and another reason is not the backend's. */
	assert_true(holds_back_off(&holds, "1", 10, 30) == 60);
	holds_release_refused(&holds, 20);
	assert_true(holds_active(&holds, "1", 20));
	holds_free(&holds);
}

static void test_retries(void **state)
{
	struct holds holds = {0};

	(void)state;
	assert_true(holds_retry_at(&holds, "2") == 0);
	assert_int_equal(holds_count(&holds), 0);
	holds_set(&holds, "1", 10, false);
	assert_true(holds_retry_at(&holds, "1") == 0);
	holds_set(&holds, "2", 10, true);
	assert_true(holds_retry_at(&holds, "2") == 10);
	assert_int_equal(holds_count(&holds), 2);
	/* A prompt that fails makes of the retry a task that is merely broken. */
	holds_back_off(&holds, "2", 0, 100);
	assert_true(holds_retry_at(&holds, "2") == 0);
	holds_free(&holds);
}

static void test_reason(void **state)
{
	struct holds holds = {0};
	struct hold_view view;

	(void)state;
	holds_set_reason(&holds, "1", "nobody holds it");
	assert_false(holds_look(&holds, "1", 0, &view));
	holds_back_off(&holds, "1", 0, 10);
	holds_set_reason(&holds, "1", "it is locked");
	holds_mark_refused(&holds, "1");
	assert_true(holds_look(&holds, "1", 9, &view));
	assert_true(view.until == 10);
	assert_false(view.retry);
	assert_string_equal(view.reason, "it is locked");
	assert_false(holds_look(&holds, "1", 10, &view));
	/* Another hold has a reason of its own. */
	holds_set(&holds, "1", 20, true);
	assert_true(holds_look(&holds, "1", 10, &view));
	assert_true(view.retry);
	assert_null(view.reason);
	holds_free(&holds);
}

/* What is over is kept for its failures, an hour long. */
static void test_sweep(void **state)
{
	struct holds holds = {0};

	(void)state;
	holds_back_off(&holds, "1", 0, 100);
	holds_set(&holds, "2", 1000, true);
	holds_sweep(&holds, 3700);
	assert_true(holds_back_off(&holds, "1", 0, 100) == 200);
	holds_sweep(&holds, 3801);
	assert_true(holds_back_off(&holds, "1", 0, 100) == 100);
	holds_sweep(&holds, 1e9);
	assert_null(holds.by_task);
	holds_free(&holds);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_set),
	    cmocka_unit_test(test_back_off),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_retries),
	    cmocka_unit_test(test_reason),
	    cmocka_unit_test(test_sweep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
