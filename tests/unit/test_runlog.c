/* A run's log: appending behind whatever stands there, and reading its end. */
#include "check.h"

#include "base/json.h"
#include "store/runlog.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char *path;

static int set_up(void **state)
{
	if (make_temp_dir(state) != 0)
		return -1;
	path = fs_join(*state, "events.jsonl");
	return 0;
}

static int tear_down(void **state)
{
	free(path);
	return remove_temp_dir(state);
}

static void write_log(const void *data, size_t len)
{
	assert_true(fs_write_atomic(path, data, len, 0600, false, NULL));
}

static void write_text(const char *text)
{
	write_log(text, strlen(text));
}

static void append(const char *record)
{
	struct error err = {0};

	if (!runlog_append(path, record, strlen(record), &err))
		fail_msg("%s", err.message);
}

static void assert_file(const char *wanted)
{
	struct str text = {0};

	assert_true(fs_read(path, &text, 1 << 20, NULL));
	assert_string_equal(text.data, wanted);
	str_free(&text);
}

static void assert_tail(size_t max, size_t max_bytes, const char *wanted)
{
	struct json_object *list = runlog_tail(path, max, max_bytes);
	char *text = json_print(list);

	assert_string_equal(text, wanted);
	free(text);
	json_object_put(list);
}

static void assert_stderr(size_t max_lines, size_t max_bytes, const char *wanted)
{
	struct str out = {0};

	runlog_stderr_tail(path, max_lines, max_bytes, &out);
	assert_string_equal(out.data == NULL ? "" : out.data, wanted);
	str_free(&out);
}

/* ---- appending ---- */

