/* Prompts as templates. */
#include "check.h"

#include "base/json.h"
#include "base/str.h"
#include "model/template.h"

#include <stdlib.h>
#include <string.h>

static void assert_expands(const char *text, const char *expected)
{
	static const char task[] =
	    "{\"id\":\"7\",\"name\":\"a {{task.id}}\",\"description\":\"d\\nd\"}";
	struct json_object *object = json_parse(task, strlen(task), NULL);
	struct str out = {0};
	struct error err = {0};
	char *got;

	if (!template_check(text, &err))
		fail_msg("%s", err.message);
	template_expand(text, object, &out);
	got = str_steal(&out);
	assert_string_equal(got, expected);
	free(got);
	json_object_put(object);
}

static void test_expand(void **state)
{
	(void)state;
	assert_expands("", "");
	assert_expands("plain } {text} }}", "plain } {text} }}");
	assert_expands("{{task.id}}", "7");
	assert_expands("<{{ task.id\n}}{{task.description}}>", "<7d\nd>");
	/* What a task says is never a template. */
	assert_expands("{{task.name}}", "a {{task.id}}");
	assert_expands("{{{{task.id}}", "{{task.id}}");
	assert_expands("a{{{{{{task.id}}b", "a{{7b");
	assert_expands("{", "{");
}

static void test_absent(void **state)
{
	struct json_object *task = json_object_new_object();
	struct str out = {0};
	char *got;

	(void)state;
	json_put(task, "description", NULL);
	template_expand("<{{task.id}}{{task.description}}>", task, &out);
	got = str_steal(&out);
	assert_string_equal(got, "<>");
	free(got);
	json_object_put(task);
}

static void assert_refused(const char *text, const char *why)
{
	struct error err = {0};

	assert_false(template_check(text, &err));
	assert_int_equal(err.code, ERROR_INVALID);
	if (strstr(err.message, why) == NULL)
		fail_msg("'%s' does not contain '%s'", err.message, why);
	error_clear(&err);
}

static void test_refused(void **state)
{
	(void)state;
	assert_refused("Do {{task.queue}} now", "there is no {{task.queue}}");
	assert_refused("{{}}", "there is no {{}}");
	assert_refused("{{ }}", "there is no {{}}");
	assert_refused("{{task.idx}}", "{{task.id}}, {{task.name}}, {{task.description}}");
	assert_refused("good {{task.id}}, then {{task.name", "\"{{task.name\" is not closed");
	assert_refused("{{", "not closed");
	assert_refused("{{{{{{", "not closed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_expand),
	    cmocka_unit_test(test_absent),
	    cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
