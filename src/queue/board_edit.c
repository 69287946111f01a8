/* Changes to the lists of a board: tasks that move and come, queues that come and go. */
#include "queue/board_edit.h"

#include "base/alloc.h"
#include "queue/board_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static struct span span_of(const struct str *text)
{
	return (struct span){text->data, text->len};
}

static void detach(struct board_task *task)
{
	struct board_queue *queue = task->queue;
	struct board_task *after = TAILQ_NEXT(task, next);

	board_json_forget(queue->board, task);
	if (TAILQ_FIRST(&queue->tasks) == task && after != NULL)
		after->before = task->before;
	TAILQ_REMOVE(&queue->tasks, task, next);
	queue->n_items--;
	queue->n_tasks--;
	if (queue->n_items == 0)
		queue->end = (struct span){NULL, 0};
}

/* Puts the task behind the others, laid out as they are. */
static void attach(struct board_task *task, struct board_queue *queue)
{
	const struct board_style *style = &queue->board->style;
	struct board_task *last = TAILQ_LAST(&queue->tasks, board_task_list);

	task->after = (struct span){NULL, 0};
	if (last == NULL) {
		task->before = span_of(&style->first_task);
		queue->end = span_of(&style->tasks_end);
	} else if (queue->n_items > 1 || board_style_has_line_break(last->before)) {
		task->before = last->before;
	} else {
		task->before = span_of(&style->next_task);
	}
	task->queue = queue;
	TAILQ_INSERT_TAIL(&queue->tasks, task, next);
	queue->n_items++;
}

void board_edit_move(struct board_task *task, struct board_queue *queue)
{
	detach(task);
	attach(task, queue);
	queue->n_tasks++;
}

/* Finds the value of "id" in a task's text, or {NULL, 0}. */
static struct span find_id(struct span text)
{
	struct span key, colon, value, id = {NULL, 0};
	struct board_scan_items items;
	struct board_scan scan;

	board_scan_init(&scan, text.data, text.len);
	if (!board_scan_open(&scan, '{', &items, "'{'"))
		return id;
	while (board_scan_next(&scan, &items) == 1 && board_scan_key(&scan, &key, &colon) &&
	       board_scan_value(&scan, &value))
		if (board_scan_means(key, "id"))
			id = value;
	return id;
}

void board_edit_set_text(struct board_task *task, struct span text)
{
	struct board *board = task->queue->board;
	char *old = task->owned_text;
	struct span id;

	board_json_forget(board, task);
	HASH_DELETE(hh, board->task_index, task);
	task->owned_text = xmemdup0(text.data, text.len);
	task->text = (struct span){task->owned_text, text.len};
	id = find_id(task->text);
	/* The key of the index lies in the text. */
	if (id.data == NULL || !board_index_set_id(task, id))
		fatal("board_edit_set_text: the text has no id");
	HASH_ADD_KEYPTR(hh, board->task_index, task->id.data, task->id.len, task);
	free(old);
}

static struct json_object *random_id(const struct board *board)
{
	char text[11];
	unsigned char bytes[10];

	do {
		if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
			fatal("getrandom failed");
		for (size_t i = 0; i < sizeof(bytes); i++)
			text[i] = "0123456789abcdefghjkmnpqrstvwxyz"[bytes[i] % 32];
		text[sizeof(bytes)] = '\0';
	} while (board_task_find(board, text) != NULL);
	return json_object_new_string(text);
}

/* Counts on where all ids are numbers, in their type; strings on a board without any. */
static struct json_object *new_id(struct board *board)
{
	const struct board_id_stats *ids = &board->ids;
	char text[24];

	if (ids->others > 0)
		return random_id(board);
	board->ids.max++;
	if (ids->integers > 0 && ids->integers >= ids->numeric_strings)
		return json_object_new_int64((int64_t)board->ids.max);
	snprintf(text, sizeof(text), "%" PRIu64, board->ids.max);
	return json_object_new_string(text);
}

static struct board_task *add(struct board_queue *queue, struct span text)
{
	struct board_task *task = board_index_new_task(queue->board, queue);

	task->owned_text = xmemdup0(text.data, text.len);
	task->text = (struct span){task->owned_text, text.len};
	if (!board_index_set_id(task, find_id(task->text)))
		fatal("board_edit: a new task has no id");
	attach(task, queue);
	board_index_add(queue->board, task);
	return task;
}

struct board_task *board_edit_insert(struct board_queue *queue, struct span text)
{
	struct board *board = queue->board;
	struct span id = find_id(text);
	struct board_task *added, *there, probe = {0};
	struct str changed = {0};
	struct json_object *other;

	if (id.data == NULL || !board_index_set_id(&probe, id))
		return NULL;
	HASH_FIND(hh, board->task_index, probe.id.data, probe.id.len, there);
	free(probe.owned_id);
	if (there == NULL)
		return add(queue, text);
	other = new_id(board);
	board_member_set(text, "id", other, &board->style.task, &changed);
	json_object_put(other);
	added = add(queue, span_of(&changed));
	str_free(&changed);
	return added;
}

