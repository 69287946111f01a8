#ifndef ATHANORE_QUEUE_JSON_FILE_PRIVATE_H
#define ATHANORE_QUEUE_JSON_FILE_PRIVATE_H

#include "base/clock.h"
#include "loop/watch.h"
#include "loop/worker.h"
#include "queue/board_file.h"
#include "queue/queue.h"

#include <sys/queue.h>

/* The body of a json_file queue, for json_file*.c alone. */

/* What an operation did to the board, kept for a while: see json_file_change.c. */
struct json_change {
	TAILQ_ENTRY(json_change) next;
	enum queue_op op;
	double at;	       /* clock_monotonic() of when it was on the disk */
	unsigned long written; /* with which of our writes */
	char *id;	       /* the task; NULL: it is about a queue */
	/* The queue of the task, or the name of the queue; NULL: there was none. */
	char *queue_before, *queue_after;
	char *text_before, *text_after; /* of the task; NULL: there was none */
	size_t size;
};

TAILQ_HEAD(json_change_list, json_change);

/* An operation that waits for the board, or for the disk. */
struct json_op {
	TAILQ_ENTRY(json_op) next;
	struct queue_call *call;
	struct queue_request request; /* its strings are owned */
	char created_at[CLOCK_TEXT_SIZE];
	bool cancelled;
	/* What came of it when it was last applied. */
	struct json_object *result;
	struct error err;
	struct json_change *change; /* NULL: nothing changed */
};

TAILQ_HEAD(json_op_list, json_op);

enum json_file_state { JSON_FILE_IDLE, JSON_FILE_READING, JSON_FILE_WRITING, JSON_FILE_SWEEPING };

struct json_file {
	struct queue queue; /* must be first */
	struct worker *worker;
	char *path, *folder, *name, *user, *lock_path;
	int lock_fd;

	/* While a job runs: file is the worker's, and the board is not changed. */
	enum json_file_state state;
	struct board_file *file;
	struct board *board;	      /* NULL: not readable, or not read yet */
	struct board_version version; /* the file as it was when we last looked at it */
	struct board_digest digest;   /* of the board's last good content */
	bool loaded;		      /* there was a good one */
	uint64_t id_floor;
	bool stale;	 /* the file must be read (again) */
	bool redo;	 /* what others undid is to be done again after the next read */
	bool locked_out; /* the folder was replaced, and another daemon has the new lock */
	bool unsure;	 /* written to by another hand: equal times are no proof */
	bool dirty;	 /* the board has what no operation of `batch` brought */
	bool soon;	 /* json_file_advance() is deferred */
	bool closing;
	bool closed;

	struct json_op_list waiting;
	struct json_op_list batch; /* applied to the board, on their way to the disk */
	struct json_change_list changes;
	size_t changes_size;
	unsigned long writes;
	double outside_at;	/* when another hand's work was last taken over */
	double owed_at;		/* when to try once more to redo what others undid; 0: never */
	struct board_late late; /* merged into the board, not written yet */

	struct error broken; /* the board cannot be read */
	double broken_since; /* 0: it can */
	bool declared;	     /* broken for long enough to be a fault */
	char *said;	     /* the fault that was last logged */
	struct error write_fault;

	struct watch *watch;
	struct loop_timer *tick;
	struct loop_timer *sweep;
};

/* json_file_op.c */
bool json_op_is_read(enum queue_op op);
struct json_object *json_op_read(
    struct board *board, const struct queue_request *request, struct error *err);
struct json_op *json_op_create(const struct queue_request *request, struct queue_call *call);
void json_op_free(struct json_op *op);
/* Does it to the board in memory; fills result, err and change. */
void json_op_apply(struct json_op *op, struct board *board, const char *user);
/* Answers the call and frees op. err: instead of its own outcome. */
void json_op_answer(struct json_op *op, const struct error *err);

/* json_file_change.c */
struct json_change *json_change_begin(enum queue_op op, const struct board_task *task);
void json_change_end(struct json_change *change, const struct board_task *task);
struct json_change *json_change_of_queue(enum queue_op op, const char *before, const char *after);
void json_change_free(struct json_change *change);
/* Takes over what was written just now, and forgets what is old. */
void json_file_remember(struct json_file *jf, struct json_op_list *batch);
void json_file_forget(struct json_file *jf);
/* Does again what another program undid unknowingly; true if anything was done. */
bool json_file_redo(struct json_file *jf);
/* What was to be done again could not be written: it is not forgotten before it is. */
void json_file_keep_changes(struct json_file *jf);

/* json_file_run.c */
void json_file_advance(struct json_file *jf);
void json_file_advance_soon(struct json_file *jf);
/* Sets stale where the file is not what we know. */
void json_file_check(struct json_file *jf);
bool json_file_is_readable(const struct json_file *jf);
void json_file_start_sweep(struct json_file *jf, bool all);

/* json_file_fault.c */
void json_file_broke(struct json_file *jf, struct error *why);
void json_file_mended(struct json_file *jf);
/* Answers those who have waited long enough for a board that is broken. */
void json_file_wait_out(struct json_file *jf);
void json_file_fail_waiting(struct json_file *jf, const struct error *err);
void json_file_write_failed(struct json_file *jf, const struct error *err);
void json_file_write_worked(struct json_file *jf);
const struct error *json_file_fault(const struct queue *queue);

/* json_file_watch.c */
bool json_file_lock(struct json_file *jf, struct error *err);
/* Watches the folder where that is not done; called often. */
void json_file_watch(struct json_file *jf);
void json_file_start_timers(struct json_file *jf);

#endif
