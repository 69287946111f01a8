/* The runs that were: filters, pages, and an index for every question. */
#include "store_fixture.h"

static struct str found;

static void keep(void *arg, struct run **runs, size_t count, const struct error *err)
{
	(void)arg;
	assert_null(err);
	str_clear(&found);
	str_puts(&found, "");
	for (size_t i = 0; i < count; i++) {
		str_printf(&found, "%s%s", i == 0 ? "" : " ", runs[i]->id);
		run_free(runs[i]);
	}
}

static void assert_found(const char *wanted)
{
	worker_flush(worker);
	assert_text(found.data, wanted);
}

static void assert_list(struct store_filter filter, const char *wanted)
{
	if (filter.limit == 0)
		filter.limit = 10;
	store_list_runs(store, &filter, keep, NULL);
	assert_found(wanted);
}

static void put(const char *id, const char *task_id, const char *queue, enum run_state state,
    enum run_outcome outcome)
{
	struct run *run = make_run(id, task_id);

	free(run->queue_name);
	run->queue_name = xstrdup(queue);
	run->state = state;
	run->outcome = outcome;
	store_insert_run(store, run, answered, NULL);
	run_free(run);
}

static int set_up_runs(void **state)
{
	if (set_up(state) != 0)
		return -1;
	put("r1", "a", "Todo", RUN_DONE, OUTCOME_FAILURE);
	put("r2", "b", "Todo", RUN_DONE, OUTCOME_SUCCESS);
	put("r3", "a", "Review", RUN_DONE, OUTCOME_SUCCESS);
	put("r4", "b", "Review", RUN_DONE, OUTCOME_FAILURE);
	put("r5", "a", "Todo", RUN_RUNNING, OUTCOME_NONE);
	put("r6", "b", "Todo", RUN_FINISHING, OUTCOME_FAILURE);
	assert_answers("++++++");
	return 0;
}

static int tear_down_runs(void **state)
{
	str_free(&found);
	return tear_down(state);
}

static void test_filters(void **state)
{
	(void)state;
	assert_list((struct store_filter){0}, "r6 r5 r4 r3 r2 r1");
	assert_list((struct store_filter){.task_id = "a"}, "r5 r3 r1");
	assert_list((struct store_filter){.queue_name = "Review"}, "r4 r3");
	assert_list((struct store_filter){.outcome = "failure"}, "r6 r4 r1");
	assert_list((struct store_filter){.queue_name = "Todo", .outcome = "failure"}, "r6 r1");
	assert_list((struct store_filter){.state = "done"}, "r4 r3 r2 r1");
	assert_list((struct store_filter){.state = "running"}, "r5");
	assert_list((struct store_filter){.state = "finishing", .task_id = "a"}, "");
	assert_list((struct store_filter){.state = "finishing", .queue_name = "Todo"}, "r6");
	assert_list(
	    (struct store_filter){.task_id = "a", .state = "done", .outcome = "success"}, "r3");
	assert_list((struct store_filter){.task_id = "none"}, "");
}

static void test_pages(void **state)
{
	(void)state;
	assert_list((struct store_filter){.limit = 2}, "r6 r5");
	assert_list((struct store_filter){.limit = 2, .before = "r5"}, "r4 r3");
	assert_list((struct store_filter){.limit = 9, .before = "r3"}, "r2 r1");
	assert_list((struct store_filter){.before = "r1"}, "");
	assert_list((struct store_filter){.task_id = "b", .before = "r6", .limit = 1}, "r4");
}

static void test_one(void **state)
{
	(void)state;
	store_get_run(store, "r3", keep, NULL);
	assert_found("r3");
	store_get_run(store, "r", keep, NULL);
	assert_found("");
}

static void test_next(void **state)
{
	(void)state;
	store_next_run(store, "a", NULL, keep, NULL);
	assert_found("r5");
	store_next_run(store, "a", "r1", keep, NULL);
	assert_found("r3");
	store_next_run(store, "a", "r4", keep, NULL);
	assert_found("r5");
	store_next_run(store, "a", "r5", keep, NULL);
	assert_found("");
	store_next_run(store, "none", NULL, keep, NULL);
	assert_found("");
}

/* Two backends in one state folder do not see each other's runs. */
static void test_other_backend(void **state)
{
	(void)state;
	close_store();
	open_store("other");
	assert_list((struct store_filter){0}, "");
	store_get_run(store, "r3", keep, NULL);
	assert_found("");
	store_next_run(store, "a", NULL, keep, NULL);
	assert_found("");
}

/* How SQLite would answer the statement, one line a step. */
static void plan(enum store_stmt stmt, struct str *out)
{
	char *text = xasprintf("EXPLAIN QUERY PLAN %s", sqlite3_sql(store->stmts[stmt]));
	sqlite3_stmt *explain;

	if (sqlite3_prepare_v2(store->db, text, -1, &explain, NULL) != SQLITE_OK)
		fail_msg("%s: %s", text, sqlite3_errmsg(store->db));
	while (sqlite3_step(explain) == SQLITE_ROW)
		str_printf(out, "%s\n", (const char *)sqlite3_column_text(explain, 3));
	sqlite3_finalize(explain);
	free(text);
}

static void assert_plan(enum store_stmt stmt, const char *wanted)
{
	struct str out = {0};

	plan(stmt, &out);
	if (strstr(out.data, wanted) == NULL)
		fail_msg("%s\ndoes not say \"%s\":\n%s", sqlite3_sql(store->stmts[stmt]), wanted,
		    out.data);
	/* The few open runs are sorted; a history is not. */
	if (stmt != STMT_HISTORY_OPEN && strstr(out.data, "TEMP B-TREE") != NULL)
		fail_msg("%s\nsorts:\n%s", sqlite3_sql(store->stmts[stmt]), out.data);
	str_free(&out);
}

static void test_indexes(void **state)
{
	(void)state;
	worker_flush(worker);
	assert_plan(STMT_HISTORY, "INDEX runs_time (backend=? AND id<?)");
	assert_plan(STMT_HISTORY_TASK, "INDEX runs_task (backend=? AND task_id=? AND id<?)");
	assert_plan(STMT_HISTORY_QUEUE, "INDEX runs_queue (backend=? AND queue_name=? AND id<?)");
	assert_plan(STMT_HISTORY_OUTCOME, "INDEX runs_outcome (backend=? AND outcome=? AND id<?)");
	assert_plan(STMT_HISTORY_QUEUE_OUTCOME,
	    "INDEX runs_queue_outcome (backend=? AND queue_name=? AND outcome=? AND id<?)");
	assert_plan(STMT_HISTORY_OPEN, "INDEX runs_open (backend=?)");
	assert_plan(STMT_GET_RUN, "SEARCH runs USING PRIMARY KEY (id=?)");
	assert_plan(STMT_NEXT_RUN, "INDEX runs_task (backend=? AND task_id=? AND id>?)");
}

#define with_runs(test) cmocka_unit_test_setup_teardown(test, set_up_runs, tear_down_runs)

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    with_runs(test_filters),
	    with_runs(test_pages),
	    with_runs(test_one),
	    with_runs(test_next),
	    with_runs(test_other_backend),
	    with_runs(test_indexes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
