#ifndef ATHANORE_QUEUE_BOARD_H
#define ATHANORE_QUEUE_BOARD_H

#include "base/error.h"
#include "queue/board_scan.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A board file in memory: queues, tasks and an index of ids over the bytes of the file. What no
 * edit touches is written back as it was read. A board belongs to one thread at a time, but for
 * one case: board_render() may run beside the readers here, as long as nobody edits.
 *
 * Pointers to queues, tasks and their texts stay valid until an edit of that queue or task.
 */
struct board;
struct board_queue;
struct board_task;

/*
 * text (malloc'd) belongs to the board afterwards, on failure it is freed. NULL with err set
 * (invalid, with line and column) where it is no board. What can be lived with (a task without
 * an id, an id that stands twice) is logged as a warning that starts with `name`.
 */
struct board *board_parse(char *text, size_t len, const char *name, struct error *err);
void board_free(struct board *board);

/* Queues in the order of the file; NULL at the end or where there is none. */
struct board_queue *board_queue_first(const struct board *board);
struct board_queue *board_queue_next(const struct board_queue *queue);
struct board_queue *board_queue_find(const struct board *board, const char *name);
const char *board_queue_name(const struct board_queue *queue);
size_t board_queue_count(const struct board_queue *queue);

/* True when a queue of that name is missed for the first time since the board was read. */
bool board_queue_missed(struct board *board, const char *name);

/* Tasks that have an id of their own, in order; NULL at the end or where there is none. */
struct board_task *board_task_first(const struct board_queue *queue);
struct board_task *board_task_next(const struct board_task *task);
struct board_task *board_task_find(const struct board *board, const char *id);
struct board_queue *board_task_queue(const struct board_task *task);
struct span board_task_text(const struct board_task *task);
struct span board_task_id(const struct board_task *task);

/*
 * The task as the queue protocol has it: id a string, "queue" set, lists as lists. Borrowed,
 * read-only, kept until the task is edited or others push it out: json_object_get() what is to be
 * kept. NULL with err set (invalid) where json-c cannot read what the scanner could.
 */
struct json_object *board_task_json(
    struct board *board, struct board_task *task, struct error *err);

/* The highest number that is, or was, an id: the next new id is above it. */
uint64_t board_id_floor(const struct board *board);
void board_set_id_floor(struct board *board, uint64_t floor);

/* Calls sink with the pieces of the file's text, in order, in as few as may be. */
typedef bool (*board_sink)(void *arg, const char *data, size_t len);
bool board_render(const struct board *board, board_sink sink, void *arg)
    __attribute__((warn_unused_result));

#endif
