/* Decides what follows from an agent's end: outcome, retry, comments and moves. */
#include "dispatch/run_end.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

void run_end_clear(struct run_end *end)
{
	free(end->reason);
	free(end->error);
	free(end->stderr_tail);
	*end = (struct run_end){.exit_code = -1};
}

bool run_end_parse(struct run_end *end, const char *text, size_t len)
{
	struct json_object *record = json_parse(text, len, NULL);
	const char *reason = json_get_string(record, "reason");

	*end = (struct run_end){.exit_code = -1};
	if (reason != NULL) {
		end->reason = xstrdup(reason);
		end->exit_code = (int)json_get_int(record, "exit_code", -1);
		end->signal = (int)json_get_int(record, "signal", 0);
		end->error = xstrdup(json_get_string(record, "error"));
	}
	json_object_put(record);
	return end->reason != NULL;
}

enum run_outcome run_end_outcome(const struct run_end *end)
{
	static const struct {
		const char *reason;
		enum run_outcome outcome;
	} table[] = {
	    {"timeout", OUTCOME_TIMEOUT},
	    {"stalled", OUTCOME_STALLED},
	    {"spawn_failed", OUTCOME_FAILURE},
	    {"lost", OUTCOME_LOST},
	    {"cancelled", OUTCOME_CANCELLED},
	    {"shutdown", OUTCOME_CANCELLED},
	    {"moved", OUTCOME_CANCELLED},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (str_equal(end->reason, table[i].reason))
			return table[i].outcome;
	return str_equal(end->reason, "exit") && end->exit_code == 0 ? OUTCOME_SUCCESS
								     : OUTCOME_FAILURE;
}

char *run_end_why(const struct run_end *end)
{
	switch (run_end_outcome(end)) {
	case OUTCOME_TIMEOUT:
		return xstrdup("timed out");
	case OUTCOME_STALLED:
		return xstrdup("stalled");
	case OUTCOME_LOST:
		return xstrdup("lost");
	case OUTCOME_CANCELLED:
		return xstrdup("cancelled");
	default:
		break;
	}
	if (str_equal(end->reason, "spawn_failed"))
		return xstrdup("could not be started");
	if (end->signal > 0)
		return xasprintf("killed by signal %d (%s)", end->signal, strsignal(end->signal));
	return xasprintf("exit code %d", end->exit_code);
}

/* "600 seconds", "1 second", "0.5 seconds". */
static char *seconds_text(double seconds)
{
	return xasprintf("%.15g second%s", seconds, seconds == 1 ? "" : "s");
}

/* Why another try is made. An exit code of 0 explains nothing where something else failed. */
static char *why_again(const struct run_end *end)
{
	if (end->error != NULL && run_end_outcome(end) == OUTCOME_SUCCESS)
		return xstrdup(end->error);
	return run_end_why(end);
}

/* The first comment: what happened to the agent. */
static char *what_happened(const struct run *run, const struct run_end *end)
{
	char *seconds, *why, *text;

	switch (run->outcome) {
	case OUTCOME_TIMEOUT:
		seconds = seconds_text(json_get_double(run->options, "timeout", 0));
		text = xasprintf("Agent timed out after %s.", seconds);
		free(seconds);
		return text;
	case OUTCOME_STALLED:
		seconds = seconds_text(json_get_double(run->options, "stall_timeout", 0));
		text = xasprintf("Agent stalled: no output for %s.", seconds);
		free(seconds);
		return text;
	case OUTCOME_LOST:
		return xstrdup(
		    "Agent was lost: its supervisor ended without saying how the agent ended.");
	default:
		break;
	}
	if (str_equal(end->reason, "spawn_failed"))
		return xasprintf("Agent could not be started: %s.",
		    end->error != NULL ? end->error : "no reason is known");
	why = end->error != NULL ? xstrdup(end->error) : run_end_why(end);
	text = xasprintf("Agent failed: %s.", why);
	free(why);
	return text;
}

static void add_comment(struct run *run, char *text)
{
	run_add_step(run, STEP_COMMENT, text);
	free(text);
}

/* As many backticks as none of text's own runs has, and 3 at least: what it says cannot end the
 * block. The caller frees it. */
static char *fence(const char *text)
{
	struct str ticks = {0};
	size_t longest = 2;

	for (const char *at = text; *at != '\0'; at++) {
		size_t run = strspn(at, "`");

		if (run > longest)
			longest = run;
		at += run > 0 ? run - 1 : 0;
	}
	while (ticks.len <= longest)
		str_putc(&ticks, '`');
	return str_steal(&ticks);
}

static void comment_what_happened(struct run *run, const struct run_end *end)
{
	char *text = what_happened(run, end);

	if (end->stderr_tail != NULL && end->stderr_tail[0] != '\0') {
		char *ticks = fence(end->stderr_tail);
		char *more = xasprintf("%s\n\nLast lines of stderr:\n\n%s\n%s\n%s", text, ticks,
		    end->stderr_tail, ticks);

		free(ticks);
		free(text);
		text = more;
	}
	add_comment(run, text);
}

static void plan_failure(struct run *run, const struct run_end *end)
{
	int max_retries = (int)json_get_int(run->options, "max_retries", 0);
	const char *dead = json_get_string(run->options, "dead_letter_queue");
	char *why = why_again(end);

	comment_what_happened(run, end);
	run->retries_after = run->attempt;
	if (end->moved_away) {
		free(why);
		return;
	}
	if (run->attempt < max_retries) {
		run->retries_after = run->attempt + 1;
		run->retries_ours = true;
		add_comment(
		    run, xasprintf("Retry %d/%d: %s. Moving back to source queue for retry.",
			     run->retries_after, max_retries, why));
		run_add_step(run, STEP_MOVE, run->queue_name);
	} else if (dead != NULL) {
		add_comment(
		    run, xasprintf("Max retries (%d) exhausted. Moving to dead-letter queue.",
			     max_retries));
		run_add_step(run, STEP_MOVE, dead);
	} else if (max_retries > 0) {
		add_comment(
		    run, xasprintf(
			     "Max retries (%d) exhausted. No dead-letter queue configured; leaving "
			     "in place.",
			     max_retries));
	}
	free(why);
}

static void plan_cancel(struct run *run, const struct run_end *end)
{
	run->retries_after = run->attempt;
	if (str_equal(end->reason, "shutdown") && end->moved_away) {
		run_add_step(run, STEP_COMMENT, "Agent stopped: athanore is shutting down.");
	} else if (str_equal(end->reason, "shutdown")) {
		run->retries_ours = true;
		run_add_step(run, STEP_COMMENT,
		    "Agent stopped: athanore is shutting down. Moving back to source queue.");
		run_add_step(run, STEP_MOVE, run->queue_name);
	} else if (str_equal(end->reason, "moved")) {
		add_comment(run, xasprintf("Agent stopped: the task was moved out of \"%s\".",
				     run->in_progress_queue));
	} else if (end->moved_away) {
		run_add_step(run, STEP_COMMENT, "Agent cancelled on request.");
	} else {
		add_comment(
		    run, xasprintf("Agent cancelled on request; leaving the task in \"%s\".",
			     run->in_progress_queue));
	}
}

void run_end_plan(struct run *run, const struct run_end *end)
{
	const char *success_queue = json_get_string(run->options, "success_queue");

	run_clear_steps(run);
	run->exit_code = end->exit_code;
	run->signal = end->signal;
	free(run->error);
	run->error = run->outcome == OUTCOME_SUCCESS ? NULL
		     : end->error != NULL	     ? xstrdup(end->error)
						     : run_end_why(end);
	run->retries_ours = false;
	switch (run->outcome) {
	case OUTCOME_SUCCESS:
		run->retries_after = 0;
		if (success_queue != NULL)
			run_add_step(run, STEP_MOVE, success_queue);
		break;
	case OUTCOME_CANCELLED:
		plan_cancel(run, end);
		break;
	default:
		plan_failure(run, end);
		break;
	}
}
