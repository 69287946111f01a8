#ifndef ATHANORE_DISPATCH_LOST_H
#define ATHANORE_DISPATCH_LOST_H

#include "loop/process.h"

/*
 * What is left of a run whose supervisor is gone: every process that carries the run's
 * ATHANORE_RUN_ID, what fell to us as a subreaper, and all their descendants. Kills (SIGKILL) what
 * it finds, and returns how many were still alive. Call it again until it says 0.
 */
size_t lost_kill(const struct reaper *reaper, const char *run_id);

#endif
