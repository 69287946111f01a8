/* Routes made through the API, and what is paused, as rows. */
#include "store/store_db.h"

#include "base/clock.h"

/* A statement whose parameters begin with the backend and, unless it is NULL, a queue's name. */
static struct store_op *queue_op(
    struct store_job *job, enum store_stmt stmt, const char *queue_name)
{
	struct store_op *op = store_job_op(job, stmt);

	store_op_text(op, job->store->backend);
	if (queue_name != NULL)
		store_op_text(op, queue_name);
	return op;
}

void store_save_route(
    struct store *store, const char *queue_name, const char *options, store_fn fn, void *arg)
{
	struct store_job *job = store_job_create(store, fn, arg);
	struct store_op *op = queue_op(job, STMT_SAVE_ROUTE, queue_name);

	store_op_text(op, options);
	store_op_int(op, clock_now_ms());
	store_job_submit(job);
}

void store_delete_route(struct store *store, const char *queue_name, store_fn fn, void *arg)
{
	struct store_job *job = store_job_create(store, fn, arg);

	queue_op(job, STMT_DELETE_ROUTE, queue_name);
	queue_op(job, STMT_DELETE_PAUSE, queue_name);
	store_job_submit(job);
}

void store_save_pause(
    struct store *store, const char *queue_name, bool paused, store_fn fn, void *arg)
{
	struct store_job *job = store_job_create(store, fn, arg);

	queue_op(job, paused ? STMT_SAVE_PAUSE : STMT_DELETE_PAUSE, queue_name);
	store_job_submit(job);
}

void store_forget_pauses(struct store *store, store_fn fn, void *arg)
{
	struct store_job *job = store_job_create(store, fn, arg);

	queue_op(job, STMT_DELETE_PAUSES, NULL);
	store_job_submit(job);
}

struct load_routes {
	void (*fn)(void *arg, const char *queue_name, const char *options);
	void *arg;
};

static void load_route(void *arg, sqlite3_stmt *stmt)
{
	const struct load_routes *load = arg;

	load->fn(load->arg, (const char *)sqlite3_column_text(stmt, 0),
	    (const char *)sqlite3_column_text(stmt, 1));
}

bool store_load_routes(struct store *store,
    void (*fn)(void *arg, const char *queue_name, const char *options), void *arg,
    struct error *err)
{
	struct load_routes load = {fn, arg};

	return store_query(store, STMT_LOAD_ROUTES, (const char *const[]){store->backend, NULL},
	    load_route, &load, err);
}

struct load_pauses {
	void (*fn)(void *arg, const char *queue_name);
	void *arg;
};

static void load_pause(void *arg, sqlite3_stmt *stmt)
{
	const struct load_pauses *load = arg;

	load->fn(load->arg, (const char *)sqlite3_column_text(stmt, 0));
}

bool store_load_pauses(struct store *store, void (*fn)(void *arg, const char *queue_name),
    void *arg, struct error *err)
{
	struct load_pauses load = {fn, arg};

	return store_query(store, STMT_LOAD_PAUSES, (const char *const[]){store->backend, NULL},
	    load_pause, &load, err);
}
