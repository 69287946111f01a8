/* The tasks and queues of a board by id and name, and what is odd about them. */
#include "base/alloc.h"
#include "base/log.h"
#include "queue/board_private.h"

#include <stdlib.h>
#include <string.h>

/* Warnings a load: a file of ten thousand odd tasks is one mistake, not ten thousand. */
#define MAX_WARNINGS 10

/* Longer ids are no counters. */
#define MAX_DIGITS 15

struct board_task *board_index_new_task(struct board *board, struct board_queue *queue)
{
	struct board_chunk *chunk = SLIST_FIRST(&board->chunks);
	struct board_task *task;

	if (chunk == NULL || chunk->used == BOARD_CHUNK) {
		chunk = xcalloc(1, sizeof(*chunk));
		SLIST_INSERT_HEAD(&board->chunks, chunk, next);
	}
	task = &chunk->tasks[chunk->used++];
	task->queue = queue;
	return task;
}

struct board_queue *board_index_new_queue(struct board *board)
{
	struct board_queue *queue = xcalloc(1, sizeof(*queue));

	queue->board = board;
	TAILQ_INIT(&queue->tasks);
	TAILQ_INSERT_TAIL(&board->queues, queue, next);
	return queue;
}

void board_index_free_queue(struct board *board, struct board_queue *queue)
{
	HASH_DELETE(hh, board->queue_index, queue);
	TAILQ_REMOVE(&board->queues, queue, next);
	free(queue->owned_key);
	free(queue->name);
	free(queue);
}

/* A name with a NUL in it cannot be asked for: such a queue is left alone. */
void board_index_name_queue(struct board *board, struct board_queue *queue, struct span key)
{
	struct board_queue *older;
	struct str name = {0};

	queue->key = key;
	board_scan_decode(key, &name);
	queue->hidden = name.len != 0 && strlen(name.data) != name.len;
	queue->name = str_steal(&name);
	if (queue->hidden)
		return;
	older = board_queue_find(board, queue->name);
	if (older != NULL) {
		/* Every JSON reader takes the last: so do the people who look at the board. */
		HASH_DELETE(hh, board->queue_index, older);
		older->hidden = true;
	}
	HASH_ADD_KEYPTR(hh, board->queue_index, queue->name, strlen(queue->name), queue);
}

static bool set_string_id(struct board_task *task, struct span value)
{
	struct str id = {0};

	if (memchr(value.data, '\\', value.len) == NULL) {
		task->id = (struct span){value.data + 1, value.len - 2};
		return task->id.len > 0;
	}
	board_scan_decode(value, &id);
	task->id.len = id.len;
	task->owned_id = str_steal(&id);
	task->id.data = task->owned_id;
	return task->id.len > 0 && strlen(task->owned_id) == task->id.len;
}

bool board_index_set_id(struct board_task *task, struct span value)
{
	bool ok;

	free(task->owned_id);
	task->owned_id = NULL;
	task->id = value;
	if (value.data[0] == '"')
		ok = set_string_id(task, value);
	else
		ok = board_scan_is_integer(value);
	if (!ok)
		task->id = (struct span){NULL, 0};
	return ok;
}

static bool is_counter(struct span id)
{
	return id.len <= MAX_DIGITS && id.data[0] != '-' && (id.data[0] != '0' || id.len == 1) &&
	       board_scan_is_integer(id);
}

/* What a new id should look like depends on those that are there. */
static void count_id(struct board *board, const struct board_task *task)
{
	uint64_t number;

	if (!is_counter(task->id)) {
		board->ids.others++;
		return;
	}
	/* What follows the id in the text is a quote, a comma, …: the number ends there. */
	number = strtoull(task->id.data, NULL, 10);
	if (number > board->ids.max)
		board->ids.max = number;
	if (task->owned_id == NULL && task->id.data[-1] != '"')
		board->ids.integers++;
	else
		board->ids.numeric_strings++;
}

bool board_index_add(struct board *board, struct board_task *task)
{
	struct board_task *first;
	unsigned hash;

	count_id(board, task);
	HASH_VALUE(task->id.data, task->id.len, hash);
	HASH_FIND_BYHASHVALUE(hh, board->task_index, task->id.data, task->id.len, hash, first);
	if (first != NULL) {
		task->hidden = true;
		return false;
	}
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, board->task_index, task->id.data, task->id.len, hash, task);
	task->queue->n_tasks++;
	return true;
}

static void warn_of_task(const struct board_task *task, size_t index, const char *name)
{
	if (task->id.data != NULL)
		log_warn("%s: the id %.*s stands twice: the second, item %zu of the queue \"%s\", "
			 "is left alone; give it an id of its own",
		    name, (int)(task->id.len > 100 ? 100 : task->id.len), task->id.data, index,
		    task->queue->name);
	else
		log_warn("%s: item %zu of the queue \"%s\" is no task with an \"id\" (a string or "
			 "an integer) and is left alone",
		    name, index, task->queue->name);
}

static size_t index_queue(
    struct board *board, struct board_queue *queue, const char *name, size_t warnings)
{
	struct board_task *task;
	size_t index = 0;

	TAILQ_FOREACH (task, &queue->tasks, next) {
		if ((task->hidden || !board_index_add(board, task)) && warnings++ < MAX_WARNINGS)
			warn_of_task(task, index, name);
		index++;
	}
	return warnings;
}

void board_index_all(struct board *board, const char *name)
{
	struct board_queue *queue;
	size_t warnings = 0;

	TAILQ_FOREACH (queue, &board->queues, next) {
		if (!queue->hidden)
			warnings = index_queue(board, queue, name, warnings);
		else
			log_warn("%s: a queue named \"%s\" is left alone: the name stands twice, "
				 "and the last one counts, or has a NUL in it",
			    name, queue->name);
	}
	if (warnings > MAX_WARNINGS)
		log_warn("%s: %zu more items are left alone", name, warnings - MAX_WARNINGS);
}
