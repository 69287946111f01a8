/* The life of a board in a json_file queue: one job at a time on the storage thread. */
#include "base/alloc.h"
#include "base/log.h"
#include "queue/json_file_private.h"

#include <stdlib.h>

#define SWEEP_SECONDS 0.5

/* What a job on the storage thread is given and gives back. */
struct job {
	struct json_file *jf;
	const struct board *board;
	struct board_version known;
	bool use_known;
	bool recover; /* the first one looks for what a killed daemon left */
	bool all;
	double since;
	enum board_read read;
	enum board_write write;
	struct board *loaded;
	struct board_version version;
	struct board_late late;
	bool more;
	struct error err;
};

static struct job *job_create(struct json_file *jf, enum json_file_state state)
{
	struct job *job = xcalloc(1, sizeof(*job));

	job->jf = jf;
	jf->state = state;
	return job;
}

static void job_submit(struct job *job, void (*run)(void *arg), void (*done)(void *arg))
{
	worker_submit(job->jf->worker, &(struct worker_job){.run = run, .done = done, .arg = job});
}

static void job_free(struct job *job)
{
	error_clear(&job->err);
	free(job);
}

static void drop_board(struct json_file *jf)
{
	board_free(jf->board);
	jf->board = NULL;
	jf->dirty = false;
}

static void set_board(struct json_file *jf, struct board *board)
{
	drop_board(jf);
	jf->board = board;
	board_set_id_floor(board, jf->id_floor);
	jf->id_floor = board_id_floor(board);
}

/* Another hand's version is what the board is now; what that undid unknowingly is done again. */
static void take_over(struct json_file *jf, struct board *board)
{
	set_board(jf, board);
	jf->outside_at = clock_monotonic();
	jf->dirty = json_file_redo(jf);
	queue_changed(&jf->queue);
}

static void read_ok(struct json_file *jf, struct job *job)
{
	bool ours =
	    jf->loaded && board_digest_equal(jf->digest, job->version.digest); /* after a failure */

	if (job->read == BOARD_READ && jf->loaded && !ours)
		take_over(jf, job->loaded);
	else if (job->read == BOARD_READ)
		set_board(jf, job->loaded);
	if (jf->redo && ours)
		jf->dirty = json_file_redo(jf);
	jf->redo = false;
	jf->loaded = true;
	jf->digest = job->version.digest;
	if (!jf->locked_out)
		json_file_mended(jf);
}

static void read_run(void *arg)
{
	struct job *job = arg;
	struct json_file *jf = job->jf;

	if (job->recover)
		board_file_recover(jf->file);
	job->read = board_file_read(
	    jf->file, job->use_known ? &job->known : NULL, &job->loaded, &job->version, &job->err);
}

static void read_done(void *arg)
{
	struct job *job = arg;
	struct json_file *jf = job->jf;

	jf->state = JSON_FILE_IDLE;
	jf->version = job->version;
	if (job->read != BOARD_UNREADABLE) {
		read_ok(jf, job);
	} else {
		drop_board(jf);
		/* Who takes the board away, and puts an older one there, means to. */
		if (!job->version.exists)
			json_file_forget(jf);
		json_file_broke(jf, &job->err);
	}
	job_free(job);
	json_file_advance(jf);
}

/* The late writer's content is on the board for good, or it stays beside it. */
static void settle_late(struct json_file *jf, bool merged)
{
	if (jf->late.kept == NULL)
		return;
	if (merged) {
		log_info("%s: what a program wrote into a version that was replaced meanwhile is "
			 "on the board now",
		    jf->path);
		board_file_merged(jf->file, &jf->late);
	} else {
		log_error("%s: what a program wrote into a version that was replaced meanwhile is "
			  "kept as %s: see what of it is missing on the board",
		    jf->path, jf->late.kept);
	}
	free(jf->late.kept);
	jf->late = (struct board_late){0};
}

static void start_read(struct json_file *jf)
{
	struct job *job = job_create(jf, JSON_FILE_READING);

	job->use_known = jf->board != NULL && !jf->dirty;
	job->known = jf->version;
	job->recover = !jf->loaded && jf->broken_since == 0;
	if (jf->dirty) {
		jf->redo = true;
		settle_late(jf, false);
		drop_board(jf);
	}
	jf->stale = false;
	jf->unsure = false;
	job_submit(job, read_run, read_done);
}

static void answer_batch(struct json_file *jf, const struct error *err)
{
	struct json_op *op;

	while ((op = TAILQ_FIRST(&jf->batch)) != NULL) {
		TAILQ_REMOVE(&jf->batch, op, next);
		json_op_answer(op, err);
	}
}

/* Somebody else was faster: all of it once more, on what is there now. */
static void overtaken(struct json_file *jf)
{
	struct json_op *op;

	while ((op = TAILQ_LAST(&jf->batch, json_op_list)) != NULL) {
		TAILQ_REMOVE(&jf->batch, op, next);
		if (op->cancelled) {
			struct error err = {0};

			error_set(&err, ERROR_TIMEOUT, "cancelled");
			json_op_answer(op, &err);
			error_clear(&err);
		} else {
			TAILQ_INSERT_HEAD(&jf->waiting, op, next);
		}
	}
	jf->redo = jf->dirty;
	drop_board(jf);
	jf->stale = true;
}

