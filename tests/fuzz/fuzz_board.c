/*
 * Boards as outsiders write them: what is read is given back byte by byte; after some changes the
 * text is still a board, what was not touched has its very bytes, and json-c reads what was.
 * The first 8 bytes of the input say what to change, the rest is the board.
 */
#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "queue/board_edit.h"
#include "queue/board_private.h"

#include <stdlib.h>
#include <string.h>

#define SCRIPT 8

static void require(bool ok, const char *what)
{
	if (!ok)
		fatal("%s", what);
}

static bool collect(void *arg, const char *data, size_t len)
{
	str_append(arg, data, len);
	return true;
}

static struct board_queue *queue_at(struct board *board, size_t index)
{
	struct board_queue *queue = board_queue_first(board);

	while (queue != NULL && index-- > 0)
		queue = board_queue_next(queue);
	return queue;
}

static struct board_task *task_at(struct board *board, size_t index)
{
	struct board_queue *queue = board_queue_first(board);

	for (; queue != NULL; queue = board_queue_next(queue))
		for (struct board_task *task = board_task_first(queue); task != NULL;
		     task = board_task_next(task))
			if (index-- == 0)
				return task;
	return NULL;
}

static size_t count_tasks(const struct board *board)
{
	size_t n = 0;

	for (struct board_queue *q = board_queue_first(board); q != NULL; q = board_queue_next(q))
		n += board_queue_count(q);
	return n;
}

static char *id_of(const struct board_task *task)
{
	struct span id = board_task_id(task);

	return xmemdup0(id.data, id.len);
}

/* Where an id stands twice, moving the one task may make the other the first. */
static bool has_doubles(const struct board *board)
{
	const struct board_queue *queue;
	const struct board_task *task;

	TAILQ_FOREACH (queue, &board->queues, next)
		TAILQ_FOREACH (task, &queue->tasks, next)
			if (task->hidden && task->id.data != NULL)
				return true;
	return false;
}

/* A task was changed: json-c must be able to read it. */
static void check_touched(const struct board_task *task)
{
	struct span text = board_task_text(task);
	char *copy = xmemdup0(text.data, text.len);
	struct json_object *json = json_parse(copy, text.len, NULL);

	require(json_object_is_type(json, json_type_object), "a changed task is no JSON object");
	json_object_put(json);
	free(copy);
}

static bool change_task(struct board_task *task, unsigned char how)
{
	struct json_object *value = json_object_new_object();
	bool changed = false, ok;

	json_put_string(value, how % 2 ? "name" : "description", "new \" \xc3\xa4");
	if (how % 4 == 0)
		json_put(value, "labels", json_from_strv((const char *const[]){"a", "b", NULL}));
	if (how % 3 == 0)
		ok = board_edit_comment(task, value, NULL);
	else
		ok = board_edit_update(task, value, &changed, NULL) && changed;
	json_object_put(value);
	if (ok)
		check_touched(task);
	return ok;
}

static void change_queues(struct board *board, unsigned char how)
{
	struct board_queue *queue = queue_at(board, how % 5);

	if (how % 3 == 0)
		board_edit_add_queue(board, how % 2 ? "added" : "added \" too", NULL);
	else if (queue != NULL && how % 3 == 1)
		board_edit_rename_queue(queue, "renamed", NULL);
	else if (queue != NULL)
		board_edit_remove_queue(queue, NULL);
}

static size_t create(struct board *board, unsigned char how)
{
	struct json_object *fields = json_object_new_object();
	struct board_queue *queue = queue_at(board, how % 4);
	struct board_task *task;

	json_put_string(fields, "name", "created");
	task = queue != NULL ? board_edit_create(queue, fields, NULL) : NULL;
	json_object_put(fields);
	if (task != NULL)
		check_touched(task);
	return task != NULL;
}

static struct board *reparse(const struct board *board)
{
	struct error err = {0};
	struct str out = {0};
	struct board *again;
	size_t len;

	require(board_render(board, collect, &out), "the board was not rendered");
	len = out.len;
	again = board_parse(str_steal(&out), len, "again", &err);
	if (again == NULL)
		fatal("what was written is no board: %s", err.message);
	return again;
}

/* Changes the task that byte 1 names, and moves others; all but that one keep their bytes. */
static void check_changes(struct board *board, const unsigned char *script, const struct board *old)
{
	struct board_task *touched = task_at(board, script[1]);
	char *touched_id = touched != NULL ? id_of(touched) : NULL;
	size_t created = create(board, script[0]);
	struct board *again;

	if (touched != NULL)
		change_task(touched, script[2]);
	for (int i = 3; i < 6; i++) {
		struct board_task *task = task_at(board, script[i] % 16);
		struct board_queue *queue = queue_at(board, script[i] / 16);

		if (task != NULL && queue != NULL && board_task_queue(task) != queue)
			board_edit_move(task, queue);
	}
	change_queues(board, script[6]);
	change_queues(board, script[7]);
	again = reparse(board);
	require(count_tasks(again) >= count_tasks(old) + created, "a task is lost");
	for (size_t i = 0; i < 64; i++) {
		struct board_task *before = task_at((struct board *)old, i);
		char *id = before != NULL ? id_of(before) : NULL;
		struct board_task *after = id != NULL ? board_task_find(again, id) : NULL;

		if (before == NULL)
			break;
		require(after != NULL, "a task has lost its id");
		if (!str_equal(id, touched_id) && !has_doubles(old))
			require(
			    board_task_text(after).len == board_task_text(before).len &&
				memcmp(board_task_text(after).data, board_task_text(before).data,
				    board_task_text(before).len) == 0,
			    "a task that was not touched has changed");
		free(id);
	}
	free(touched_id);
	board_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct board *board, *old;
	struct str out = {0};

	log_set_level(LOG_ERROR);
	if (size < SCRIPT)
		return 0;
	board = board_parse(xmemdup0(data + SCRIPT, size - SCRIPT), size - SCRIPT, "fuzz", NULL);
	if (board == NULL)
		return 0;
	require(board_render(board, collect, &out), "the board was not rendered");
	require(out.len == size - SCRIPT && memcmp(out.data, data + SCRIPT, out.len) == 0,
	    "an untouched board has changed");
	str_free(&out);
	for (size_t i = 0; i < 64; i++) {
		struct board_task *task = task_at(board, i);

		if (task == NULL)
			break;
		board_task_json(board, task, NULL);
	}
	old = reparse(board);
	check_changes(board, data, old);
	board_free(old);
	board_free(board);
	return 0;
}
