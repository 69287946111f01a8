/* Loads a board: finds the queues and tasks in the text of the file. */
#include "queue/board.h"

#include "base/alloc.h"
#include "queue/board_private.h"

#include <stdlib.h>
#include <string.h>

#define SMALLEST "the smallest board is {\"queues\": {}}"

static bool key_is_id(struct span key)
{
	if (key.len == 4)
		return memcmp(key.data, "\"id\"", 4) == 0;
	return key.len > 4 && memchr(key.data, '\\', key.len) != NULL &&
	       board_scan_means(key, "id");
}

/* Passes over an object, and takes note of its id; the last one counts, as in every reader. */
static bool load_object(struct board_scan *scan, struct board_task *task)
{
	struct board_scan_items items;
	struct span key, colon, value, id = {NULL, 0};
	int more;

	if (!board_scan_open(scan, '{', &items, "'{'"))
		return false;
	while ((more = board_scan_next(scan, &items)) == 1) {
		if (!board_scan_key(scan, &key, &colon) || !board_scan_value(scan, &value))
			return false;
		if (key_is_id(key))
			id = value;
	}
	task->hidden = id.data == NULL || !board_index_set_id(task, id);
	return more == 0;
}

static bool load_task(
    struct board *board, struct board_queue *queue, struct board_scan *scan, struct span before)
{
	struct board_task *task = board_index_new_task(board, queue);
	const char *from = scan->at;
	struct span ignored;

	task->before = before;
	task->hidden = true;
	TAILQ_INSERT_TAIL(&queue->tasks, task, next);
	queue->n_items++;
	if (from < scan->end && *from == '{') {
		if (!load_object(scan, task))
			return false;
	} else if (!board_scan_value(scan, &ignored)) {
		return false;
	}
	task->text = (struct span){from, (size_t)(scan->at - from)};
	return true;
}

static bool load_tasks(struct board *board, struct board_queue *queue, struct board_scan *scan)
{
	struct board_scan_items items;
	struct board_task *last;
	int more;

	if (!board_scan_open(scan, '[', &items, "'[': a queue is a list of tasks"))
		return false;
	while ((more = board_scan_next(scan, &items)) == 1) {
		last = TAILQ_LAST(&queue->tasks, board_task_list);
		if (last != NULL)
			last->after = items.after;
		if (!load_task(board, queue, scan, items.before))
			return false;
	}
	queue->end = items.after;
	return more == 0;
}

static bool load_queues(struct board *board, struct board_scan *scan)
{
	struct board_scan_items items;
	struct board_queue *queue = NULL;
	struct span key;
	int more;

	if (!board_scan_open(
		scan, '{', &items, "'{': \"queues\" is an object of queue names and lists"))
		return false;
	board->head = (struct span){board->text, (size_t)(scan->at - board->text)};
	while ((more = board_scan_next(scan, &items)) == 1) {
		if (queue != NULL)
			queue->after = items.after;
		queue = board_index_new_queue(board);
		queue->before = items.before;
		if (!board_scan_key(scan, &key, &queue->colon))
			return false;
		board_index_name_queue(board, queue, key);
		if (!load_tasks(board, queue, scan))
			return false;
	}
	board->queues_end = items.after;
	board->tail.data = scan->at - 1;
	return more == 0;
}

static bool load_members(struct board *board, struct board_scan *scan)
{
	struct board_scan_items items;
	struct span key, ignored;
	int more;

	board_scan_space(scan);
	if (!board_scan_open(scan, '{', &items, "'{': " SMALLEST))
		return false;
	while ((more = board_scan_next(scan, &items)) == 1) {
		const char *at = scan->at;

		if (!board_scan_key(scan, &key, &ignored))
			return false;
		if (!board_scan_means(key, "queues")) {
			if (!board_scan_value(scan, &ignored))
				return false;
		} else if (board->tail.data != NULL) {
			scan->at = at;
			return board_scan_fail(scan, "the key \"queues\" once, not twice");
		} else if (!load_queues(board, scan)) {
			return false;
		}
	}
	return more == 0 && board_scan_end(scan);
}

