#ifndef ATHANORE_QUEUE_BOARD_PRIVATE_H
#define ATHANORE_QUEUE_BOARD_PRIVATE_H

#include "queue/board.h"

#include <sys/queue.h>
#include <uthash.h>

/*
 * The body of a board, for board*.c alone. The commas between elements are not kept: each element
 * has its white space in front of it and behind it, the list the white space before its end.
 * Spans point into the file's text or into what `owned` members hold.
 */

struct board_task {
	TAILQ_ENTRY(board_task) next;
	struct board_queue *queue;
	struct span before, text, after;
	struct span id;	  /* decoded; {NULL, 0}: none that can be used */
	char *owned_text; /* NULL: text lies in the file's text */
	char *owned_id;
	bool hidden; /* kept in the file, but nobody gets to see it */
	UT_hash_handle hh;
	struct json_object *json; /* NULL: not cached */
	TAILQ_ENTRY(board_task) cached;
};

TAILQ_HEAD(board_task_list, board_task);

struct board_queue {
	TAILQ_ENTRY(board_queue) next;
	struct board *board;
	struct span before, key, colon, after;
	char *owned_key;
	char *name;
	bool hidden;
	struct board_task_list tasks;
	struct span end; /* white space before ']' */
	size_t n_items;	 /* hidden ones too */
	size_t n_tasks;
	UT_hash_handle hh;
};

TAILQ_HEAD(board_queue_list, board_queue);

/* How an object is laid out, for what is added to it or beside it. */
struct board_layout {
	bool multi_line;
	struct str outer; /* multi_line: line break and indentation of the closing '}' */
	struct str step;  /* one level more */
	const char *colon;
	const char *comma; /* between elements on one line */
};

/* How the lists of a file are laid out. */
struct board_style {
	struct str first_task, next_task, tasks_end; /* white space in a list of tasks */
	struct str first_queue, next_queue, queues_end;
	struct board_layout task;
};

struct board_id_stats {
	size_t integers, numeric_strings, others;
	uint64_t max;
};

#define BOARD_CHUNK 1024

struct board_chunk {
	SLIST_ENTRY(board_chunk) next;
	size_t used;
	struct board_task tasks[BOARD_CHUNK];
};

struct board {
	char *text;
	size_t len;
	struct span head, tail; /* up to the '{' of "queues", and from its '}' on */
	struct board_queue_list queues;
	struct span queues_end; /* white space before that '}' */
	struct board_queue *queue_index;
	struct board_task *task_index;
	SLIST_HEAD(, board_chunk) chunks;
	struct board_style style;
	struct board_id_stats ids;
	struct board_task_list cache; /* least lately used first */
	size_t cache_bytes;
	char **missed; /* names of queues that were asked for, and are not there */
};

/* board_index.c */
struct board_task *board_index_new_task(struct board *board, struct board_queue *queue);
struct board_queue *board_index_new_queue(struct board *board);
void board_index_all(struct board *board, const char *name);
bool board_index_add(struct board *board, struct board_task *task);
void board_index_name_queue(struct board *board, struct board_queue *queue, struct span key);
/* Takes the id out of the JSON value that stands behind "id"; false where it is no id. */
bool board_index_set_id(struct board_task *task, struct span value);
void board_index_free_queue(struct board *board, struct board_queue *queue);

/* board_style.c */
void board_style_init(struct board *board);
void board_style_clear(struct board *board);
bool board_style_has_line_break(struct span space);
/* The layout of an object in the file; what it does not show is taken from `like` (or NULL). */
void board_style_of(
    struct span object, const struct board_layout *like, struct board_layout *layout);
void board_style_clear_layout(struct board_layout *layout);
/* Appends a value whose line is indented by `depth` steps more than layout's outer. */
void board_style_print(
    struct str *out, struct json_object *value, const struct board_layout *layout, size_t depth);

/* board_member.c */
/* Sets a member of an object's text; all else in it stays as it is. */
void board_member_set(struct span object, const char *key, struct json_object *value,
    const struct board_layout *like, struct str *out);
/* Appends to a member that is a list, or is absent or null; else err is set (invalid). */
bool board_member_append(struct span object, const char *key, struct json_object *item,
    const struct board_layout *like, struct str *out, struct error *err);
/* False with err set (invalid) where the text has what json-c would not keep. */
bool board_member_check(struct span object, struct error *err);

/* board_task.c */
/* Whether fields may be set on a task; false with err set (invalid). */
bool board_task_check_fields(struct json_object *fields, struct error *err);

/* board_json.c */
void board_json_forget(struct board *board, struct board_task *task);

#endif
