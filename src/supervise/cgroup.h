#ifndef ATHANORE_SUPERVISE_CGROUP_H
#define ATHANORE_SUPERVISE_CGROUP_H

#include <stdbool.h>

/*
 * A cgroup (v2) of the run's own, below the one we are in: what is in it can
 * be killed at one stroke, and nothing that is started in it gets out by
 * forking. Only where the kernel has cgroup.kill and we may write.
 */
struct cgroup;

/* Creates one whose name is unique to run_dir and to us; NULL where none can be had. */
struct cgroup *cgroup_create(const char *run_dir);

/* A descriptor of its folder for CLONE_INTO_CGROUP; -1 for NULL. */
int cgroup_fd(const struct cgroup *cgroup);

/* The path of its folder; NULL for NULL. */
const char *cgroup_path(const struct cgroup *cgroup);

/* KILL to all in it. NULL is fine. */
void cgroup_kill(struct cgroup *cgroup);

/*
 * Removes it, with cgroups that were made inside, and frees it. What is still
 * in it is killed first; the folder stays where that takes more than a second. NULL is fine.
 */
void cgroup_remove(struct cgroup *cgroup);

#endif
