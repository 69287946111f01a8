/* Cuts a stream of bytes into lines. */
#include "supervise/lines.h"

#include "base/alloc.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

/* A buffer that one long line has grown beyond this is given back after it. */
#define KEEP_BYTES 65536

struct lines {
	size_t max;
	lines_fn fn;
	void *arg;
	struct str held; /* the beginning of a line whose end was not seen yet */
	bool truncated;	 /* held is full and bytes behind it were thrown away */
};

struct lines *lines_create(size_t max, lines_fn fn, void *arg)
{
	struct lines *lines = xcalloc(1, sizeof(*lines));

	lines->max = max;
	lines->fn = fn;
	lines->arg = arg;
	return lines;
}

void lines_free(struct lines *lines)
{
	if (lines == NULL)
		return;
	str_free(&lines->held);
	free(lines);
}

/* The cut of a line that is too long must not go through a character that is valid. */
static size_t whole_characters(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t back = 1;

	while (back < 4 && back < len && (p[len - back] & 0xc0) == 0x80)
		back++;
	if (back > len || p[len - back] < 0xc2 || p[len - back] > 0xf4 ||
	    str_utf8_length(p + len - back, back) != 0)
		return len;
	return len - back;
}

static void emit(struct lines *lines, const char *text, size_t len, bool truncated)
{
	if (len > lines->max) {
		len = lines->max;
		truncated = true;
	}
	if (truncated)
		len = whole_characters(text, len);
	lines->fn(lines->arg, text, len, truncated);
}

static void hold(struct lines *lines, const char *data, size_t len)
{
	size_t room = lines->max - lines->held.len;

	if (len > room) {
		len = room;
		lines->truncated = true;
	}
	str_append(&lines->held, data, len);
}

static void emit_held(struct lines *lines)
{
	emit(lines, lines->held.data, lines->held.len, lines->truncated);
	lines->truncated = false;
	if (lines->held.cap > KEEP_BYTES)
		str_free(&lines->held);
	else
		str_clear(&lines->held);
}

void lines_feed(struct lines *lines, const char *data, size_t len)
{
	while (len > 0) {
		const char *newline = memchr(data, '\n', len);
		size_t part = newline != NULL ? (size_t)(newline - data) : len;

		if (newline == NULL || lines->held.len > 0)
			hold(lines, data, part);
		if (newline == NULL)
			return;
		if (lines->held.len > 0)
			emit_held(lines);
		else
			emit(lines, data, part, false);
		data += part + 1;
		len -= part + 1;
	}
}

void lines_end(struct lines *lines)
{
	if (lines->held.len > 0)
		emit_held(lines);
	str_free(&lines->held);
}
