#ifndef ATHANORE_LOOP_WORKER_H
#define ATHANORE_LOOP_WORKER_H

#include "loop/loop.h"

/*
 * The storage thread: does, in order, all that touches the disk slowly, and
 * posts completions back to the loop. Jobs of one group that wait at the same
 * moment, with no other group's between them, run between one begin and one
 * end, so that one commit serves them all; their completions are posted only
 * after the end. Jobs without a group that stand among them run in between: who
 * needs the group's end first submits them in its completion.
 */
struct worker;

/* Hooks around the jobs of a group; run on the storage thread. */
struct worker_group {
	void (*begin)(void *arg);
	void (*end)(void *arg);
	void *arg;
};

struct worker_job {
	void (*run)(void *arg);	 /* on the storage thread */
	void (*done)(void *arg); /* on the loop, after run and the group's end; NULL: none */
	void *arg;		 /* the caller's; freed in done, or in run where there is no done */
	const struct worker_group *group; /* NULL: belongs to none */
};

struct worker *worker_create(struct loop *loop);

/* Copies job. Callable from the loop's thread only. */
void worker_submit(struct worker *worker, const struct worker_job *job);

/* Waits until all jobs submitted so far have run, and calls their completions. */
void worker_flush(struct worker *worker);

/* worker_flush() until nothing is left, then ends the thread. */
void worker_free(struct worker *worker);

#endif
