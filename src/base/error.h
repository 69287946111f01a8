#ifndef ATHANORE_BASE_ERROR_H
#define ATHANORE_BASE_ERROR_H

#include <stdbool.h>

/* What went wrong, in the words that adapters, scripts and the HTTP API share. */
enum error_code {
	ERROR_NONE = 0,
	ERROR_NOT_FOUND,
	ERROR_CONFLICT,
	ERROR_INVALID,
	ERROR_UNAUTHORIZED,
	ERROR_FORBIDDEN,
	ERROR_RATE_LIMITED,
	ERROR_UNAVAILABLE,
	ERROR_TIMEOUT,
	ERROR_UNSUPPORTED,
	ERROR_INTERNAL,
};

/* Start with `struct error err = {0};`. message is owned: end with error_clear(). */
struct error {
	enum error_code code;
	double retry_after; /* seconds until another try makes sense; 0: not said */
	char *message;	    /* what happened, where, what to do; no newline at the end */
};

/* Replaces what err holds. err may be NULL: nobody wants to know. Always returns false. */
bool error_set(struct error *err, enum error_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set, and appends ": " and strerror(errnum). */
bool error_set_errno(struct error *err, enum error_code code, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

void error_clear(struct error *err);

/* dst must be empty. */
void error_copy(struct error *dst, const struct error *src);

/* "not_found", …; the constant name of each code. */
const char *error_code_name(enum error_code code);

/* ERROR_NONE where name is none of them. */
enum error_code error_code_parse(const char *name);

#endif
