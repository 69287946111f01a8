/* Lua values and JSON, both ways, and athanore.json. */
#include "script_helper.h"

#include "script/lua_json.h"

#include <lauxlib.h>

static struct vm *vm;

static int set_up_vm(void **state)
{
	struct error err = {0};

	set_up(state);
	vm = vm_create(loop, folder, NULL, &err);
	assert_non_null(vm);
	return 0;
}

static int tear_down_vm(void **state)
{
	vm_free(vm);
	return tear_down(state);
}

struct conversion {
	const char *code; /* an expression of Lua */
	struct json_object *json;
	unsigned flags;
	bool ok;
	struct error err;
};

static int convert(lua_State *L)
{
	struct conversion *conversion = lua_touserdata(L, 1);

	lua_pushfstring(L, "local json = require('athanore').json return %s", conversion->code);
	if (luaL_dostring(L, lua_tostring(L, -1)) != LUA_OK)
		return lua_error(L);
	conversion->ok =
	    lua_json_read(L, -1, conversion->flags, &conversion->json, &conversion->err);
	return 0;
}

static void expect_json(const char *code, unsigned flags, const char *text)
{
	struct conversion conversion = {.code = code, .flags = flags};
	struct error err = {0};

	if (!vm_protect(vm, convert, &conversion, &err))
		fail_msg("%s: %s", code, err.message);
	if (!conversion.ok)
		fail_msg("%s: %s", code, conversion.err.message);
	assert_string_equal(json_object_to_json_string_ext(conversion.json,
				JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
	    text);
	json_object_put(conversion.json);
}

static void expect_refusal(const char *code, const char *message)
{
	struct conversion conversion = {.code = code};
	struct error err = {0};

	if (!vm_protect(vm, convert, &conversion, &err))
		fail_msg("%s: %s", code, err.message);
	assert_false(conversion.ok);
	assert_null(conversion.json);
	assert_int_equal(conversion.err.code, ERROR_INVALID);
	assert_string_equal(conversion.err.message, message);
	error_clear(&conversion.err);
}

static void test_values(void **state)
{
	(void)state;
	expect_json("nil", 0, "null");
	expect_json("json.null", 0, "null");
	expect_json("require('cjson').null", 0, "null");
	expect_json("true", 0, "true");
	expect_json("9007199254740993", 0, "9007199254740993");
	expect_json("math.mininteger", 0, "-9223372036854775808");
	expect_json("0.1", 0, "0.1");
	expect_json("2.0", 0, "2.0");
	expect_json("1e300", 0, "1e+300");
	expect_json("1/3", 0, "0.33333333333333331");
	expect_json("-0.0", 0, "-0.0");
	expect_json("'a\"b\\0c/'", 0, "\"a\\\"b\\u0000c/\"");
	expect_json("'\\u{1F600}'", 0, "\"\xf0\x9f\x98\x80\"");
}

static void test_tables(void **state)
{
	(void)state;
	expect_json("{}", 0, "{}");
	expect_json("json.array()", 0, "[]");
	expect_json("json.array{}", 0, "[]");
	expect_json("json.empty_array", 0, "[]");
	expect_json("{json.empty_array, {}}", 0, "[[],{}]");
	expect_json("{1, 2, {3}}", 0, "[1,2,[3]]");
	expect_json("{[1] = 'a', [2.0] = 'b'}", 0, "[\"a\",\"b\"]");
	expect_json("{1, json.null, 3}", 0, "[1,null,3]");
	expect_json(
	    "{d = 4, b = 2, e = 5, c = 3, a = 1}", 0, "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5}");
	expect_json("{a = {b = 1}}", 0, "{\"a\":{\"b\":1}}");
	expect_json("{labels = {}, x = nil}", LUA_JSON_TASK, "{\"labels\":[]}");
	expect_json("{{args = {}}, {other = {}}}", LUA_JSON_TASK, "[{\"args\":[]},{\"other\":{}}]");
	expect_json("{labels = {}}", 0, "{\"labels\":{}}");
}

static void test_refusals(void **state)
{
	(void)state;
	expect_refusal("0/0", "the value is NaN, which JSON has not");
	expect_refusal("{a = {1, 1/0}}", "a[2]: is infinite, which JSON has not");
	expect_refusal("{a = print}", "a: is a function, which JSON has not");
	expect_refusal("{a = io.stdout}", "a: is of a type that JSON has not");
	expect_refusal("{a = {b = '\\xff'}}", "a.b: is not valid UTF-8");
	expect_refusal(
	    "{['\\xff'] = 1}", "\xef\xbf\xbd: has a name that is not valid UTF-8 or holds a NUL");
	expect_refusal("{['a\\0b'] = 1}", "a: has a name that is not valid UTF-8 or holds a NUL");
	expect_refusal(
	    "{x = {[20231] = 1}}", "x[20231]: is behind a gap: the indexes of a list are 1..n");
	expect_refusal(
	    "{x = {1, nil, 3}}", "x[3]: is behind a gap: the indexes of a list are 1..n");
	expect_refusal(
	    "{1, a = 2}", "the value mixes names and indexes: it is neither a list nor an object");
	expect_refusal(
	    "{x = {[0] = 1}}", "x[0]: has a key that is neither a string nor an index of a list");
	expect_refusal(
	    "{x = {[1.5] = 1}}", "x: has a key that is neither a string nor an index of a list");
	expect_refusal(
	    "{[true] = 1}", "the value has a key that is neither a string nor an index of a list");
	expect_refusal("json.array{a = 1}", "the value is marked as a list and has names");
}

static void test_bounds(void **state)
{
	struct conversion conversion = {.code = "(function() local t = {} t.t = t return t end)()"};
	struct error err = {0};

	(void)state;
	assert_true(vm_protect(vm, convert, &conversion, &err));
	assert_false(conversion.ok);
	assert_contains(conversion.err.message, ": is nested too deeply, or contains itself");
	error_clear(&conversion.err);
	/* A table that holds the next one ten times, eight levels deep. */
	conversion = (struct conversion){.code = "(function() local t = {} for i = 1, 8 do t = "
						 "{t,t,t,t,t,t,t,t,t,t} end return t end)()"};
	assert_true(vm_protect(vm, convert, &conversion, &err));
	assert_false(conversion.ok);
	assert_contains(conversion.err.message, "is too large for JSON");
	error_clear(&conversion.err);
}

struct pushing {
	struct json_object *json;
	unsigned flags;
	const char *check; /* an expression about v, true */
};

static int push_and_check(lua_State *L)
{
	struct pushing *pushing = lua_touserdata(L, 1);

	lua_pushfstring(L, "local v, json = ... return %s", pushing->check);
	if (luaL_loadstring(L, lua_tostring(L, -1)) != LUA_OK)
		return lua_error(L);
	lua_json_push(L, pushing->json, pushing->flags);
	lua_getglobal(L, "require");
	lua_pushliteral(L, "athanore");
	lua_call(L, 1, 1);
	lua_getfield(L, -1, "json");
	lua_remove(L, -2);
	lua_call(L, 2, 1);
	if (!lua_toboolean(L, -1))
		return luaL_error(L, "not so: %s", pushing->check);
	return 0;
}

static void expect_lua(const char *text, unsigned flags, const char *check)
{
	struct pushing pushing = {.json = parse(text), .flags = flags, .check = check};
	struct error err = {0};

	if (!vm_protect(vm, push_and_check, &pushing, &err))
		fail_msg("%s: %s", text, err.message);
	json_object_put(pushing.json);
}

static void test_pushing(void **state)
{
	(void)state;
	expect_lua("{\"a\":1,\"b\":2.5,\"c\":\"x\"}", 0,
	    "math.type(v.a) == 'integer' and v.b == 2.5 and v.c == 'x'");
	expect_lua("[2.0]", 0, "math.type(v[1]) == 'float'");
	expect_lua(
	    "[1e400, -1e400]", LUA_JSON_INFINITE, "v[1] == math.huge and v[2] == -math.huge");
	expect_lua("{\"a\":null}", 0, "v.a == nil and next(v) == nil");
	expect_lua("{\"a\":null}", LUA_JSON_KEEP_NULL,
	    "v.a == json.null and v.a == require('cjson').null");
	expect_lua("[null,1]", 0, "v[1] == json.null and #v == 2");
	expect_lua("{\"a\":[]}", 0, "json.encode(v) == '{\"a\":[]}'");
	expect_lua("\"a\\u0000b\"", 0, "#v == 3");
}

static void test_library(void **state)
{
	(void)state;
	expect_prompt("local j = require('athanore').json return "
		      "j.encode(j.decode('[1,2.5,\"x\",[],{},null]'))",
	    "[1,2.5,\"x\",[],{},null]");
	expect_prompt(
	    "local j = require('athanore').json return tostring(j.decode(' null ') == j.null)",
	    "true");
	expect_prompt(
	    "local j = require('athanore').json local v, e = j.decode('{') return tostring(v) .. e",
	    "nilinvalid JSON at line 1, column 2: it ends too early");
	expect_prompt("local j = require('athanore').json return select(2, "
		      "j.decode('[123456789012345678901]'))",
	    "the integer 123456789012345678901 does not fit into 64 bits");
	expect_prompt("local j = require('athanore').json return "
		      "j.encode(j.decode('{\"a\":\"99999999999999999999\","
		      "\"b\":-9223372036854775808}'))",
	    "{\"a\":\"99999999999999999999\",\"b\":-9223372036854775808}");
	expect_prompt("local j = require('athanore').json return select(2, j.decode('[1e999]'))",
	    "the number 1e999 is too large");
	expect_prompt("local j = require('athanore').json return select(2, j.encode({a = print}))",
	    "a: is a function, which JSON has not");
	expect_prompt("return require('athanore').json.encode(nil)", "null");
	expect_error(
	    "require('athanore').json.decode({})", "routes.lua:4: bad argument #1 to 'decode'");
	expect_error(
	    "require('athanore').json.array('x')", "routes.lua:4: bad argument #1 to 'array'");
	expect_prompt("local c = require 'cjson' return c.encode({c.null}) .. "
		      "tostring(pcall(c.decode, '[NaN]'))",
	    "[null]false");
	expect_prompt("return tostring(require('cjson.safe').decode('x'))", "nil");
	expect_prompt(
	    "local j = require('athanore').json return tostring(j.decode(('['):rep(100000)))",
	    "nil");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_vm, tear_down_vm)
	const struct CMUnitTest tests[] = {
	    TEST(test_values),
	    TEST(test_tables),
	    TEST(test_refusals),
	    TEST(test_bounds),
	    TEST(test_pushing),
	    TEST(test_library),
	};

	return cmocka_run_group_tests_name("lua_json", tests, NULL, NULL);
}
