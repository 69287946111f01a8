#ifndef ATHANORE_DISPATCH_RUN_FOLDER_H
#define ATHANORE_DISPATCH_RUN_FOLDER_H

#include "base/error.h"
#include "dispatch/run_end.h"
#include "loop/worker.h"

#include <sys/types.h>

/*
 * A run's folder on disk: what the daemon writes before the supervisor starts, and what it finds
 * of the supervisor afterwards. Done by the storage thread.
 */

typedef void (*run_folder_fn)(void *arg, const struct error *err);

/* Writes run.json, prompt.txt, stdin, and the first record of events.jsonl where it has none. fn on
 * the loop; the run is copied from before this returns. */
void run_folder_write(struct worker *worker, const char *dir, const struct run *run,
    run_folder_fn fn, void *arg);

struct run_probe {
	bool started;       /* a supervisor has begun with it */
	bool held;          /* a supervisor is alive and holds the lock */
	pid_t pid;          /* of the supervisor; 0: not known */
	bool ended;         /* exit.json says how the agent ended: */
	struct run_end end; /* with the last lines of stderr; reason NULL where not ended */
};

typedef void (*run_probe_fn)(void *arg, struct run_probe *probe);

/* Looks at the folder; fn on the loop, with a probe that is borrowed. */
void run_folder_probe(struct worker *worker, const char *dir, run_probe_fn fn, void *arg);

/* Tells the supervisor why it is about to be ended. Small, and done at once. */
bool run_folder_stop_reason(const char *dir, const char *reason, struct error *err)
    __attribute__((warn_unused_result));

#endif
