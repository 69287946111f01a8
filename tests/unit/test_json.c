/* json-c with our habits: what is parsed, what is refused and where, getters and setters. */
#include "check.h"

#include "base/json.h"

#include <math.h>
#include <string.h>

static struct json_object *parse(const char *text)
{
	struct error err = {0};
	struct json_object *value = json_parse(text, strlen(text), &err);

	if (value == NULL)
		fail_msg("%s: %s", text, err.message);
	return value;
}

static void assert_parses(const char *text, const char *printed)
{
	struct json_object *value = parse(text);
	char *out = json_print(value);

	assert_string_equal(out, printed);
	free(out);
	json_object_put(value);
}

static void test_parse(void **state)
{
	(void)state;
	assert_parses("{}", "{}");
	assert_parses(" [1, -2,\t3.50]\r\n ", "[1,-2,3.50]");
	assert_parses("5", "5");
	assert_parses("-0.5e-3", "-0.5e-3");
	assert_parses("\"a/b\"", "\"a/b\"");
	assert_parses("true", "true");
	assert_parses("{\"b\":null,\"a\":{\"c\":[]}}", "{\"b\":null,\"a\":{\"c\":[]}}");
	assert_parses("[9223372036854775807,18446744073709551615]",
	    "[9223372036854775807,18446744073709551615]");
	assert_parses("\"\\u00e9\\ud83d\\ude00\"", "\"\xc3\xa9\xf0\x9f\x98\x80\"");
	assert_parses("\"a\\u0000b\"", "\"a\\u0000b\"");
	assert_parses("[\"NaN . I\", \"\\\"N\"]", "[\"NaN . I\",\"\\\"N\"]");
	assert_parses("{\"\\\\u0000\":1}", "{\"\\\\u0000\":1}");
}

