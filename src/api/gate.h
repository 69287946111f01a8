#ifndef ATHANORE_API_GATE_H
#define ATHANORE_API_GATE_H

#include "loop/loop.h"

/*
 * Whether connections are accepted: not above a limit, and not for a moment
 * after the process ran out of descriptors. What is not accepted waits in the backlog.
 */
struct api_gate;
struct evconnlistener;

/* listener is borrowed until api_gate_stop(). */
struct api_gate *api_gate_create(struct loop *loop, struct evconnlistener *listener);
void api_gate_free(struct api_gate *gate);

/* A connection began or ended. */
void api_gate_enter(struct api_gate *gate);
void api_gate_leave(struct api_gate *gate);

bool api_gate_full(const struct api_gate *gate);

/* The listener is about to be freed. */
void api_gate_stop(struct api_gate *gate);

#endif
