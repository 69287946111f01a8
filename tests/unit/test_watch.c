/* inotify on one path. */
#include "check.h"

#include "base/clock.h"
#include "base/str.h"
#include "loop/loop.h"
#include "loop/watch.h"

#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>

static struct loop *loop;
static struct watch *watch;
static char *dir;

/* What the callback saw. */
static struct str names;
static uint32_t masks;
static int calls;
static int wanted; /* the loop stops after so many */

static int set_up(void **state)
{
	if (make_temp_dir(state) != 0)
		return -1;
	dir = *state;
	loop = loop_create();
	masks = 0;
	calls = 0;
	wanted = 1;
	return 0;
}

static int tear_down(void **state)
{
	watch_free(watch);
	watch = NULL;
	loop_free(loop);
	str_free(&names);
	return remove_temp_dir(state);
}

static void on_event(void *arg, uint32_t mask, const char *name)
{
	(void)arg;
	masks |= mask;
	str_puts(&names, name == NULL ? "-" : name);
	str_putc(&names, ' ');
	if (++calls >= wanted)
		loop_stop(loop);
}

static void give_up(void *arg)
{
	(void)arg;
	str_puts(&names, "gave up");
	loop_stop(loop);
}

static void run_at_most(double seconds)
{
	struct loop_timer *guard = loop_timer_create(loop, give_up, NULL);

	loop_timer_set(guard, seconds);
	loop_run(loop);
	loop_timer_free(guard);
}

static void touch(const char *name)
{
	char *path = fs_join(dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fs_write_all(fd, "x", 1), 0);
	close(fd);
	free(path);
}

static void test_folder(void **state)
{
	(void)state;
	watch = watch_create(loop, dir, IN_CREATE | IN_CLOSE_WRITE, on_event, NULL, NULL);
	assert_non_null(watch);
	touch("one");
	touch("a rather long name, so that padding counts");
	wanted = 4;
	run_at_most(10);
	assert_string_equal(names.data, "one one a rather long name, so that padding counts "
					"a rather long name, so that padding counts ");
	assert_int_equal(masks, IN_CREATE | IN_CLOSE_WRITE);
}

static void test_file(void **state)
{
	char *path = fs_join(dir, "file");

	(void)state;
	touch("file");
	watch = watch_create(loop, path, IN_MODIFY, on_event, NULL, NULL);
	assert_non_null(watch);
	touch("other");
	touch("file");
	run_at_most(10);
	assert_string_equal(names.data, "- ");
	assert_int_equal(masks, IN_MODIFY);
	free(path);
}

/* More than one read's worth of events comes through whole. */
static void test_many(void **state)
{
	(void)state;
	watch = watch_create(loop, dir, IN_CREATE, on_event, NULL, NULL);
	assert_non_null(watch);
	for (int i = 0; i < 1000; i++) {
		char *name = xasprintf("file-%d", i);

		touch(name);
		free(name);
	}
	wanted = 1000;
	run_at_most(10);
	assert_int_equal(calls, 1000);
	assert_non_null(strstr(names.data, " file-999 "));
}

static void test_missing(void **state)
{
	struct error err = {0};
	char *path = fs_join(dir, "none");

	(void)state;
	assert_null(watch_create(loop, path, IN_MODIFY, on_event, NULL, &err));
	assert_non_null(strstr(err.message, path));
	error_clear(&err);
	free(path);
	watch_free(NULL);
}

static void free_in_callback(void *arg, uint32_t mask, const char *name)
{
	on_event(arg, mask, name);
	watch_free(watch);
	watch = NULL;
}

/* The events behind the one whose callback frees the watch are dropped with it. */
static void test_free_in_callback(void **state)
{
	(void)state;
	watch = watch_create(loop, dir, IN_CREATE, free_in_callback, NULL, NULL);
	assert_non_null(watch);
	touch("one");
	touch("two");
	run_at_most(10);
	assert_string_equal(names.data, "one ");
}

/* Many paths take few descriptors, and each callback hears of its own path only. */
static void test_shared(void **state)
{
	struct watch *others[200];
	char *path = fs_join(dir, "file");

	(void)state;
	touch("file");
	for (size_t i = 0; i < 200; i++) {
		char *name = xasprintf("other-%zu", i);
		char *other = fs_join(dir, name);

		touch(name);
		others[i] = watch_create(loop, other, IN_MODIFY, on_event, NULL, NULL);
		assert_non_null(others[i]);
		free(other);
		free(name);
	}
	watch = watch_create(loop, path, IN_MODIFY, on_event, NULL, NULL);
	assert_non_null(watch);
	touch("file");
	run_at_most(10);
	assert_string_equal(names.data, "- ");
	for (size_t i = 0; i < 200; i++)
		watch_free(others[i]);
	free(path);
}

/* Two who watch one path both hear of it, each what it asked for. */
static void test_twice(void **state)
{
	struct watch *second;

	(void)state;
	watch = watch_create(loop, dir, IN_CREATE, on_event, NULL, NULL);
	second = watch_create(loop, dir, IN_CREATE | IN_CLOSE_WRITE, on_event, NULL, NULL);
	assert_non_null(watch);
	assert_non_null(second);
	touch("one");
	wanted = 3;
	run_at_most(10);
	assert_string_equal(names.data, "one one one ");
	watch_free(second);
}

static void touch_in_callback(void *arg, uint32_t mask, const char *name)
{
	(void)arg;
	(void)mask;
	if (names.len == 0)
		touch(name);
}

static void note_and_stop(void *arg)
{
	str_puts(&names, arg);
	loop_stop(loop);
}

/* Timers are served however often the path changes. */
static void test_does_not_starve(void **state)
{
	struct loop_timer *timer = loop_timer_create(loop, note_and_stop, "timer");
	double start = clock_monotonic();

	(void)state;
	watch = watch_create(loop, dir, IN_MODIFY, touch_in_callback, NULL, NULL);
	assert_non_null(watch);
	touch("one");
	loop_timer_set(timer, 0.02);
	run_at_most(10);
	assert_string_equal(names.data, "timer");
	assert_true(clock_monotonic() - start < 5);
	loop_timer_free(timer);
}

#define with_folder(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    with_folder(test_folder),
	    with_folder(test_file),
	    with_folder(test_many),
	    with_folder(test_missing),
	    with_folder(test_free_in_callback),
	    with_folder(test_shared),
	    with_folder(test_twice),
	    with_folder(test_does_not_starve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
