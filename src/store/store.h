#ifndef ATHANORE_STORE_STORE_H
#define ATHANORE_STORE_STORE_H

#include "base/error.h"
#include "loop/worker.h"
#include "model/run.h"

/*
 * What the daemon must not forget: runs, retry counts and small facts, in
 * SQLite. Writes are done by the storage thread, in order, many in one
 * commit; reads at start are done at once. Keyed by the backend's identity.
 */
struct store;

/* Opens or creates dir/athanore.db and brings its schema up to date. NULL with err set. */
struct store *store_open(
    struct worker *worker, const char *dir, const char *backend, struct error *err);

/* After the worker was flushed. NULL is fine. */
void store_free(struct store *store);

/* ok is false where it was not committed (err says why); on the loop, in order of the calls. */
typedef void (*store_fn)(void *arg, bool ok, const struct error *err);

/* Writes a new run; a copy is taken. conflict: another run of the same task is not done. */
void store_insert_run(struct store *store, const struct run *run, store_fn fn, void *arg);

/*
 * Writes what changes in a run's life: all but ids, queues, attempt and options. Prompt and input
 * are forgotten once the agent has ended. Where retries_after is not -1 the task's retry count
 * becomes that, in the same commit.
 */
void store_update_run(struct store *store, const struct run *run, store_fn fn, void *arg);

/* Forgets a run that came to nothing. */
void store_delete_run(struct store *store, const char *run_id, store_fn fn, void *arg);

/* Sets the retries that a task has used on a route; 0 forgets them. */
void store_save_retries(
    struct store *store, const char *task_id, const char *queue_name, int count, bool ours);

/* A small fact by name ("api_port"). */
void store_save_fact(struct store *store, const char *name, const char *value);

/* A route made through the API: its options as JSON text, under the queue that it watches. */
void store_save_route(
    struct store *store, const char *queue_name, const char *options, store_fn fn, void *arg);
/* Forgets it, and whether it was paused. */
void store_delete_route(struct store *store, const char *queue_name, store_fn fn, void *arg);

/* Whether a route is paused; "" is all of them. */
void store_save_pause(
    struct store *store, const char *queue_name, bool paused, store_fn fn, void *arg);
/* Nothing is paused any more. */
void store_forget_pauses(struct store *store, store_fn fn, void *arg);

/* What store_load_retries() tells: ours: the task was put back by us to be tried again. */
typedef void (*store_retries_fn)(
    void *arg, const char *task_id, const char *queue_name, int count, bool ours);

/* Reads at start, at once. Each calls fn for what there is; false with err set on failure. */
bool store_load_runs(struct store *store, void (*fn)(void *arg, struct run *run), void *arg,
    struct error *err) __attribute__((warn_unused_result)); /* those not done; fn owns the run */
bool store_load_retries(struct store *store, store_retries_fn fn, void *arg, struct error *err)
    __attribute__((warn_unused_result));

/* In the order in which they were made; the strings are borrowed. */
bool store_load_routes(struct store *store,
    void (*fn)(void *arg, const char *queue_name, const char *options), void *arg,
    struct error *err) __attribute__((warn_unused_result));
bool store_load_pauses(struct store *store, void (*fn)(void *arg, const char *queue_name),
    void *arg, struct error *err) __attribute__((warn_unused_result));

/* At start only. The caller frees it; NULL where there is none. */
char *store_load_fact(struct store *store, const char *name);

/* The task's newest run, or NULL; on the loop; fn owns the run. */
typedef void (*store_run_fn)(void *arg, struct run *run);
void store_last_run(struct store *store, const char *task_id, store_run_fn fn, void *arg);

/* ---- History ---- */

/* Which runs; what is NULL does not matter. */
struct store_filter {
	const char *task_id;
	const char *queue_name;
	const char *outcome;
	const char *state;
	const char *before; /* only runs whose ids sort before this one */
	size_t limit;
};

/* The newest first; on the loop; fn owns the runs, not the list. err is NULL or why there is none.
 */
typedef void (*store_runs_fn)(void *arg, struct run **runs, size_t count, const struct error *err);
void store_list_runs(
    struct store *store, const struct store_filter *filter, store_runs_fn fn, void *arg);

/* One run by its id: a list of one, or an empty one. */
void store_get_run(struct store *store, const char *run_id, store_runs_fn fn, void *arg);

/* The task's first run behind the one named (its newest run where that is NULL): a list of one,
 * or an empty one. */
void store_next_run(
    struct store *store, const char *task_id, const char *after, store_runs_fn fn, void *arg);

/* Forgets runs that were done before the time, 100 at a time; fn gets their ids on the loop, after
 * the commit, as a NULL-terminated list that is borrowed. */
typedef void (*store_pruned_fn)(void *arg, char *const *run_ids);
void store_prune(struct store *store, int64_t before_ms, store_pruned_fn fn, void *arg);

#endif