static void assert_refused(const char *text, size_t len, const char *part)
{
	struct error err = {0};

	if (json_parse(text, len, &err) != NULL)
		fail_msg("%s is taken", text);
	assert_int_equal(err.code, ERROR_INVALID);
	if (strstr(err.message, part) == NULL)
		fail_msg("%s: %s", text, err.message);
	error_clear(&err);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {"", " ", "null", "nul", "[1", "{\"a\"",
	    "{\"a\":", "{\"a\":1", "\"a", "[1,]", "{\"a\":1,}", "{} x", "{}{}", "[1 2]", "[01]",
	    "01", "[+1]", "[.5]", "[-]", "[1e]", "[1e+]", "[1.]", "[1.e5]", "2.", "[0x10]", "['a']",
	    "{a:1}", "{1:1}", "/**/[]", "// x\n[]", "NaN", "[NaN]", "[Infinity]", "[-Infinity]",
	    "[nan]", "[True]", "[truefalse]", "[\"\\x\"]", "[\"\\u12\"]", "[\"\n\"]", "[\"\x01\"]",
	    "[\"\xff\"]", "[\"\xc3\"]", "\"\xc0\x96\"", "\"\xed\xa0\x80\"", "\xef\xbb\xbf[]",
	    "[]\f", "\v[]", "{\"a\\u0000b\":1}", "{\"\\u0000\" :1}", "}", "]"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_refused(bad[i], strlen(bad[i]), "invalid JSON at line ");
	assert_refused("{}\0x", 4, "line 1");
	assert_refused("\0{}", 3, "line 1");
}

static void test_position(void **state)
{
	(void)state;
	assert_refused("{\n  \"a\": 1,\n  x\n}", 17, "line 3, column 3: ");
	assert_refused("{'a': 1}", 8, "line 1, column 2: strings and keys stand in double quotes");
	assert_refused("[1,\n2", 5, "line 2, column 2: it ends too early");
	assert_refused("{\"a\": \"x\n\"}", 11, "line 1, column 9: a control character");
	assert_refused("[0.5,\n 1.]", 10, "line 2, column 3: a digit");
	assert_refused("[\"\xc3\xa9\xc0\x96\"]", 8, "line 1, column 5: invalid UTF-8");
	assert_refused("[1, NaN]", 8, "line 1, column 5: NaN");
	assert_refused("{} x", 4, "line 1, column 4: ");
	assert_refused("null", 4, "null is not expected");
}

static void nest(struct str *text, int depth)
{
	str_clear(text);
	for (int i = 0; i < depth; i++)
		str_putc(text, '[');
	for (int i = 0; i < depth; i++)
		str_putc(text, ']');
}

static void test_depth(void **state)
{
	struct str text = {0};

	(void)state;
	nest(&text, JSON_MAX_DEPTH - 1);
	json_object_put(parse(text.data));
	nest(&text, 100000);
	assert_refused(text.data, text.len, "line 1");
	str_free(&text);
}

static void test_getters(void **state)
{
	struct json_object *o =
	    parse("{\"s\":\"x\",\"i\":7,\"d\":1.5,\"b\":true,\"n\":null,\"a\":[],\"o\":{}}");

	(void)state;
	assert_string_equal(json_get_string(o, "s"), "x");
	assert_string_equal(json_get_string(o, "i"), "7");
	assert_null(json_get_string(o, "d"));
	assert_null(json_get_string(o, "n"));
	assert_null(json_get_string(o, "none"));
	assert_null(json_get_string(NULL, "s"));
	assert_int_equal(json_get_int(o, "i", 3), 7);
	assert_int_equal(json_get_int(o, "d", 3), 3);
	assert_int_equal(json_get_int(o, "s", 3), 3);
	assert_true(json_get_double(o, "d", 3) == 1.5);
	assert_true(json_get_double(o, "i", 3) == 7);
	assert_true(json_get_double(o, "b", 3) == 3);
	assert_true(json_get_bool(o, "b", false));
	assert_true(json_get_bool(o, "i", true));
	assert_false(json_get_bool(o, "i", false));
	assert_non_null(json_get_array(o, "a"));
	assert_null(json_get_array(o, "o"));
	assert_non_null(json_get_object(o, "o"));
	assert_null(json_get_object(o, "a"));
	assert_null(json_get_string(json_get_array(o, "a"), "s"));
	json_object_put(o);
}

static void test_setters(void **state)
{
	struct json_object *o = json_object_new_object();
	char *text;

	(void)state;
	json_put_string(o, "s", "a\"\n");
	json_put_string(o, "none", NULL);
	json_put_int(o, "i", INT64_MIN);
	json_put_double(o, "whole", 30);
	json_put_double(o, "part", 0.1);
	json_put_double(o, "large", 1e300);
	json_put_double(o, "nan", NAN);
	json_put_double(o, "inf", -INFINITY);
	json_put_bool(o, "b", false);
	json_put_time(o, "t", 1769862896789);
	json_put_time(o, "never", 0);
	text = json_print(o);
	assert_string_equal(text, "{\"s\":\"a\\\"\\n\",\"none\":null,\"i\":-9223372036854775808,"
				  "\"whole\":30,\"part\":0.1,"
				  "\"large\":1e+300,\"nan\":null,\"inf\":null,\"b\":false,"
				  "\"t\":\"2026-01-31T12:34:56.789Z\",\"never\":null}");
	free(text);
	json_object_put(o);
}

static void test_lists(void **state)
{
	static const char *const words[] = {"a", "b", NULL};
	struct json_object *array = json_from_strv(words);
	char **list;

	(void)state;
	json_object_array_add(array, json_object_new_int(1));
	json_object_array_add(array, NULL);
	json_object_array_add(array, json_object_new_string("c"));
	list = json_to_strv(array);
	assert_int_equal(xstrv_len((const char *const *)list), 3);
	assert_string_equal(list[0], "a");
	assert_string_equal(list[2], "c");
	xstrv_free(list);
	json_object_put(array);
	array = json_from_strv(NULL);
	assert_int_equal(json_object_array_length(array), 0);
	json_object_put(array);
	list = json_to_strv(NULL);
	assert_null(list[0]);
	xstrv_free(list);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_position),
	    cmocka_unit_test(test_depth),
	    cmocka_unit_test(test_getters),
	    cmocka_unit_test(test_setters),
	    cmocka_unit_test(test_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
