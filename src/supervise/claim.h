#ifndef ATHANORE_SUPERVISE_CLAIM_H
#define ATHANORE_SUPERVISE_CLAIM_H

#include "base/error.h"

#include <stdint.h>
#include <sys/types.h>

/* What makes a run run once: the lock, held for our life, and the file `started`. */

/*
 * Takes both. False with err set: conflict where the run has or had a
 * supervisor (nothing was touched), another code where the folder cannot be used. The lock's
 * descriptor stays open until we exit.
 */
bool claim_take(const char *dir, int64_t started_at, struct error *err)
    __attribute__((warn_unused_result));

/* Completes `started` by the agent's pid and its cgroup's folder (NULL: it has none). */
bool claim_complete(const char *dir, int64_t started_at, pid_t agent, const char *cgroup,
    struct error *err) __attribute__((warn_unused_result));

/* Takes `started` back: no agent was started, and exit.json could not say so. */
void claim_withdraw(const char *dir);

#endif
