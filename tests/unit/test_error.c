/* Errors: messages, codes and their names. */
#include "check.h"

#include "base/error.h"

#include <errno.h>

static void test_set(void **state)
{
	struct error err = {0};

	(void)state;
	assert_false(error_set(&err, ERROR_INVALID, "%s is %d", "x", 3));
	assert_int_equal(err.code, ERROR_INVALID);
	assert_string_equal(err.message, "x is 3");
	error_clear(&err);
	assert_int_equal(err.code, ERROR_NONE);
	assert_null(err.message);
	error_clear(&err);
}

static void test_nobody_wants_to_know(void **state)
{
	(void)state;
	assert_false(error_set(NULL, ERROR_INVALID, "x"));
	assert_false(error_set_errno(NULL, ERROR_INVALID, ENOENT, "x"));
}

static void test_errno(void **state)
{
	struct error err = {0};

	(void)state;
	assert_false(error_set_errno(&err, ERROR_NOT_FOUND, ENOENT, "cannot open %s", "/x"));
	assert_string_equal(err.message, "cannot open /x: No such file or directory");
	error_clear(&err);
}

/* A message is often built around the one before it. */
static void test_wrap(void **state)
{
	struct error err = {0};

	(void)state;
	error_set(&err, ERROR_RATE_LIMITED, "slow down");
	err.retry_after = 3;
	error_set(&err, ERROR_UNAVAILABLE, "the tracker says: %s", err.message);
	assert_int_equal(err.code, ERROR_UNAVAILABLE);
	assert_string_equal(err.message, "the tracker says: slow down");
	assert_true(err.retry_after == 0);
	error_clear(&err);
}

static void test_copy(void **state)
{
	struct error err = {0}, copy = {0};

	(void)state;
	error_set(&err, ERROR_RATE_LIMITED, "slow down");
	err.retry_after = 1.5;
	error_copy(&copy, &err);
	error_clear(&err);
	assert_int_equal(copy.code, ERROR_RATE_LIMITED);
	assert_true(copy.retry_after == 1.5);
	assert_string_equal(copy.message, "slow down");
	error_clear(&copy);
	error_copy(&copy, &err);
	assert_null(copy.message);
}

static void test_names(void **state)
{
	(void)state;
	for (enum error_code code = ERROR_NOT_FOUND; code <= ERROR_INTERNAL; code++)
		assert_int_equal(error_code_parse(error_code_name(code)), code);
	assert_string_equal(error_code_name(ERROR_NOT_FOUND), "not_found");
	assert_string_equal(error_code_name(ERROR_RATE_LIMITED), "rate_limited");
	assert_int_equal(error_code_parse("none"), ERROR_NONE);
	assert_int_equal(error_code_parse(""), ERROR_NONE);
	assert_int_equal(error_code_parse("Invalid"), ERROR_NONE);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_set),
	    cmocka_unit_test(test_nobody_wants_to_know),
	    cmocka_unit_test(test_errno),
	    cmocka_unit_test(test_wrap),
	    cmocka_unit_test(test_copy),
	    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