static bool load(struct board *board, struct error *err)
{
	struct board_scan scan;

	board_scan_init(&scan, board->text, board->len);
	if (!load_members(board, &scan))
		return board_scan_error(&scan, err);
	if (board->tail.data == NULL)
		return error_set(err, ERROR_INVALID,
		    "line 1, column 1: there is no key \"queues\"; %s", SMALLEST);
	board->tail.len = board->len - (size_t)(board->tail.data - board->text);
	return true;
}

struct board *board_parse(char *text, size_t len, const char *name, struct error *err)
{
	struct board *board = xcalloc(1, sizeof(*board));

	board->text = text;
	board->len = len;
	TAILQ_INIT(&board->queues);
	TAILQ_INIT(&board->cache);
	SLIST_INIT(&board->chunks);
	if (!load(board, err)) {
		board_free(board);
		return NULL;
	}
	board_index_all(board, name);
	board_style_init(board);
	return board;
}

static void free_tasks(struct board *board)
{
	struct board_chunk *chunk;

	HASH_CLEAR(hh, board->task_index);
	while ((chunk = SLIST_FIRST(&board->chunks)) != NULL) {
		SLIST_REMOVE_HEAD(&board->chunks, next);
		for (size_t i = 0; i < chunk->used; i++) {
			json_object_put(chunk->tasks[i].json);
			free(chunk->tasks[i].owned_text);
			free(chunk->tasks[i].owned_id);
		}
		free(chunk);
	}
}

void board_free(struct board *board)
{
	struct board_queue *queue;

	if (board == NULL)
		return;
	free_tasks(board);
	HASH_CLEAR(hh, board->queue_index);
	while ((queue = TAILQ_FIRST(&board->queues)) != NULL) {
		TAILQ_REMOVE(&board->queues, queue, next);
		free(queue->owned_key);
		free(queue->name);
		free(queue);
	}
	board_style_clear(board);
	xstrv_free(board->missed);
	free(board->text);
	free(board);
}

static struct board_queue *visible_queue(struct board_queue *queue)
{
	while (queue != NULL && queue->hidden)
		queue = TAILQ_NEXT(queue, next);
	return queue;
}

struct board_queue *board_queue_first(const struct board *board)
{
	return visible_queue(TAILQ_FIRST(&board->queues));
}

struct board_queue *board_queue_next(const struct board_queue *queue)
{
	return visible_queue(TAILQ_NEXT(queue, next));
}

struct board_queue *board_queue_find(const struct board *board, const char *name)
{
	struct board_queue *queue;

	HASH_FIND(hh, board->queue_index, name, strlen(name), queue);
	return queue;
}

const char *board_queue_name(const struct board_queue *queue)
{
	return queue->name;
}

size_t board_queue_count(const struct board_queue *queue)
{
	return queue->n_tasks;
}

bool board_queue_missed(struct board *board, const char *name)
{
	for (char **it = board->missed; it != NULL && *it != NULL; it++)
		if (strcmp(*it, name) == 0)
			return false;
	board->missed = xstrv_add(board->missed, name);
	return true;
}

static struct board_task *visible_task(struct board_task *task)
{
	while (task != NULL && task->hidden)
		task = TAILQ_NEXT(task, next);
	return task;
}

struct board_task *board_task_first(const struct board_queue *queue)
{
	return visible_task(TAILQ_FIRST(&queue->tasks));
}

struct board_task *board_task_next(const struct board_task *task)
{
	return visible_task(TAILQ_NEXT(task, next));
}

struct board_task *board_task_find(const struct board *board, const char *id)
{
	struct board_task *task;

	HASH_FIND(hh, board->task_index, id, strlen(id), task);
	return task;
}

struct board_queue *board_task_queue(const struct board_task *task)
{
	return task->queue;
}

struct span board_task_text(const struct board_task *task)
{
	return task->text;
}

struct span board_task_id(const struct board_task *task)
{
	return task->id;
}

uint64_t board_id_floor(const struct board *board)
{
	return board->ids.max;
}

void board_set_id_floor(struct board *board, uint64_t floor)
{
	if (board->ids.max < floor)
		board->ids.max = floor;
}
