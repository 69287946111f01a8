/* What is wrong with a board: who waits, who is told, and when it is over. */
#include "base/alloc.h"
#include "base/log.h"
#include "queue/json_file_private.h"

#include <stdlib.h>

/* Editors empty a file before they write it: shorter than this is no fault. */
#define DECLARE_SECONDS 0.2
/* For so long after a board broke, changes wait for it to be mended. */
#define PATIENCE_SECONDS 1.0
#define RETRY_SECONDS 0.02

static double broken_for(const struct json_file *jf)
{
	return clock_monotonic() - jf->broken_since;
}

/* Each distinct fault is logged once, not once for each call that meets it. */
static void say(struct json_file *jf, const char *message)
{
	if (str_equal(jf->said, message))
		return;
	free(jf->said);
	jf->said = xstrdup(message);
	log_error("%s", message);
}

static void declare(struct json_file *jf)
{
	jf->declared = true;
	say(jf, jf->broken.message);
	queue_changed(&jf->queue);
}

void json_file_broke(struct json_file *jf, struct error *why)
{
	error_clear(&jf->broken);
	jf->broken = *why;
	*why = (struct error){0};
	if (jf->broken_since == 0)
		jf->broken_since = clock_monotonic();
	if (jf->declared)
		say(jf, jf->broken.message);
}

void json_file_mended(struct json_file *jf)
{
	if (jf->broken_since == 0)
		return;
	jf->broken_since = 0;
	error_clear(&jf->broken);
	if (!jf->declared)
		return;
	jf->declared = false;
	free(jf->said);
	jf->said = NULL;
	log_info("the board %s is readable again", jf->path);
	queue_changed(&jf->queue);
}

void json_file_fail_waiting(struct json_file *jf, const struct error *err)
{
	struct json_op *op;

	while ((op = TAILQ_FIRST(&jf->waiting)) != NULL) {
		TAILQ_REMOVE(&jf->waiting, op, next);
		json_op_answer(op, err);
	}
}

static void fail_reads(struct json_file *jf)
{
	struct json_op *op, *next;

	for (op = TAILQ_FIRST(&jf->waiting); op != NULL; op = next) {
		next = TAILQ_NEXT(op, next);
		if (!json_op_is_read(op->request.op))
			continue;
		TAILQ_REMOVE(&jf->waiting, op, next);
		json_op_answer(op, &jf->broken);
	}
}

void json_file_wait_out(struct json_file *jf)
{
	if (jf->broken_since == 0)
		return;
	if (!jf->declared && (jf->closing || broken_for(jf) >= DECLARE_SECONDS))
		declare(jf);
	if (jf->declared)
		fail_reads(jf);
	if (jf->closing || broken_for(jf) >= PATIENCE_SECONDS)
		json_file_fail_waiting(jf, &jf->broken);
	if (!jf->closing && (!jf->declared || !TAILQ_EMPTY(&jf->waiting)))
		loop_timer_set(jf->tick, RETRY_SECONDS);
}

void json_file_write_failed(struct json_file *jf, const struct error *err)
{
	bool news = jf->write_fault.code == ERROR_NONE;

	say(jf, err->message);
	error_clear(&jf->write_fault);
	error_copy(&jf->write_fault, err);
	if (news)
		queue_changed(&jf->queue);
}

void json_file_write_worked(struct json_file *jf)
{
	if (jf->write_fault.code == ERROR_NONE)
		return;
	error_clear(&jf->write_fault);
	free(jf->said);
	jf->said = NULL;
	log_info("the board %s can be written again", jf->path);
	queue_changed(&jf->queue);
}

const struct error *json_file_fault(const struct queue *queue)
{
	const struct json_file *jf = (const struct json_file *)queue;

	if (jf->declared)
		return &jf->broken;
	return jf->write_fault.code != ERROR_NONE ? &jf->write_fault : NULL;
}
