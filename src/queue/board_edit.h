#ifndef ATHANORE_QUEUE_BOARD_EDIT_H
#define ATHANORE_QUEUE_BOARD_EDIT_H

#include "queue/board.h"

/*
 * Changes to a board in memory. Functions that can fail return false (or
 * NULL) with err set and have changed nothing then.
 */

/* To the end of the queue. */
void board_edit_move(struct board_task *task, struct board_queue *queue);

/*
 * A new task at the end of the queue, with an id like those that are there. fields: "name" (a
 * string) and, each optional, "description", "labels", "assignees". invalid.
 */
struct board_task *board_edit_create(
    struct board_queue *queue, struct json_object *fields, struct error *err);

/*
 * A task whose text is known, at the end of the queue: an object with an "id". Where a task of
 * that id is there already, it gets a new one. NULL where the text has no id.
 */
struct board_task *board_edit_insert(struct board_queue *queue, struct span text);

/* Sets name, description, labels and assignees from fields (null clears); changed tells whether
 * anything was different. invalid. */
bool board_edit_update(
    struct board_task *task, struct json_object *fields, bool *changed, struct error *err);

/* Appends to the task's comments. invalid. */
bool board_edit_comment(struct board_task *task, struct json_object *comment, struct error *err);

/* Replaces the whole text by another with the same id. */
void board_edit_set_text(struct board_task *task, struct span text);

/* conflict where the name is taken, invalid where it is none. */
struct board_queue *board_edit_add_queue(struct board *board, const char *name, struct error *err);
bool board_edit_rename_queue(struct board_queue *queue, const char *name, struct error *err);

/* conflict where it is not empty. Frees the queue. */
bool board_edit_remove_queue(struct board_queue *queue, struct error *err);

#endif
