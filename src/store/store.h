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

/* Called when writing failed or works again (err NULL), on the loop. */
void store_on_fault(struct store *store, void (*fn)(void *arg, const struct error *err), void *arg);

/* ok is false where the commit failed; on the loop. */
typedef void (*store_fn)(void *arg, bool ok, const struct error *err);

/* Inserts or replaces the run as it is now (a copy is taken). fn may be NULL. conflict: another run
 * of the same task is not done. */
void store_save_run(struct store *store, const struct run *run, store_fn fn, void *arg);

/* Sets the retries used by a task on a route; 0 forgets it. In the same commit as what is asked
 * for next to it. */
void store_save_retries(
    struct store *store, const char *task_id, const char *queue_name, int count);

/* A small fact by name ("api_port"); value NULL forgets it. */
void store_save_fact(struct store *store, const char *name, const char *value);

/* Reads at start, at once. Each calls fn for what there is; false with err set on failure. */
bool store_load_runs(struct store *store, void (*fn)(void *arg, struct run *run), void *arg,
    struct error *err) __attribute__((warn_unused_result)); /* not done; fn owns the run */
bool store_load_retries(struct store *store,
    void (*fn)(void *arg, const char *task_id, const char *queue_name, int count), void *arg,
    struct error *err) __attribute__((warn_unused_result));

/* The caller frees it; NULL where there is none. */
char *store_load_fact(struct store *store, const char *name);

/* The task's newest run, or NULL; fn is called on the loop and owns the run. */
void store_last_run(
    struct store *store, const char *task_id, void (*fn)(void *arg, struct run *run), void *arg);

/*
 * Forgets runs that were done before the time and calls fn for each id, on the loop, after the
 * commit; at most `limit` at once.
 */
void store_prune(struct store *store, int64_t before_ms, int limit,
    void (*fn)(void *arg, const char *run_id), void *arg);

#endif
