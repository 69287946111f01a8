#ifndef ATHANORE_API_PATH_H
#define ATHANORE_API_PATH_H

#include "api/problem.h"

#include <sys/types.h>

/* The target of a request, split at slashes and then decoded: "%2F" is part of a segment. */

#define API_MAX_SEGMENTS 6

struct api_path {
	char *memory;			  /* what the segments point into */
	char *segments[API_MAX_SEGMENTS]; /* UTF-8 without NUL */
	size_t count;			  /* API_MAX_SEGMENTS + 1: too many, the rest is not kept */
	bool odd; /* an empty, "." or ".." segment: such a path names nothing */
};

/*
 * target as it stands in the request line: "/path?query", or "http://host/path". *authority
 * becomes the host of the latter with *authority_len, else NULL. False with problem
 * set (400, 414). End path with api_path_clear() either way.
 */
bool api_path_parse(struct api_path *path, const char *target, const char **authority,
    size_t *authority_len, struct api_problem *problem);

void api_path_clear(struct api_path *path);

/* Decodes len bytes at from to `to` (it may be the same), without a NUL at the end; returns their
 * number, or -1 where they are not well encoded, or hold a NUL. */
ssize_t api_path_decode(char *to, const char *from, size_t len);

/* Appends one segment, encoded, to out. */
void api_path_encode(struct str *out, const char *segment);

#endif
