/* The database: its schema, its statements, and one commit for many jobs. */
#include "store/store_db.h"

#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

/* Each entry brings the schema from its index to the next version (PRAGMA user_version). */
static const char *const migrations[] = {
    "CREATE TABLE runs ("
    " id TEXT PRIMARY KEY, backend TEXT NOT NULL, task_id TEXT NOT NULL, task_name TEXT,"
    " queue_name TEXT NOT NULL, in_progress_queue TEXT NOT NULL, state TEXT NOT NULL,"
    " outcome TEXT NOT NULL, attempt INTEGER NOT NULL, created_at INTEGER NOT NULL,"
    " started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL, pid INTEGER NOT NULL,"
    " exit_code INTEGER NOT NULL, signal INTEGER NOT NULL, error TEXT, attention TEXT,"
    " token_hash TEXT, options TEXT NOT NULL, prompt BLOB, input BLOB, steps TEXT NOT NULL,"
    " retries_after INTEGER NOT NULL, retries_ours INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE UNIQUE INDEX runs_open ON runs (backend, task_id) WHERE state <> 'done';"
    "CREATE INDEX runs_task ON runs (backend, task_id, id);"
    "CREATE INDEX runs_old ON runs (backend, ended_at) WHERE state = 'done';"
    "CREATE TABLE retries ("
    " backend TEXT NOT NULL, task_id TEXT NOT NULL, queue_name TEXT NOT NULL,"
    " count INTEGER NOT NULL, ours INTEGER NOT NULL,"
    " PRIMARY KEY (backend, task_id, queue_name)) WITHOUT ROWID;"
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;",

    "CREATE INDEX runs_time ON runs (backend, id);"
    "CREATE INDEX runs_queue ON runs (backend, queue_name, id);"
    "CREATE INDEX runs_outcome ON runs (backend, outcome, id);"
    "CREATE INDEX runs_queue_outcome ON runs (backend, queue_name, outcome, id);",

    "CREATE TABLE routes ("
    " backend TEXT NOT NULL, queue_name TEXT NOT NULL, created_at INTEGER NOT NULL,"
    " options TEXT NOT NULL, PRIMARY KEY (backend, queue_name)) WITHOUT ROWID;"
    "CREATE TABLE pauses ("
    " backend TEXT NOT NULL, queue_name TEXT NOT NULL,"
    " PRIMARY KEY (backend, queue_name)) WITHOUT ROWID;",
};

#define SCHEMA_VERSION (int)(sizeof(migrations) / sizeof(migrations[0]))

#define RUN_COLUMNS                                                                                \
	"id, task_id, task_name, queue_name, in_progress_queue, state, outcome, attempt,"          \
	" created_at, started_at, ended_at, pid, exit_code, signal, error, attention, token_hash," \
	" options, prompt, input, steps, retries_after, retries_ours"

/* In the same order, without what is large and not shown. */
#define SHOWN_COLUMNS                                                                        \
	"id, task_id, task_name, queue_name, in_progress_queue, state, outcome, attempt,"    \
	" created_at, started_at, ended_at, pid, exit_code, signal, error, attention, NULL," \
	" '{}', NULL, NULL, '[]', retries_after, retries_ours"

/* Of runs with ids before ?2: ?3 task, ?4 queue, ?5 outcome, ?6 state, each NULL where any will do;
 * the first are found by an index, the rest are looked at in each row. */
#define HISTORY(by, rest)                                                       \
	"SELECT " SHOWN_COLUMNS " FROM runs WHERE backend=?1 AND id<?2" by rest \
	" ORDER BY id DESC LIMIT ?7"
#define IF_QUEUE " AND (?4 IS NULL OR queue_name=?4)"
#define IF_OUTCOME " AND (?5 IS NULL OR outcome=?5)"
#define IF_STATE " AND (?6 IS NULL OR state=?6)"

