/* Wall and monotonic time, and their text. */
#include "base/clock.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* The years 0000 to 9999, which four digits can say. */
#define FIRST_MS (-62167219200000)
#define LAST_MS 253402300799999

int64_t clock_now_ms(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_REALTIME, &ts) != 0)
		fatal("clock_gettime(CLOCK_REALTIME) failed");
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

double clock_monotonic(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts) != 0)
		fatal("clock_gettime(CLOCK_MONOTONIC) failed");
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

const char *clock_format(int64_t ms, char buf[CLOCK_TEXT_SIZE])
{
	int64_t in_range = ms < FIRST_MS ? FIRST_MS : ms > LAST_MS ? LAST_MS : ms;
	int64_t millis = ((in_range % 1000) + 1000) % 1000;
	time_t seconds = (time_t)((in_range - millis) / 1000);
	struct tm tm;
	char day[32];

	if (gmtime_r(&seconds, &tm) == NULL)
		fatal("gmtime_r failed");
	strftime(day, sizeof(day), "-%m-%dT%H:%M:%S", &tm);
	snprintf(buf, CLOCK_TEXT_SIZE, "%04u%.15s.%03uZ", (unsigned)(tm.tm_year + 1900) % 10000,
	    day, (unsigned)millis % 1000);
	return buf;
}

/* Reads exactly `digits` digits and moves *text past them; false where there are others. */
static bool parse_number(const char **text, int digits, int low, int high, int *value)
{
	*value = 0;
	for (int i = 0; i < digits; i++, (*text)++) {
		if (**text < '0' || **text > '9')
			return false;
		*value = *value * 10 + (**text - '0');
	}
	return *value >= low && *value <= high;
}

static bool parse_char(const char **text, char c)
{
	if (**text != c)
		return false;
	(*text)++;
	return true;
}

static int days_in_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

static bool parse_date(const char **text, struct tm *tm)
{
	int year, month;

	if (!parse_number(text, 4, 0, 9999, &year) || !parse_char(text, '-') ||
	    !parse_number(text, 2, 1, 12, &month) || !parse_char(text, '-') ||
	    !parse_number(text, 2, 1, days_in_month(year, month), &tm->tm_mday))
		return false;
	tm->tm_year = year - 1900;
	tm->tm_mon = month - 1;
	return true;
}

/* A leap second is let through; it becomes the next minute's first. */
static bool parse_time(const char **text, struct tm *tm)
{
	return parse_number(text, 2, 0, 23, &tm->tm_hour) && parse_char(text, ':') &&
	       parse_number(text, 2, 0, 59, &tm->tm_min) && parse_char(text, ':') &&
	       parse_number(text, 2, 0, 60, &tm->tm_sec);
}

/* Reads ".123", where there is one, into milliseconds and moves *text past it. */
static bool parse_fraction(const char **text, int *millis)
{
	int scale = 100;

	*millis = 0;
	if (!parse_char(text, '.'))
		return true;
	if (**text < '0' || **text > '9')
		return false;
	for (; **text >= '0' && **text <= '9'; (*text)++) {
		*millis += (**text - '0') * scale;
		scale /= 10;
	}
	return true;
}

/* Reads "Z" or "+01:30" into minutes east of UTC. */
static bool parse_offset(const char **text, int *minutes)
{
	int hour, minute;
	int sign = **text == '-' ? -1 : 1;

	*minutes = 0;
	if (parse_char(text, 'Z') || parse_char(text, 'z'))
		return true;
	if (!parse_char(text, '+') && !parse_char(text, '-'))
		return false;
	if (!parse_number(text, 2, 0, 23, &hour) || !parse_char(text, ':') ||
	    !parse_number(text, 2, 0, 59, &minute))
		return false;
	*minutes = sign * (hour * 60 + minute);
	return true;
}

bool clock_parse(const char *text, int64_t *ms)
{
	struct tm tm = {0};
	int millis, offset;

	if (!parse_date(&text, &tm))
		return false;
	if (!parse_char(&text, 'T') && !parse_char(&text, 't') && !parse_char(&text, ' '))
		return false;
	if (!parse_time(&text, &tm) || !parse_fraction(&text, &millis) ||
	    !parse_offset(&text, &offset) || *text != '\0')
		return false;
	*ms = ((int64_t)timegm(&tm) - (int64_t)offset * 60) * 1000 + millis;
	return true;
}
