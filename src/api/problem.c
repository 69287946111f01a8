/* Problem details: the body of every answer that is an error. */
#include "api/problem.h"

#include "base/alloc.h"
#include "base/json_text.h"

#include <stdarg.h>
#include <stdlib.h>

/* Seconds after which a client may try again where the backend named none. */
#define DEFAULT_RETRY_AFTER 5

static const struct {
	int status;
	const char *title;
} titles[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

/*
 * Errors of the backend. unauthorized and forbidden speak of the daemon's own
 * credentials, not of the client's: to the client the daemon is a gateway whose
 * other side refused, so 502 and not 401 or 403. For the same reason a rate
 * limit of the backend is 503: the client did nothing too often.
 */
static const struct {
	int status;
	bool retry;
} statuses[] = {
    [ERROR_NONE] = {500, false},
    [ERROR_NOT_FOUND] = {404, false},
    [ERROR_CONFLICT] = {409, false},
    [ERROR_INVALID] = {422, false},
    [ERROR_UNAUTHORIZED] = {502, false},
    [ERROR_FORBIDDEN] = {502, false},
    [ERROR_RATE_LIMITED] = {503, true},
    [ERROR_UNAVAILABLE] = {503, true},
    [ERROR_TIMEOUT] = {504, false},
    [ERROR_UNSUPPORTED] = {501, false},
    [ERROR_INTERNAL] = {500, false},
};

const char *api_status_title(int status)
{
	for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
		if (titles[i].status == status)
			return titles[i].title;
	return "Error";
}

bool api_problem_set(
    struct api_problem *problem, int status, const char *code, const char *fmt, ...)
{
	va_list ap;
	char *detail;

	va_start(ap, fmt);
	detail = xvasprintf(fmt, ap);
	va_end(ap);
	api_problem_clear(problem);
	problem->status = status;
	problem->code = code;
	problem->detail = detail;
	return false;
}

bool api_problem_from_error(struct api_problem *problem, const struct error *err)
{
	if (err->code > ERROR_INTERNAL)
		fatal("error code %d", (int)err->code);
	api_problem_set(problem, statuses[err->code].status, error_code_name(err->code), "%s",
	    err->message != NULL ? err->message : error_code_name(err->code));
	if (statuses[err->code].retry)
		problem->retry_after =
		    err->retry_after > 0 ? err->retry_after : DEFAULT_RETRY_AFTER;
	return false;
}

void api_problem_print(const struct api_problem *problem, struct str *out)
{
	str_putc(out, '{');
	json_text_member(out, "type", "about:blank");
	json_text_member(out, "title", api_status_title(problem->status));
	json_text_member_int(out, "status", problem->status);
	json_text_member(out, "detail", problem->detail);
	json_text_member(out, "code", problem->code);
	if (problem->field != NULL)
		json_text_member(out, "field", problem->field);
	str_putc(out, '}');
}

void api_problem_clear(struct api_problem *problem)
{
	free(problem->detail);
	free(problem->field);
	free(problem->allow);
	*problem = (struct api_problem){0};
}
