#ifndef ATHANORE_SUPERVISE_AGENT_H
#define ATHANORE_SUPERVISE_AGENT_H

#include "base/error.h"
#include "supervise/settings.h"

#include <sys/types.h>

/* The started agent. */
struct agent {
	pid_t pid;
	int out_fd; /* read ends, not blocking; the caller closes them */
	int err_fd;
	bool in_cgroup;
};

/*
 * Starts the agent in a process group of its own: it dies with us, has a clean
 * signal state, and no descriptors but 0 (run_dir/stdin, or /dev/null), 1 and 2
 * (pipes). cgroup_fd: the folder of the cgroup to start it in, or -1; where the
 * kernel refuses that, it is started outside. False with err set where it did not come to run.
 */
bool agent_spawn(const struct settings *settings, int cgroup_fd, struct agent *agent,
    struct error *err) __attribute__((warn_unused_result));

#endif
