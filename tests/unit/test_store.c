/* The database: what is written comes back. */
#include "store_fixture.h"

static void assert_same_run(const struct run *a, const struct run *b)
{
	char *steps_a = run_steps_print(a), *steps_b = run_steps_print(b);

	assert_text(a->id, b->id);
	assert_text(a->task_id, b->task_id);
	assert_text(a->task_name, b->task_name);
	assert_text(a->queue_name, b->queue_name);
	assert_text(a->in_progress_queue, b->in_progress_queue);
	assert_int_equal(a->state, b->state);
	assert_int_equal(a->outcome, b->outcome);
	assert_int_equal(a->attempt, b->attempt);
	assert_true(a->created_at == b->created_at);
	assert_true(a->started_at == b->started_at);
	assert_true(a->ended_at == b->ended_at);
	assert_int_equal(a->pid, b->pid);
	assert_int_equal(a->exit_code, b->exit_code);
	assert_int_equal(a->signal, b->signal);
	assert_text(a->error, b->error);
	assert_text(a->attention, b->attention);
	assert_text(a->token_hash, b->token_hash);
	assert_int_equal(a->retries_after, b->retries_after);
	assert_int_equal(a->retries_ours, b->retries_ours);
	assert_true(json_object_equal(a->options, b->options));
	assert_text(steps_a, steps_b);
	free(steps_a);
	free(steps_b);
}

static void assert_bytes(const char *a, size_t a_len, const char *b, size_t b_len)
{
	assert_int_equal(a_len, b_len);
	assert_int_equal(a == NULL, b == NULL);
	if (a != NULL)
		assert_memory_equal(a, b, a_len + 1);
}

static struct run *make_full_run(void)
{
	static const char options[] =
	    "{\"argv\":[\"a b\",\"\xc3\xa9\"],\"timeout\":0.5,\"deep\":{\"x\":[null,true,1]}}";
	struct run *run = make_run("20260101-000000-000-0000abcd", "task \"1\" \xe2\x82\xac");

	json_object_put(run->options);
	run->options = json_parse(options, sizeof(options) - 1, NULL);
	run->task_name = xstrdup("name\nwith; lines' --");
	run->state = RUN_STARTING;
	run->outcome = OUTCOME_NONE;
	run->attempt = 3;
	run->created_at = 1790000000123;
	run->started_at = 1790000000124;
	run->ended_at = 1790000000125;
	run->pid = 4194304;
	run->exit_code = 255;
	run->signal = 64;
	run->error = xstrdup("error");
	run->attention = xstrdup("attention");
	run->token_hash = xstrdup("hash");
	run->prompt = xmemdup0("pro\0mpt\xff", 8);
	run->prompt_len = 8;
	run->input = xmemdup0("", 0);
	run->retries_after = -1;
	run->retries_ours = true;
	run_add_step(run, STEP_COMMENT, "comment");
	run_add_step(run, STEP_MOVE, "Todo");
	run->steps[0].state = STEP_DONE;
	run->steps[1].state = STEP_BEGUN;
	return run;
}

static void test_all_columns(void **state)
{
	struct run *run = make_full_run();
	struct list list;

	(void)state;
	store_insert_run(store, run, answered, NULL);
	assert_answers("+");
	reopen();
	load(&list);
	assert_int_equal(list.count, 1);
	assert_same_run(list.runs[0], run);
	assert_bytes(list.runs[0]->prompt, list.runs[0]->prompt_len, run->prompt, run->prompt_len);
	assert_bytes(list.runs[0]->input, list.runs[0]->input_len, run->input, run->input_len);
	list_free(&list);
	run_free(run);
}

static void test_empty_columns(void **state)
{
	struct run *run = make_run("1", "");
	struct list list;

	(void)state;
	store_insert_run(store, run, answered, NULL);
	assert_answers("+");
	reopen();
	load(&list);
	assert_int_equal(list.count, 1);
	assert_same_run(list.runs[0], run);
	assert_null(list.runs[0]->prompt);
	assert_null(list.runs[0]->input);
	list_free(&list);
	run_free(run);
}

