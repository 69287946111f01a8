#ifndef ATHANORE_LOOP_LOOP_H
#define ATHANORE_LOOP_LOOP_H

#include <stdbool.h>

/*
 * The event loop: libevent's event_base, timers in seconds and deferred calls.
 * Everything here belongs to the loop's thread.
 */
struct loop;
struct loop_timer;
struct event_base;

struct loop *loop_create(void);

/* Deferred calls that have not run are run first, so that nothing they own is lost. */
void loop_free(struct loop *loop);

struct event_base *loop_base(struct loop *loop);

/* Runs until loop_stop(). */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Calls fn(arg) from the loop in a later turn, never from inside this call, in order of asking. */
void loop_defer(struct loop *loop, void (*fn)(void *arg), void *arg);

/* Runs deferred calls, and those that they defer, until none is left; for the way down. */
void loop_settle(struct loop *loop);

/* A timer that is not set; freed by loop_timer_free() (NULL is fine), also from its own callback.
 */
struct loop_timer *loop_timer_create(struct loop *loop, void (*fn)(void *arg), void *arg);
void loop_timer_free(struct loop_timer *timer);

/* Fires once in `seconds` (fractions allowed, below 0 is 0); replaces what was set before. */
void loop_timer_set(struct loop_timer *timer, double seconds);
void loop_timer_cancel(struct loop_timer *timer);
bool loop_timer_pending(const struct loop_timer *timer);

#endif
