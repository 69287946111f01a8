/* What the tests of the script layer share: a folder of their own, scripts in it, waiting. */
#ifndef TEST_SCRIPT_HELPER_H
#define TEST_SCRIPT_HELPER_H

#include "base/alloc.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "loop/loop.h"
#include "script/guard.h"
#include "script/script.h"
#include "script/vm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define UNUSED __attribute__((unused))

static char folder[] = "/tmp/athanore-test-XXXXXX";
static struct loop *loop;

static UNUSED int set_up(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/athanore-test-XXXXXX");
	assert_non_null(mkdtemp(folder));
	log_set_level(LOG_ERROR);
	guard_set_limit(0.15);
	loop = loop_create();
	return 0;
}

static UNUSED int tear_down(void **state)
{
	struct error err = {0};

	(void)state;
	loop_free(loop);
	assert_true(fs_remove_tree(folder, &err));
	return 0;
}

static UNUSED char *write_file(const char *name, const char *text)
{
	char *path = fs_join(folder, name);
	struct error err = {0};

	if (!fs_write_atomic(path, text, strlen(text), 0644, false, &err))
		fail_msg("%s", err.message);
	return path;
}

/* Loads a text as routes.lua. */
static UNUSED struct script *load_text(const char *text, struct script_problems *problems)
{
	char *path = write_file("routes.lua", text);
	struct script *script;

	*problems = (struct script_problems){0};
	script = script_load(loop, path, problems);
	free(path);
	return script;
}

static UNUSED struct script *load_ok(const char *text)
{
	struct script_problems problems;
	struct script *script = load_text(text, &problems);

	if (script == NULL)
		fail_msg("%s:%d: %s", problems.list[0].file, problems.list[0].line,
		    problems.list[0].message);
	assert_int_equal(problems.count, 0);
	return script;
}

/* A timer that fails the test where what it waits for does not come. */
static UNUSED void too_late(void *arg)
{
	(void)arg;
	fail_msg("waited for too long");
}

static UNUSED void run_until_stopped(void)
{
	struct loop_timer *timer = loop_timer_create(loop, too_late, NULL);

	loop_timer_set(timer, 30);
	loop_run(loop);
	loop_timer_free(timer);
}

/* The answer to one call; keep it zeroed before. */
struct answer {
	bool done;
	struct script_prepared *prepared;
	struct json_object *result;
	struct error err;
};

static UNUSED void answer_clear(struct answer *answer)
{
	script_prepared_free(answer->prepared);
	json_object_put(answer->result);
	error_clear(&answer->err);
	*answer = (struct answer){0};
}

static UNUSED void on_prepared(void *arg, struct script_prepared *prepared, const struct error *err)
{
	struct answer *answer = arg;

	assert_false(answer->done);
	answer->done = true;
	answer->prepared = prepared;
	if (err != NULL)
		error_copy(&answer->err, err);
	loop_stop(loop);
}

static UNUSED void on_result(void *arg, struct json_object *result, const struct error *err)
{
	struct answer *answer = arg;

	assert_false(answer->done);
	answer->done = true;
	answer->result = json_object_get(result);
	if (err != NULL)
		error_copy(&answer->err, err);
	loop_stop(loop);
}

static UNUSED struct json_object *parse(const char *text)
{
	struct error err = {0};
	struct json_object *value = json_parse(text, strlen(text), &err);

	if (value == NULL)
		fail_msg("%s", err.message);
	return value;
}

/* Prepares a task for the script's first route and waits for it. */
static UNUSED void prepare_task(struct script *script, const char *task_text, struct answer *answer)
{
	struct json_object *task = parse(task_text);
	struct json_object *run =
	    parse("{\"id\":\"r1\",\"attempt\":1,\"prompt_file\":\"/run/prompt.txt\"}");

	*answer = (struct answer){0};
	script_prepare(script, script_config(script)->routes[0], task, run, on_prepared, answer);
	json_object_put(task);
	json_object_put(run);
	assert_false(answer->done);
	run_until_stopped();
	assert_true(answer->done);
}

#define TASK \
	"{\"id\":\"7\",\"name\":\"Fix it\",\"queue\":\"Todo\",\"description\":null,\"labels\":[]}"

/* Loads a script whose only route has this prompt function, and runs it once. */
static UNUSED void run_prompt(const char *body, struct answer *answer)
{
	char *text =
	    xasprintf("local athanore = require 'athanore'\n"
		      "local d = athanore.dispatcher { command = 'agent', "
		      "queue_backend = athanore.json_file 'b.json' }\n"
		      "d:route { queue_name = 'Todo', prompt = function(task_id, task_name, task)\n"
		      "%s\n"
		      "end }\n"
		      "return d\n",
		body);
	struct script *script = load_ok(text);

	prepare_task(script, TASK, answer);
	script_unref(script);
	free(text);
}

static UNUSED void assert_starts_with(const char *text, const char *prefix)
{
	if (text == NULL || !str_starts_with(text, prefix))
		fail_msg("'%s' does not begin with '%s'", text, prefix);
}

static UNUSED void assert_contains(const char *text, const char *part)
{
	if (text == NULL || strstr(text, part) == NULL)
		fail_msg("'%s' does not contain '%s'", text, part);
}

/* The prompt ends in an error whose message begins like this (line 4 is body's first). */
static UNUSED void expect_error(const char *body, const char *message)
{
	struct answer answer;

	run_prompt(body, &answer);
	if (answer.prepared != NULL)
		fail_msg("no error from: %s", body);
	assert_starts_with(answer.err.message, message);
	answer_clear(&answer);
}

static UNUSED void expect_prompt(const char *body, const char *prompt)
{
	struct answer answer;

	run_prompt(body, &answer);
	if (answer.prepared == NULL)
		fail_msg("%s", answer.err.message);
	assert_string_equal(answer.prepared->prompt, prompt);
	answer_clear(&answer);
}

#endif
