/* The daemon's log: one line a record on stderr. */
#include "base/log.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json_text.h"
#include "base/str.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = {"debug", "info", "warn", "error", NULL};
static const char *const format_names[] = {"text", "json", NULL};

static _Atomic enum log_level log_level = LOG_INFO;
static _Atomic enum log_format log_format = LOG_TEXT;

void log_set_level(enum log_level level)
{
	log_level = level;
}

void log_set_format(enum log_format format)
{
	log_format = format;
}

enum log_level log_get_level(void)
{
	return log_level;
}

static int index_of(const char *name, const char *const *names)
{
	for (int i = 0; names[i] != NULL; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

bool log_level_parse(const char *name, enum log_level *level)
{
	int i = index_of(name, level_names);

	if (i >= 0)
		*level = (enum log_level)i;
	return i >= 0;
}

bool log_format_parse(const char *name, enum log_format *format)
{
	int i = index_of(name, format_names);

	if (i >= 0)
		*format = (enum log_format)i;
	return i >= 0;
}

/* Control characters would let a ticket forge lines of the log or drive the terminal. */
static void put_plain(struct str *out, const char *text, bool line_breaks)
{
	struct str clean = {0};

	str_append_utf8(&clean, text, strlen(text));
	for (size_t i = 0; i < clean.len; i++) {
		unsigned char c = (unsigned char)clean.data[i];

		if (c == '\n' && line_breaks)
			str_puts(out, "\n    "); /* a traceback stays readable, and is no record */
		else if (c == '\t' && line_breaks)
			str_puts(out, "  ");
		else if (c < 0x20 || c == 0x7f)
			str_printf(out, "\\x%02x", c);
		else if (c == 0xc2 && (unsigned char)clean.data[i + 1] < 0xa0)
			str_printf(
			    out, "\\x%02x", (unsigned char)clean.data[++i]); /* U+0080 to U+009F */
		else
			str_putc(out, (char)c);
	}
	str_free(&clean);
}

static void put_text(struct str *out, const char *time, enum log_level level,
    const char *const *fields, const char *message)
{
	str_printf(out, "%s %-5s ", time, level_names[level]);
	put_plain(out, message, true);
	for (; fields != NULL && fields[0] != NULL; fields += 2) {
		if (fields[1] == NULL)
			continue;
		str_printf(out, " %s=", fields[0]);
		put_plain(out, fields[1], false);
	}
	str_putc(out, '\n');
}

static void put_json(struct str *out, const char *time, enum log_level level,
    const char *const *fields, const char *message)
{
	str_putc(out, '{');
	json_text_member(out, "time", time);
	json_text_member(out, "level", level_names[level]);
	json_text_member(out, "message", message);
	for (; fields != NULL && fields[0] != NULL; fields += 2)
		if (fields[1] != NULL)
			json_text_member(out, fields[0], fields[1]);
	str_puts(out, "}\n");
}

void log_with(enum log_level level, const char *const *fields, const char *fmt, ...)
{
	char time[CLOCK_TEXT_SIZE];
	struct str line = {0};
	char *message;
	va_list ap;

	if (level < log_level)
		return;
	va_start(ap, fmt);
	message = xvasprintf(fmt, ap);
	va_end(ap);
	clock_format(clock_now_ms(), time);
	if (log_format == LOG_JSON)
		put_json(&line, time, level, fields, message);
	else
		put_text(&line, time, level, fields, message);
	/* One write a record: lines of two threads do not mix. A log that fails has nowhere to say
	 * so. */
	if (fs_write_all(STDERR_FILENO, line.data, line.len) == -1)
		(void)0;
	str_free(&line);
	free(message);
}
