#ifndef ATHANORE_LOOP_WATCH_H
#define ATHANORE_LOOP_WATCH_H

#include "base/error.h"
#include "loop/loop.h"

#include <stdint.h>

/*
 * inotify on one path. fn gets the IN_* mask and, for a folder, the name of
 * the entry (NULL otherwise). Where the kernel dropped events, fn is called
 * with IN_Q_OVERFLOW: look for yourself.
 */
struct watch;
typedef void (*watch_fn)(void *arg, uint32_t mask, const char *name);

/* NULL with err set where the path cannot be watched. */
struct watch *watch_create(
    struct loop *loop, const char *path, uint32_t mask, watch_fn fn, void *arg, struct error *err);

/* NULL is fine; callable from fn. */
void watch_free(struct watch *watch);

#endif
