#ifndef ATHANORE_DISPATCH_DISPATCHER_H
#define ATHANORE_DISPATCH_DISPATCHER_H

#include "base/error.h"
#include "loop/loop.h"
#include "loop/process.h"
#include "loop/worker.h"
#include "model/config.h"
#include "queue/queue.h"
#include "script/script.h"
#include "store/store.h"

/*
 * The scheduler: polls the queues that routes watch, claims ready tasks, runs
 * an agent for each and brings their runs to an end. Everything belongs to the loop's thread.
 */
struct dispatcher;

/* All borrowed, and to outlive the dispatcher, but script: a reference is taken. */
struct dispatcher_options {
	struct loop *loop;
	struct worker *worker;
	struct reaper *reaper;
	struct store *store;
	struct queue *queue;
	struct script *script;
	const char *state_dir;
	const char *supervisor;	    /* path of athanore-supervise */
	const char *api_url;	    /* "http://127.0.0.1:8000" */
	bool once;		    /* stop when nothing is ready and nothing runs */
	void (*stopped)(void *arg); /* the dispatcher has come to rest: after dispatcher_stop(), or
				       by `once` */
	void *arg;
};

struct dispatcher *dispatcher_create(const struct dispatcher_options *options);
/* After `stopped`, or before dispatcher_start(). */
void dispatcher_free(struct dispatcher *dispatcher);

/* Takes up what an earlier daemon left, then polls. False with err set where the store is unusable.
 */
bool dispatcher_start(struct dispatcher *dispatcher, struct error *err)
    __attribute__((warn_unused_result));

/* Stops by the script's on_shutdown; a second call cancels at once. */
void dispatcher_stop(struct dispatcher *dispatcher);

/* Whether it stopped without having been able to do its work: `once`, and the queue cannot be
 * polled. */
bool dispatcher_failed(const struct dispatcher *dispatcher);

/* ---- What the API asks ---- */

struct queue *dispatcher_queue(struct dispatcher *dispatcher);
const struct config *dispatcher_config(struct dispatcher *dispatcher);

/* New objects, for the caller to put. */
struct json_object *dispatcher_status(struct dispatcher *dispatcher);
struct json_object *dispatcher_agents(struct dispatcher *dispatcher);
struct json_object *dispatcher_routes(struct dispatcher *dispatcher);

/* The route that watches the queue, or NULL with err not_found; a new object. */
struct json_object *dispatcher_route(
    struct dispatcher *dispatcher, const char *queue_name, struct error *err);

typedef void (*dispatcher_fn)(void *arg, struct json_object *result, const struct error *err);

/*
 * The agent on the task, else the task's last run with "running": false; with its last 1,000
 * events. fn is called once, in a later turn; result is borrowed.
 */
void dispatcher_agent(
    struct dispatcher *dispatcher, const char *task_id, dispatcher_fn fn, void *arg);

/* Ends the agent on the task; its run becomes cancelled. Answers at once: the end follows.
 * not_found where none is on it. */
bool dispatcher_cancel(struct dispatcher *dispatcher, const char *task_id, struct error *err)
    __attribute__((warn_unused_result));

/* Retries used up by the task so far: 0 where there were none. queue_name: the task's queue. */
int dispatcher_retry_count(struct dispatcher *dispatcher, const char *task_id);

/*
 * Adds a record to the log of the run that is on the task, if there is one:
 * {"time", "type": type, …fields}. fields is borrowed and may be NULL.
 */
void dispatcher_note(struct dispatcher *dispatcher, const char *task_id, const char *type,
    struct json_object *fields);

/*
 * A move of the task is being asked for through the API: until it is noted, or its time is over,
 * a task that is elsewhere was not taken from its agent by another hand.
 */
void dispatcher_move_asked(struct dispatcher *dispatcher, const char *task_id);
/* ---- Runs, and what is told of them ---- */

/* {"runs": the newest first, "next_cursor": the filter's `before` for the next page, or null}. fn
 * as in dispatcher_agent(). */
void dispatcher_runs(
    struct dispatcher *dispatcher, const struct store_filter *filter, dispatcher_fn fn, void *arg);

/* One run; not_found where it is not known, or not any more. */
void dispatcher_run(struct dispatcher *dispatcher, const char *run_id, dispatcher_fn fn, void *arg);

/* The task's first run behind the one named (NULL: its newest); a NULL result where there is none.
 */
void dispatcher_next_run(struct dispatcher *dispatcher, const char *task_id, const char *after,
    dispatcher_fn fn, void *arg);

/* Whether something may still be added to the run's log. */
bool dispatcher_run_lives(struct dispatcher *dispatcher, const char *task_id, const char *run_id);

/*
 * fn(arg, …) is called whenever a run begins, gets its folder, or (ended) has come to its end: its
 * log is complete then. One at a time; NULL ends it.
 */
typedef void (*dispatcher_run_fn)(void *arg, const char *task_id, const char *run_id, bool ended);
void dispatcher_on_run(struct dispatcher *dispatcher, dispatcher_run_fn fn, void *arg);

/* Paths for the caller to free: a run's log, and the journal of all that happens. */
char *dispatcher_log_path(struct dispatcher *dispatcher, const char *run_id);
char *dispatcher_journal_path(struct dispatcher *dispatcher);

struct worker *dispatcher_worker(struct dispatcher *dispatcher);

/* Polls the route's queues as soon as it can: something changed. */
void dispatcher_poke(struct dispatcher *dispatcher);

#endif
