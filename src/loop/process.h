#ifndef ATHANORE_LOOP_PROCESS_H
#define ATHANORE_LOOP_PROCESS_H

#include "base/error.h"
#include "loop/loop.h"

#include <sys/types.h>

/*
 * Starting processes, and learning of their end: of our own children by
 * SIGCHLD, of others by pidfd. The daemon is a subreaper: orphans that fall to
 * it are reaped here too.
 */
struct reaper;
struct process;

/* status is waitpid()'s; -1 for a process that was attached. */
typedef void (*process_fn)(void *arg, int status);

/* One per process; takes over SIGCHLD and makes us a subreaper. */
struct reaper *reaper_create(struct loop *loop);
void reaper_free(struct reaper *reaper);

/*
 * Starts argv[0] (a path; PATH is not searched) with exactly envp, a clean signal mask and
 * /dev/null as its only descriptors: it may outlive us, so it must not hold what is ours. NULL with
 * err set on failure.
 */
struct process *process_spawn(struct reaper *reaper, const char *const *argv,
    const char *const *envp, process_fn fn, void *arg, struct error *err);

/* Whether pid is a child of ours that somebody watches. */
bool reaper_knows(const struct reaper *reaper, pid_t pid);

/*
 * Watches a process that an earlier daemon started, or a child of ours. The
 * caller has made sure that pid is who it means. NULL with err set (not_found) where it is gone.
 */
struct process *process_attach(
    struct reaper *reaper, pid_t pid, process_fn fn, void *arg, struct error *err);

/* False with err set (not_found) where the process has ended. */
bool process_kill(struct process *process, int sig, struct error *err)
    __attribute__((warn_unused_result));

pid_t process_pid(const struct process *process);

/* Stops watching; the process goes on. NULL is fine; callable from fn. */
void process_free(struct process *process);

#endif
