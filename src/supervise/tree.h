#ifndef ATHANORE_SUPERVISE_TREE_H
#define ATHANORE_SUPERVISE_TREE_H

#include <stddef.h>
#include <sys/types.h>

/*
 * All descendants of this process, found through /proc: as a subreaper it is
 * the ancestor of everything that the agent ever started. Signals go by pidfd, so
 * that a pid which was reused between the look and the signal is not hit.
 */

/* One look: sig to each, then CONT to those that are stopped. */
void tree_signal(int sig);

/*
 * Stops all, looking again until nothing moves any more or a tenth of a second
 * has gone by, then KILLs them, and what it meets of a chain that forks on and on. What was missed
 * is for the next call.
 */
void tree_kill(void);

/* The pids of descendants that are no zombies of ours; at most max, returns how many. */
size_t tree_list(pid_t *pids, size_t max);

#endif
