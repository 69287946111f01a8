/* Typed errors with a message for the user. */
#include "base/error.h"

#include "base/alloc.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char *const code_names[] = {
    [ERROR_NONE] = "none",
    [ERROR_NOT_FOUND] = "not_found",
    [ERROR_CONFLICT] = "conflict",
    [ERROR_INVALID] = "invalid",
    [ERROR_UNAUTHORIZED] = "unauthorized",
    [ERROR_FORBIDDEN] = "forbidden",
    [ERROR_RATE_LIMITED] = "rate_limited",
    [ERROR_UNAVAILABLE] = "unavailable",
    [ERROR_TIMEOUT] = "timeout",
    [ERROR_UNSUPPORTED] = "unsupported",
    [ERROR_INTERNAL] = "internal",
};

static void error_replace(struct error *err, enum error_code code, char *message)
{
	error_clear(err);
	err->code = code;
	err->message = message;
}

bool error_set(struct error *err, enum error_code code, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return false;
	va_start(ap, fmt);
	error_replace(err, code, xvasprintf(fmt, ap));
	va_end(ap);
	return false;
}

bool error_set_errno(struct error *err, enum error_code code, int errnum, const char *fmt, ...)
{
	va_list ap;
	char *what;

	if (err == NULL)
		return false;
	va_start(ap, fmt);
	what = xvasprintf(fmt, ap);
	va_end(ap);
	error_replace(err, code, xasprintf("%s: %s", what, strerror(errnum)));
	free(what);
	return false;
}

void error_clear(struct error *err)
{
	free(err->message);
	*err = (struct error){0};
}

void error_copy(struct error *dst, const struct error *src)
{
	dst->code = src->code;
	dst->retry_after = src->retry_after;
	dst->message = xstrdup(src->message);
}

const char *error_code_name(enum error_code code)
{
	if (code > ERROR_INTERNAL)
		fatal("error code %d", (int)code);
	return code_names[code];
}

enum error_code error_code_parse(const char *name)
{
	for (enum error_code code = ERROR_NOT_FOUND; code <= ERROR_INTERNAL; code++)
		if (strcmp(code_names[code], name) == 0)
			return code;
	return ERROR_NONE;
}
