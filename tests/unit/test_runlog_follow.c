/* Logs read forward: whole, torn, long and growing. */
#include "check.h"

#include "base/str.h"
#include "loop/loop.h"
#include "loop/worker.h"
#include "store/runlog_follow.h"
#include "store/runlog_read.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static struct loop *loop;
static struct worker *worker;
static struct runlog_follow *follow;
static char *path;
static int fd;

/* What was told: "type@id=data;" for each record. */
static struct str told;
static size_t longest; /* of one call's data */
static int calls;

static int set_up(void **state)
{
	if (make_temp_dir(state) != 0)
		return -1;
	loop = loop_create();
	worker = worker_create(loop);
	follow = runlog_follow_create(loop, worker);
	path = fs_join(*state, "events.jsonl");
	fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	longest = 0;
	calls = 0;
	str_puts(&told, "");
	return fd == -1 ? -1 : 0;
}

static int tear_down(void **state)
{
	runlog_follow_free(follow);
	worker_free(worker);
	loop_free(loop);
	close(fd);
	free(path);
	str_free(&told);
	return remove_temp_dir(state);
}

static void add(const char *text)
{
	assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
}

static void on_begin(void *arg, const char *type, int64_t id)
{
	(void)arg;
	str_printf(&told, "%s@%lld=", type, (long long)id);
}

static void on_data(void *arg, const char *data, size_t len)
{
	(void)arg;
	str_append(&told, data, len);
	longest = len > longest ? len : longest;
}

static void on_end(void *arg)
{
	(void)arg;
	str_putc(&told, ';');
}

static const struct runlog_sink sink = {on_begin, on_data, on_end, NULL};

static enum runlog_result read_once(struct runlog_reader *reader, bool complete)
{
	enum runlog_result result = runlog_read(reader, fd, complete, &sink);

	if (result == RUNLOG_COLD) { /* never in memory: what the storage thread would do */
		char byte;

		assert_true(pread(fd, &byte, 1, reader->offset + reader->told) >= 0);
	}
	return result;
}

static enum runlog_result read_all(struct runlog_reader *reader, bool complete)
{
	enum runlog_result result;

	do {
		result = read_once(reader, complete);
	} while (result == RUNLOG_MORE || result == RUNLOG_COLD);
	return result;
}

static void assert_told(const char *wanted)
{
	assert_string_equal(told.data, wanted);
	str_clear(&told);
	str_puts(&told, "");
}

static void test_records(void **state)
{
	struct runlog_reader reader = {0};

	(void)state;
	assert_int_equal(read_all(&reader, false), RUNLOG_WAIT);
	add("{\"type\":\"a\"}\n{\"b\":1}\n");
	assert_int_equal(read_all(&reader, false), RUNLOG_WAIT);
	assert_told("a@13={\"type\":\"a\"};message@21={\"b\":1};");
	assert_int_equal(reader.offset, 21);
	assert_int_equal(read_all(&reader, true), RUNLOG_END);
	assert_told("");
}

static void test_resume(void **state)
{
	struct runlog_reader reader = {.offset = 13};

	(void)state;
	add("{\"type\":\"a\"}\n{\"type\":\"b\"}\n");
	assert_int_equal(read_all(&reader, true), RUNLOG_END);
	assert_told("b@26={\"type\":\"b\"};");
	assert_true(runlog_is_border(fd, 0));
	assert_true(runlog_is_border(fd, 13));
	assert_true(runlog_is_border(fd, 26));
	assert_false(runlog_is_border(fd, 12));
	assert_false(runlog_is_border(fd, 27));
}

/* A record that is being written is told once it is whole. */
static void test_growing(void **state)
{
	struct runlog_reader reader = {0};

	(void)state;
	add("{\"type\":\"a\"");
	assert_int_equal(read_all(&reader, false), RUNLOG_WAIT);
	assert_told("");
	add("}\n");
	assert_int_equal(read_all(&reader, false), RUNLOG_WAIT);
	assert_told("a@13={\"type\":\"a\"};");
}

