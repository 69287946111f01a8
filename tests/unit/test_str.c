/* Strings: growing, UTF-8, prefixes, the nearest word. */
#include "check.h"

#include "base/str.h"

#include <string.h>

static void test_empty(void **state)
{
	struct str s = {0};
	char *text;

	(void)state;
	str_clear(&s);
	assert_null(s.data);
	str_append(&s, NULL, 0);
	assert_string_equal(s.data, "");
	str_free(&s);
	assert_null(s.data);
	text = str_steal(&s);
	assert_string_equal(text, "");
	free(text);
}

static void test_grows(void **state)
{
	struct str s = {0};

	(void)state;
	for (int i = 0; i < 10000; i++)
		str_putc(&s, (char)('a' + i % 26));
	assert_int_equal(s.len, 10000);
	assert_int_equal(strlen(s.data), 10000);
	assert_true(s.cap > s.len);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(s.data[i], 'a' + i % 26);
	str_clear(&s);
	assert_string_equal(s.data, "");
	str_printf(&s, "%d-%s", 7, "x");
	str_puts(&s, "!");
	assert_string_equal(s.data, "7-x!");
	str_free(&s);
}

static void test_keeps_nul(void **state)
{
	struct str s = {0};

	(void)state;
	str_append(&s, "a\0b", 3);
	assert_int_equal(s.len, 3);
	assert_memory_equal(s.data, "a\0b", 4);
	str_free(&s);
}

static void test_reserve(void **state)
{
	struct str s = {0};

	(void)state;
	str_puts(&s, "abc");
	memset(str_reserve(&s, 1000), 'x', 1000);
	s.len += 1000;
	str_putc(&s, '!');
	assert_int_equal(s.len, 1004);
	assert_memory_equal(s.data, "abcxxx", 6);
	assert_string_equal(s.data + 1002, "x!");
	str_free(&s);
}

static void test_steal(void **state)
{
	struct str s = {0};
	char *text;

	(void)state;
	str_puts(&s, "mine");
	text = str_steal(&s);
	assert_string_equal(text, "mine");
	assert_null(s.data);
	assert_int_equal(s.len, 0);
	assert_int_equal(s.cap, 0);
	free(text);
}

static size_t sequence(const char *text)
{
	return str_utf8_length((const unsigned char *)text, strlen(text));
}

static void test_utf8_length(void **state)
{
	(void)state;
	assert_int_equal(sequence(""), 0);
	assert_int_equal(sequence("a"), 1);
	assert_int_equal(sequence("\x7f"), 1);
	assert_int_equal(sequence("\xc2\x80"), 2);
	assert_int_equal(sequence("\xdf\xbf"), 2);
	assert_int_equal(sequence("\xe0\xa0\x80"), 3);
	assert_int_equal(sequence("\xed\x9f\xbf"), 3);
	assert_int_equal(sequence("\xee\x80\x80"), 3);
	assert_int_equal(sequence("\xf0\x90\x80\x80"), 4);
	assert_int_equal(sequence("\xf4\x8f\xbf\xbf"), 4);
}

static void test_utf8_refused(void **state)
{
	static const char *const bad[] = {
	    "\x80",		/* a continuation alone */
	    "\xc0\x80",		/* overlong NUL */
	    "\xc1\xbf",		/* overlong */
	    "\xe0\x9f\xbf",	/* overlong */
	    "\xf0\x8f\xbf\xbf", /* overlong */
	    "\xed\xa0\x80",	/* a surrogate */
	    "\xed\xbf\xbf",	/* a surrogate */
	    "\xf4\x90\x80\x80", /* past U+10FFFF */
	    "\xf5\x80\x80\x80",
	    "\xff",
	    "\xc3",	    /* cut short */
	    "\xe2\x82",	    /* cut short */
	    "\xf0\x9f\x98", /* cut short */
	    "\xc3(",	    /* a wrong second byte */
	    "\xe2\x82(",    /* a wrong third byte */
	    "\xf0\x9f\x98(",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(sequence(bad[i]), 0);
		assert_false(str_utf8_valid(bad[i], strlen(bad[i])));
	}
	assert_true(str_utf8_valid("", 0));
	assert_true(str_utf8_valid("a\0\xc3\xa9", 4));
}

static void assert_repaired(const char *in, size_t len, const char *out)
{
	struct str s = {0};

	str_putc(&s, '<');
	str_append_utf8(&s, in, len);
	assert_string_equal(s.data + 1, out);
	assert_true(str_utf8_valid(s.data, s.len));
	str_free(&s);
}

static void test_append_utf8(void **state)
{
	(void)state;
	assert_repaired(NULL, 0, "");
	assert_repaired("na\xc3\xafve", 6, "na\xc3\xafve");
	assert_repaired("\xff", 1, "\xef\xbf\xbd");
	assert_repaired("a\xc3", 2, "a\xef\xbf\xbd");
	assert_repaired("\xe2\x82x", 3, "\xef\xbf\xbd\xef\xbf\xbdx");
	assert_repaired("\x80\xc3\xa9\x80", 4, "\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd");
}

static void test_prefix_suffix_equal(void **state)
{
	(void)state;
	assert_true(str_starts_with("abc", "ab"));
	assert_true(str_starts_with("abc", ""));
	assert_false(str_starts_with("ab", "abc"));
	assert_true(str_ends_with("abc", "bc"));
	assert_true(str_ends_with("abc", ""));
	assert_false(str_ends_with("bc", "abc"));
	assert_true(str_equal("a", "a"));
	assert_false(str_equal("a", "b"));
	assert_false(str_equal("a", NULL));
	assert_false(str_equal(NULL, "a"));
	assert_true(str_equal(NULL, NULL));
}

static void test_nearest(void **state)
{
	static const char *const names[] = {"queue_name", "timeout", "priority", "args", NULL};
	static const char *const none[] = {NULL};
	char longest[200];

	(void)state;
	assert_string_equal(str_nearest("queue_nane", names), "queue_name");
	assert_string_equal(str_nearest("queuename", names), "queue_name");
	assert_string_equal(str_nearest("time_out", names), "timeout");
	assert_string_equal(str_nearest("arg", names), "args");
	assert_null(str_nearest("colour", names));
	assert_null(str_nearest("timeout", none));
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_null(str_nearest(longest, names));
}

static void test_string_lists(void **state)
{
	static const char *const words[] = {"a", "", "c", NULL};
	char **list = xstrv_dup(words);

	(void)state;
	list = xstrv_add(list, "d");
	assert_int_equal(xstrv_len((const char *const *)list), 4);
	assert_string_equal(list[1], "");
	assert_string_equal(list[3], "d");
	assert_null(list[4]);
	xstrv_free(list);
	list = xstrv_add(NULL, "only");
	assert_string_equal(list[0], "only");
	assert_null(list[1]);
	xstrv_free(list);
	assert_null(xstrv_dup(NULL));
	assert_int_equal(xstrv_len(NULL), 0);
	xstrv_free(NULL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_empty),
	    cmocka_unit_test(test_grows),
	    cmocka_unit_test(test_keeps_nul),
	    cmocka_unit_test(test_reserve),
	    cmocka_unit_test(test_steal),
	    cmocka_unit_test(test_utf8_length),
	    cmocka_unit_test(test_utf8_refused),
	    cmocka_unit_test(test_append_utf8),
	    cmocka_unit_test(test_prefix_suffix_equal),
	    cmocka_unit_test(test_nearest),
	    cmocka_unit_test(test_string_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
