/* Runs, retry counts and facts as rows. */
#include "store/store_db.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

/* What changes in a run's life and stands together in both statements, in their order. */
static void put_life(struct store_op *op, const struct run *run)
{
	store_op_int(op, run->started_at);
	store_op_int(op, run->ended_at);
	store_op_int(op, run->pid);
	store_op_int(op, run->exit_code);
	store_op_int(op, run->signal);
	store_op_text(op, run->error);
	store_op_text(op, run->attention);
	store_op_text(op, run->token_hash);
}

void store_insert_run(struct store *store, const struct run *run, store_fn fn, void *arg)
{
	struct store_job *job = store_job_create(store, fn, arg);
	struct store_op *op = store_job_op(job, STMT_INSERT_RUN);
	char *options = json_print(run->options);
	char *steps = run_steps_print(run);

	store_op_text(op, store->backend);
	store_op_text(op, run->id);
	store_op_text(op, run->task_id);
	store_op_text(op, run->task_name);
	store_op_text(op, run->queue_name);
	store_op_text(op, run->in_progress_queue);
	store_op_text(op, run_state_name(run->state));
	store_op_text(op, run_outcome_name(run->outcome));
	store_op_int(op, run->attempt);
	store_op_int(op, run->created_at);
	put_life(op, run);
	store_op_text(op, options);
	store_op_blob(op, run->prompt, run->prompt_len);
	store_op_blob(op, run->input, run->input_len);
	store_op_text(op, steps);
	store_op_int(op, run->retries_after);
	store_op_int(op, run->retries_ours);
	free(options);
	free(steps);
	store_job_submit(job);
}

static void retries_op(
    struct store_job *job, const char *task_id, const char *queue_name, int count, bool ours)
{
	struct store_op *op =
	    store_job_op(job, count > 0 ? STMT_SAVE_RETRIES : STMT_FORGET_RETRIES);

	store_op_text(op, job->store->backend);
	store_op_text(op, task_id);
	store_op_text(op, queue_name);
	if (count > 0) {
		store_op_int(op, count);
		store_op_int(op, ours);
	}
}

void store_update_run(struct store *store, const struct run *run, store_fn fn, void *arg)
{
	struct store_job *job = store_job_create(store, fn, arg);
	struct store_op *op = store_job_op(job, STMT_UPDATE_RUN);
	char *steps = run_steps_print(run);

	store_op_text(op, run->id);
	store_op_text(op, run_state_name(run->state));
	store_op_text(op, run_outcome_name(run->outcome));
	put_life(op, run);
	store_op_text(op, steps);
	store_op_int(op, run->retries_after);
	store_op_int(op, run->retries_ours);
	free(steps);
	if (run->retries_after >= 0)
		retries_op(
		    job, run->task_id, run->queue_name, run->retries_after, run->retries_ours);
	store_job_submit(job);
}

void store_delete_run(struct store *store, const char *run_id, store_fn fn, void *arg)
{
	struct store_job *job = store_job_create(store, fn, arg);

	store_op_text(store_job_op(job, STMT_DELETE_RUN), run_id);
	store_job_submit(job);
}

void store_save_retries(
    struct store *store, const char *task_id, const char *queue_name, int count, bool ours)
{
	struct store_job *job = store_job_create(store, NULL, NULL);

	retries_op(job, task_id, queue_name, count, ours);
	store_job_submit(job);
}

void store_save_fact(struct store *store, const char *name, const char *value)
{
	struct store_job *job = store_job_create(store, NULL, NULL);
	struct store_op *op = store_job_op(job, STMT_SAVE_FACT);

	store_op_text(op, name);
	store_op_text(op, value);
	store_job_submit(job);
}

static char *column_text(sqlite3_stmt *stmt, int i)
{
	return xstrdup((const char *)sqlite3_column_text(stmt, i));
}

static char *column_blob(sqlite3_stmt *stmt, int i, size_t *len)
{
	const void *data = sqlite3_column_blob(stmt, i);

	*len = (size_t)sqlite3_column_bytes(stmt, i);
	if (sqlite3_column_type(stmt, i) == SQLITE_NULL)
		return NULL;
	return xmemdup0(data, *len);
}

/* The columns stand in the order of RUN_COLUMNS in store.c. */
struct run *store_run_from_row(sqlite3_stmt *stmt)
{
	struct run *run = run_create();
	const char *options = (const char *)sqlite3_column_text(stmt, 17);
	bool ok;

