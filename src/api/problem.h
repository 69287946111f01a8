#ifndef ATHANORE_API_PROBLEM_H
#define ATHANORE_API_PROBLEM_H

#include "base/error.h"
#include "base/str.h"

/*
 * Why a request was refused: RFC 9457's problem details. Start with {0}; end
 * with api_problem_clear().
 */
struct api_problem {
	int status;	    /* 0: nothing is wrong */
	const char *code;   /* stable, for programs: "not_found"; a constant */
	char *detail;	    /* a sentence for people */
	char *field;	    /* the member of the body that is meant, or NULL */
	char *allow;	    /* 405: the methods that the resource has, or NULL */
	double retry_after; /* seconds; 0: say nothing */
	bool challenge;	    /* 401: say how to authenticate */
	bool close;	    /* what follows on the connection cannot be trusted */
};

/* Replaces what problem holds. Always returns false. */
bool api_problem_set(struct api_problem *problem, int status, const char *code, const char *fmt,
    ...) __attribute__((format(printf, 4, 5)));

/* What an error of the queue or the dispatcher means to the client. Always returns false. */
bool api_problem_from_error(struct api_problem *problem, const struct error *err);

/* Appends the JSON object to out. */
void api_problem_print(const struct api_problem *problem, struct str *out);

void api_problem_clear(struct api_problem *problem);

/* "Not Found"; "Error" where we never use the status. */
const char *api_status_title(int status);

#endif
