/* Routes of the API and pauses in the store, and databases from before there were any. */
#include "store_fixture.h"

#include <stdlib.h>

static void add_route(void *arg, const char *queue_name, const char *options)
{
	str_printf(arg, "%s=%s;", queue_name, options);
}

static void add_pause(void *arg, const char *queue_name)
{
	str_printf(arg, "<%s>", queue_name);
}

static void assert_collected(struct str *text, bool ok, const char *wanted)
{
	char *got = str_steal(text);

	assert_true(ok);
	assert_string_equal(got, wanted);
	free(got);
}

static void assert_routes(const char *wanted)
{
	struct str text = {0};
	bool ok;

	worker_flush(worker);
	ok = store_load_routes(store, add_route, &text, NULL);
	assert_collected(&text, ok, wanted);
}

static void assert_pauses(const char *wanted)
{
	struct str text = {0};
	bool ok;

	worker_flush(worker);
	ok = store_load_pauses(store, add_pause, &text, NULL);
	assert_collected(&text, ok, wanted);
}

static void test_routes(void **state)
{
	(void)state;
	store_save_route(store, "b", "{\"x\":1}", answered, NULL);
	assert_answers("+");
	sql("UPDATE routes SET created_at=1");
	store_save_route(store, "a/\xc3\xa9 '", "{}", answered, NULL);
	store_save_route(store, "b", "{\"x\":2}", answered, NULL);
	assert_answers("++");
	reopen();
	/* In the order in which they were made. */
	assert_routes("b={\"x\":2};a/\xc3\xa9 '={};");
	store_save_pause(store, "b", true, answered, NULL);
	store_delete_route(store, "b", answered, NULL);
	store_delete_route(store, "never there", answered, NULL);
	assert_answers("+++");
	assert_routes("a/\xc3\xa9 '={};");
	assert_pauses("");
	close_store();
	open_store("another");
	assert_routes("");
}

static void test_pauses(void **state)
{
	(void)state;
	store_save_pause(store, "", true, answered, NULL);
	store_save_pause(store, "b", true, answered, NULL);
	store_save_pause(store, "a", true, answered, NULL);
	store_save_pause(store, "a", true, answered, NULL);
	assert_answers("++++");
	reopen();
	assert_pauses("<><a><b>");
	store_save_pause(store, "a", false, answered, NULL);
	assert_answers("+");
	assert_pauses("<><b>");
	store_forget_pauses(store, answered, NULL);
	assert_answers("+");
	assert_pauses("");
}

/* The first schema, with a run in it. */
static void test_migration(void **state)
{
	(void)state;
	insert("1", "task");
	assert_answers("+");
	sql("DROP TABLE routes; DROP TABLE pauses; PRAGMA user_version=2");
	reopen();
	assert_open_runs("1");
	assert_routes("");
	store_save_route(store, "a", "{}", answered, NULL);
	store_save_pause(store, "", true, answered, NULL);
	assert_answers("++");
	reopen();
	assert_routes("a={};");
	assert_pauses("<>");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    with_store(test_routes),
	    with_store(test_pauses),
	    with_store(test_migration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
