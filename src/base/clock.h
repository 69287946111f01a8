#ifndef ATHANORE_BASE_CLOCK_H
#define ATHANORE_BASE_CLOCK_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

/* "2026-01-31T12:34:56.789Z" and the NUL. */
#define CLOCK_TEXT_SIZE 25

/* Milliseconds since 1970, UTC. */
int64_t clock_now_ms(void);

/* Seconds that never jump back; they stand still while the machine sleeps. */
double clock_monotonic(void);

/* RFC 3339, UTC, with milliseconds; returns buf. Times outside the years 0000 to 9999 become the
 * nearest one inside. */
const char *clock_format(int64_t ms, char buf[CLOCK_TEXT_SIZE]);

/* The inverse; any number of fraction digits, "Z" or an offset. False where text is no such time.
 */
bool clock_parse(const char *text, int64_t *ms);

#endif
