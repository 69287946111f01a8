/* The database under failure: a commit is whole or not at all, and nothing else suffers. */
#include "store_fixture.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Nothing is said to be pruned that comes back: folders are removed by what prune says. */
static void test_prune_fails(void **state)
{
	struct run *run = make_run("big", "big");

	(void)state;
	insert_done("d1", "1", 5);
	assert_answers("+");
	sql("PRAGMA max_page_count=1");
	run->prompt_len = 1 << 20;
	run->prompt = xcalloc(1, run->prompt_len);
	close_gate();
	{
		int count = -1;

		store_prune(store, 1000, count_pruned, &count);
		store_insert_run(store, run, answered, NULL);
		open_gate();
		assert_answers("u");
		assert_int_equal(count, 0);
	}
	assert_last_run("1", "d1");
	assert_pruned(1000, 1);
	run_free(run);
}

/* ---- failures ---- */

static void insert_large(const char *id)
{
	struct run *run = make_run(id, id);

	run->prompt_len = 1 << 20;
	run->prompt = xcalloc(1, run->prompt_len);
	store_insert_run(store, run, answered, NULL);
	run_free(run);
}

/* A full disk fails all jobs of the commit, those before and those behind, and none of later ones.
 */
static void test_full_disk(void **state)
{
	(void)state;
	insert("0", "0");
	assert_answers("+");
	sql("PRAGMA max_page_count=1");
	close_gate();
	insert("1", "1");
	store_save_fact(store, "name", "value");
	insert_large("2");
	insert("3", "3");
	insert("4", "3");
	open_gate();
	assert_answers("uuuu");
	assert_non_null(strstr(last_message.data, "athanore.db"));
	assert_non_null(strstr(last_message.data, "full"));
	assert_open_runs("0");
	assert_fact("name", NULL);
	/* Again and again, and still nothing is left of it. */
	insert_large("2");
	assert_answers("u");
	insert_large("2");
	assert_answers("u");
	sql("PRAGMA max_page_count=100000");
	close_gate();
	insert("1", "1");
	insert_large("2");
	insert("3", "3");
	open_gate();
	assert_answers("+++");
	reopen();
	assert_open_runs("0 1 2 3");
}

/* A statement that fails without ending the transaction takes the whole commit along too. */
static void test_failed_statement(void **state)
{
	(void)state;
	sql("ALTER TABLE facts RENAME TO elsewhere");
	close_gate();
	insert("1", "1");
	store_save_fact(store, "name", "value");
	insert("2", "2");
	open_gate();
	assert_answers("uu");
	assert_non_null(strstr(last_message.data, "no such table"));
	insert("3", "3");
	assert_answers("+");
	sql("ALTER TABLE elsewhere RENAME TO facts");
	store_save_fact(store, "name", "value");
	assert_fact("name", "value");
	assert_open_runs("3");
}

/* Another process holds the database: nothing is written, nothing is said to be. */
static void test_locked(void **state)
{
	sqlite3 *other;
	char *path = fs_join(dir, "athanore.db");

	(void)state;
	sql("PRAGMA busy_timeout=10");
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	close_gate();
	insert("1", "1");
	insert("2", "2");
	open_gate();
	assert_answers("uu");
	assert_non_null(strstr(last_message.data, "locked"));
	assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(other);
	insert("2", "2");
	assert_answers("+");
	assert_open_runs("2");
	free(path);
}

/* What makes no sense is left alone, and what stands beside it is read. */
static void test_damaged_rows(void **state)
{
	static const char *const damages[] = {"state='dancing'", "outcome='dancing'", "steps='[1]'",
	    "steps=x'00ff'", "steps=''", "options='nope'", "options=''", "options='null'",
	    "options=x'ff'", "state=x'00'", "outcome=''"};

	(void)state;
	insert("1", "1");
	insert("2", "2");
	insert("3", "3");
	assert_answers("+++");
	for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
		char *text = xasprintf("SAVEPOINT s; UPDATE runs SET %s WHERE id='2'", damages[i]);

		sql(text);
		assert_open_runs("1 3");
		sql("ROLLBACK TO s; RELEASE s");
		free(text);
	}
	assert_open_runs("1 2 3");
	sql("UPDATE runs SET task_id=x'00', task_name=5, attempt='x', created_at='', pid='9e99',"
	    " prompt='text', token_hash=7 WHERE id='2'");
	assert_open_runs("1 2 3");
}