	free(run->id);
	run->id = column_text(stmt, 0);
	run->task_id = column_text(stmt, 1);
	run->task_name = column_text(stmt, 2);
	run->queue_name = column_text(stmt, 3);
	run->in_progress_queue = column_text(stmt, 4);
	ok = run_state_parse((const char *)sqlite3_column_text(stmt, 5), &run->state);
	ok = run_outcome_parse((const char *)sqlite3_column_text(stmt, 6), &run->outcome) && ok;
	run->attempt = sqlite3_column_int(stmt, 7);
	run->created_at = sqlite3_column_int64(stmt, 8);
	run->started_at = sqlite3_column_int64(stmt, 9);
	run->ended_at = sqlite3_column_int64(stmt, 10);
	run->pid = sqlite3_column_int(stmt, 11);
	run->exit_code = sqlite3_column_int(stmt, 12);
	run->signal = sqlite3_column_int(stmt, 13);
	run->error = column_text(stmt, 14);
	run->attention = column_text(stmt, 15);
	run->token_hash = column_text(stmt, 16);
	run->options = options == NULL ? NULL : json_parse(options, strlen(options), NULL);
	run->prompt = column_blob(stmt, 18, &run->prompt_len);
	run->input = column_blob(stmt, 19, &run->input_len);
	ok = run_steps_parse(run, (const char *)sqlite3_column_text(stmt, 20)) && ok;
	run->retries_after = sqlite3_column_int(stmt, 21);
	run->retries_ours = sqlite3_column_int(stmt, 22) != 0;
	if (ok && run->options != NULL)
		return run;
	log_error("run %s is damaged in the database and is left alone", run->id);
	run_free(run);
	return NULL;
}

struct run_list {
	struct run **runs;
	size_t count;
};

static void load_run(void *arg, sqlite3_stmt *stmt)
{
	struct run_list *list = arg;
	struct run *run = store_run_from_row(stmt);

	if (run == NULL)
		return;
	list->runs = xreallocarray(list->runs, list->count + 1, sizeof(*list->runs));
	list->runs[list->count++] = run;
}

/* fn may write what the storage thread commits at once, so the query is over before it is called.
 */
bool store_load_runs(
    struct store *store, void (*fn)(void *arg, struct run *run), void *arg, struct error *err)
{
	struct run_list list = {0};
	bool ok = store_query(store, STMT_OPEN_RUNS, (const char *const[]){store->backend, NULL},
	    load_run, &list, err);

	for (size_t i = 0; i < list.count; i++) {
		if (ok)
			fn(arg, list.runs[i]);
		else
			run_free(list.runs[i]);
	}
	free(list.runs);
	return ok;
}

struct load_retries {
	store_retries_fn fn;
	void *arg;
};

static void load_retries(void *arg, sqlite3_stmt *stmt)
{
	struct load_retries *load = arg;

	load->fn(load->arg, (const char *)sqlite3_column_text(stmt, 0),
	    (const char *)sqlite3_column_text(stmt, 1), sqlite3_column_int(stmt, 2),
	    sqlite3_column_int(stmt, 3) != 0);
}

bool store_load_retries(struct store *store, store_retries_fn fn, void *arg, struct error *err)
{
	struct load_retries load = {fn, arg};

	return store_query(store, STMT_LOAD_RETRIES, (const char *const[]){store->backend, NULL},
	    load_retries, &load, err);
}

static void load_fact(void *arg, sqlite3_stmt *stmt)
{
	char **value = arg;

	*value = column_text(stmt, 0);
}

char *store_load_fact(struct store *store, const char *name)
{
	char *value = NULL;
	struct error err = {0};

	if (!store_query(
		store, STMT_LOAD_FACT, (const char *const[]){name, NULL}, load_fact, &value, &err))
		log_warn("%s", err.message);
	error_clear(&err);
	return value;
}

struct last_run {
	store_run_fn fn;
	void *arg;
	struct run *run;
};

static bool last_run_row(struct store_job *job, sqlite3_stmt *stmt)
{
	struct last_run *last = job->result;

	last->run = store_run_from_row(stmt);
	return false;
}

static void last_run_done(struct store_job *job)
{
	struct last_run *last = job->result;

	last->fn(last->arg, last->run);
	free(last);
}

void store_last_run(struct store *store, const char *task_id, store_run_fn fn, void *arg)
{
	struct store_job *job = store_job_create(store, NULL, NULL);
	struct store_op *op = store_job_op(job, STMT_LAST_RUN);
	struct last_run *last = xcalloc(1, sizeof(*last));

	store_op_text(op, store->backend);
	store_op_text(op, task_id);
	last->fn = fn;
	last->arg = arg;
	job->row = last_run_row;
	job->done = last_run_done;
	job->result = last;
	store_job_submit(job);
}

struct prune {
	store_pruned_fn fn;
	void *arg;
	char **ids;
};

static bool prune_row(struct store_job *job, sqlite3_stmt *stmt)
{
	struct prune *prune = job->result;

	prune->ids = xstrv_add(prune->ids, (const char *)sqlite3_column_text(stmt, 0));
	return true;
}

static void prune_done(struct store_job *job)
{
	struct prune *prune = job->result;
	static char *const none[] = {NULL};

	prune->fn(
	    prune->arg, job->err.code == ERROR_NONE && prune->ids != NULL ? prune->ids : none);
	xstrv_free(prune->ids);
	free(prune);
}

void store_prune(struct store *store, int64_t before_ms, store_pruned_fn fn, void *arg)
{
	struct store_job *job = store_job_create(store, NULL, NULL);
	struct store_op *op = store_job_op(job, STMT_OLD_RUNS);
	struct prune *prune = xcalloc(1, sizeof(*prune));

	store_op_text(op, store->backend);
	store_op_int(op, before_ms);
	prune->fn = fn;
	prune->arg = arg;
	job->row = prune_row;
	job->done = prune_done;
	job->result = prune;
	store_job_submit(job);
}
