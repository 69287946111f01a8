#ifndef ATHANORE_DISPATCH_LOST_H
#define ATHANORE_DISPATCH_LOST_H

#include "loop/process.h"

/*
 * What is left of a run whose supervisor is gone: every process that carries the run's
 * ATHANORE_RUN_ID, what fell to us as a subreaper, all their descendants, and what is in the run's
 * cgroup (a folder; NULL where it had none), which is removed once it is empty. Kills (SIGKILL)
 * what it finds, and returns how many were still alive, at least. Call it again until it says 0.
 */
size_t lost_kill(const struct reaper *reaper, const char *run_id, const char *cgroup);

#endif