/* Names that are no UTF-8 do not make a row that cannot be read any more. */
static void test_bad_utf8(void **state)
{
	struct run *run = make_run("1", "t\xff");
	struct list list;

	(void)state;
	run->task_name = xstrdup("\xc3(");
	json_put_string(run->options, "cwd", "/srv/\xe9");
	run_add_step(run, STEP_MOVE, "Erledigt\xfc");
	store_insert_run(store, run, answered, NULL);
	assert_answers("+");
	reopen();
	load(&list);
	assert_int_equal(list.count, 1);
	assert_string_equal(list.runs[0]->task_id, "t\xff");
	assert_string_equal(list.runs[0]->steps[0].text, "Erledigt\xef\xbf\xbd");
	list_free(&list);
	run_free(run);
}

struct take_up {
	int count;
	int answers;
};

static void count_answer(void *arg, bool ok, const struct error *err)
{
	(void)err;
	assert_true(ok);
	((struct take_up *)arg)->answers++;
}

static void finish_it(void *arg, struct run *run)
{
	struct take_up *take_up = arg;

	take_up->count++;
	run->state = RUN_DONE;
	store_update_run(store, run, count_answer, take_up);
	run_free(run);
}

/* Recovery writes while it is told of runs: each of them is told of, once. */
static void test_write_while_loading(void **state)
{
	struct take_up take_up = {0};
	char id[16];

	(void)state;
	for (int i = 0; i < 300; i++) {
		snprintf(id, sizeof(id), "%03d", i);
		insert(id, id);
	}
	worker_flush(worker);
	assert_true(store_load_runs(store, finish_it, &take_up, NULL));
	assert_int_equal(take_up.count, 300);
	worker_flush(worker);
	assert_int_equal(take_up.answers, 300);
	assert_open_runs("");
}

/* ---- opening ---- */

static void assert_refused(const char *wanted)
{
	struct error err = {0};

	assert_null(store_open(worker, dir, "backend", &err));
	assert_non_null(err.message);
	if (strstr(err.message, wanted) == NULL || strstr(err.message, "athanore.db") == NULL)
		fail_msg("%s", err.message);
	error_clear(&err);
}

static void test_newer_schema(void **state)
{
	(void)state;
	insert("1", "1");
	assert_answers("+");
	sql("PRAGMA user_version=1000");
	close_store();
	assert_refused("newer athanore");
	assert_refused("--state-dir");
}

static void write_db(const void *data, size_t len)
{
	char *path = fs_join(dir, "athanore.db");

	assert_true(fs_write_atomic(path, data, len, 0600, false, NULL));
	free(path);
}

static void test_no_database(void **state)
{
	char *path = fs_join(dir, "athanore.db");
	struct str text = {0};
	char *before = dir;

	(void)state;
	write_db("this is a letter to my grandmother, and no database at all", 58);
	assert_refused("not a database");
	assert_true(fs_read(path, &text, 1 << 20, NULL));
	assert_string_equal(
	    text.data, "this is a letter to my grandmother, and no database at all");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_refused("unable to open");
	dir = fs_join(before, "missing");
	assert_refused("unable to open");
	free(dir);
	dir = before;
	str_free(&text);
	free(path);
}

static void test_truncated_database(void **state)
{
	char *path = fs_join(dir, "athanore.db");
	struct str text = {0};
	struct error err = {0};

	(void)state;
	for (int i = 0; i < 100; i++) {
		char id[16];

		snprintf(id, sizeof(id), "%03d", i);
		insert(id, id);
	}
	close_store();
	assert_true(fs_read(path, &text, 1 << 24, NULL));
	for (size_t len = 600; len < text.len; len += text.len / 7) {
		struct list list = {.count = 0};

		write_db(text.data, len);
		store = store_open(worker, dir, "backend", &err);
		assert_true((store == NULL) == (err.code != ERROR_NONE));
		/* Where it opens, reading says what is wrong; it does not crash, nor pass it over.
		 */
		if (store != NULL && !store_load_runs(store, collect, &list, &err))
			assert_non_null(strstr(err.message, "athanore.db"));
		assert_true(err.code != ERROR_NONE || list.count == 100);
		list_free(&list);
		error_clear(&err);
		store_free(store);
		store = NULL;
	}
	str_free(&text);
	free(path);
}

/* An empty file is what a crash right after the creation leaves. */
static void test_empty_file(void **state)
{
	(void)state;
	write_db("", 0);
	open_store("backend");
	insert("1", "1");
	assert_answers("+");
	reopen();
	assert_open_runs("1");
}

/* A migration that fails leaves the database as it was. */
static void test_migration_fails(void **state)
{
	sqlite3 *db;
	sqlite3_stmt *stmt;
	char *path = fs_join(dir, "athanore.db");

	(void)state;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(db, "CREATE TABLE facts (other TEXT)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_refused("already exists");
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db,
			     "SELECT count(*), (SELECT user_version FROM pragma_user_version)"
			     " FROM sqlite_schema",
			     -1, &stmt, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(stmt, 0), 1);
	assert_int_equal(sqlite3_column_int(stmt, 1), 0);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	free(path);
}

