#ifndef ATHANORE_API_ERROR_PAGE_H
#define ATHANORE_API_ERROR_PAGE_H

#include "api/wire.h"

/*
 * evhttp answers requests that it cannot parse by itself, in HTML. If output
 * begins with such an answer, puts a problem document in its place and is true; the connection is
 * closed behind it. output is a bufferevent's, and nothing of it was sent yet.
 */
struct evbuffer;

bool api_error_page_replace(struct evbuffer *output, const struct api_wire *wire);

/* Sends a 408 over a socket to which nothing else is being written, as far as that goes without
 * waiting. */
void api_error_page_timeout(int fd);

#endif
