/* The scanner: what it takes, what it refuses, and where. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/json.h"
#include "queue/board_scan.h"

#include <stdlib.h>
#include <string.h>

/* In a block of exactly its size: a read past the end is seen by the sanitizer. */
static bool scan(const char *text, size_t len, struct error *err)
{
	char *copy = malloc(len ? len : 1);
	struct board_scan s;
	struct span value;
	bool ok;

	memcpy(copy, text, len);
	board_scan_init(&s, copy, len);
	board_scan_space(&s);
	ok = board_scan_value(&s, &value) && board_scan_end(&s);
	if (!ok)
		board_scan_error(&s, err);
	free(copy);
	return ok;
}

static void test_valid(void **state)
{
	static const char *const texts[] = {"{}", "[]", " [ ] ", "{\"a\":1}",
	    "[1,2.50,-0,1e400,1E-7,-12.5e+3]",
	    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"",
	    "\"h\xc3\xa4llo \xf0\x9f\x98\x80\"", "true", "false", "null", "[[[{\"x\":[{}]}]]]",
	    "\"\x7f\"", "123456789012345678901234567890",
	    "\"a long string that takes several words of eight bytes\"", "{\"a\":1,\"a\":2}"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct error err = {0};

		if (!scan(texts[i], strlen(texts[i]), &err))
			fail_msg("%s: %s", texts[i], err.message);
	}
}

static void test_invalid(void **state)
{
	static const struct {
		const char *text;
		const char *where;
	} cases[] = {
	    {"", "line 1, column 1"},
	    {"{", "line 1, column 2"},
	    {"[1,]", "line 1, column 4"},
	    {"[1 2]", "line 1, column 4: expected ',' or ']'"},
	    {"{\"a\":1,}", "line 1, column 8: expected a key"},
	    {"{\"a\" 1}", "line 1, column 6: expected ':'"},
	    {"{a:1}", "line 1, column 2: expected a key"},
	    {"{'a':1}", "line 1, column 2"},
	    {"[01]", "line 1, column 3: expected no digit"},
	    {"[1.]", "line 1, column 4: expected a digit"},
	    {"[.5]", "line 1, column 2"},
	    {"[-]", "line 1, column 3"},
	    {"[1e]", "line 1, column 4"},
	    {"[+1]", "line 1, column 2"},
	    {"[NaN]", "line 1, column 2"},
	    {"[tru]", "line 1, column 2"},
	    {"\"a\nb\"", "line 1, column 3: expected no control"},
	    {"\"\\x\"", "line 1, column 3"},
	    {"\"\\u12g4\"", "line 1, column 6"},
	    {"\"\xff\"", "line 1, column 2: expected valid UTF-8"},
	    {"\"\xed\xa0\x80\"", "line 1, column 2: expected valid UTF-8"},
	    {"\"\xc3", "line 1, column 2: expected valid UTF-8"},
	    {"\"abc", "the file ends here"},
	    {"[\n 1,\n \"h\xc3\xa4\" x]", "line 3, column 7"},
	    {"{} {}", "line 1, column 4: expected nothing more"},
	    {"// x\n{}", "line 1, column 1"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = {0};

		if (scan(cases[i].text, strlen(cases[i].text), &err))
			fail_msg("%s was accepted", cases[i].text);
		if (strstr(err.message, cases[i].where) == NULL)
			fail_msg("%s: %s", cases[i].text, err.message);
		error_clear(&err);
	}
}

static void test_nul_is_no_json(void **state)
{
	(void)state;
	assert_false(scan("{}\0", 3, NULL));
	assert_false(scan("\"\\\0\"", 4, NULL));
	assert_false(scan("\"\\u00\0"
			  "1\"",
	    8, NULL));
}

static bool nested(size_t depth)
{
	char text[400];

	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	return scan(text, depth * 2, NULL);
}

static void test_depth(void **state)
{
	(void)state;
	assert_true(nested(JSON_MAX_DEPTH));
	assert_false(nested(JSON_MAX_DEPTH + 1));
}

static void check_decode(const char *json, const char *text, size_t len)
{
	struct str out = {0};

	board_scan_decode((struct span){json, strlen(json)}, &out);
	assert_int_equal(out.len, len);
	assert_memory_equal(out.data, text, len);
	str_free(&out);
}

static void test_decode(void **state)
{
	(void)state;
	check_decode("\"\"", "", 0);
	check_decode("\"a\\n\\\"\\/\\\\b\"", "a\n\"/\\b", 6);
	check_decode("\"\\u00e9\\u20ac\\ud83d\\ude00\"", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9);
	check_decode("\"\\ud83d!\\ude00\"", "\xef\xbf\xbd!\xef\xbf\xbd", 7);
	check_decode("\"\\ud83d\\u0041\"",
	    "\xef\xbf\xbd"
	    "A",
	    4);
	check_decode("\"\\u0000\"", "\0", 1);
	assert_true(board_scan_means((struct span){"\"\\u0069d\"", 9}, "id"));
	assert_false(board_scan_means((struct span){"\"idx\"", 5}, "id"));
}

static bool too_big(const char *number)
{
	return board_scan_is_too_big((struct span){number, strlen(number)});
}

static void test_big_integers(void **state)
{
	(void)state;
	assert_false(too_big("18446744073709551615"));
	assert_true(too_big("18446744073709551616"));
	assert_false(too_big("-9223372036854775808"));
	assert_true(too_big("-9223372036854775809"));
	assert_true(too_big("123456789012345678901234567890123"));
	assert_false(too_big("1e400"));
	assert_false(too_big("123456789012345678901234567890.5"));
	assert_false(too_big("true"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_valid),
	    cmocka_unit_test(test_invalid),
	    cmocka_unit_test(test_nul_is_no_json),
	    cmocka_unit_test(test_depth),
	    cmocka_unit_test(test_decode),
	    cmocka_unit_test(test_big_integers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
