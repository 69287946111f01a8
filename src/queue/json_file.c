/* A queue on a JSON file: opening, calls and the way down. */
#include "queue/json_file.h"

#include "base/alloc.h"
#include "base/fs.h"
#include "queue/json_file_private.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_LINKS 40

static void answer_unreadable(struct json_file *jf, struct queue_call *call)
{
	queue_answer(call, NULL, &jf->broken);
}

static void submit_read(
    struct json_file *jf, const struct queue_request *request, struct queue_call *call)
{
	struct error err = {0};
	struct json_object *result = json_op_read(jf->board, request, &err);

	queue_answer(call, result, err.code != ERROR_NONE ? &err : NULL);
	error_clear(&err);
}

static void json_file_submit(
    struct queue *queue, const struct queue_request *request, struct queue_call *call)
{
	struct json_file *jf = (struct json_file *)queue;
	bool read = json_op_is_read(request->op);
	struct json_op *op;

	if (request->op == QUEUE_AUTHENTICATED_USER) {
		queue_answer(
		    call, jf->user != NULL ? json_object_new_string(jf->user) : NULL, NULL);
		return;
	}
	json_file_watch(jf);
	json_file_check(jf);
	if (read && json_file_is_readable(jf)) {
		submit_read(jf, request, call);
		return;
	}
	if (read && jf->declared && !jf->stale && jf->state == JSON_FILE_IDLE) {
		answer_unreadable(jf, call);
		return;
	}
	op = json_op_create(request, call);
	TAILQ_INSERT_TAIL(&jf->waiting, op, next);
	json_file_advance_soon(jf);
}

/* What waits is dropped; what is on its way to the disk may still be done. */
static void json_file_cancel(struct queue *queue, struct queue_call *call)
{
	struct json_file *jf = (struct json_file *)queue;
	struct json_op *wanted = queue_call_data(call);
	struct error err = {0};
	struct json_op *op;

	if (wanted == NULL)
		return;
	wanted->cancelled = true;
	TAILQ_FOREACH (op, &jf->waiting, next)
		if (op == wanted)
			break;
	if (op == NULL)
		return;
	TAILQ_REMOVE(&jf->waiting, op, next);
	error_set(&err, ERROR_TIMEOUT, "cancelled");
	json_op_answer(op, &err);
	error_clear(&err);
}

static void finish_job(struct json_file *jf)
{
	while (jf->state != JSON_FILE_IDLE)
		worker_flush(jf->worker);
}

static void json_file_close(struct queue *queue)
{
	struct json_file *jf = (struct json_file *)queue;
	struct error err = {0};

	jf->closing = true;
	error_set(&err, ERROR_UNAVAILABLE, "the board %s is being closed", jf->path);
	json_file_fail_waiting(jf, &err);
	error_clear(&err);
	json_file_advance(jf);
	finish_job(jf);
	/* Twice: what a late writer left is merged, and its file then deleted. */
	for (int i = 0; i < 2; i++) {
		json_file_start_sweep(jf, true);
		finish_job(jf);
	}
	jf->closed = true;
}

static void json_file_free(struct queue *queue)
{
	struct json_file *jf = (struct json_file *)queue;

	watch_free(jf->watch);
	loop_timer_free(jf->tick);
	loop_timer_free(jf->sweep);
	json_file_forget(jf);
	board_free(jf->board);
	board_file_free(jf->file);
	error_clear(&jf->broken);
	error_clear(&jf->write_fault);
	if (jf->lock_fd != -1)
		close(jf->lock_fd);
	free(jf->said);
	free(jf->path);
	free(jf->folder);
	free(jf->name);
	free(jf->user);
	free(jf->lock_path);
	free(jf);
}

static const struct queue_vtable vtable = {
    .kind = "json_file",
    .supported = 1u << QUEUE_CLAIM_TASK | 1u << QUEUE_AUTHENTICATED_USER,
    .submit = json_file_submit,
    .cancel = json_file_cancel,
    .fault = json_file_fault,
    .free = json_file_free,
    .close = json_file_close,
};

/* Follows links to the file itself, also where that is not there yet; freed by the caller. */
static char *follow_links(const char *path)
{
	char *at = xstrdup(path);
	char target[PATH_MAX];

	for (int i = 0; i < MAX_LINKS; i++) {
		ssize_t n = readlink(at, target, sizeof(target) - 1);
		char *dir, *next;

		if (n <= 0)
			break;
		target[n] = '\0';
		dir = fs_dirname(at);
		next = fs_join(dir, target);
		free(dir);
		free(at);
		at = next;
	}
	return at;
}

/* The absolute path of the real file, whose folder must be there. NULL with err set. */
static char *real_path(const char *path, struct error *err)
{
	char *at = follow_links(path);
	char *dir = fs_dirname(at);
	char *real_dir = realpath(dir, NULL);
	const char *slash = strrchr(at, '/');
	const char *name = slash != NULL ? slash + 1 : at;
	char *real = NULL;

	if (real_dir == NULL)
		error_set_errno(err,
		    errno == ENOENT || errno == ENOTDIR ? ERROR_NOT_FOUND : ERROR_FORBIDDEN, errno,
		    "there is no folder for the board %s: create %s", path, dir);
	else if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		error_set(
		    err, ERROR_INVALID, "the board must be a file, which \"%s\" is not", path);
	else
		real = fs_join(real_dir, name);
	free(real_dir);
	free(dir);
	free(at);
	return real;
}

/* Takes over real. */
static struct json_file *create(
    struct loop *loop, struct worker *worker, char *real, const char *user)
{
	struct json_file *jf = xcalloc(1, sizeof(*jf));

	queue_init(&jf->queue, &vtable, loop, real);
	jf->worker = worker;
	jf->path = real;
	jf->folder = fs_dirname(real);
	jf->name = xstrdup(strrchr(real, '/') + 1);
	jf->user = xstrdup(user);
	jf->lock_path = xasprintf("%s.lock", real);
	jf->lock_fd = -1;
	jf->file = board_file_create(real);
	TAILQ_INIT(&jf->waiting);
	TAILQ_INIT(&jf->batch);
	TAILQ_INIT(&jf->changes);
	json_file_start_timers(jf);
	return jf;
}

struct queue *json_file_open(
    struct loop *loop, struct worker *worker, const char *path, const char *user, struct error *err)
{
	char *real = real_path(path, err);
	struct json_file *jf;

	if (real == NULL)
		return NULL;
	jf = create(loop, worker, real, user);
	if (!json_file_lock(jf, err)) {
		free(jf->queue.identity);
		json_file_free(&jf->queue);
		return NULL;
	}
	json_file_watch(jf);
	jf->stale = true;
	json_file_advance(jf);
	return &jf->queue;
}
