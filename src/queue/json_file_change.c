/*
 * Remembers for a while what we wrote, and does it again where another program undid it
 * unknowingly: one that had read the board before our write, and wrote it whole after.
 */
#include "base/alloc.h"
#include "base/log.h"
#include "queue/board_edit.h"
#include "queue/json_file_private.h"

#include <stdlib.h>
#include <string.h>

/* A program that reads and writes a board takes less than this. */
#define REMEMBER_SECONDS 5.0
#define REMEMBER_BYTES ((size_t)32 << 20)

static char *text_of(const struct board_task *task)
{
	struct span text = board_task_text(task);

	return xmemdup0(text.data, text.len);
}

static char *id_of(const struct board_task *task)
{
	struct span id = board_task_id(task);

	return xmemdup0(id.data, id.len);
}

struct json_change *json_change_begin(enum queue_op op, const struct board_task *task)
{
	struct json_change *change = xcalloc(1, sizeof(*change));

	change->op = op;
	if (task != NULL) {
		change->queue_before = xstrdup(board_queue_name(board_task_queue(task)));
		change->text_before = text_of(task);
	}
	return change;
}

void json_change_end(struct json_change *change, const struct board_task *task)
{
	change->id = id_of(task);
	change->queue_after = xstrdup(board_queue_name(board_task_queue(task)));
	change->text_after = text_of(task);
	change->size = sizeof(*change) + strlen(change->text_after) +
		       (change->text_before != NULL ? strlen(change->text_before) : 0);
}

struct json_change *json_change_of_queue(enum queue_op op, const char *before, const char *after)
{
	struct json_change *change = xcalloc(1, sizeof(*change));

	change->op = op;
	change->size = sizeof(*change);
	change->queue_before = xstrdup(before);
	change->queue_after = xstrdup(after);
	return change;
}

void json_change_free(struct json_change *change)
{
	if (change == NULL)
		return;
	free(change->id);
	free(change->queue_before);
	free(change->queue_after);
	free(change->text_before);
	free(change->text_after);
	free(change);
}

static void drop(struct json_file *jf, struct json_change *change)
{
	jf->changes_size -= change->size;
	TAILQ_REMOVE(&jf->changes, change, next);
	json_change_free(change);
}

void json_file_forget(struct json_file *jf)
{
	while (!TAILQ_EMPTY(&jf->changes))
		drop(jf, TAILQ_FIRST(&jf->changes));
}

void json_file_remember(struct json_file *jf, struct json_op_list *batch)
{
	double now = clock_monotonic();
	struct json_change *change;
	struct json_op *op;

	jf->writes++;
	TAILQ_FOREACH (op, batch, next) {
		if (op->change == NULL)
			continue;
		op->change->at = now;
		op->change->written = jf->writes;
		TAILQ_INSERT_TAIL(&jf->changes, op->change, next);
		jf->changes_size += op->change->size;
		op->change = NULL;
	}
	while ((change = TAILQ_FIRST(&jf->changes)) != NULL &&
	       (jf->changes_size > REMEMBER_BYTES || now - change->at > REMEMBER_SECONDS))
		drop(jf, change);
}

/* The same bytes, or the same value written by a program with a layout of its own. */
static bool same_text(const struct board_task *task, const char *text)
{
	struct span now = board_task_text(task);
	struct json_object *a, *b;
	char *copy;
	bool same;

	if (now.len == strlen(text) && memcmp(now.data, text, now.len) == 0)
		return true;
	copy = text_of(task);
	a = json_tokener_parse(copy);
	b = json_tokener_parse(text);
	same = a != NULL && b != NULL && json_object_equal(a, b);
	json_object_put(a);
	json_object_put(b);
	free(copy);
	return same;
}

static bool task_is(const struct board *board, const char *id, const char *queue, const char *text)
{
	const struct board_task *task = board_task_find(board, id);

	if (task == NULL || queue == NULL)
		return task == NULL && queue == NULL;
	return strcmp(board_queue_name(board_task_queue(task)), queue) == 0 &&
	       same_text(task, text);
}

static bool queue_is(const struct board *board, const char *there, const char *not_there)
{
	return (there == NULL || board_queue_find(board, there) != NULL) &&
	       (not_there == NULL || board_queue_find(board, not_there) == NULL);
}

static bool is_done(const struct board *board, const struct json_change *change)
{
	if (change->id != NULL)
		return task_is(board, change->id, change->queue_after, change->text_after);
	return queue_is(board, change->queue_after, change->queue_before);
}

