/* Replaces evhttp's own error pages by problem documents. */
#include "api/error_page.h"

#include "api/limits.h"
#include "api/problem.h"
#include "base/alloc.h"
#include "base/log.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <stdlib.h>
#include <sys/socket.h>

static void describe(const struct api_wire *wire, int status, struct api_problem *problem)
{
	if (wire->fault != NULL)
		api_problem_set(
		    problem, 400, "bad_request", "this is no valid HTTP request: %s", wire->fault);
	else if (wire->head_len > API_MAX_HEAD)
		api_problem_set(problem, 431, "headers_too_large",
		    "the request line and headers are larger than %d bytes", API_MAX_HEAD);
	else if (status == HTTP_ENTITYTOOLARGE)
		api_problem_set(problem, 413, "body_too_large",
		    "the body is larger than %d bytes, or its chunks are damaged", API_MAX_BODY);
	else if (status == HTTP_EXPECTATIONFAILED)
		api_problem_set(problem, 417, "expectation_failed",
		    "the only expectation that can be met is 100-continue");
	else
		api_problem_set(problem, 400, "bad_request", "this is no valid HTTP request");
}

/* The whole answer, for the caller to free. */
static void print_page(const struct api_problem *problem, struct str *page)
{
	struct str body = {0};

	api_problem_print(problem, &body);
	str_printf(page,
	    "HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\n"
	    "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
	    problem->status, api_status_title(problem->status), body.len, body.data);
	str_free(&body);
	log_debug("refused a request: %d: %s", problem->status, problem->detail);
}

static void replace(struct evbuffer *output, const struct api_problem *problem)
{
	struct str page = {0};

	print_page(problem, &page);
	/* A bufferevent guards the front of its output against all but itself. */
	if (evbuffer_unfreeze(output, 1) != 0 ||
	    evbuffer_drain(output, evbuffer_get_length(output)) != 0 ||
	    evbuffer_freeze(output, 1) != 0 || evbuffer_add(output, page.data, page.len) != 0)
		fatal("cannot replace an error page");
	str_free(&page);
}

bool api_error_page_replace(struct evbuffer *output, const struct api_wire *wire)
{
	struct api_problem problem = {0};
	char line[13] = ""; /* "HTTP/1.1 400" */
	int status;

	if (evbuffer_copyout(output, line, 12) != 12)
		return false;
	status = atoi(line + 9);
	if (status < 400) /* 100 Continue */
		return false;
	describe(wire, status, &problem);
	replace(output, &problem);
	api_problem_clear(&problem);
	return true;
}

void api_error_page_timeout(int fd)
{
	struct api_problem problem = {0};
	struct str page = {0};

	api_problem_set(&problem, 408, "request_timeout",
	    "the request was not complete within %d s", API_READ_SECONDS);
	print_page(&problem, &page);
	if (send(fd, page.data, page.len, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)page.len)
		log_debug("a client did not take its timeout");
	str_free(&page);
	api_problem_clear(&problem);
}