static void test_update(void **state)
{
	struct run *run = make_run("1", "1");
	struct run *full = make_full_run();
	struct list list;

	(void)state;
	store_insert_run(store, run, answered, NULL);
	run_free(run);
	run = full;
	free(run->id);
	free(run->task_id);
	run->id = xstrdup("1");
	run->task_id = xstrdup("not to be changed");
	run->state = RUN_FINISHING;
	run->outcome = OUTCOME_STALLED;
	store_update_run(store, run, answered, NULL);
	assert_answers("++");
	reopen();
	load(&list);
	assert_int_equal(list.count, 1);
	assert_string_equal(list.runs[0]->task_id, "1");
	assert_int_equal(list.runs[0]->attempt, 0);
	assert_null(list.runs[0]->task_name);
	/* All else is what the update said. */
	free(run->task_id);
	free(run->task_name);
	run->task_id = xstrdup("1");
	run->task_name = NULL;
	run->attempt = 0;
	run->created_at = list.runs[0]->created_at;
	json_object_put(run->options);
	run->options = json_object_new_object();
	assert_same_run(list.runs[0], run);
	list_free(&list);
	run_free(run);
}

/* A large prompt is not carried along once the agent has ended; until then the folder may need it. */
static void test_prompt_is_forgotten(void **state)
{
	struct run *run = make_full_run();
	struct list list;

	(void)state;
	run->state = RUN_CLAIMING;
	store_insert_run(store, run, answered, NULL);
	run->state = RUN_RUNNING;
	store_update_run(store, run, answered, NULL);
	load(&list);
	assert_bytes(list.runs[0]->prompt, list.runs[0]->prompt_len, run->prompt, run->prompt_len);
	assert_non_null(list.runs[0]->input);
	list_free(&list);
	run->state = RUN_FINISHING;
	store_update_run(store, run, answered, NULL);
	load(&list);
	assert_null(list.runs[0]->prompt);
	assert_null(list.runs[0]->input);
	list_free(&list);
	assert_answers("+++");
	run_free(run);
}

static void test_one_open_run_per_task(void **state)
{
	struct run *run = make_run("1", "task");

	(void)state;
	insert("1", "task");
	insert("2", "task");
	insert("3", "other task");
	assert_answers("+c+");
	assert_non_null(strstr(last_message.data, "another run of the task is not done"));
	assert_open_runs("1 3");
	run->state = RUN_DONE;
	store_update_run(store, run, answered, NULL);
	insert("4", "task");
	insert("4", "a task with another's run id");
	assert_answers("++c");
	assert_open_runs("3 4");
	/* The first cannot be opened again beside it. */
	run->state = RUN_FINISHING;
	store_update_run(store, run, answered, NULL);
	assert_answers("c");
	assert_open_runs("3 4");
	run_free(run);
	close_store();
	open_store("another backend");
	insert("5", "task");
	assert_answers("+");
	assert_open_runs("5");
}

/* One job's conflict is its own; its neighbours of the same commit are not touched by it. */
static void test_conflict_in_a_group(void **state)
{
	(void)state;
	close_gate();
	insert("1", "a");
	insert("2", "a");
	insert("3", "b");
	insert("4", "a");
	insert("5", "c");
	open_gate();
	assert_answers("+c+c+");
	reopen();
	assert_open_runs("1 3 5");
}

static void test_delete(void **state)
{
	(void)state;
	insert("1", "a");
	insert("2", "b");
	store_delete_run(store, "1", answered, NULL);
	store_delete_run(store, "never there", answered, NULL);
	insert("3", "a");
	assert_answers("+++++");
	assert_open_runs("2 3");
}

/* ---- retries ---- */

static void collect_retries(
    void *arg, const char *task_id, const char *queue_name, int count, bool ours)
{
	str_printf(arg, "%s@%s=%d%s ", task_id, queue_name, count, ours ? "!" : "");
}