static void write_failed(struct json_file *jf, const struct error *err)
{
	if (jf->dirty) {
		json_file_keep_changes(jf);
		jf->owed_at = clock_monotonic() + 1;
		loop_timer_set(jf->tick, 1);
	}
	json_file_write_failed(jf, err);
	answer_batch(jf, err);
	/* Memory goes back to what the disk says. */
	drop_board(jf);
	jf->stale = true;
}

static void written(struct json_file *jf, const struct job *job)
{
	jf->version = job->version;
	jf->digest = job->version.digest;
	jf->dirty = false;
	jf->id_floor = board_id_floor(jf->board);
	json_file_remember(jf, &jf->batch);
	json_file_write_worked(jf);
	answer_batch(jf, NULL);
	if (!jf->closing && !loop_timer_pending(jf->sweep))
		loop_timer_set(jf->sweep, SWEEP_SECONDS);
}

static void write_run(void *arg)
{
	struct job *job = arg;

	job->write =
	    board_file_write(job->jf->file, job->board, &job->known, &job->version, &job->err);
}

static void write_done(void *arg)
{
	struct job *job = arg;
	struct json_file *jf = job->jf;

	jf->state = JSON_FILE_IDLE;
	settle_late(jf, job->write == BOARD_WRITTEN);
	if (job->write == BOARD_WRITTEN)
		written(jf, job);
	else if (job->write == BOARD_OVERTAKEN)
		overtaken(jf);
	else
		write_failed(jf, &job->err);
	job_free(job);
	if (!jf->stale)
		json_file_check(jf);
	json_file_advance(jf);
}

static void start_write(struct json_file *jf)
{
	struct job *job = job_create(jf, JSON_FILE_WRITING);

	job->board = jf->board;
	job->known = jf->version;
	job_submit(job, write_run, write_done);
}

static void sweep_run(void *arg)
{
	struct job *job = arg;

	job->more = board_file_sweep(job->jf->file, job->all, job->since, &job->late);
}

/* Merges by taking the late version for the newest, and doing again what we did since. */
static void merge(struct json_file *jf, const struct board_late *late)
{
	if (!jf->stale)
		json_file_check(jf);
	jf->late = *late;
	if (jf->board == NULL || jf->stale) {
		board_free(late->board);
		settle_late(jf, false);
		return;
	}
	take_over(jf, late->board);
	jf->dirty = true;
}

static void sweep_done(void *arg)
{
	struct job *job = arg;
	struct json_file *jf = job->jf;

	jf->state = JSON_FILE_IDLE;
	if (job->late.board != NULL)
		merge(jf, &job->late);
	if (job->more || job->late.board != NULL)
		loop_timer_set(jf->sweep, SWEEP_SECONDS);
	job_free(job);
	json_file_advance(jf);
}

void json_file_start_sweep(struct json_file *jf, bool all)
{
	struct job *job = job_create(jf, JSON_FILE_SWEEPING);

	job->all = all;
	job->since = jf->outside_at;
	job_submit(job, sweep_run, sweep_done);
}

bool json_file_is_readable(const struct json_file *jf)
{
	return jf->board != NULL && !jf->stale && !jf->locked_out && jf->state != JSON_FILE_READING;
}

void json_file_check(struct json_file *jf)
{
	struct board_version now;

	if (jf->state == JSON_FILE_WRITING || jf->state == JSON_FILE_READING)
		return; /* it looks for itself, and again afterwards */
	board_file_stat(jf->path, &now);
	if (jf->unsure || !board_version_same(&now, &jf->version))
		jf->stale = true;
}

static void answer_reads(struct json_file *jf)
{
	struct json_op *op, *next;

	for (op = TAILQ_FIRST(&jf->waiting); op != NULL; op = next) {
		next = TAILQ_NEXT(op, next);
		if (!json_op_is_read(op->request.op))
			continue;
		TAILQ_REMOVE(&jf->waiting, op, next);
		json_op_apply(op, jf->board, jf->user);
		json_op_answer(op, NULL);
	}
}

/* Does what waits, all of it in one write. */
static void start_batch(struct json_file *jf)
{
	bool changed = jf->dirty;
	struct json_op *op;

	while ((op = TAILQ_FIRST(&jf->waiting)) != NULL) {
		TAILQ_REMOVE(&jf->waiting, op, next);
		TAILQ_INSERT_TAIL(&jf->batch, op, next);
		json_op_apply(op, jf->board, jf->user);
		changed = changed || op->change != NULL;
	}
	if (changed)
		start_write(jf);
	else
		answer_batch(jf, NULL);
}

void json_file_advance(struct json_file *jf)
{
	if (jf->state != JSON_FILE_IDLE || jf->closed)
		return;
	if (!jf->stale && !TAILQ_EMPTY(&jf->waiting))
		json_file_check(jf);
	if (jf->stale && !jf->locked_out) {
		start_read(jf);
	} else if (jf->board == NULL || jf->locked_out) {
		json_file_wait_out(jf);
	} else {
		answer_reads(jf);
		if (jf->dirty || !TAILQ_EMPTY(&jf->waiting))
			start_batch(jf);
	}
}

static void on_soon(void *arg)
{
	struct json_file *jf = arg;

	jf->soon = false;
	json_file_advance(jf);
}

void json_file_advance_soon(struct json_file *jf)
{
	if (jf->soon)
		return;
	/* In the next turn: what else comes in this one goes along. */
	jf->soon = true;
	loop_defer(jf->queue.loop, on_soon, jf);
}
