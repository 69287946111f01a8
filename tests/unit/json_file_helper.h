#ifndef ATHANORE_TESTS_JSON_FILE_HELPER_H
#define ATHANORE_TESTS_JSON_FILE_HELPER_H

/* A json_file queue on a board in a folder of its own, with a real loop and a real worker. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "loop/loop.h"
#include "loop/worker.h"
#include "queue/json_file.h"
#include "queue/queue.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEADLINE 20.0

struct fixture {
	struct loop *loop;
	struct worker *worker;
	struct queue *queue;
	char *dir;
	char *path;
	size_t changes; /* queue_changed() calls */
};

struct answer {
	bool done;
	struct json_object *result;
	struct error err;
};

static inline void on_answer(void *arg, struct json_object *result, const struct error *err)
{
	struct answer *answer = arg;

	answer->done = true;
	answer->result = json_object_get(result);
	if (err != NULL)
		error_copy(&answer->err, err);
}

static inline void on_changed(void *arg)
{
	struct fixture *f = arg;

	f->changes++;
}

static inline void answer_clear(struct answer *answer)
{
	json_object_put(answer->result);
	error_clear(&answer->err);
	*answer = (struct answer){0};
}

static inline void write_text(const char *path, const char *text)
{
	struct error err = {0};

	if (!fs_write_atomic(path, text, strlen(text), 0644, false, &err))
		fail_msg("%s", err.message);
}

static inline void write_in_place(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_int_not_equal(fd, -1);
	assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
	close(fd);
}

static inline char *read_text(const char *path)
{
	struct str text = {0};
	struct error err = {0};

	if (!fs_read(path, &text, 1 << 30, &err))
		fail_msg("%s", err.message);
	return str_steal(&text);
}

static inline void fixture_open(struct fixture *f, const char *user)
{
	struct error err = {0};

	f->queue = json_file_open(f->loop, f->worker, f->path, user, &err);
	if (f->queue == NULL)
		fail_msg("%s", err.message);
	queue_on_change(f->queue, on_changed, f);
}

/* board: its first text, or NULL for none. */
static inline void fixture_init_in(struct fixture *f, const char *base, const char *board)
{
	char *template = xasprintf("%s/athanore-board-XXXXXX", base);

	*f = (struct fixture){0};
	f->dir = mkdtemp(template);
	assert_non_null(f->dir);
	f->path = xasprintf("%s/board.json", f->dir);
	if (board != NULL)
		write_text(f->path, board);
	f->loop = loop_create();
	f->worker = worker_create(f->loop);
	fixture_open(f, "athanore");
}

static inline void fixture_init(struct fixture *f, const char *board)
{
	fixture_init_in(f, "/tmp", board);
}

static inline void fixture_free(struct fixture *f)
{
	struct error err = {0};

	queue_free(f->queue);
	worker_free(f->worker);
	loop_free(f->loop);
	if (!fs_remove_tree(f->dir, &err))
		fail_msg("%s", err.message);
	free(f->dir);
	free(f->path);
}

/* Runs the loop for one turn, or for `seconds` if nothing happens. */
static inline void turn(struct fixture *f, double seconds)
{
	struct timeval tv = {
	    (time_t)seconds, (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6)};

	event_base_loopexit(loop_base(f->loop), &tv);
	event_base_loop(loop_base(f->loop), EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
}

static inline void begin(
    struct fixture *f, const struct queue_request *request, struct answer *answer)
{
	*answer = (struct answer){0};
	queue_call(f->queue, request, DEADLINE * 2, on_answer, answer);
}

static inline void finish(struct fixture *f, struct answer *answer)
{
	double end = clock_monotonic() + DEADLINE;

	while (!answer->done) {
		if (clock_monotonic() > end)
			fail_msg("no answer came");
		turn(f, 0.1);
	}
}

static inline struct answer call(struct fixture *f, const struct queue_request *request)
{
	struct answer answer;

	begin(f, request, &answer);
	finish(f, &answer);
	return answer;
}

#define CALL(f, ...) call(f, &(struct queue_request){__VA_ARGS__})

/* As CALL, and wants success; the result is the caller's. */
#define OK(f, ...) want_ok(call(f, &(struct queue_request){__VA_ARGS__}))
/* As OK, and drops the result. */
#define DO(f, ...) json_object_put(OK(f, __VA_ARGS__))
#define FAIL(f, code, part, ...) \
	want_error(call(f, &(struct queue_request){__VA_ARGS__}), code, part)

static inline struct json_object *want_ok(struct answer answer)
{
	if (answer.err.code != ERROR_NONE)
		fail_msg("%s: %s", error_code_name(answer.err.code), answer.err.message);
	return answer.result;
}

static inline void want_error(struct answer answer, enum error_code code, const char *part)
{
	if (answer.err.code != code || strstr(answer.err.message, part) == NULL)
		fail_msg("wanted %s with \"%s\", got %s: %s", error_code_name(code), part,
		    error_code_name(answer.err.code), answer.err.message);
	answer_clear(&answer);
}

static inline void assert_board(struct fixture *f, const char *text)
{
	char *now = read_text(f->path);

	assert_string_equal(now, text);
	free(now);
}

static inline bool claim(struct fixture *f, const char *id, const char *from, const char *target)
{
	struct json_object *won = OK(
	    f, .op = QUEUE_CLAIM_TASK, .task_id = id, .from_queue = from, .target_queue = target);
	bool result = json_object_get_boolean(won);

	json_object_put(won);
	return result;
}

/* queue: where the adapter should see the task; NULL: nowhere. */
static inline void assert_in_queue(struct fixture *f, const char *id, const char *queue)
{
	struct answer answer = CALL(f, .op = QUEUE_GET_TASK, .task_id = id);

	if (queue == NULL) {
		want_error(answer, ERROR_NOT_FOUND, id);
		return;
	}
	want_ok(answer);
	assert_string_equal(json_get_string(answer.result, "queue"), queue);
	answer_clear(&answer);
}

/* How many files in the board's folder have `part` in their name. */
static inline size_t count_files(struct fixture *f, const char *part)
{
	DIR *dir = opendir(f->dir);
	struct dirent *entry;
	size_t n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		n += strstr(entry->d_name, part) != NULL;
	closedir(dir);
	return n;
}

/* The text of one file in the board's folder with `part` in its name; freed by the caller. */
static inline char *read_file_named(struct fixture *f, const char *part)
{
	DIR *dir = opendir(f->dir);
	struct dirent *entry;
	char *path, *text = NULL;

	assert_non_null(dir);
	while (text == NULL && (entry = readdir(dir)) != NULL) {
		if (strstr(entry->d_name, part) == NULL)
			continue;
		path = fs_join(f->dir, entry->d_name);
		text = read_text(path);
		free(path);
	}
	closedir(dir);
	assert_non_null(text);
	return text;
}

#define WAIT_FOR(f, condition)                                               \
	do {                                                                 \
		double wait_end = clock_monotonic() + DEADLINE;              \
		while (!(condition)) {                                       \
			if (clock_monotonic() > wait_end)                    \
				fail_msg("never came true: %s", #condition); \
			turn(f, 0.01);                                       \
		}                                                            \
	} while (0)

#endif
