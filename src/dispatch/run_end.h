#ifndef ATHANORE_DISPATCH_RUN_END_H
#define ATHANORE_DISPATCH_RUN_END_H

#include "model/run.h"

/* How an agent ended, and what the run's outcome and last steps are. No I/O. */

struct run_end {
	char *reason;	   /* "exit", "timeout", "stalled", "spawn_failed", or why it was stopped:
			      "cancelled", "shutdown", "moved", "lost" */
	int exit_code;	   /* -1: none */
	int signal;	   /* 0: none */
	char *error;	   /* in words, or NULL */
	char *stderr_tail; /* the last lines, or NULL */
	bool moved_away;   /* the task is in the in-progress queue no more: it stays where it is */
};

void run_end_clear(struct run_end *end);

/* From the content of exit.json; false where it is none. */
bool run_end_parse(struct run_end *end, const char *text, size_t len)
    __attribute__((warn_unused_result));

/* "exit code 3", "killed by signal 9 (Killed)", "timed out": why the run did not succeed. */
char *run_end_why(const struct run_end *end);

/* The outcome by exit code and reason alone. */
enum run_outcome run_end_outcome(const struct run_end *end);

/*
 * Decides all that follows from run->outcome and end: error, retry count and steps. The run's
 * options say what its route wanted.
 */
void run_end_plan(struct run *run, const struct run_end *end);

#endif
