/* Runs as plain records. */
#include "model/run.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static const char *const state_names[] = {
    [RUN_CLAIMING] = "claiming",
    [RUN_STARTING] = "starting",
    [RUN_RUNNING] = "running",
    [RUN_FINISHING] = "finishing",
    [RUN_DONE] = "done",
};

static const char *const outcome_names[] = {
    [OUTCOME_NONE] = "none",
    [OUTCOME_SUCCESS] = "success",
    [OUTCOME_FAILURE] = "failure",
    [OUTCOME_TIMEOUT] = "timeout",
    [OUTCOME_STALLED] = "stalled",
    [OUTCOME_LOST] = "lost",
    [OUTCOME_CANCELLED] = "cancelled",
    [OUTCOME_RATE_LIMITED] = "rate_limited",
    [OUTCOME_BLOCKED] = "blocked",
    [OUTCOME_DROPPED] = "dropped",
};

static const char *const step_kind_names[] = {[STEP_COMMENT] = "comment", [STEP_MOVE] = "move"};
static const char *const step_state_names[] = {
    [STEP_PENDING] = "pending", [STEP_BEGUN] = "begun", [STEP_DONE] = "done"};

#define COUNT(names) (int)(sizeof(names) / sizeof((names)[0]))

static int name_index(const char *const *names, int count, const char *name)
{
	for (int i = 0; name != NULL && i < count; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

/* "20261123-082601-123-4f2a9c01": sorts by time, and two of one millisecond differ. */
static char *make_id(int64_t now)
{
	time_t seconds = (time_t)(now / 1000);
	char day[32];
	struct tm tm;
	uint32_t noise;

	if (getrandom(&noise, sizeof(noise), 0) != sizeof(noise))
		fatal("getrandom failed");
	if (gmtime_r(&seconds, &tm) == NULL)
		fatal("gmtime_r failed");
	strftime(day, sizeof(day), "%Y%m%d-%H%M%S", &tm);
	return xasprintf("%s-%03d-%08x", day, (int)(now % 1000), noise);
}

bool run_id_time(const char *text, int64_t *ms)
{
	static const char shape[] = "dddddddd-dddddd-ddd-xxxxxxxx";
	struct tm tm = {0};
	int thousandths;

	if (strlen(text) != sizeof(shape) - 1)
		return false;
	for (size_t i = 0; shape[i] != '\0'; i++) {
		const char *allowed = shape[i] == 'd'	? "0123456789"
				      : shape[i] == 'x' ? "0123456789abcdef"
							: "-";

		if (strchr(allowed, text[i]) == NULL)
			return false;
	}
	if (sscanf(text, "%4d%2d%2d-%2d%2d%2d-%3d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		&tm.tm_hour, &tm.tm_min, &tm.tm_sec, &thousandths) != 7)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*ms = (int64_t)timegm(&tm) * 1000 + thousandths;
	return true;
}

struct run *run_create(void)
{
	struct run *run = xcalloc(1, sizeof(*run));

	run->created_at = clock_now_ms();
	run->id = make_id(run->created_at);
	run->exit_code = -1;
	run->retries_after = -1;
	return run;
}

void run_clear_steps(struct run *run)
{
	for (size_t i = 0; i < run->step_count; i++)
		free(run->steps[i].text);
	free(run->steps);
	run->steps = NULL;
	run->step_count = 0;
}

void run_free(struct run *run)
{
	if (run == NULL)
		return;
	run_clear_steps(run);
	free(run->id);
	free(run->task_id);
	free(run->task_name);
	free(run->queue_name);
	free(run->in_progress_queue);
	free(run->error);
	free(run->attention);
	free(run->token_hash);
	json_object_put(run->options);
	free(run->prompt);
	free(run->input);
	free(run);
}

static struct run_step *append_step(struct run *run, enum step_kind kind, const char *text)
{
	struct run_step *step;

	run->steps = xreallocarray(run->steps, run->step_count + 1, sizeof(*run->steps));
	step = &run->steps[run->step_count++];
	*step = (struct run_step){.kind = kind, .text = xstrdup(text)};
	return step;
}

void run_add_step(struct run *run, enum step_kind kind, const char *text)
{
	append_step(run, kind, text);
}

char *run_steps_print(const struct run *run)
{
	struct json_object *list = json_object_new_array();
	char *text;

	for (size_t i = 0; i < run->step_count; i++) {
		const struct run_step *step = &run->steps[i];
		struct json_object *item = json_object_new_object();

		json_put_string(item, "kind", step_kind_names[step->kind]);
		json_put_string(item, "state", step_state_names[step->state]);
		json_put_string(item, "text", step->text);
		json_object_array_add(list, item);
	}
	text = json_print(list);
	json_object_put(list);
	return text;
}

static bool parse_step(struct run *run, struct json_object *item)
{
	int kind =
	    name_index(step_kind_names, COUNT(step_kind_names), json_get_string(item, "kind"));
	int state =
	    name_index(step_state_names, COUNT(step_state_names), json_get_string(item, "state"));
	const char *text = json_get_string(item, "text");

	if (kind < 0 || state < 0 || text == NULL)
		return false;
	append_step(run, (enum step_kind)kind, text)->state = (enum step_state)state;
	return true;
}

bool run_steps_parse(struct run *run, const char *text)
{
	struct json_object *list = json_parse(text, strlen(text), NULL);
	bool ok = json_object_is_type(list, json_type_array);

	run_clear_steps(run);
	for (size_t i = 0; ok && i < json_object_array_length(list); i++)
		ok = parse_step(run, json_object_array_get_idx(list, i));
	json_object_put(list);
	return ok;
}

const char *run_state_name(enum run_state state)
{
	return state_names[state];
}

const char *run_outcome_name(enum run_outcome outcome)
{
	return outcome_names[outcome];
}

bool run_state_parse(const char *name, enum run_state *state)
{
	int i = name_index(state_names, COUNT(state_names), name);

	if (i >= 0)
		*state = (enum run_state)i;
	return i >= 0;
}

bool run_outcome_parse(const char *name, enum run_outcome *outcome)
{
	int i = name_index(outcome_names, COUNT(outcome_names), name);

	if (i >= 0)
		*outcome = (enum run_outcome)i;
	return i >= 0;
}

struct json_object *run_to_json(const struct run *run)
{
	struct json_object *object = json_object_new_object();

	json_put_string(object, "run_id", run->id);
	json_put_string(object, "task_id", run->task_id);
	json_put_string(object, "task_name", run->task_name);
	json_put_string(object, "queue_name", run->queue_name);
	json_put_string(object, "in_progress_queue", run->in_progress_queue);
	json_put_string(object, "state", run_state_name(run->state));
	json_put_string(object, "outcome",
	    run->outcome == OUTCOME_NONE ? NULL : run_outcome_name(run->outcome));
	json_put_int(object, "retry_count", run->attempt);
	json_put_time(object, "created_at", run->created_at);
	json_put_time(object, "started_at", run->started_at);
	json_put_time(object, "ended_at", run->ended_at);
	if (run->exit_code >= 0)
		json_put_int(object, "exit_code", run->exit_code);
	else
		json_put(object, "exit_code", NULL);
	if (run->signal > 0)
		json_put_int(object, "signal", run->signal);
	else
		json_put(object, "signal", NULL);
	json_put_string(object, "error", run->error);
	json_put_string(object, "needs_attention", run->attention);
	return object;
}