static void put_or_empty(struct json_object *task, struct json_object *fields, const char *key)
{
	struct json_object *value = NULL;

	if (fields != NULL)
		json_object_object_get_ex(fields, key, &value);
	json_object_object_add(
	    task, key, value != NULL ? json_object_get(value) : json_object_new_array());
}

struct board_task *board_edit_create(
    struct board_queue *queue, struct json_object *fields, struct error *err)
{
	struct board *board = queue->board;
	struct json_object *json, *name = NULL, *description = NULL;
	struct board_task *task;
	struct str text = {0};

	if (!board_task_check_fields(fields, err))
		return NULL;
	json_object_object_get_ex(fields, "name", &name);
	json_object_object_get_ex(fields, "description", &description);
	if (name == NULL) {
		error_set(err, ERROR_INVALID, "a new task needs a \"name\"");
		return NULL;
	}
	json = json_object_new_object();
	json_object_object_add(json, "id", new_id(board));
	json_object_object_add(json, "name", json_object_get(name));
	json_object_object_add(json, "description", json_object_get(description));
	put_or_empty(json, fields, "labels");
	put_or_empty(json, fields, "assignees");
	put_or_empty(json, NULL, "comments");
	put_or_empty(json, NULL, "tasks");
	board_style_print(&text, json, &board->style.task, 0);
	json_object_put(json);
	task = add(queue, span_of(&text));
	str_free(&text);
	return task;
}

static bool check_name(struct board *board, const char *name, struct error *err)
{
	if (name == NULL || name[0] == '\0')
		return error_set(err, ERROR_INVALID, "a queue needs a name");
	if (!str_utf8_valid(name, strlen(name)))
		return error_set(err, ERROR_INVALID, "the name of a queue must be valid UTF-8");
	if (board_queue_find(board, name) != NULL)
		return error_set(
		    err, ERROR_CONFLICT, "there is a queue \"%s\" on the board already", name);
	return true;
}

/* Once the last queue of a name were gone, another would take its place. */
static bool check_single(const struct board_queue *queue, struct error *err)
{
	const struct board_queue *other;

	TAILQ_FOREACH (other, &queue->board->queues, next)
		if (other != queue && strcmp(other->name, queue->name) == 0)
			return error_set(err, ERROR_CONFLICT,
			    "the queue \"%s\" stands twice in the file: mend that first",
			    queue->name);
	return true;
}

static void set_key(struct board_queue *queue, const char *name)
{
	struct json_object *json = json_object_new_string(name);
	struct str key = {0};

	board_style_print(&key, json, &queue->board->style.task, 0);
	json_object_put(json);
	free(queue->owned_key);
	queue->key.len = key.len;
	queue->owned_key = str_steal(&key);
	queue->key.data = queue->owned_key;
	free(queue->name);
	queue->name = xstrdup(name);
	HASH_ADD_KEYPTR(hh, queue->board->queue_index, queue->name, strlen(queue->name), queue);
}

struct board_queue *board_edit_add_queue(struct board *board, const char *name, struct error *err)
{
	struct board_queue *last = TAILQ_LAST(&board->queues, board_queue_list);
	struct board_queue *queue;

	if (!check_name(board, name, err))
		return NULL;
	queue = board_index_new_queue(board);
	if (last == NULL) {
		queue->before = span_of(&board->style.first_queue);
		board->queues_end = span_of(&board->style.queues_end);
	} else if (TAILQ_FIRST(&board->queues) != last) {
		queue->before = last->before;
	} else {
		queue->before = span_of(&board->style.next_queue);
	}
	queue->colon =
	    last != NULL ? last->colon
			 : (struct span){board->style.task.colon, strlen(board->style.task.colon)};
	set_key(queue, name);
	return queue;
}

bool board_edit_rename_queue(struct board_queue *queue, const char *name, struct error *err)
{
	struct board_task *task;

	if (!check_name(queue->board, name, err) || !check_single(queue, err))
		return false;
	HASH_DELETE(hh, queue->board->queue_index, queue);
	set_key(queue, name);
	TAILQ_FOREACH (task, &queue->tasks, next)
		board_json_forget(queue->board, task);
	return true;
}

bool board_edit_remove_queue(struct board_queue *queue, struct error *err)
{
	struct board *board = queue->board;
	struct board_queue *after = TAILQ_NEXT(queue, next);

	if (queue->n_items > 0)
		return error_set(err, ERROR_CONFLICT,
		    "the queue \"%s\" is not empty (%zu tasks): move them first", queue->name,
		    queue->n_items);
	if (!check_single(queue, err))
		return false;
	if (TAILQ_FIRST(&board->queues) == queue && after != NULL)
		after->before = queue->before;
	board_index_free_queue(board, queue);
	if (TAILQ_EMPTY(&board->queues))
		board->queues_end = (struct span){NULL, 0};
	return true;
}
