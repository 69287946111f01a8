/* The supervisor's pure parts: lines, records, the ring, stop.json. */
#include "base/alloc.h"
#include "supervise/lines.h"
#include "supervise/record.h"
#include "supervise/ring.h"
#include "supervise/stop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Each line in brackets, a truncated one with a '!'. */
static void collect(void *arg, const char *line, size_t len, bool truncated)
{
	struct str *out = arg;

	str_putc(out, '[');
	str_append(out, line, len);
	str_puts(out, truncated ? "!]" : "]");
}

/* Feeds text in pieces of `step` bytes. */
static void assert_lines(size_t max, const char *text, const char *expected)
{
	for (size_t step = 1; step <= strlen(text) + 1; step++) {
		struct str out = {0};
		struct lines *lines = lines_create(max, collect, &out);
		size_t len = strlen(text);

		for (size_t at = 0; at < len; at += step)
			lines_feed(lines, text + at, len - at < step ? len - at : step);
		lines_end(lines);
		lines_end(lines);
		assert_string_equal(out.data != NULL ? out.data : "", expected);
		lines_free(lines);
		str_free(&out);
	}
}

static void test_lines(void **state)
{
	(void)state;
	assert_lines(100, "", "");
	assert_lines(100, "\n", "[]");
	assert_lines(100, "a\n\nbc\r\nend", "[a][][bc\r][end]");
	assert_lines(4, "abcd\nabcde\nabcdefghijkl\nx\nabcde", "[abcd][abcd!][abcd!][x][abcd!]");
}

static void test_lines_cut_between_characters(void **state)
{
	(void)state;
	assert_lines(4, "abc\xc3\xa9\nx", "[abc!][x]");
	assert_lines(4, "ab\xc3\xa9\xc3\xa9\n", "[ab\xc3\xa9!]");
	assert_lines(4, "a\xf0\x9f\x92\xa5\n", "[a!]");
	assert_lines(4, "\xf0\x9f\x92\xa5y\n", "[\xf0\x9f\x92\xa5!]");
	/* What is no UTF-8 is cut like any bytes. */
	assert_lines(4, "\x80\x80\x80\x80\x80\n", "[\x80\x80\x80\x80!]");
	assert_lines(4, "abc\xff\xff\n", "[abc\xff!]");
}

static void test_lines_null(void **state)
{
	struct str out = {0};
	struct lines *lines = lines_create(100, collect, &out);

	(void)state;
	lines_feed(lines, "a\0b\n", 4);
	assert_int_equal(out.len, 5);
	assert_memory_equal(out.data, "[a\0b]", 5);
	lines_free(lines);
	lines_free(NULL);
	str_free(&out);
}

static void test_records(void **state)
{
	struct str out = {0};

	(void)state;
	record_output(&out, "T", "stderr", "a\0\"\n\xff", 5, false);
	assert_string_equal(out.data, "{\"time\":\"T\",\"type\":\"output\",\"stream\":\"stderr\","
				      "\"text\":\"a\\u0000\\\"\\n\xef\xbf"
				      "\xbd\"}\n");
	str_clear(&out);
	record_output(&out, "T", "stdout", "", 0, true);
	assert_string_equal(out.data, "{\"time\":\"T\",\"type\":\"output\",\"stream\":\"stdout\","
				      "\"text\":\"\",\"truncated\":true}\n");
	str_clear(&out);
	record_dropped(&out, "T", 12, 3, NULL);
	assert_string_equal(
	    out.data, "{\"time\":\"T\",\"type\":\"dropped\",\"bytes\":12,\"lines\":3}\n");
	str_clear(&out);
	record_dropped(&out, "T", 12, 3, "disk");
	assert_non_null(strstr(out.data, ",\"error\":\"disk\"}\n"));
	str_free(&out);
}

/* Empties the ring and compares what was in it. */
static void assert_ring(struct ring *ring, const char *expected)
{
	struct str all = {0};

	while (ring_oldest(ring, &all))
		assert_true(ring_pop(ring, NULL));
	assert_false(ring_pop(ring, NULL));
	assert_string_equal(all.data != NULL ? all.data : "", expected);
	str_free(&all);
}

