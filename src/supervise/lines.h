#ifndef ATHANORE_SUPERVISE_LINES_H
#define ATHANORE_SUPERVISE_LINES_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Cuts a stream of bytes into lines. A line that comes whole in one piece is
 * not copied; a longer one is held until its end, up to a maximum.
 */
struct lines;

/*
 * One line without its newline, borrowed for the call. truncated: there was
 * more than the maximum, and the rest is gone.
 */
typedef void (*lines_fn)(void *arg, const char *line, size_t len, bool truncated);

/* max: longest line in bytes, at least 4. */
struct lines *lines_create(size_t max, lines_fn fn, void *arg);
void lines_free(struct lines *lines);

void lines_feed(struct lines *lines, const char *data, size_t len);

/* The stream has ended: gives out what stands behind the last newline, if anything. */
void lines_end(struct lines *lines);

#endif
