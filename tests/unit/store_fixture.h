#ifndef ATHANORE_TESTS_UNIT_STORE_FIXTURE_H
#define ATHANORE_TESTS_UNIT_STORE_FIXTURE_H

/* A store in a temporary folder with its storage thread, and what its tests ask it. */

#include "check.h"

#include "base/json.h"
#include "base/str.h"
#include "store/store_db.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

static struct loop *loop;
static struct worker *worker;
static struct store *store;
static char *dir;

/* What completions said, in order: "+" for a commit, else the error's first letter. */
static struct str answers;
static struct str last_message;

/* Holds the storage thread so that jobs pile up behind the first: one commit for all. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static sem_t at_gate;

static inline void open_store(const char *backend)
{
	struct error err = {0};

	store = store_open(worker, dir, backend, &err);
	if (store == NULL)
		fail_msg("%s", err.message);
}

static inline void close_store(void)
{
	worker_flush(worker);
	store_free(store);
	store = NULL;
}

static inline void reopen(void)
{
	close_store();
	open_store("backend");
}

static inline int set_up_closed(void **state)
{
	if (make_temp_dir(state) != 0)
		return -1;
	dir = *state;
	sem_init(&at_gate, 0, 0);
	loop = loop_create();
	worker = worker_create(loop);
	return 0;
}

static inline int set_up(void **state)
{
	if (set_up_closed(state) != 0)
		return -1;
	open_store("backend");
	return 0;
}

static inline int tear_down(void **state)
{
	worker_free(worker);
	store_free(store);
	loop_free(loop);
	str_free(&answers);
	str_free(&last_message);
	store = NULL;
	return remove_temp_dir(state);
}

static inline void answered(void *arg, bool ok, const struct error *err)
{
	(void)arg;
	assert_true(ok == (err == NULL));
	str_putc(&answers, ok ? '+' : error_code_name(err->code)[0]);
	if (!ok) {
		str_clear(&last_message);
		str_puts(&last_message, err->message);
	}
}

/* Waits for the storage thread, and checks what it answered since. */
static inline void assert_answers(const char *wanted)
{
	worker_flush(worker);
	assert_string_equal(answers.data == NULL ? "" : answers.data, wanted);
	str_clear(&answers);
}

static inline void wait_at_gate(void *arg)
{
	(void)arg;
	sem_post(&at_gate);
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
}

static inline void close_gate(void)
{
	pthread_mutex_lock(&gate);
	worker_submit(worker, &(struct worker_job){.run = wait_at_gate});
	while (sem_wait(&at_gate) == -1)
		continue;
}

static inline void open_gate(void)
{
	pthread_mutex_unlock(&gate);
}

/* Whatever SQL a test wants done behind the store's back. */
static inline void sql(const char *text)
{
	char *message = NULL;

	worker_flush(worker);
	if (sqlite3_exec(store->db, text, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s: %s", text, message);
}

static inline struct run *make_run(const char *id, const char *task_id)
{
	struct run *run = run_create();

	free(run->id);
	run->id = xstrdup(id);
	run->task_id = xstrdup(task_id);
	run->queue_name = xstrdup("Todo");
	run->in_progress_queue = xstrdup("WIP");
	run->options = json_object_new_object();
	return run;
}

static inline void insert(const char *id, const char *task_id)
{
	struct run *run = make_run(id, task_id);

	store_insert_run(store, run, answered, NULL);
	run_free(run);
}

/* A done run of the past. */
static inline void insert_done(const char *id, const char *task_id, int64_t ended_at)
{
	struct run *run = make_run(id, task_id);

	run->state = RUN_DONE;
	run->ended_at = ended_at;
	store_insert_run(store, run, answered, NULL);
	run_free(run);
}

struct list {
	struct run *runs[300];
	size_t count;
};

static inline void collect(void *arg, struct run *run)
{
	struct list *list = arg;

	assert_true(list->count < 300);
	list->runs[list->count++] = run;
}

static inline void list_free(struct list *list)
{
	for (size_t i = 0; i < list->count; i++)
		run_free(list->runs[i]);
	list->count = 0;
}

static inline void load(struct list *list)
{
	struct error err = {0};

	worker_flush(worker);
	list->count = 0;
	if (!store_load_runs(store, collect, list, &err))
		fail_msg("%s", err.message);
}

/* The ids of the open runs, with blanks between them. */
static inline void assert_open_runs(const char *wanted)
{
	struct list list;
	struct str ids = {0};

	load(&list);
	for (size_t i = 0; i < list.count; i++)
		str_printf(&ids, "%s%s", i == 0 ? "" : " ", list.runs[i]->id);
	assert_string_equal(ids.data == NULL ? "" : ids.data, wanted);
	str_free(&ids);
	list_free(&list);
}

static inline void assert_text(const char *a, const char *b)
{
	if (!str_equal(a, b))
		fail_msg("\"%s\" is not \"%s\"", a == NULL ? "NULL" : a, b == NULL ? "NULL" : b);
}

static inline void assert_fact(const char *name, const char *wanted)
{
	char *value;

	worker_flush(worker);
	value = store_load_fact(store, name);
	assert_text(value, wanted);
	free(value);
}

static inline void keep_run(void *arg, struct run *run)
{
	struct run **kept = arg;

	assert_null(*kept);
	*kept = run;
}

static inline void assert_last_run(const char *task_id, const char *wanted)
{
	struct run *run = NULL;

	store_last_run(store, task_id, keep_run, &run);
	worker_flush(worker);
	assert_text(run == NULL ? NULL : run->id, wanted);
	run_free(run);
}

static inline void count_pruned(void *arg, char *const *ids)
{
	int *count = arg;

	for (*count = 0; ids[*count] != NULL; (*count)++)
		assert_int_equal(ids[*count][0], 'd');
}

static inline void assert_pruned(int64_t before, int wanted)
{
	int count = -1;

	store_prune(store, before, count_pruned, &count);
	worker_flush(worker);
	assert_int_equal(count, wanted);
}

#define with_store(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define without_store(test) cmocka_unit_test_setup_teardown(test, set_up_closed, tear_down)

#endif
