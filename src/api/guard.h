#ifndef ATHANORE_API_GUARD_H
#define ATHANORE_API_GUARD_H

#include "api/problem.h"

#include <stdbool.h>
#include <stddef.h>

struct evhttp_request;

/* Who may talk to the server. */
struct api_guard {
	char *host;  /* the address we listen on, in a Host header's spelling */
	bool remote; /* other machines can reach it: every request needs the token */
	char *token; /* NULL: none */
};

/* host as in the configuration; token may be NULL. End with api_guard_clear(). */
void api_guard_init(struct api_guard *guard, const char *host, bool remote, const char *token);
void api_guard_clear(struct api_guard *guard);

/*
 * Whether the head of a request is one that all parsers read alike. fault is what was wrong in
 * its bytes, or NULL. False with problem set: 400 or 505, and the connection cannot go on.
 */
bool api_guard_check_form(
    struct evhttp_request *request, const char *fault, struct api_problem *problem);

/*
 * Whether it was meant for us, and no web page of another site sent it: Host, or the
 * authority of an absolute target (NULL: none), and Origin. False with problem set: 400 or 403.
 */
bool api_guard_check_origin(const struct api_guard *guard, struct evhttp_request *request,
    const char *authority, size_t authority_len, struct api_problem *problem);

/* Whether it carries the token, where one is needed. False with problem set: 401. */
bool api_guard_check_token(
    const struct api_guard *guard, struct evhttp_request *request, struct api_problem *problem);

#endif
