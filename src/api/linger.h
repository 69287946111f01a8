#ifndef ATHANORE_API_LINGER_H
#define ATHANORE_API_LINGER_H

#include <stdbool.h>

/*
 * Connections that are over for us while the client still sends: closing them
 * at once would reset them, and the client would lose the answer that says why.
 */
struct api_lingers;
struct event_base;

struct api_lingers *api_lingers_create(struct event_base *base);

/* Closes them all; NULL is fine. */
void api_lingers_free(struct api_lingers *lingers);

/* Keeps a duplicate of fd open, dropping what arrives, until the client is done or a short time is
 * over. The caller closes fd itself. */
void api_linger(struct api_lingers *lingers, int fd);

#endif
