#ifndef ATHANORE_STORE_RUNLOG_FOLLOW_H
#define ATHANORE_STORE_RUNLOG_FOLLOW_H

#include "loop/loop.h"
#include "loop/worker.h"

#include <stdint.h>

/*
 * Logs that grow, and those who want to know. All followers of one file share one
 * descriptor and one watch. For the loop's thread.
 */
struct runlog_follow;
struct runlog_follower;

/* Both are borrowed; worker fetches what is not in memory. */
struct runlog_follow *runlog_follow_create(struct loop *loop, struct worker *worker);

/* After its followers. NULL is fine. */
void runlog_follow_free(struct runlog_follow *follow);

/* Calls fn(arg) whenever the file may have more. It need not be there yet. */
struct runlog_follower *runlog_follower_create(
    struct runlog_follow *follow, const char *path, void (*fn)(void *arg), void *arg);

/* NULL is fine; callable from fn. */
void runlog_follower_free(struct runlog_follower *follower);

/* The file, or -1 with errno set (ENOENT: it is not there yet): opens it if need be. Not to be
 * closed. */
int runlog_follower_fd(struct runlog_follower *follower);

/* Brings into memory what stands at the offset, and calls fn then. */
void runlog_follower_fetch(struct runlog_follower *follower, int64_t offset);

#endif