static const char *const statements[STMT_COUNT] = {
    [STMT_BEGIN] = "BEGIN IMMEDIATE",
    [STMT_COMMIT] = "COMMIT",
    [STMT_ROLLBACK] = "ROLLBACK",
    [STMT_INSERT_RUN] = "INSERT INTO runs (backend, " RUN_COLUMNS ") VALUES"
			" (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [STMT_UPDATE_RUN] =
	"UPDATE runs SET state=?2, outcome=?3, started_at=?4, ended_at=?5, pid=?6, exit_code=?7,"
	" signal=?8, error=?9, attention=?10, token_hash=?11, steps=?12, retries_after=?13,"
	" retries_ours=?14,"
	" prompt=CASE WHEN ?2 NOT IN ('finishing', 'done') THEN prompt END,"
	" input=CASE WHEN ?2 NOT IN ('finishing', 'done') THEN input END WHERE id=?1",
    [STMT_DELETE_RUN] = "DELETE FROM runs WHERE id=?",
    [STMT_OPEN_RUNS] =
	"SELECT " RUN_COLUMNS " FROM runs WHERE backend=? AND state <> 'done' ORDER BY id",
    [STMT_LAST_RUN] =
	"SELECT " RUN_COLUMNS " FROM runs WHERE backend=? AND task_id=? ORDER BY id DESC LIMIT 1",
    [STMT_SAVE_RETRIES] = "INSERT INTO retries (backend, task_id, queue_name, count, ours)"
			  " VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE SET count=excluded.count,"
			  " ours=excluded.ours",
    [STMT_FORGET_RETRIES] = "DELETE FROM retries WHERE backend=? AND task_id=? AND queue_name=?",
    [STMT_LOAD_RETRIES] = "SELECT task_id, queue_name, count, ours FROM retries WHERE backend=?",
    [STMT_SAVE_FACT] = "INSERT INTO facts (name, value) VALUES (?,?)"
		       " ON CONFLICT DO UPDATE SET value=excluded.value",
    [STMT_LOAD_FACT] = "SELECT value FROM facts WHERE name=?",
    [STMT_OLD_RUNS] = "DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE backend=?1"
		      " AND state='done' AND ended_at < ?2 LIMIT 100) RETURNING id",
    [STMT_GET_RUN] = "SELECT " SHOWN_COLUMNS " FROM runs WHERE id=?2 AND backend=?1",
    [STMT_NEXT_RUN] = "SELECT " SHOWN_COLUMNS " FROM runs WHERE backend=?1 AND task_id=?2 AND id>?3"
		      " ORDER BY id LIMIT 1",
    [STMT_HISTORY] = HISTORY("", IF_STATE),
    [STMT_HISTORY_TASK] = HISTORY(" AND task_id=?3", IF_QUEUE IF_OUTCOME IF_STATE),
    [STMT_HISTORY_QUEUE] = HISTORY(" AND queue_name=?4", IF_STATE),
    [STMT_HISTORY_OUTCOME] = HISTORY(" AND outcome=?5", IF_STATE),
    [STMT_HISTORY_QUEUE_OUTCOME] = HISTORY(" AND queue_name=?4 AND outcome=?5", IF_STATE),
    [STMT_HISTORY_OPEN] =
	"SELECT " SHOWN_COLUMNS " FROM runs INDEXED BY runs_open WHERE backend=?1 AND id<?2"
	" AND state <> 'done' AND (?3 IS NULL OR task_id=?3)" IF_QUEUE IF_OUTCOME
	" AND state=?6 ORDER BY id DESC LIMIT ?7",
    [STMT_SAVE_ROUTE] = "INSERT INTO routes (backend, queue_name, options, created_at)"
			" VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET options=excluded.options",
    [STMT_DELETE_ROUTE] = "DELETE FROM routes WHERE backend=? AND queue_name=?",
    [STMT_LOAD_ROUTES] = "SELECT queue_name, options FROM routes WHERE backend=?"
			 " ORDER BY created_at, queue_name",
    [STMT_SAVE_PAUSE] = "INSERT INTO pauses (backend, queue_name) VALUES (?,?)"
			" ON CONFLICT DO NOTHING",
    [STMT_DELETE_PAUSE] = "DELETE FROM pauses WHERE backend=? AND queue_name=?",
    [STMT_DELETE_PAUSES] = "DELETE FROM pauses WHERE backend=?",
    [STMT_LOAD_PAUSES] = "SELECT queue_name FROM pauses WHERE backend=? ORDER BY queue_name",
};

bool store_error(struct store *store, struct error *err, const char *what)
{
	return error_set(
	    err, ERROR_UNAVAILABLE, "%s %s: %s", what, store->path, sqlite3_errmsg(store->db));
}

/* Begins a group: on the storage thread. */
static void group_begin(void *arg)
{
	struct store *store = arg;

	store->group_failed = false;
	STAILQ_INIT(&store->group_jobs);
	sqlite3_reset(store->stmts[STMT_BEGIN]);
	if (sqlite3_step(store->stmts[STMT_BEGIN]) != SQLITE_DONE) {
		store->group_failed = true;
		store_error(store, &store->group_error, "cannot begin to write");
	}
	sqlite3_reset(store->stmts[STMT_BEGIN]);
}

