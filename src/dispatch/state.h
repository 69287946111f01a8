#ifndef ATHANORE_DISPATCH_STATE_H
#define ATHANORE_DISPATCH_STATE_H

#include "dispatch/dispatcher.h"
#include "dispatch/holds.h"
#include "dispatch/metrics.h"
#include "dispatch/retries.h"
#include "dispatch/run_end.h"
#include "model/run.h"

#include <sys/queue.h>
#include <uthash.h>

/* The inside of the dispatcher, shared by the files of this folder only. */

/* Deadline of one call to the queue, in seconds. */
#define QUEUE_TIMEOUT 30.0

/*
 * A route with what the dispatcher knows about it. It may move in memory, or go, whenever a request
 * is served: pointers to it are good for one turn.
 */
struct route_state {
	struct route *route; /* owned */
	struct json_object
	    *given;	  /* made through the API: the options as they were given, else NULL */
	bool changed;	  /* the script's, but not as the script has it */
	bool paused;	  /* it alone, or all */
	double next_poll; /* monotonic */
	double retry_at;  /* monotonic: when a task that we put back may be taken; 0: none waits */
	bool due;	  /* to be polled as soon as there is a slot */
	bool behind;	  /* the last poll left tasks there that wait for a run's end */
	bool polled;	  /* part of the poll under way */
	size_t limit;	  /* tasks to ask for; grows while all that came is not ready */
	struct json_object **tasks; /* what the poll under way has brought */
	size_t task_count;
	size_t task_next; /* the first that was not looked at */
	size_t begun;	  /* claims begun out of it */
	int running;	  /* slots that its runs hold */
	char *error;	  /* what its script said last, or NULL */
	int64_t error_at;
};

/* Why a run is to be ended. */
enum cancel_reason { CANCEL_NONE, CANCEL_REQUESTED, CANCEL_SHUTDOWN, CANCEL_MOVED };

/* A run that is not done. It waits for one thing at a time. */
struct live {
	struct dispatcher *d;
	struct run *run;
	struct json_object *task; /* as the poll saw it; NULL after a restart */
	bool begun;		  /* its script has made a run of it */
	bool stored;		  /* it stands in the store */
	bool has_slot;
	bool moved_by_agent;
	double move_asked_until; /* monotonic: a move through the API may be on its way */
	bool let_go;		 /* by claim_let_go(): it retires at the end of the turn */
	enum cancel_reason cancel;
	int spawns; /* supervisors started for it */

	struct script_call *script_call;
	struct queue_call *queue_call;
	struct process *process;
	struct loop_timer *timer; /* for another try of what failed */
	void (*again)(struct live *live);
	int failures;	  /* tries of the present step that failed */
	bool unsure;	  /* the present step may have reached the backend already */
	bool folder_busy; /* a job for its folder is with the storage thread */
	char *cgroup;	  /* of a run that is lost; NULL: none is known */
	bool committing;  /* so is the commit that the folder's job was sent along with */
	size_t survivors; /* processes of a lost run that would not die */
	struct run_end end;
	void (*hook_next)(struct live *live);
	void (*before_next)(struct live *live, const struct error *err);
	UT_hash_handle hh; /* by run->task_id */
};

enum stop_phase {
	STOP_NO,
	STOP_DRAIN,  /* waiting for the agents */
	STOP_DETACH, /* waiting for what is neither running nor at rest */
	STOP_CANCEL, /* the agents are being ended */
	STOP_DONE,
};

struct inactive_route;
struct route_change;
struct inquiry;

struct dispatcher {
	struct dispatcher_options options;
	struct loop *loop;
	struct worker *worker;
	struct store *store;
	struct queue *queue;
	struct script *script;
	const struct config *config;
	char *runs_dir;
	int64_t started_at;

	struct route_state *routes; /* in the order in which they are served */
	size_t route_count;
	int next_order; /* of the next route that is made through the API */
	struct inactive_route *inactive;
	STAILQ_HEAD(, route_change) route_changes; /* one is done at a time, in order */
	LIST_HEAD(, inquiry) inquiries;
	bool paused;	      /* all routes */
	char **paused_queues; /* of single routes; NULL: none */
	struct metrics metrics;
	struct live *lives; /* by task id */
	int slots_used;
	struct retries retries;
	struct holds holds;

	char *user; /* the backend's name for us; NULL: not known or nobody */
	bool user_known;

	struct loop_timer *poll_timer;
	struct queue_call *poll_call;
	bool in_cycle; /* a poll is under way, or its tasks are being looked at */
	int preparing; /* claims of this poll that have not got past their script */
	int poll_failures;
	double poll_not_before; /* monotonic: backing off from errors */
	char *poll_error;
	int64_t last_poll_at;
	char *store_error; /* the last commit failed; NULL: it did not */
	double next_prune; /* monotonic */

	dispatcher_run_fn run_fn; /* who wants to know of runs, or NULL */
	void *run_arg;

	enum stop_phase stopping;
	struct loop_timer *stop_timer;
	bool failed;	   /* `once` ended without having been able to poll */
	bool rest_pending; /* a check for rest is on its way */
	bool kicked;	   /* so is a look at what waits */
};

/* ---- live.c ---- */

