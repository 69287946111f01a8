/* The event loop: timers and deferred calls. */
#include "check.h"

#include "base/clock.h"
#include "base/str.h"
#include "loop/loop.h"

static struct loop *loop;
static struct str trace;
static struct loop_timer *timer;

static int set_up(void **state)
{
	(void)state;
	loop = loop_create();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	loop_timer_free(timer);
	timer = NULL;
	loop_free(loop);
	str_free(&trace);
	return 0;
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void note(void *arg)
{
	str_puts(&trace, arg);
}

static void note_and_stop(void *arg)
{
	note(arg);
	loop_stop(loop);
}

/* Ends a run that hangs, so that the test fails instead. */
static void give_up(void *arg)
{
	(void)arg;
	str_puts(&trace, "gave up");
	loop_stop(loop);
}

static void run_at_most(double seconds)
{
	struct loop_timer *guard = loop_timer_create(loop, give_up, NULL);

	loop_timer_set(guard, seconds);
	loop_run(loop);
	loop_timer_free(guard);
}

static void defer_more(void *arg)
{
	str_puts(&trace, "(");
	loop_defer(loop, note, arg);
	str_puts(&trace, ")");
}

static void test_defer_order(void **state)
{
	(void)state;
	loop_defer(loop, note, "1");
	loop_defer(loop, defer_more, "4");
	loop_defer(loop, note, "2");
	loop_defer(loop, note, "3");
	assert_int_equal(trace.len, 0);
	timer = loop_timer_create(loop, stop, NULL);
	loop_timer_set(timer, 0.02);
	run_at_most(10);
	assert_string_equal(trace.data, "1()234");
}

static void test_defer_again_after_a_turn(void **state)
{
	(void)state;
	loop_defer(loop, note_and_stop, "1");
	run_at_most(10);
	loop_defer(loop, note_and_stop, "2");
	run_at_most(10);
	assert_string_equal(trace.data, "12");
}

static void defer_for_ever(void *arg)
{
	if (trace.len == 0)
		loop_defer(loop, defer_for_ever, arg);
}

/* Timers are served however much is deferred. */
static void test_defer_does_not_starve(void **state)
{
	double start = clock_monotonic();

	(void)state;
	timer = loop_timer_create(loop, note_and_stop, "timer");
	loop_timer_set(timer, 0.02);
	loop_defer(loop, defer_for_ever, NULL);
	run_at_most(10);
	assert_string_equal(trace.data, "timer");
	assert_true(clock_monotonic() - start < 5);
}

static void test_settle(void **state)
{
	(void)state;
	loop_settle(loop);
	loop_defer(loop, defer_more, "2");
	loop_defer(loop, note, "1");
	loop_settle(loop);
	assert_string_equal(trace.data, "()12");
	/* Deferring works as before. */
	loop_defer(loop, note_and_stop, "3");
	run_at_most(10);
	assert_string_equal(trace.data, "()123");
}

static void test_free_settles(void **state)
{
	(void)state;
	loop_defer(loop, defer_more, "end");
	loop_free(loop);
	loop = NULL;
	assert_string_equal(trace.data, "()end");
}

static void test_free_of_nothing(void **state)
{
	(void)state;
	loop_free(NULL);
	loop_timer_free(NULL);
	loop_timer_cancel(NULL);
}

static void test_timer(void **state)
{
	double start = clock_monotonic();

	(void)state;
	timer = loop_timer_create(loop, note_and_stop, "fired");
	assert_false(loop_timer_pending(timer));
	loop_timer_set(timer, 60);
	loop_timer_set(timer, 0.05);
	assert_true(loop_timer_pending(timer));
	run_at_most(10);
	assert_string_equal(trace.data, "fired");
	assert_false(loop_timer_pending(timer));
	assert_true(clock_monotonic() - start >= 0.049);
	assert_true(clock_monotonic() - start < 5);
}

static void test_timer_at_once(void **state)
{
	static const double past[] = {0, -1, -1e300, 0.0 / 0.0};

	(void)state;
	timer = loop_timer_create(loop, note_and_stop, "x");
	for (size_t i = 0; i < sizeof(past) / sizeof(*past); i++) {
		loop_timer_set(timer, past[i]);
		run_at_most(10);
		assert_int_equal(trace.len, i + 1);
	}
}

static void test_timer_cancel(void **state)
{
	struct loop_timer *other = loop_timer_create(loop, stop, NULL);

	(void)state;
	timer = loop_timer_create(loop, note, "cancelled");
	loop_timer_set(timer, 0.001);
	loop_timer_cancel(timer);
	assert_false(loop_timer_pending(timer));
	loop_timer_set(other, 0.03);
	run_at_most(10);
	assert_int_equal(trace.len, 0);
	loop_timer_set(timer, 1e300);
	assert_true(loop_timer_pending(timer));
	loop_timer_free(other);
}

static void free_own_timer(void *arg)
{
	note_and_stop(arg);
	loop_timer_free(timer);
	timer = NULL;
}

static void set_own_timer(void *arg)
{
	note(arg);
	if (trace.len < 3)
		loop_timer_set(timer, 0.001);
	else
		loop_stop(loop);
}

static void test_timer_in_its_callback(void **state)
{
	(void)state;
	timer = loop_timer_create(loop, free_own_timer, "freed");
	loop_timer_set(timer, 0);
	run_at_most(10);
	assert_string_equal(trace.data, "freed");
	str_clear(&trace);
	timer = loop_timer_create(loop, set_own_timer, "x");
	loop_timer_set(timer, 0);
	run_at_most(10);
	assert_string_equal(trace.data, "xxx");
}

#define with_loop(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    with_loop(test_defer_order),
	    with_loop(test_defer_again_after_a_turn),
	    with_loop(test_defer_does_not_starve),
	    with_loop(test_settle),
	    with_loop(test_free_settles),
	    with_loop(test_free_of_nothing),
	    with_loop(test_timer),
	    with_loop(test_timer_at_once),
	    with_loop(test_timer_cancel),
	    with_loop(test_timer_in_its_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