static void test_corrupt(void **state)
{
	struct runlog_reader reader = {0};

	(void)state;
	add("{\"type\":\"a\n\n[1]\n{\"t\":\"\r\"}\n{\"type\":\"x\\ny\"}\n{\"type\":\"z");
	assert_int_equal(read_all(&reader, false), RUNLOG_WAIT);
	assert_told("corrupt@11={\"type\":\"corrupt\"};corrupt@16={\"type\":\"corrupt\"};"
		    "corrupt@26={\"type\":\"corrupt\"};message@42={\"type\":\"x\\ny\"};");
	assert_int_equal(read_all(&reader, true), RUNLOG_END);
	assert_told("corrupt@52={\"type\":\"corrupt\"};");
	assert_int_equal(read_all(&reader, true), RUNLOG_END);
	assert_told("");
}

/* Many short records do not become one large answer. */
static void test_pieces(void **state)
{
	struct runlog_reader reader = {0};
	struct str text = {0};
	size_t most = 0;

	(void)state;
	for (int i = 0; i < 20000; i++)
		str_puts(&text, "{}\n");
	add(text.data);
	str_free(&text);
	for (enum runlog_result result = RUNLOG_MORE; result != RUNLOG_END;) {
		result = read_once(&reader, true);
		most = told.len > most ? told.len : most;
		str_clear(&told);
	}
	assert_int_equal(reader.offset, 60000);
	assert_true(most < 64 * 1024);
}

static void make_long(struct str *record, size_t len, const char *tail)
{
	str_puts(record, "{\"time\":\"2026\",\"type\":\"output\",\"text\":\"\\\"}");
	while (record->len < len)
		str_puts(record, "0123456789abcde}");
	str_puts(record, tail);
}

static void test_long(void **state)
{
	struct runlog_reader reader = {0};
	struct str record = {0}, wanted = {0};

	(void)state;
	make_long(&record, 9 << 20, "\"}");
	str_printf(&wanted, "output@%zu=%s;a@%zu={\"type\":\"a\"};", record.len + 1, record.data,
	    record.len + 14);
	add(record.data);
	assert_int_equal(read_all(&reader, false), RUNLOG_WAIT);
	assert_told("");
	add("\n{\"type\":\"a\"}\n");
	assert_int_equal(read_all(&reader, true), RUNLOG_END);
	assert_true(longest <= 64 * 1024);
	assert_int_equal(told.len, wanted.len);
	assert_true(strcmp(told.data, wanted.data) == 0);
	str_free(&wanted);
	str_free(&record);
}

/* Nothing of a long record is told before it is known to be whole. */
static void test_long_torn(void **state)
{
	struct runlog_reader reader = {0};
	struct str record = {0}, wanted = {0};

	(void)state;
	make_long(&record, 300000, "\n");
	add(record.data);
	add("{\"type\":\"a\"}\n");
	str_printf(&wanted, "corrupt@%zu={\"type\":\"corrupt\"};a@%zu={\"type\":\"a\"};",
	    record.len, record.len + 13);
	assert_int_equal(read_all(&reader, false), RUNLOG_WAIT);
	assert_told(wanted.data);
	str_clear(&wanted);
	str_printf(&wanted, "corrupt@%zu={\"type\":\"corrupt\"};", 2 * record.len + 12);
	record.data[record.len - 1] = '}';
	add(record.data);
	assert_int_equal(read_all(&reader, false), RUNLOG_WAIT);
	assert_told("");
	assert_int_equal(read_all(&reader, true), RUNLOG_END);
	str_clear(&wanted);
	str_printf(&wanted, "corrupt@%zu={\"type\":\"corrupt\"};", 2 * record.len + 13);
	assert_told(wanted.data);
	str_free(&wanted);
	str_free(&record);
}

/* What the beginning gave back to the disk is not there any more; the offsets stay. */
static void test_first(void **state)
{
	struct str text = {0};
	int64_t border;

	(void)state;
	assert_int_equal(runlog_first(fd), 0);
	while (text.len < 20000)
		str_puts(&text, "{\"type\":\"a\"}\n");
	border = 13 * 1000;
	add(text.data);
	assert_int_equal(runlog_first(fd), 0);
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, border) == 0) {
		assert_int_equal(runlog_first(fd), border);
		assert_true(ftruncate(fd, 0) == 0);
		add("{\"type\":\"a\"}\n{\"type\":\"b\"}\n");
		assert_int_equal(runlog_first(fd), 0);
		assert_true(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 13) == 0);
		assert_int_equal(runlog_first(fd), 13);
		assert_true(runlog_is_border(fd, 13));
		add(text.data);
		assert_true(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				(off_t)text.len + 26) == 0);
		assert_int_equal(runlog_first(fd), text.len + 26);
	}
	assert_true(runlog_size(fd) >= (int64_t)text.len);
	str_free(&text);
}