static void rollback(struct store *store)
{
	if (sqlite3_get_autocommit(store->db) != 0)
		return; /* SQLite has done so itself */
	if (sqlite3_step(store->stmts[STMT_ROLLBACK]) != SQLITE_DONE)
		log_error("cannot roll back: %s", sqlite3_errmsg(store->db));
	sqlite3_reset(store->stmts[STMT_ROLLBACK]);
}

/* Commits; where that fails every job of the group has failed. */
static void group_end(void *arg)
{
	struct store *store = arg;
	struct store_job *job;

	if (!store->group_failed && sqlite3_step(store->stmts[STMT_COMMIT]) != SQLITE_DONE) {
		store->group_failed = true;
		store_error(store, &store->group_error, "cannot commit to");
	}
	sqlite3_reset(store->stmts[STMT_COMMIT]);
	if (!store->group_failed)
		return;
	rollback(store);
	STAILQ_FOREACH (job, &store->group_jobs, next)
		if (job->err.code == ERROR_NONE)
			error_copy(&job->err, &store->group_error);
	error_clear(&store->group_error);
}

struct store_job *store_job_create(struct store *store, store_fn fn, void *arg)
{
	struct store_job *job = xcalloc(1, sizeof(*job));

	job->store = store;
	job->fn = fn;
	job->arg = arg;
	return job;
}

struct store_op *store_job_op(struct store_job *job, enum store_stmt stmt)
{
	struct store_op *op = &job->ops[job->op_count++];

	op->stmt = stmt;
	return op;
}

static struct store_value *next_value(struct store_op *op, enum value_kind kind)
{
	struct store_value *value;

	if (op->value_count == STORE_MAX_VALUES)
		fatal("a statement has more than %d values", STORE_MAX_VALUES);
	value = &op->values[op->value_count++];
	value->kind = kind;
	return value;
}

void store_op_text(struct store_op *op, const char *text)
{
	struct store_value *value = next_value(op, text == NULL ? VALUE_NULL : VALUE_TEXT);

	if (text != NULL) {
		value->len = strlen(text);
		value->data = xmemdup0(text, value->len);
	}
}

void store_op_blob(struct store_op *op, const char *data, size_t len)
{
	struct store_value *value = next_value(op, data == NULL ? VALUE_NULL : VALUE_BLOB);

	if (data != NULL) {
		value->len = len;
		value->data = xmemdup0(data, len);
	}
}

void store_op_int(struct store_op *op, int64_t number)
{
	next_value(op, VALUE_INT)->number = number;
}

static void bind_value(sqlite3_stmt *stmt, int index, const struct store_value *value)
{
	int rc = SQLITE_OK;

	switch (value->kind) {
	case VALUE_NULL:
		rc = sqlite3_bind_null(stmt, index);
		break;
	case VALUE_INT:
		rc = sqlite3_bind_int64(stmt, index, value->number);
		break;
	case VALUE_TEXT:
		rc = sqlite3_bind_text64(
		    stmt, index, value->data, value->len, SQLITE_STATIC, SQLITE_UTF8);
		break;
	case VALUE_BLOB:
		rc = sqlite3_bind_blob64(stmt, index, value->data, value->len, SQLITE_STATIC);
		break;
	}
	if (rc != SQLITE_OK)
		fatal("cannot bind value %d: %s", index, sqlite3_errstr(rc));
}

static int run_op(struct store_job *job, struct store_op *op)
{
	sqlite3_stmt *stmt = job->store->stmts[op->stmt];
	int rc;

	for (int i = 0; i < op->value_count; i++)
		bind_value(stmt, i + 1, &op->values[i]);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
		if (job->row != NULL && !job->row(job, stmt))
			break;
	if (rc == SQLITE_CONSTRAINT)
		error_set(&job->err, ERROR_CONFLICT, "%s in %s: %s",
		    op->stmt == STMT_INSERT_RUN ? "another run of the task is not done"
						: "a row is refused",
		    job->store->path, sqlite3_errmsg(job->store->db));
	else if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		store_error(job->store, &job->err, "cannot write to");
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return rc;
}

