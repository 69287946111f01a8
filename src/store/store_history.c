/* Looks up runs that were, by what the API asks for. */
#include "store/store_db.h"

#include "base/alloc.h"
#include "base/str.h"

#include <stdlib.h>

/* Sorts behind every run's id. */
#define AFTER_ALL "~"

struct found {
	store_runs_fn fn;
	void *arg;
	struct run **runs;
	size_t count;
};

static bool found_row(struct store_job *job, sqlite3_stmt *stmt)
{
	struct found *found = job->result;
	struct run *run = store_run_from_row(stmt);

	if (run == NULL)
		return true;
	found->runs = xreallocarray(found->runs, found->count + 1, sizeof(*found->runs));
	found->runs[found->count++] = run;
	return true;
}

static void found_answer(void *arg, bool ok, const struct error *err)
{
	struct found *found = arg;

	(void)ok;
	/* Its whole group may have failed behind it: half an answer is none. */
	while (err != NULL && found->count > 0)
		run_free(found->runs[--found->count]);
	found->fn(found->arg, found->runs, found->count, err);
	free(found->runs);
	free(found);
}

static struct store_op *begin(
    struct store *store, enum store_stmt stmt, store_runs_fn fn, void *arg, struct store_job **job)
{
	struct found *found = xcalloc(1, sizeof(*found));
	struct store_op *op;

	found->fn = fn;
	found->arg = arg;
	*job = store_job_create(store, found_answer, found);
	(*job)->row = found_row;
	(*job)->result = found;
	op = store_job_op(*job, stmt);
	store_op_text(op, store->backend);
	return op;
}

static enum store_stmt choose(const struct store_filter *filter)
{
	if (filter->state != NULL && !str_equal(filter->state, run_state_name(RUN_DONE)))
		return STMT_HISTORY_OPEN;
	if (filter->task_id != NULL)
		return STMT_HISTORY_TASK;
	if (filter->queue_name != NULL)
		return filter->outcome != NULL ? STMT_HISTORY_QUEUE_OUTCOME : STMT_HISTORY_QUEUE;
	return filter->outcome != NULL ? STMT_HISTORY_OUTCOME : STMT_HISTORY;
}

void store_list_runs(
    struct store *store, const struct store_filter *filter, store_runs_fn fn, void *arg)
{
	struct store_job *job;
	struct store_op *op = begin(store, choose(filter), fn, arg, &job);

	store_op_text(op, filter->before != NULL ? filter->before : AFTER_ALL);
	store_op_text(op, filter->task_id);
	store_op_text(op, filter->queue_name);
	store_op_text(op, filter->outcome);
	store_op_text(op, filter->state);
	store_op_int(op, (int64_t)filter->limit);
	store_job_submit(job);
}

void store_get_run(struct store *store, const char *run_id, store_runs_fn fn, void *arg)
{
	struct store_job *job;

	store_op_text(begin(store, STMT_GET_RUN, fn, arg, &job), run_id);
	store_job_submit(job);
}

void store_next_run(
    struct store *store, const char *task_id, const char *after, store_runs_fn fn, void *arg)
{
	struct store_filter newest = {.task_id = task_id, .limit = 1};
	struct store_job *job;
	struct store_op *op;

	if (after == NULL) {
		store_list_runs(store, &newest, fn, arg);
		return;
	}
	op = begin(store, STMT_NEXT_RUN, fn, arg, &job);
	store_op_text(op, task_id);
	store_op_text(op, after);
	store_job_submit(job);
}
