#ifndef ATHANORE_STORE_STORE_DB_H
#define ATHANORE_STORE_STORE_DB_H

#include "store/store.h"

#include <sqlite3.h>
#include <sys/queue.h>

/* The inside of the store: statements, and jobs for the storage thread. For store*.c only. */

enum store_stmt {
	STMT_BEGIN,
	STMT_COMMIT,
	STMT_ROLLBACK,
	STMT_INSERT_RUN,
	STMT_UPDATE_RUN,
	STMT_DELETE_RUN,
	STMT_OPEN_RUNS,
	STMT_LAST_RUN,
	STMT_SAVE_RETRIES,
	STMT_FORGET_RETRIES,
	STMT_LOAD_RETRIES,
	STMT_SAVE_FACT,
	STMT_LOAD_FACT,
	STMT_OLD_RUNS,
	STMT_GET_RUN,
	STMT_NEXT_RUN,
	STMT_HISTORY, /* by nothing more than the time; the others by what their names say */
	STMT_HISTORY_TASK,
	STMT_HISTORY_QUEUE,
	STMT_HISTORY_OUTCOME,
	STMT_HISTORY_QUEUE_OUTCOME,
	STMT_HISTORY_OPEN,
	STMT_SAVE_ROUTE,
	STMT_DELETE_ROUTE,
	STMT_LOAD_ROUTES,
	STMT_SAVE_PAUSE,
	STMT_DELETE_PAUSE,
	STMT_DELETE_PAUSES,
	STMT_LOAD_PAUSES,
	STMT_COUNT
};

struct store {
	sqlite3 *db; /* the storage thread's, once store_open() has returned */
	sqlite3_stmt *stmts[STMT_COUNT];
	struct worker *worker;
	struct worker_group group;
	char *path; /* of the database */
	char *backend;
	bool group_failed;
	struct error group_error;
	STAILQ_HEAD(, store_job) group_jobs;
};

enum value_kind { VALUE_NULL, VALUE_INT, VALUE_TEXT, VALUE_BLOB };

struct store_value {
	enum value_kind kind;
	int64_t number;
	char *data; /* owned */
	size_t len;
};

#define STORE_MAX_VALUES 24

/* A statement with its values, to be run by the storage thread. */
struct store_op {
	enum store_stmt stmt;
	struct store_value values[STORE_MAX_VALUES];
	int value_count;
};

struct store_job {
	struct store *store;
	struct store_op ops[2];
	int op_count;
	/* Reads the rows of the last op; on the storage thread. NULL: it has none. */
	bool (*row)(struct store_job *job, sqlite3_stmt *stmt);
	void (*done)(struct store_job *job); /* on the loop, before the job is freed; may be NULL */
	void *result;			     /* row's and done's own */
	store_fn fn;
	void *arg;
	struct error err; /* set: it failed */
	STAILQ_ENTRY(store_job) next;
};

struct store_job *store_job_create(struct store *store, store_fn fn, void *arg);
struct store_op *store_job_op(struct store_job *job, enum store_stmt stmt);
void store_op_text(struct store_op *op, const char *text); /* NULL: SQL's NULL */
void store_op_blob(struct store_op *op, const char *data, size_t len);
void store_op_int(struct store_op *op, int64_t number);

/* Hands the job to the storage thread, which owns it from now on. */
void store_job_submit(struct store_job *job);

/* Runs a statement at once, at start, with text parameters; calls row for each row. */
bool store_query(struct store *store, enum store_stmt stmt, const char *const *params,
    void (*row)(void *arg, sqlite3_stmt *stmt), void *arg, struct error *err)
    __attribute__((warn_unused_result));

/* A run from a row of any statement that selects runs; NULL where the row makes no sense. */
struct run *store_run_from_row(sqlite3_stmt *stmt);

/* Sets err from SQLite's last error. */
bool store_error(struct store *store, struct error *err, const char *what);

#endif