static void assert_retries(const char *wanted)
{
	struct str text = {0};

	worker_flush(worker);
	assert_true(store_load_retries(store, collect_retries, &text, NULL));
	assert_string_equal(text.data == NULL ? "" : text.data, wanted);
	str_free(&text);
}

static void test_retries(void **state)
{
	(void)state;
	assert_retries("");
	store_save_retries(store, "1", "Todo", 2, true);
	store_save_retries(store, "1", "QA", 1, false);
	store_save_retries(store, "2", "Todo", 5, false);
	assert_retries("1@QA=1 1@Todo=2! 2@Todo=5 ");
	store_save_retries(store, "1", "Todo", 3, false);
	store_save_retries(store, "2", "Todo", 0, true);
	reopen();
	assert_retries("1@QA=1 1@Todo=3 ");
	close_store();
	open_store("another backend");
	assert_retries("");
	store_save_retries(store, "1", "Todo", 9, true);
	assert_retries("1@Todo=9! ");
	reopen();
	assert_retries("1@QA=1 1@Todo=3 ");
}

/* The count of a run that ends is in the commit that says so. */
static void test_retries_of_a_run(void **state)
{
	struct run *run = make_run("1", "1");

	(void)state;
	store_insert_run(store, run, answered, NULL);
	store_save_retries(store, "1", "Todo", 4, false);
	store_update_run(store, run, answered, NULL);
	assert_retries("1@Todo=4 ");
	run->retries_after = 5;
	run->retries_ours = true;
	store_update_run(store, run, answered, NULL);
	assert_retries("1@Todo=5! ");
	run->retries_after = 0;
	store_update_run(store, run, answered, NULL);
	assert_retries("");
	assert_answers("++++");
	run_free(run);
}

/* ---- facts ---- */

static void test_facts(void **state)
{
	(void)state;
	assert_fact("api_port", NULL);
	store_save_fact(store, "api_port", "1");
	store_save_fact(store, "api_port", "8000");
	store_save_fact(store, "other", "");
	reopen();
	assert_fact("api_port", "8000");
	assert_fact("other", "");
	assert_fact("api", NULL);
}

/* ---- history ---- */

static void test_last_run(void **state)
{
	(void)state;
	assert_last_run("1", NULL);
	insert_done("1", "1", 5);
	insert_done("3", "1", 5);
	insert_done("2", "1", 9);
	insert_done("4", "2", 9);
	assert_last_run("1", "3");
	insert("5", "1");
	assert_last_run("1", "5");
	assert_last_run("2", "4");
	assert_last_run("", NULL);
	sql("UPDATE runs SET steps='damaged' WHERE id='5'");
	assert_last_run("1", NULL);
	close_store();
	open_store("another backend");
	assert_last_run("2", NULL);
}

static void test_prune(void **state)
{
	char id[32];

	(void)state;
	assert_pruned(1000, 0);
	for (int i = 0; i < 250; i++) {
		snprintf(id, sizeof(id), "d%d", i);
		insert_done(id, id, i);
	}
	insert_done("new", "new", 1000);
	insert("open", "open");
	worker_flush(worker);
	str_clear(&answers);
	close_store();
	open_store("another backend");
	assert_pruned(1000, 0);
	reopen();
	assert_pruned(1000, 100);
	assert_pruned(1000, 100);
	reopen();
	assert_pruned(1000, 50);
	assert_pruned(1000, 0);
	assert_last_run("new", "new");
	assert_open_runs("open");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    with_store(test_all_columns),
	    with_store(test_empty_columns),
	    with_store(test_update),
	    with_store(test_prompt_is_forgotten),
	    with_store(test_one_open_run_per_task),
	    with_store(test_conflict_in_a_group),
	    with_store(test_delete),
	    with_store(test_retries),
	    with_store(test_retries_of_a_run),
	    with_store(test_facts),
	    with_store(test_last_run),
	    with_store(test_prune),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
