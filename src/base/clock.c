/* Wall and monotonic time, and their text. */
#include "base/clock.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

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
	time_t seconds = (time_t)(ms >= 0 ? ms / 1000 : (ms - 999) / 1000);
	int millis = (int)(ms - (int64_t)seconds * 1000);
	struct tm tm;
	char day[32];

	if (gmtime_r(&seconds, &tm) == NULL || tm.tm_year + 1900 > 9999 || tm.tm_year + 1900 < 0)
		memset(&tm, 0, sizeof(tm));
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf, CLOCK_TEXT_SIZE, "%.19s.%03dZ", day, millis);
	return buf;
}

/* Reads ".123" into milliseconds and moves *text past it. */
static int parse_fraction(const char **text)
{
	int millis = 0;
	int scale = 100;

	if (**text != '.')
		return 0;
	for ((*text)++; **text >= '0' && **text <= '9'; (*text)++) {
		millis += (**text - '0') * scale;
		scale /= 10;
	}
	return millis;
}

/* Reads "Z" or "+01:30" into minutes east of UTC. */
static bool parse_offset(const char *text, int *minutes)
{
	int h, m, used = 0;
	char sign;

	*minutes = 0;
	if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
		return true;
	if (sscanf(text, "%c%2d:%2d%n", &sign, &h, &m, &used) != 3 || text[used] != '\0')
		return false;
	if ((sign != '+' && sign != '-') || h > 23 || m > 59 || h < 0 || m < 0)
		return false;
	*minutes = (sign == '-' ? -1 : 1) * (h * 60 + m);
	return true;
}

bool clock_parse(const char *text, int64_t *ms)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	int millis, offset;

	if (rest == NULL)
		return false;
	millis = parse_fraction(&rest);
	if (!parse_offset(rest, &offset))
		return false;
	*ms = ((int64_t)timegm(&tm) - (int64_t)offset * 60) * 1000 + millis;
	return true;
}