static void test_pragmas(void **state)
{
	static const struct {
		const char *pragma;
		const char *value;
	} wanted[] = {{"PRAGMA journal_mode", "wal"}, {"PRAGMA synchronous", "2"},
	    {"PRAGMA busy_timeout", "5000"}, {"PRAGMA user_version", "3"}};

	(void)state;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		sqlite3_stmt *stmt;

		assert_int_equal(
		    sqlite3_prepare_v2(store->db, wanted[i].pragma, -1, &stmt, NULL), SQLITE_OK);
		assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
		assert_string_equal((const char *)sqlite3_column_text(stmt, 0), wanted[i].value);
		sqlite3_finalize(stmt);
	}
}

/* No query reads a whole table. */
static void test_every_query_has_its_index(void **state)
{
	(void)state;
	for (int i = STMT_INSERT_RUN; i < STMT_COUNT; i++) {
		char *text = xasprintf("EXPLAIN QUERY PLAN %s", sqlite3_sql(store->stmts[i]));
		sqlite3_stmt *stmt;

		assert_int_equal(sqlite3_prepare_v2(store->db, text, -1, &stmt, NULL), SQLITE_OK);
		while (sqlite3_step(stmt) == SQLITE_ROW) {
			const char *plan = (const char *)sqlite3_column_text(stmt, 3);

			if (strstr(plan, "SCAN") != NULL)
				fail_msg("%s: %s", sqlite3_sql(store->stmts[i]), plan);
		}
		sqlite3_finalize(stmt);
		free(text);
	}
}

/* ---- death ---- */

static void tell(void *arg, bool ok, const struct error *err)
{
	int *pipe_to = arg;
	char byte = '.';

	(void)err;
	if (!ok || write(*pipe_to, &byte, 1) != 1)
		_exit(1);
}

/* Writes runs, 20 a commit, and tells of each that is said to be stored. */
static void write_for_ever(int pipe_to)
{
	loop = loop_create();
	worker = worker_create(loop);
	store = store_open(worker, dir, "backend", NULL);
	if (store == NULL)
		_exit(1);
	for (int i = 0;; i++) {
		char id[16];
		struct run *run;

		snprintf(id, sizeof(id), "%08d", i);
		run = make_run(id, id);
		run->prompt_len = 3000;
		run->prompt = xcalloc(1, run->prompt_len);
		store_insert_run(store, run, tell, &pipe_to);
		run_free(run);
		if (i % 20 == 19)
			worker_flush(worker);
	}
}

static void count_run(void *arg, struct run *run)
{
	char wanted[16];

	snprintf(wanted, sizeof(wanted), "%08d", (*(int *)arg)++);
	assert_string_equal(run->id, wanted);
	assert_int_equal(run->prompt_len, 3000);
	run_free(run);
}

/* Kills a writer at a moment of its own choosing; what it was told is stored, and nothing is torn.
 */
static void kill_a_writer(int acknowledged)
{
	int ends[2], told = 0, found = 0, status;
	char buf[64];
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char *fd = xasprintf("%d", ends[1]);

		/* A program of its own: threads and fork() do not go together. */
		execl("/proc/self/exe", "writer", dir, fd, NULL);
		_exit(127);
	}
	close(ends[1]);
	while (told < acknowledged && (n = read(ends[0], buf, sizeof(buf))) > 0)
		told += (int)n;
	assert_int_equal(kill(pid, SIGKILL), 0);
	while ((n = read(ends[0], buf, sizeof(buf))) > 0)
		told += (int)n;
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	open_store("backend");
	assert_true(store_load_runs(store, count_run, &found, NULL));
	assert_true(found >= told && told >= acknowledged);
	sql("PRAGMA integrity_check; DELETE FROM runs");
	close_store();
}

static void test_killed_while_writing(void **state)
{
	(void)state;
	for (int i = 0; i < 12; i++)
		kill_a_writer(1 + i * 37);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
	    with_store(test_prune_fails),
	    with_store(test_full_disk),
	    with_store(test_failed_statement),
	    with_store(test_locked),
	    with_store(test_damaged_rows),
	    with_store(test_bad_utf8),
	    with_store(test_write_while_loading),
	    with_store(test_newer_schema),
	    without_store(test_no_database),
	    with_store(test_truncated_database),
	    without_store(test_empty_file),
	    without_store(test_migration_fails),
	    with_store(test_pragmas),
	    with_store(test_every_query_has_its_index),
	    without_store(test_killed_while_writing),
	};

	if (argc == 3) {
		dir = argv[1];
		write_for_ever(atoi(argv[2]));
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