static struct json_object *name_in(const char *text)
{
	struct json_object *task = json_tokener_parse(text);
	struct json_object *name = json_object_get(json_object_object_get(task, "name"));

	json_object_put(task);
	return name;
}

/*
 * Whether another program gave the id of our new task to one of its own: no
 * name that ours ever had is its name.
 */
static bool is_taken(const struct json_file *jf, const struct json_change *created)
{
	const struct board_task *task = board_task_find(jf->board, created->id);
	const struct json_change *change = created;
	struct json_object *name, *ours;
	bool same = false;
	char *text;

	if (task == NULL)
		return true;
	text = text_of(task);
	name = name_in(text);
	free(text);
	for (; change != NULL && !same; change = TAILQ_NEXT(change, next)) {
		if (!str_equal(change->id, created->id))
			continue;
		ours = name_in(change->text_after);
		same = json_object_equal(name, ours);
		json_object_put(ours);
	}
	json_object_put(name);
	return !same;
}

static bool is_undone(const struct json_file *jf, const struct json_change *change)
{
	if (change->id == NULL)
		return queue_is(jf->board, change->queue_before, change->queue_after);
	if (change->queue_before == NULL)
		return is_taken(jf, change);
	return task_is(jf->board, change->id, change->queue_before, change->text_before);
}

static bool redo_create(
    struct json_file *jf, struct json_change *change, struct board_queue *queue, struct span text)
{
	struct board_task *added = board_edit_insert(queue, text);
	char *id;

	if (added == NULL)
		return false;
	id = id_of(added);
	if (strcmp(id, change->id) != 0)
		log_warn("task %s, which was just created, has the id %s now: another program gave "
			 "%s to a task of its own at the same time",
		    change->id, id, change->id);
	free(id);
	free(change->id);
	free(change->queue_after);
	free(change->text_after);
	jf->changes_size -= change->size;
	json_change_end(change, added);
	jf->changes_size += change->size;
	return true;
}

static bool redo_task(struct json_file *jf, struct json_change *change)
{
	struct board_queue *queue = board_queue_find(jf->board, change->queue_after);
	struct board_task *task = board_task_find(jf->board, change->id);
	struct span text = {change->text_after, strlen(change->text_after)};

	if (queue == NULL)
		return false;
	if (change->queue_before == NULL)
		return redo_create(jf, change, queue, text);
	if (strcmp(change->text_before, change->text_after) != 0)
		board_edit_set_text(task, text);
	if (board_task_queue(task) != queue)
		board_edit_move(task, queue);
	return true;
}

static bool redo_queue(struct board *board, const struct json_change *change)
{
	struct board_queue *queue =
	    change->queue_before != NULL ? board_queue_find(board, change->queue_before) : NULL;

	if (change->queue_before == NULL)
		return board_edit_add_queue(board, change->queue_after, NULL) != NULL;
	if (change->queue_after == NULL)
		return board_edit_remove_queue(queue, NULL);
	return board_edit_rename_queue(queue, change->queue_after, NULL);
}

/*
 * The last of our writes that the other program had seen: what it shows of them. What it undid of
 * that one and of those before, it undid on purpose.
 */
static unsigned long last_seen(const struct json_file *jf)
{
	const struct json_change *change;

	TAILQ_FOREACH_REVERSE(change, &jf->changes, json_change_list, next)
	if (is_done(jf->board, change))
		return change->written;
	return 0;
}

void json_file_keep_changes(struct json_file *jf)
{
	struct json_change *change;

	TAILQ_FOREACH (change, &jf->changes, next)
		change->at = clock_monotonic();
}

bool json_file_redo(struct json_file *jf)
{
	double now = clock_monotonic();
	unsigned long seen = last_seen(jf);
	struct json_change *change;
	bool any = false;

	TAILQ_FOREACH (change, &jf->changes, next) {
		bool done;

		if (now - change->at > REMEMBER_SECONDS || change->written <= seen ||
		    !is_undone(jf, change))
			continue;
		done = change->id != NULL ? redo_task(jf, change) : redo_queue(jf->board, change);
		log_with(done ? LOG_INFO : LOG_WARN,
		    (const char *const[]){"task_id", change->id, NULL},
		    done ? "%s: %s was undone by a program that wrote an older version of the "
			   "board; it is done again"
			 : "%s: %s was undone by a program that wrote an older version of the "
			   "board, and cannot be done again",
		    jf->path, queue_op_name(change->op));
		if (done) {
			change->at = now;
			change->written = jf->writes + 1;
			any = true;
		}
	}
	return any;
}