static void test_append(void **state)
{
	struct stat st;

	(void)state;
	append("{\"a\":1}");
	append("{\"b\":2}");
	assert_file("{\"a\":1}\n{\"b\":2}\n");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

/* What a killed writer left stays, on a line of its own. */
static void test_append_behind_a_torn_line(void **state)
{
	(void)state;
	write_text("{\"a\":1}\n{\"b\":");
	append("{\"c\":3}");
	assert_file("{\"a\":1}\n{\"b\":\n{\"c\":3}\n");
	assert_tail(9, 1 << 20,
	    "[{\"a\":1,\"id\":8},{\"type\":\"corrupt\",\"id\":14},{\"c\":3,\"id\":22}]");
}

static void test_append_fails(void **state)
{
	struct error err = {0};
	char *inside = fs_join(path, "x");

	(void)state;
	assert_false(runlog_append(inside, "{}", 2, &err));
	assert_non_null(strstr(err.message, inside));
	/* A link that somebody put there is not followed. */
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_false(runlog_append(path, "{}", 2, &err));
	assert_non_null(strstr(err.message, path));
	error_clear(&err);
	free(inside);
}

/* A full disk may take half a line; once there is space, the next stands by itself. */
static void test_append_without_space(void **state)
{
	struct rlimit before, small = {.rlim_cur = 12};
	struct error err = {0};

	(void)state;
	append("{\"a\":1}");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small.rlim_max = before.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_false(runlog_append(path, "{\"lost\":1}", 10, &err));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_non_null(strstr(err.message, path));
	error_clear(&err);
	append("{\"b\":2}");
	assert_file("{\"a\":1}\n{\"lo\n{\"b\":2}\n");
}

static void append_many(int who)
{
	char record[64];

	for (int i = 0; i < 400; i++) {
		snprintf(record, sizeof(record), "{\"who\":%d,\"n\":%d}", who, i);
		if (!runlog_append(path, record, strlen(record), NULL))
			_exit(1);
	}
	_exit(0);
}

/* Daemon and supervisor write to the same log; no line of either is lost or torn. */
static void test_two_writers(void **state)
{
	struct json_object *list;
	pid_t pids[2];
	int status, next[2] = {0};

	(void)state;
	for (int i = 0; i < 2; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
			append_many(i);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	list = runlog_tail(path, 10000, 1 << 20);
	assert_int_equal(json_object_array_length(list), 800);
	for (size_t i = 0; i < 800; i++) {
		struct json_object *record = json_object_array_get_idx(list, i);
		int64_t who = json_get_int(record, "who", -1);

		assert_true(who == 0 || who == 1);
		assert_int_equal(json_get_int(record, "n", -1), next[who]++);
	}
	json_object_put(list);
}

/* ---- the tail ---- */

static void test_tail(void **state)
{
	static const char log[] = "{\"a\":1}\n{}\n{\"id\":\"own\",\"b\":2}\n";

	(void)state;
	assert_tail(9, 1 << 20, "[]");
	write_text("");
	assert_tail(9, 1 << 20, "[]");
	write_text(log);
	assert_tail(9, 1 << 20, "[{\"a\":1,\"id\":8},{\"id\":11},{\"id\":30,\"b\":2}]");
	assert_tail(3, 1 << 20, "[{\"a\":1,\"id\":8},{\"id\":11},{\"id\":30,\"b\":2}]");
	assert_tail(2, 1 << 20, "[{\"id\":11},{\"id\":30,\"b\":2}]");
	assert_tail(1, 1 << 20, "[{\"id\":30,\"b\":2}]");
	assert_tail(0, 1 << 20, "[]");
}

/* Each id is the offset behind its event's line: going on from there misses and repeats nothing. */
static void test_ids_are_offsets(void **state)
{
	struct str log = {0};
	struct json_object *list;
	size_t ends[200];

	(void)state;
	for (size_t i = 0; i < 200; i++) {
		str_printf(&log, "{\"n\":%zu,\"text\":\"%.*s\xe2\x82\xac\"}\n", i, (int)(i % 17),
		    "................");
		ends[i] = log.len;
	}
	write_log(log.data, log.len);
	for (size_t window = 1; window < log.len + 50; window += 97) {
		size_t first = 200, count;

		list = runlog_tail(path, 1000, window);
		count = json_object_array_length(list);
		/* All lines that lie within the window, and no other. */
		while (first > 0 && log.len - (first > 1 ? ends[first - 2] : 0) <= window)
			first--;
		assert_int_equal(count, 200 - first);
		for (size_t i = 0; i < count; i++) {
			struct json_object *record = json_object_array_get_idx(list, i);

			assert_int_equal(json_get_int(record, "n", -1), 200 - count + i);
			assert_int_equal(json_get_int(record, "id", -1), ends[200 - count + i]);
		}
		json_object_put(list);
	}
	str_free(&log);
}

/* A line that is being written is not there yet. */
static void test_unfinished_line(void **state)
{
	(void)state;
	write_text("{\"a\":1}");
	assert_tail(9, 1 << 20, "[]");
	write_text("{\"a\":1}\n{\"b\":2}");
	assert_tail(9, 1 << 20, "[{\"a\":1,\"id\":8}]");
}

static void test_corrupt_lines(void **state)
{
	static const char log[] =
	    "nonsense\n\n\n[1]\n\"text\"\n12\nnull\n{\"a\":1} x\n{\"a\":1}\0\n"
	    "\0\0\0\n\xff\xfe\n{\"a\":\"\xff\"}\n{\"a\":1}\r\n{\"ok\":1}\n";
	static const int ends[] = {9, 15, 22, 25, 30, 40, 49, 53, 56, 66};
	struct str wanted = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		str_printf(
		    &wanted, "%s{\"type\":\"corrupt\",\"id\":%d}", i == 0 ? "[" : ",", ends[i]);
	str_puts(&wanted, ",{\"a\":1,\"id\":75},{\"ok\":1,\"id\":84}]");
	write_log(log, sizeof(log) - 1);
	assert_tail(99, 1 << 20, wanted.data);
	str_free(&wanted);
}

static void test_deep_and_random(void **state)
{
	struct str log = {0};
	struct json_object *list;
	unsigned seed = 12345;

	(void)state;
	for (int i = 0; i < 100000; i++)
		str_putc(&log, '[');
	str_putc(&log, '\n');
	for (int i = 0; i < 100000; i++) {
		seed = seed * 1103515245 + 12345;
		str_putc(&log, (char)(seed >> 16));
	}
	str_puts(&log, "\n{\"ok\":1}\n");
	write_log(log.data, log.len);
	list = runlog_tail(path, 100000, 1 << 20);
	assert_true(json_object_array_length(list) > 100);
	for (size_t i = 0; i + 1 < json_object_array_length(list); i++)
		assert_string_equal(
		    json_get_string(json_object_array_get_idx(list, i), "type"), "corrupt");
	json_object_put(list);
	assert_stderr(20, 4000, "");
	str_free(&log);
}

static void put_huge(struct str *log, const char *start, const char *part, size_t count)
{
	str_puts(log, start);
	while (count-- > 0)
		str_puts(log, part);
	str_puts(log, "\"}\n");
}

/* Of a huge line the beginning is shown, cut between characters and escapes; and what stands
 * before and behind it. */
static void test_huge_line(void **state)
{
	static const char *const parts[] = {"x", "\xe2\x82\xac", "\\u0001", "\\\\", "\\\""};

	(void)state;
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		for (size_t shift = 0; shift < 7; shift++) {
			struct str log = {0};
			struct json_object *list, *record;

			str_puts(&log, "{\"first\":1}\n");
			str_printf(&log, "{%*s", (int)shift, "");
			put_huge(&log, "\"text\":\"", parts[i], 100000);
			str_puts(&log, "{\"last\":1}\n");
			write_log(log.data, log.len);
			list = runlog_tail(path, 9, 1 << 20);
			assert_int_equal(json_object_array_length(list), 3);
			record = json_object_array_get_idx(list, 1);
			assert_true(json_get_bool(record, "truncated", false));
			assert_true(strlen(json_get_string(record, "text")) > 10000);
			assert_true(strlen(json_get_string(record, "text")) <= 65536);
			assert_int_equal(json_get_int(record, "id", -1), log.len - 11);
			json_object_put(list);
			str_free(&log);
		}
	}
}

/* It ends where no string does, or is no record at all. */
static void test_huge_nonsense(void **state)
{
	struct str log = {0};

	(void)state;
	put_huge(&log, "[", "1,", 100000);
	put_huge(&log, "", "\xff", 100000);
	put_huge(&log, "{\"text\":\"", "\xff", 100000);
	write_log(log.data, log.len);
	assert_tail(9, 1 << 20,
	    "[{\"type\":\"corrupt\",\"id\":200004},{\"type\":\"corrupt\",\"id\":300007},"
	    "{\"text\":\"\",\"truncated\":true,\"id\":400019}]");
	str_free(&log);
}

/* ---- stderr ---- */

static void put_output(struct str *log, const char *stream, const char *text)
{
	str_printf(log,
	    "{\"time\":\"2026-01-01T00:00:00.000Z\",\"type\":\"output\","
	    "\"stream\":\"%s\",\"text\":\"%s\"}\n",
	    stream, text);
}

static void test_stderr_lines(void **state)
{
	struct str log = {0};

	(void)state;
	assert_stderr(20, 4000, "");
	put_output(&log, "stderr", "one");
	put_output(&log, "stdout", "not this");
	str_puts(&log, "broken\n{\"type\":\"comment\",\"text\":\"nor this\"}\n");
	str_puts(&log, "{\"stream\":\"stderr\"}\n{\"stream\":\"stderr\",\"text\":null}\n");
	put_output(&log, "stderr", "two\\twords \\u20ac");
	put_output(&log, "stderr", "");
	put_output(&log, "stderr", "three");
	put_output(&log, "stdout", "not this");
	write_log(log.data, log.len);
	assert_stderr(20, 4000, "one\ntwo\twords \xe2\x82\xac\n\nthree");
	assert_stderr(3, 4000, "two\twords \xe2\x82\xac\n\nthree");
	assert_stderr(1, 4000, "three");
	assert_stderr(0, 4000, "");
	assert_stderr(20, 0, "");
	str_free(&log);
}

/* The oldest line that is shown is cut between characters, and none before it is shown. */
static void test_stderr_bytes(void **state)
{
	static const char *const cut[] = {"three", "t\nthree", "tw\nthree", "two\nthree",
	    "two\nthree", "two\xc3\xa9\nthree", "two\xc3\xa9\nthree", "two\xc3\xa9\nthree",
	    "two\xc3\xa9\xe2\x82\xac\nthree", "two\xc3\xa9\xe2\x82\xac\nthree",
	    "two\xc3\xa9\xe2\x82\xac\nthree", "two\xc3\xa9\xe2\x82\xac\nthree",
	    "two\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\nthree",
	    "o\ntwo\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\nthree"};
	struct str log = {0};

	(void)state;
	put_output(&log, "stderr", "one");
	put_output(&log, "stderr", "two\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	put_output(&log, "stderr", "three");
	write_log(log.data, log.len);
	for (size_t i = 0; i < sizeof(cut) / sizeof(*cut); i++)
		assert_stderr(20, 5 + i, cut[i]);
	assert_stderr(20, 3, "thr");
	str_free(&log);
}

/* Nothing of a character that does not fit: not even an empty line. */
static void test_stderr_nothing_fits(void **state)
{
	struct str log = {0};

	(void)state;
	put_output(&log, "stderr", "older");
	put_output(&log, "stderr", "\xf0\x9f\x98\x80");
	write_log(log.data, log.len);
	for (size_t max = 0; max < 4; max++)
		assert_stderr(20, max, "");
	assert_stderr(20, 4, "\xf0\x9f\x98\x80");
	str_free(&log);
}

/* What is appended to stands by itself. */
static void test_stderr_is_appended(void **state)
{
	struct str log = {0};
	struct str out = {0};

	(void)state;
	put_output(&log, "stderr", "line");
	write_log(log.data, log.len);
	str_puts(&out, "before");
	runlog_stderr_tail(path, 20, 4000, &out);
	assert_string_equal(out.data, "before\nline");
	str_free(&out);
	str_free(&log);
}

#define with_log(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    with_log(test_append),
	    with_log(test_append_behind_a_torn_line),
	    with_log(test_append_fails),
	    with_log(test_append_without_space),
	    with_log(test_two_writers),
	    with_log(test_tail),
	    with_log(test_ids_are_offsets),
	    with_log(test_unfinished_line),
	    with_log(test_corrupt_lines),
	    with_log(test_deep_and_random),
	    with_log(test_huge_line),
	    with_log(test_huge_nonsense),
	    with_log(test_stderr_lines),
	    with_log(test_stderr_bytes),
	    with_log(test_stderr_nothing_fits),
	    with_log(test_stderr_is_appended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
