/* At start: takes up the runs that an earlier daemon left, by what is stored and on disk. */
#include "dispatch/state.h"

#include "base/alloc.h"
#include "base/log.h"

static void take_up(void *arg, struct run *run)
{
	struct dispatcher *d = arg;
	struct live *live = live_create(d, run);

	live->begun = live->stored = true;
	live_log(live, LOG_INFO, "taking up a run that was %s", run_state_name(run->state));
	if (run->state != RUN_FINISHING)
		live_take_slot(live);
	switch (run->state) {
	case RUN_CLAIMING:
		claim_resume(live);
		return;
	case RUN_STARTING:
	case RUN_RUNNING:
		runner_resume(live);
		return;
	case RUN_FINISHING:
		finish_resume(live);
		return;
	case RUN_DONE:
		break;
	}
	fatal("run %s is done and was not to be loaded", run->id);
}

static void load_retries(
    void *arg, const char *task_id, const char *queue_name, int count, bool ours)
{
	struct dispatcher *d = arg;

	retries_set(&d->retries, task_id, queue_name, count, ours);
}

bool recovery_run(struct dispatcher *d, struct error *err)
{
	return store_load_retries(d->store, load_retries, d, err) &&
	       store_load_runs(d->store, take_up, d, err);
}
