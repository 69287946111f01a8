#ifndef ATHANORE_BASE_LOG_H
#define ATHANORE_BASE_LOG_H

#include <stdbool.h>

/* The daemon's own log: lines on stderr, as text or as JSON. Usable from every thread. */

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

void log_set_level(enum log_level level);
void log_set_format(enum log_format format);
enum log_level log_get_level(void);

/* "debug", "info", "warn" and "error"; false where name is none of them. */
bool log_level_parse(const char *name, enum log_level *level);
/* "text" and "json". */
bool log_format_parse(const char *name, enum log_format *format);

/*
 * One record. fields is NULL or alternating names and values, ended by NULL:
 *     log_with(LOG_INFO, (const char *const[]){"task_id", id, NULL}, "claimed");
 * A NULL value is left out. Control characters are escaped; in text, the lines of a message
 * behind its first are indented, so that none looks like a record.
 */
void log_with(enum log_level level, const char *const *fields, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(...) log_with(LOG_DEBUG, NULL, __VA_ARGS__)
#define log_info(...) log_with(LOG_INFO, NULL, __VA_ARGS__)
#define log_warn(...) log_with(LOG_WARN, NULL, __VA_ARGS__)
#define log_error(...) log_with(LOG_ERROR, NULL, __VA_ARGS__)

#endif