struct live *live_create(struct dispatcher *d, struct run *run);
struct live *live_find(struct dispatcher *d, const char *task_id);
/* Takes the run out of the dispatcher and frees it; nothing of it may be under way. */
void live_retire(struct live *live);
void live_take_slot(struct live *live);
void live_free_slot(struct live *live);
/* The only place where a run's state changes; a step that cannot be is fatal. */
void live_set_state(struct live *live, enum run_state state);
/* Writes the run as it is now and goes on with `next` once that is on disk, trying until it is. */
void live_commit(struct live *live, void (*next)(struct live *live));
/* Remembers for GET /status and the log whether the last commit worked; err is NULL where it did.
 */
void live_store_result(struct dispatcher *d, const struct error *err);
/* Calls `again` later: backs off from 1 to max seconds with each failure. */
void live_retry(struct live *live, double max, void (*again)(struct live *live));
/* Appends a record to the run's log; fields are alternating names and values, ended by NULL. */
void live_note(struct live *live, const char *type, const char *const *fields);
char *live_dir(const struct live *live);
/* The run as agent adapters see it; a new object. */
struct json_object *live_describe(struct live *live);
void live_log(struct live *live, int level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
const struct route *live_route(struct live *live); /* NULL: the script has it no more */

/* The dispatcher has come to rest: nothing more is begun for the run, it goes on at the next start.
 */
bool live_frozen(const struct live *live);

/* ---- history.c ---- */

/* Tells who asked to know that the run began, got its folder, or ended. */
void history_tell(struct live *live, bool ended);

/* ---- journal.c ---- */

/* Adds a record to the journal; fields as in live_note(). */
void journal_write(struct dispatcher *d, const char *type, const char *const *fields);
/* The same of a run, which is named in the record. */
void journal_run(struct live *live, const char *type, const char *const *fields);
/* Gives the disk back what is older. */
void journal_prune(struct dispatcher *d, int64_t before_ms);

/* ---- poller.c ---- */

void poller_start(struct dispatcher *d);
void poller_stop(struct dispatcher *d);
/* Slots, holds or tasks changed: goes on with what waits for them. */
void poller_kick(struct dispatcher *d);
/* A claim has got past its script: `begun` where a run came of it. route may be NULL: it is gone.
 */
void poller_prepared(struct dispatcher *d, struct route_state *route, bool begun);
/* Frees what the poll has brought for the route. */
void poller_drop_tasks(struct route_state *route);
/* Polls the route at the monotonic time, when a task that we put back may be taken again. */
void poller_retry_at(struct route_state *route, double when);
struct route_state *poller_route(struct dispatcher *d, const char *queue_name);

/* ---- views.c ---- */

/* The route as the API shows it; a new object. */
struct json_object *route_view(const struct route_state *state);

/* ---- pause.c ---- */

bool pause_load(struct dispatcher *d, struct error *err) __attribute__((warn_unused_result));
/* Tells the routes what of them is paused. */
void pause_apply(struct dispatcher *d);
/* Forgets the pause of a route that is gone; the store's is the caller's. */
void pause_forget(struct dispatcher *d, const char *queue_name);
bool pause_covers_all(const struct dispatcher *d);
/* {"paused", "paused_routes"}; a new object. */
struct json_object *pause_view(const struct dispatcher *d);

/* ---- claim.c ---- */

void claim_begin(struct dispatcher *d, struct route_state *route, struct json_object *task);
/* Whether the claim has not got past its script. */
bool claim_is_preparing(const struct live *live);
/* Ends a claim whose script runs; the task stays where it is. */
void claim_let_go(struct live *live);
/* A claim that an earlier daemon began: finishes or drops it by where the task is. */
void claim_resume(struct live *live);

/* ---- runner.c ---- */

void runner_start(struct live *live);  /* state claiming → starting → running */
void runner_resume(struct live *live); /* starting or running, after a restart */
/* Ends the run, at whatever point it is. */
void runner_cancel(struct live *live, enum cancel_reason reason);

/* ---- finish.c ---- */

/* The agent has ended, or will never start: decides and carries out what follows. Takes over what
 * end holds. */
void finish_begin(struct live *live, struct run_end *end);
void finish_resume(struct live *live);
/* The backend may work again: what waits for another try is tried now. */
void finish_poke(struct dispatcher *d);

/* ---- hooks.c ---- */

/* Each calls the agent adapter's function, if there is one, and then `next`, in this turn or later.
 */
void hooks_before(struct live *live, void (*next)(struct live *live, const struct error *err));
void hooks_outcome(struct live *live, void (*next)(struct live *live));
void hooks_after(struct live *live, void (*next)(struct live *live));

/* ---- moved.c ---- */

/* Ends runs whose task was taken away, where their route says so. */
void moved_check(struct dispatcher *d);

/* ---- recovery.c ---- */

bool recovery_run(struct dispatcher *d, struct error *err) __attribute__((warn_unused_result));

/* ---- stop.c ---- */

/* Something ended: are we at rest, where we are to stop? */
void dispatcher_check_rest(struct dispatcher *d);

/* ---- dispatcher.c ---- */

bool dispatcher_claims(const struct dispatcher *d); /* whether new tasks may be taken */

#endif
