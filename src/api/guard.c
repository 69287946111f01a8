/* Refuses requests that are ambiguous, meant for somebody else, or not authorized. */
#include "api/guard.h"

#include "base/alloc.h"

#include <ctype.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

void api_guard_init(struct api_guard *guard, const char *host, bool remote, const char *token)
{
	bool bare_ipv6 = strchr(host, ':') != NULL && host[0] != '[';

	guard->host = bare_ipv6 ? xasprintf("[%s]", host) : xstrdup(host);
	guard->remote = remote;
	guard->token = xstrdup(token);
}

void api_guard_clear(struct api_guard *guard)
{
	free(guard->host);
	free(guard->token);
	*guard = (struct api_guard){0};
}

static bool is_token_text(const char *text)
{
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++)
		if (!isalnum((unsigned char)*text) && strchr("!#$%&'*+-.^_`|~", *text) == NULL)
			return false;
	return true;
}

static bool is_digits(const char *text)
{
	return *text != '\0' && strspn(text, "0123456789") == strlen(text);
}

/* How often the headers that frame and address a request are there. */
struct head_counts {
	int length;
	int coding;
	int host;
	int origin;
	int authorization;
};

/* NULL, or what is wrong. */
static const char *check_header(const struct evkeyval *header, struct head_counts *counts)
{
	if (!is_token_text(header->key))
		return "a header's name has characters that names do not have";
	if (strcasecmp(header->key, "Content-Length") == 0) {
		counts->length++;
		if (!is_digits(header->value))
			return "Content-Length is no number";
	} else if (strcasecmp(header->key, "Transfer-Encoding") == 0) {
		counts->coding++;
		if (strcasecmp(header->value, "chunked") != 0)
			return "the only Transfer-Encoding that can be read is chunked";
	} else if (strcasecmp(header->key, "Host") == 0) {
		counts->host++;
	} else if (strcasecmp(header->key, "Origin") == 0) {
		counts->origin++;
	} else if (strcasecmp(header->key, "Authorization") == 0) {
		counts->authorization++;
	}
	return NULL;
}

/* evhttp reads no body for these, and would take one for the next request. */
static bool never_has_body(enum evhttp_cmd_type method)
{
	return method != EVHTTP_REQ_GET && method != EVHTTP_REQ_POST && method != EVHTTP_REQ_PUT &&
	       method != EVHTTP_REQ_PATCH && method != EVHTTP_REQ_DELETE &&
	       method != EVHTTP_REQ_OPTIONS && method != EVHTTP_REQ_CONNECT;
}

static const char *check_counts(
    const struct head_counts *counts, const struct evhttp_request *request)
{
	if (counts->length > 1 || counts->coding > 1 || counts->host > 1 || counts->origin > 1 ||
	    counts->authorization > 1)
		return "a header that may be there once is there twice";
	if (counts->length > 0 && counts->coding > 0)
		return "it has both Content-Length and Transfer-Encoding";
	if (counts->coding > 0 && request->minor == 0)
		return "HTTP/1.0 has no Transfer-Encoding";
	if (counts->host == 0 && request->minor > 0)
		return "it has no Host header";
	if (counts->length + counts->coding > 0 &&
	    never_has_body(evhttp_request_get_command(request)))
		return "a request of this method has no body";
	return NULL;
}

bool api_guard_check_form(
    struct evhttp_request *request, const char *fault, struct api_problem *problem)
{
	struct head_counts counts = {0};
	const struct evkeyval *header;

	if (request->major != 1 || request->minor < 0 || request->minor > 1) {
		/* The status line would repeat the version. */
		request->major = 1;
		request->minor = 1;
		api_problem_set(
		    problem, 505, "bad_version", "the versions spoken are HTTP/1.1 and HTTP/1.0");
		problem->close = true;
		return false;
	}
	TAILQ_FOREACH (header, evhttp_request_get_input_headers(request), next) {
		const char *wrong = check_header(header, &counts);

		if (fault == NULL)
			fault = wrong;
	}
	if (fault == NULL)
		fault = check_counts(&counts, request);
	if (fault == NULL)
		return true;
	api_problem_set(problem, 400, "bad_request", "this is no valid HTTP request: %s", fault);
	problem->close = true;
	return false;
}