static void test_ring(void **state)
{
	struct ring *ring = ring_create(10);
	struct ring_loss loss = {0};

	(void)state;
	assert_ring(ring, "");
	ring_push(ring, "aaa\n", 4, &loss);
	ring_push(ring, "bbb\n", 4, &loss);
	ring_push(ring, "c\n", 2, &loss);
	assert_int_equal(loss.lines, 0);
	ring_push(ring, "dd\n", 3, &loss);
	assert_int_equal(loss.lines, 1);
	assert_int_equal(loss.bytes, 4);
	ring_push(ring, "eeeeee\n", 7, &loss);
	assert_int_equal(loss.lines, 3);
	assert_ring(ring, "dd\neeeeee\n");
	ring_free(ring);
	ring_free(NULL);
}

static void test_ring_keeps_the_newest_whatever_its_size(void **state)
{
	struct ring *ring = ring_create(10);
	struct ring_loss loss = {0};

	(void)state;
	ring_push(ring, "a\n", 2, &loss);
	ring_push(ring, "0123456789abcdef\n", 17, &loss);
	assert_int_equal(loss.lines, 1);
	assert_ring(ring, "0123456789abcdef\n");
	ring_push(ring, "0123456789abcdef\n", 17, &loss);
	ring_push(ring, "b\n", 2, &loss);
	assert_int_equal(loss.lines, 2);
	assert_int_equal(loss.bytes, 19);
	ring_push(ring, "c\n", 2, &loss);
	assert_ring(ring, "b\nc\n");
	ring_free(ring);
}

/* Against the plain model: the longest run of newest records that fits. */
static void test_ring_wraps(void **state)
{
	struct ring *ring = ring_create(100);
	struct ring_loss loss = {0};
	struct str model = {0};
	uint64_t pushed = 0;
	unsigned int seed = 1;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		char record[64];
		size_t len = (size_t)(rand_r(&seed) % 40) + 1;

		memset(record, 'a' + i % 26, len - 1);
		record[len - 1] = '\n';
		ring_push(ring, record, len, &loss);
		str_append(&model, record, len);
		pushed += len;
		while (model.len > 100) {
			size_t gone = strcspn(model.data, "\n") + 1;

			memmove(model.data, model.data + gone, model.len - gone + 1);
			model.len -= gone;
		}
		assert_int_equal(pushed - loss.bytes, model.len);
	}
	assert_ring(ring, model.data);
	str_free(&model);
	ring_free(ring);
}

static void assert_reason(const char *text, const char *expected)
{
	/* In memory of its own size, so that reading beyond it is seen. */
	size_t len = strlen(text);
	char *copy = memcpy(xmalloc(len), text, len);
	char *reason = stop_reason_parse(copy, len);

	if (expected == NULL)
		assert_null(reason);
	else
		assert_string_equal(reason, expected);
	free(reason);
	free(copy);
}

static void test_stop(void **state)
{
	(void)state;
	assert_reason("{\"reason\":\"cancelled\"}", "cancelled");
	assert_reason(
	    " { \"time\" : \"x\", \"n\": 1, \"reason\" :\n\"lost lease\" }\n", "lost lease");
	assert_reason("{\"a\":{\"reason\":\"b\"},\"c\":[1,{\"d\":\"}]\"}],\"reason\":\"e\"}", "e");
	assert_reason("{\"a\":\"\\\",\\\"reason\\\":\\\"x\",\"reason\":\"y\"}", "y");
	assert_reason("{\"reason\":null}", NULL);
	assert_reason("{\"reason\":\"\"}", NULL);
	assert_reason("{\"reason\":\"a\\u0000\"}", NULL);
	assert_reason("{\"reason\":\"abc", NULL);
	assert_reason("{\"reason\":", NULL);
	assert_reason("{\"a\":1", NULL);
	assert_reason("{\"a\":[", NULL);
	assert_reason("{\"a\":]}", NULL);
	assert_reason("{\"\\", NULL);
	assert_reason("[\"reason\"]", NULL);
	assert_reason("{}", NULL);
	assert_reason("{", NULL);
	assert_reason("", NULL);
	assert_null(stop_reason("/nonexistent/stop.json"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_lines_cut_between_characters),
	    cmocka_unit_test(test_lines_null),
	    cmocka_unit_test(test_records),
	    cmocka_unit_test(test_ring),
	    cmocka_unit_test(test_ring_keeps_the_newest_whatever_its_size),
	    cmocka_unit_test(test_ring_wraps),
	    cmocka_unit_test(test_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
