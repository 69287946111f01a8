/* The agent's environment. */
#include "check.h"

#include "base/json.h"
#include "base/str.h"
#include "dispatch/environ.h"

#include <string.h>

static struct run *make_run(const char *options)
{
	struct run *run = run_create();

	run->task_id = xstrdup("7");
	run->queue_name = xstrdup("In \"Arbeit\"=1");
	run->options = json_parse(options, strlen(options), NULL);
	run->attempt = 2;
	assert_non_null(run->options);
	return run;
}

/* The value by that name, which must be there once only; NULL where it is not. */
static const char *value(char *const *list, const char *name)
{
	const char *found = NULL;
	size_t len = strlen(name);

	for (; *list != NULL; list++) {
		if (strncmp(*list, name, len) != 0 || (*list)[len] != '=')
			continue;
		assert_null(found);
		found = *list + len + 1;
	}
	return found;
}

static void test_athanore_variables(void **state)
{
	struct run *run = make_run("{\"env\":[\"ATHANORE_RUN_ID=forged\",\"A=b=c\"]}");
	char **list;

	(void)state;
	setenv("ATHANORE_TASK_ID", "of an outer run", 1);
	list = environ_make(run, "http://127.0.0.1:8000", "t0ken");
	assert_string_equal(value(list, "ATHANORE_API"), "http://127.0.0.1:8000");
	assert_string_equal(value(list, "ATHANORE_TASK_ID"), "7");
	assert_string_equal(value(list, "ATHANORE_RUN_ID"), run->id);
	assert_string_equal(value(list, "ATHANORE_QUEUE"), "In \"Arbeit\"=1");
	assert_string_equal(value(list, "ATHANORE_ATTEMPT"), "3");
	assert_string_equal(value(list, "ATHANORE_TOKEN"), "t0ken");
	assert_string_equal(value(list, "A"), "b=c");
	xstrv_free(list);
	unsetenv("ATHANORE_TASK_ID");
	run_free(run);
}

/* Without a token of its own the agent must not have that of a run we may be inside. */
static void test_no_token(void **state)
{
	struct run *run = make_run("{}");
	char **list;

	(void)state;
	setenv("ATHANORE_TOKEN", "of an outer run", 1);
	list = environ_make(run, "", NULL);
	assert_null(value(list, "ATHANORE_TOKEN"));
	xstrv_free(list);
	unsetenv("ATHANORE_TOKEN");
	run_free(run);
}

static void test_inherited(void **state)
{
	struct run *run = make_run("{\"env\":[\"REPLACED=new\",\"EMPTY=\"]}");
	char **list;

	(void)state;
	setenv("REPLACED", "old", 1);
	setenv("REPLACED_NOT", "old", 1);
	setenv("MULTI", "a\nb=c", 1);
	list = environ_make(run, "", NULL);
	assert_string_equal(value(list, "REPLACED"), "new");
	assert_string_equal(value(list, "REPLACED_NOT"), "old");
	assert_string_equal(value(list, "MULTI"), "a\nb=c");
	assert_string_equal(value(list, "EMPTY"), "");
	assert_string_equal(value(list, "PATH"), getenv("PATH"));
	xstrv_free(list);
	run_free(run);
}

static void test_secrets(void **state)
{
	static const char *const kept_back[] = {"ATHANORE_API_TOKEN", "PLANKA_TOKEN", "PLANKA_USER",
	    "PLANKA_PASSWORD", "LINEAR_API_KEY", "JIRA_API_TOKEN", "TRELLO_KEY", "TRELLO_TOKEN"};
	static const char *const passed[] = {
	    "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "PLANKA_TOKEN_FILE"};
	struct run *run = make_run("{\"env\":[\"LINEAR_API_KEY=given by the route\"]}");
	char **list;

	(void)state;
	for (size_t i = 0; i < sizeof(kept_back) / sizeof(*kept_back); i++)
		setenv(kept_back[i], "secret", 1);
	for (size_t i = 0; i < sizeof(passed) / sizeof(*passed); i++)
		setenv(passed[i], "secret", 1);
	list = environ_make(run, "", NULL);
	for (size_t i = 0; i < sizeof(kept_back) / sizeof(*kept_back); i++)
		if (strcmp(kept_back[i], "LINEAR_API_KEY") != 0)
			assert_null(value(list, kept_back[i]));
	for (size_t i = 0; i < sizeof(passed) / sizeof(*passed); i++)
		assert_string_equal(value(list, passed[i]), "secret");
	/* What the script hands to its agent on purpose is its own business. */
	assert_string_equal(value(list, "LINEAR_API_KEY"), "given by the route");
	xstrv_free(list);
	run_free(run);
}

/* Odd entries of our own environment are no reason to fail. */
static void test_odd_entries(void **state)
{
	static char *odd[] = {"NO_EQUALS", "", "=x", "TWICE=1", "TWICE=2", "AB=1", "A=2", NULL};
	struct run *run = make_run("{}");
	char **before = environ;
	char **list;

	(void)state;
	environ = odd;
	list = environ_make(run, "", NULL);
	environ = before;
	for (char **entry = list; *entry != NULL; entry++)
		assert_non_null(strchr(*entry, '='));
	assert_non_null(value(list, "TWICE"));
	assert_string_equal(value(list, "AB"), "1");
	assert_string_equal(value(list, "A"), "2");
	xstrv_free(list);
	run_free(run);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_athanore_variables),
	    cmocka_unit_test(test_no_token),
	    cmocka_unit_test(test_inherited),
	    cmocka_unit_test(test_secrets),
	    cmocka_unit_test(test_odd_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