/* ---- followers ---- */

static struct runlog_follower *first, *second;

static void on_more(void *arg)
{
	(void)arg;
	calls++;
	loop_stop(loop);
}

static void free_both(void *arg)
{
	on_more(arg);
	runlog_follower_free(first);
	runlog_follower_free(second);
	first = second = NULL;
}

static void give_up(void *arg)
{
	(void)arg;
	loop_stop(loop);
	calls = -1;
}

static void run(void)
{
	struct loop_timer *guard = loop_timer_create(loop, give_up, NULL);

	loop_timer_set(guard, 10);
	loop_run(loop);
	loop_timer_free(guard);
}

static void test_told_of_growth(void **state)
{
	(void)state;
	first = runlog_follower_create(follow, path, on_more, NULL);
	second = runlog_follower_create(follow, path, on_more, NULL);
	assert_int_not_equal(runlog_follower_fd(first), -1);
	assert_int_equal(runlog_follower_fd(first), runlog_follower_fd(second));
	add("x");
	run();
	assert_int_equal(calls, 2);
	runlog_follower_free(first);
	add("x");
	run();
	assert_int_equal(calls, 3);
	runlog_follower_free(second);
}

static void test_freed_when_told(void **state)
{
	(void)state;
	first = runlog_follower_create(follow, path, free_both, NULL);
	second = runlog_follower_create(follow, path, free_both, NULL);
	assert_int_not_equal(runlog_follower_fd(first), -1);
	add("x");
	run();
	assert_int_equal(calls, 1);
	assert_null(first);
}

static void test_not_there_yet(void **state)
{
	(void)state;
	assert_int_equal(unlink(path), 0);
	first = runlog_follower_create(follow, path, on_more, NULL);
	assert_int_equal(runlog_follower_fd(first), -1);
	close(fd);
	fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_int_not_equal(runlog_follower_fd(first), -1);
	add("x");
	run();
	assert_int_equal(calls, 1);
	runlog_follower_free(first);
}

static void test_fetch(void **state)
{
	(void)state;
	add("x");
	first = runlog_follower_create(follow, path, on_more, NULL);
	second = runlog_follower_create(follow, path, on_more, NULL);
	runlog_follower_fetch(first, 0);
	runlog_follower_fetch(first, 0);
	runlog_follower_fetch(second, 0);
	runlog_follower_free(second);
	worker_flush(worker);
	assert_int_equal(calls, 1);
	runlog_follower_free(first);
}

/* What has left the memory is fetched by the storage thread, and nothing is missing then. */
static void test_cold(void **state)
{
	struct runlog_reader reader = {0};
	struct str text = {0};
	size_t records = 50000;
	int cold = 0;

	(void)state;
	for (size_t i = 0; i < records; i++)
		str_puts(&text, "{\"type\":\"a\",\"text\":\"abcdefgh\"}\n");
	add(text.data);
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	first = runlog_follower_create(follow, path, on_more, NULL);
	for (enum runlog_result result = RUNLOG_MORE; result != RUNLOG_END;) {
		result = runlog_read(&reader, runlog_follower_fd(first), true, &sink);
		assert_int_not_equal(result, RUNLOG_FAILED);
		if (result == RUNLOG_COLD) {
			cold++;
			runlog_follower_fetch(first, reader.offset);
			worker_flush(worker);
		}
	}
	assert_int_equal(calls, cold);
	assert_true(cold < 100);
	assert_int_equal(reader.offset, text.len);
	print_message("fetched %d times\n", cold);
	runlog_follower_free(first);
	str_free(&text);
}

#define with_log(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    with_log(test_records),
	    with_log(test_resume),
	    with_log(test_growing),
	    with_log(test_corrupt),
	    with_log(test_pieces),
	    with_log(test_long),
	    with_log(test_long_torn),
	    with_log(test_first),
	    with_log(test_told_of_growth),
	    with_log(test_freed_when_told),
	    with_log(test_not_there_yet),
	    with_log(test_fetch),
	    with_log(test_cold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