/* The host of "host:port", "[::1]:port" or "host": its length, or 0 where it is none. */
static size_t host_length(const char *authority, size_t len)
{
	size_t host = 0;

	if (len > 0 && authority[0] == '[') {
		while (host < len && authority[host] != ']')
			host++;
		if (host == len)
			return 0;
		host++;
	} else {
		while (host < len && authority[host] != ':')
			host++;
	}
	if (host == len)
		return host;
	if (authority[host] != ':')
		return 0;
	for (size_t i = host + 1; i < len; i++)
		if (!isdigit((unsigned char)authority[i]))
			return 0;
	return host;
}

static bool same_text(const char *a, size_t len, const char *b)
{
	return strlen(b) == len && strncasecmp(a, b, len) == 0;
}

/*
 * A name that somebody else controls may resolve to our address: a page of theirs could then
 * read all that we answer. Where a token is needed a page does not have it, and the names under
 * which other machines know us are not ours to list.
 */
static bool is_our_host(const struct api_guard *guard, const char *authority, size_t len)
{
	size_t host = host_length(authority, len);

	if (host == 0)
		return false;
	return guard->remote || same_text(authority, host, "localhost") ||
	       same_text(authority, host, "127.0.0.1") || same_text(authority, host, "[::1]") ||
	       same_text(authority, host, guard->host);
}

/* "http://" (https: behind a proxy) and the very authority that the request went to. */
static bool is_same_origin(const char *origin, const char *authority, size_t len)
{
	if (strncasecmp(origin, "http://", 7) == 0)
		origin += 7;
	else if (strncasecmp(origin, "https://", 8) == 0)
		origin += 8;
	else
		return false;
	return strlen(origin) == len && strncasecmp(origin, authority, len) == 0;
}

bool api_guard_check_origin(const struct api_guard *guard, struct evhttp_request *request,
    const char *authority, size_t authority_len, struct api_problem *problem)
{
	const struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
	const char *origin = evhttp_find_header(headers, "Origin");

	if (authority == NULL) {
		authority = evhttp_find_header(headers, "Host");
		if (authority == NULL) /* HTTP/1.0; no browser leaves it out */
			return origin == NULL || api_problem_set(problem, 403, "forbidden_origin",
						     "a request with an Origin needs a Host");
		authority_len = strlen(authority);
	}
	if (!is_our_host(guard, authority, authority_len))
		return api_problem_set(problem, 403, "forbidden_host",
		    "the request was sent to \"%.*s\", which is no name of this server; use "
		    "127.0.0.1 "
		    "or localhost",
		    authority_len > 100 ? 100 : (int)authority_len, authority);
	if (origin != NULL && !is_same_origin(origin, authority, authority_len))
		return api_problem_set(problem, 403, "forbidden_origin",
		    "web pages of other origins may not use this server");
	return true;
}

/* Takes the same time wherever the two differ. */
static bool equal_secret(const char *given, const char *secret)
{
	size_t given_len = strlen(given), len = strlen(secret);
	volatile unsigned char differ = given_len != len;

	for (size_t i = 0; i < given_len; i++)
		differ |= (unsigned char)(given[i] ^ secret[len > 0 ? i % len : 0]);
	return differ == 0;
}

bool api_guard_check_token(
    const struct api_guard *guard, struct evhttp_request *request, struct api_problem *problem)
{
	const char *given;

	if (!guard->remote)
		return true;
	given = evhttp_find_header(evhttp_request_get_input_headers(request), "Authorization");
	if (given != NULL && strncasecmp(given, "Bearer ", 7) == 0 && guard->token != NULL) {
		given += 7 + strspn(given + 7, " ");
		if (equal_secret(given, guard->token))
			return true;
	}
	api_problem_set(problem, 401, "unauthenticated",
	    "this server is open to other machines, so every request needs the header "
	    "\"Authorization: Bearer TOKEN\" with its api_token");
	problem->challenge = true;
	return false;
}
