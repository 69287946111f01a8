/* Query strings: decoding, and what is refused. */
#include "check.h"

#include "api/query.h"

#include <string.h>

static const char *const names[] = {"a", "long name", NULL};
static struct api_query query;
static struct api_problem problem;

static int tear_down(void **state)
{
	(void)state;
	api_query_clear(&query);
	api_problem_clear(&problem);
	return 0;
}

static void parse(const char *target)
{
	api_query_clear(&query);
	if (!api_query_parse(&query, target, names, &problem))
		fail_msg("%s: %s", target, problem.detail);
}

static void refuse(const char *target, int status, const char *field)
{
	api_query_clear(&query);
	assert_false(api_query_parse(&query, target, names, &problem));
	assert_int_equal(problem.status, status);
	if (field == NULL)
		assert_null(problem.field);
	else
		assert_string_equal(problem.field, field);
	api_problem_clear(&problem);
}

static void test_none(void **state)
{
	(void)state;
	parse("/x");
	assert_null(query.values[0]);
	parse("/x?");
	parse("/x?&&");
	assert_null(query.values[0]);
}

static void test_values(void **state)
{
	(void)state;
	parse("/x?a=1");
	assert_string_equal(query.values[0], "1");
	assert_null(query.values[1]);
	parse("/x?long%20name=b%26+c%2B&&a");
	assert_string_equal(query.values[0], "");
	assert_string_equal(query.values[1], "b& c+");
	parse("/x?long+name=%E2%82%AC=%3d");
	assert_string_equal(query.values[1], "\xe2\x82\xac==");
}

static void test_refused(void **state)
{
	(void)state;
	refuse("/x?b=1", 422, "b");
	refuse("/x?=1", 422, "");
	refuse("/x?a=1&a=1", 422, "a");
	refuse("/x?a=%", 400, NULL);
	refuse("/x?a=%0", 400, NULL);
	refuse("/x?a=%00", 400, NULL);
	refuse("/x?a=%ff", 400, NULL);
	refuse("/x?%zz=1", 400, NULL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_none, tear_down),
	    cmocka_unit_test_teardown(test_values, tear_down),
	    cmocka_unit_test_teardown(test_refused, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
