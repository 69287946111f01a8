/* JSON written as text: what json-c reads back is what was put in. */
#include "check.h"

#include "base/json.h"
#include "base/json_text.h"

#include <string.h>

static void assert_string(const char *in, size_t len, const char *out)
{
	struct str s = {0};

	json_text_string_n(&s, in, len);
	assert_string_equal(s.data, out);
	str_free(&s);
}

static void test_strings(void **state)
{
	(void)state;
	assert_string("", 0, "\"\"");
	assert_string("plain / text", 12, "\"plain / text\"");
	assert_string("\"\\\b\f\n\r\t", 7, "\"\\\"\\\\\\b\\f\\n\\r\\t\"");
	assert_string("a\0b", 3, "\"a\\u0000b\"");
	assert_string("\x01\x1f\x7f", 3, "\"\\u0001\\u001f\\u007f\"");
	assert_string("\xc3\xa9", 2, "\"\xc3\xa9\"");
	assert_string("\xc3\n\xa9", 3, "\"\xef\xbf\xbd\\n\xef\xbf\xbd\"");
	assert_string("x\xff", 2, "\"x\xef\xbf\xbd\"");
}

/* Every byte in every place of a short string makes JSON that a strict parser takes. */
static void test_every_byte(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		char in[3] = {'a', (char)c, 'b'};
		struct str s = {0};
		struct json_object *value;

		json_text_string_n(&s, in, 3);
		value = json_parse(s.data, s.len, NULL);
		assert_non_null(value);
		if (c < 0x80) {
			assert_int_equal(json_object_get_string_len(value), 3);
			assert_memory_equal(json_object_get_string(value), in, 3);
		}
		json_object_put(value);
		str_free(&s);
	}
}

static void test_members(void **state)
{
	struct str s = {0};

	(void)state;
	str_putc(&s, '{');
	json_text_member(&s, "a", "x{");
	json_text_member(&s, "b", NULL);
	json_text_member_int(&s, "c", INT64_MIN);
	json_text_member_bool(&s, "d", true);
	json_text_member_bool(&s, "e", false);
	json_text_member_time(&s, "f", 1769862896789);
	json_text_member_time(&s, "g", 0);
	json_text_key(&s, "h");
	str_putc(&s, '{');
	json_text_member(&s, "i", "");
	str_puts(&s, "}}");
	assert_string_equal(s.data,
	    "{\"a\":\"x{\",\"b\":null,\"c\":-9223372036854775808,\"d\":true,\"e\":false,"
	    "\"f\":\"2026-01-31T12:34:56.789Z\",\"g\":null,\"h\":{\"i\":\"\"}}");
	str_free(&s);
}

static void test_key_of_nothing(void **state)
{
	struct str s = {0};

	(void)state;
	json_text_key(&s, "a");
	assert_string_equal(s.data, "\"a\":");
	str_free(&s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_strings),
	    cmocka_unit_test(test_every_byte),
	    cmocka_unit_test(test_members),
	    cmocka_unit_test(test_key_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
