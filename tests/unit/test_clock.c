/* Times and their text. */
#include "check.h"

#include "base/clock.h"

static void assert_text(int64_t ms, const char *text)
{
	char buf[CLOCK_TEXT_SIZE];

	assert_string_equal(clock_format(ms, buf), text);
}

static void test_format(void **state)
{
	(void)state;
	assert_text(0, "1970-01-01T00:00:00.000Z");
	assert_text(1, "1970-01-01T00:00:00.001Z");
	assert_text(-1, "1969-12-31T23:59:59.999Z");
	assert_text(-1000, "1969-12-31T23:59:59.000Z");
	assert_text(1769862896789, "2026-01-31T12:34:56.789Z");
	assert_text(951782400000, "2000-02-29T00:00:00.000Z");
}

static void test_format_out_of_range(void **state)
{
	(void)state;
	assert_text(253402300799999, "9999-12-31T23:59:59.999Z");
	assert_text(253402300800000, "9999-12-31T23:59:59.999Z");
	assert_text(INT64_MAX, "9999-12-31T23:59:59.999Z");
	assert_text(-62167219200000, "0000-01-01T00:00:00.000Z");
	assert_text(INT64_MIN, "0000-01-01T00:00:00.000Z");
}

static void assert_time(const char *text, int64_t wanted)
{
	int64_t ms = -77;

	if (!clock_parse(text, &ms))
		fail_msg("%s is refused", text);
	if (ms != wanted)
		fail_msg("%s is %lld", text, (long long)ms);
}

static void test_parse(void **state)
{
	(void)state;
	assert_time("1970-01-01T00:00:00Z", 0);
	assert_time("2026-01-31T12:34:56.789Z", 1769862896789);
	assert_time("2026-01-31T12:34:56.789123456Z", 1769862896789);
	assert_time("2026-01-31T12:34:56.7Z", 1769862896700);
	assert_time("2026-01-31T12:34:56Z", 1769862896000);
	assert_time("2026-01-31t12:34:56z", 1769862896000);
	assert_time("2026-01-31 12:34:56Z", 1769862896000);
	assert_time("2026-01-31T14:34:56+02:00", 1769862896000);
	assert_time("2026-01-31T04:04:56-08:30", 1769862896000);
	assert_time("2024-02-29T00:00:00Z", 1709164800000);
	assert_time("1969-12-31T23:59:59.999Z", -1);
	assert_time("2016-12-31T23:59:60Z", 1483228800000);
}

static void test_parse_refuses(void **state)
{
	static const char *const bad[] = {"", "now", "2026-01-31", "2026-01-31T12:34:56",
	    "2026-01-31T12:34Z", "2026-1-31T12:34:56Z", "26-01-31T12:34:56Z",
	    " 2026-01-31T12:34:56Z", "2026-01-31T12:34:56Z ", "2026-13-01T00:00:00Z",
	    "2026-00-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-04-31T00:00:00Z",
	    "2026-01-00T00:00:00Z", "2026-01-31T24:00:00Z", "2026-01-31T12:60:00Z",
	    "2026-01-31T12:34:61Z", "2026-01-31T12:34:56.Z", "2026-01-31T12:34:56,5Z",
	    "2026-01-31T12:34:56+2:00", "2026-01-31T12:34:56+02", "2026-01-31T12:34:56+0200",
	    "2026-01-31T12:34:56+24:00", "2026-01-31T12:34:56+02:60", "2026-01-31T12:34:56+-1:00",
	    "2026-01-31T12:34:56 02:00", "+026-01-31T12:34:56Z", "2026-01-31T12:34:56ZZ",
	    "2026-01-31T+1:34:56Z"};
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (clock_parse(bad[i], &ms))
			fail_msg("%s is taken", bad[i]);
}

static void test_round_trip(void **state)
{
	(void)state;
	for (int64_t ms = -62167219200000; ms <= 253402300799999; ms += (int64_t)86399999 * 1013) {
		char buf[CLOCK_TEXT_SIZE];

		assert_time(clock_format(ms, buf), ms);
	}
}

static void test_now(void **state)
{
	int64_t now = clock_now_ms();
	double before = clock_monotonic();

	(void)state;
	assert_true(now > 1700000000000);
	assert_true(clock_monotonic() >= before);
	usleep(2000);
	assert_true(clock_monotonic() > before);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_format),
	    cmocka_unit_test(test_format_out_of_range),
	    cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_parse_refuses),
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_now),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