/* A refused constraint is the job's own failure; any other failure is the whole group's. */
static void run_job(void *arg)
{
	struct store_job *job = arg;
	struct store *store = job->store;

	STAILQ_INSERT_TAIL(&store->group_jobs, job, next);
	for (int i = 0; i < job->op_count && !store->group_failed; i++) {
		run_op(job, &job->ops[i]);
		if (job->err.code == ERROR_NONE)
			continue;
		if (job->err.code != ERROR_CONFLICT) {
			store->group_failed = true;
			error_clear(&store->group_error);
			error_copy(&store->group_error, &job->err);
		}
		break;
	}
}

static void finish_job(void *arg)
{
	struct store_job *job = arg;
	bool ok = job->err.code == ERROR_NONE;

	if (job->done != NULL)
		job->done(job);
	if (job->fn != NULL)
		job->fn(job->arg, ok, ok ? NULL : &job->err);
	else if (!ok)
		log_error("%s", job->err.message);
	for (int i = 0; i < job->op_count; i++)
		for (int j = 0; j < job->ops[i].value_count; j++)
			free(job->ops[i].values[j].data);
	error_clear(&job->err);
	free(job);
}

void store_job_submit(struct store_job *job)
{
	worker_submit(job->store->worker,
	    &(struct worker_job){
		.run = run_job, .done = finish_job, .arg = job, .group = &job->store->group});
}

bool store_query(struct store *store, enum store_stmt stmt, const char *const *params,
    void (*row)(void *arg, sqlite3_stmt *stmt), void *arg, struct error *err)
{
	sqlite3_stmt *s = store->stmts[stmt];
	int rc;

	for (int i = 0; params[i] != NULL; i++)
		if (sqlite3_bind_text(s, i + 1, params[i], -1, SQLITE_TRANSIENT) != SQLITE_OK)
			fatal("cannot bind a parameter");
	while ((rc = sqlite3_step(s)) == SQLITE_ROW)
		row(arg, s);
	if (rc != SQLITE_DONE)
		store_error(store, err, "cannot read from");
	sqlite3_reset(s);
	return rc == SQLITE_DONE;
}

static bool exec(struct store *store, const char *sql, struct error *err)
{
	if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return true;
	return store_error(store, err, "cannot set up");
}

static int schema_version(struct store *store)
{
	sqlite3_stmt *stmt = NULL;
	int version = -1;

	if (sqlite3_prepare_v2(store->db, "PRAGMA user_version", -1, &stmt, NULL) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW)
		version = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	return version;
}

static bool migrate(struct store *store, struct error *err)
{
	int version = schema_version(store);

	if (version < 0)
		return store_error(store, err, "cannot read");
	if (version > SCHEMA_VERSION)
		return error_set(err, ERROR_CONFLICT,
		    "%s was written by a newer athanore (schema %d, this one knows %d): run that "
		    "one, or "
		    "use another --state-dir",
		    store->path, version, SCHEMA_VERSION);
	for (; version < SCHEMA_VERSION; version++) {
		char *sql = xasprintf("BEGIN IMMEDIATE;%sPRAGMA user_version=%d;COMMIT;",
		    migrations[version], version + 1);
		bool ok = exec(store, sql, err);

		free(sql);
		if (!ok)
			return false;
	}
	return true;
}

static bool prepare(struct store *store, struct error *err)
{
	for (int i = 0; i < STMT_COUNT; i++)
		if (sqlite3_prepare_v3(store->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
			&store->stmts[i], NULL) != SQLITE_OK)
			return store_error(store, err, "cannot use");
	return true;
}

struct store *store_open(
    struct worker *worker, const char *dir, const char *backend, struct error *err)
{
	struct store *store = xcalloc(1, sizeof(*store));
	bool ok;

	store->path = fs_join(dir, "athanore.db");
	store->worker = worker;
	store->backend = xstrdup(backend);
	store->group = (struct worker_group){.begin = group_begin, .end = group_end, .arg = store};
	STAILQ_INIT(&store->group_jobs);
	ok = sqlite3_open(store->path, &store->db) == SQLITE_OK ||
	     store_error(store, err, "cannot open");
	/* The timeout first: the journal mode may have to wait for another process already. */
	ok = ok && exec(store,
		       "PRAGMA busy_timeout=5000; PRAGMA journal_mode=WAL;"
		       "PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
		       err);
	ok = ok && migrate(store, err) && prepare(store, err);
	if (ok)
		return store;
	store_free(store);
	return NULL;
}

void store_free(struct store *store)
{
	if (store == NULL)
		return;
	for (int i = 0; i < STMT_COUNT; i++)
		sqlite3_finalize(store->stmts[i]);
	sqlite3_close(store->db);
	error_clear(&store->group_error);
	free(store->path);
	free(store->backend);
	free(store);
}
