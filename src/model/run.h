#ifndef ATHANORE_MODEL_RUN_H
#define ATHANORE_MODEL_RUN_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* One agent's work on one task, from the claim to the last move. */

enum run_state {
	RUN_CLAIMING,  /* the task is being moved to the in-progress queue */
	RUN_STARTING,  /* the task is ours; folder and supervisor are being made */
	RUN_RUNNING,   /* the supervisor has the agent */
	RUN_FINISHING, /* the outcome is known; comments and moves follow */
	RUN_DONE,
};

enum run_outcome {
	OUTCOME_NONE, /* not known yet */
	OUTCOME_SUCCESS,
	OUTCOME_FAILURE,
	OUTCOME_TIMEOUT,
	OUTCOME_STALLED,
	OUTCOME_LOST, /* nobody saw the agent's end */
	OUTCOME_CANCELLED,
	OUTCOME_RATE_LIMITED,
	OUTCOME_BLOCKED,
	OUTCOME_DROPPED, /* the claim was not ours after all; no agent was started */
};

enum step_kind { STEP_COMMENT, STEP_MOVE };
enum step_state { STEP_PENDING, STEP_BEGUN, STEP_DONE };

/* What is left to do in the backend once a run has ended. */
struct run_step {
	enum step_kind kind;
	enum step_state state;
	char *text; /* comment: its text; move: the queue to move to */
};

struct run {
	char *id; /* sorts by time */
	char *task_id;
	char *task_name;
	char *queue_name; /* of the route; where the task came from */
	char *in_progress_queue;
	enum run_state state;
	enum run_outcome outcome;
	int attempt;	    /* retries used before this run: 0 on the first */
	int64_t created_at; /* milliseconds; 0: not yet */
	int64_t started_at;
	int64_t ended_at;
	pid_t pid;	   /* the supervisor's; 0: none */
	int exit_code;	   /* -1: none */
	int signal;	   /* 0: none */
	char *error;	   /* in words, or NULL */
	char *attention;   /* why a person has to look at it, or NULL */
	char *token_hash;  /* SHA-256, in hex, of the run's own API token; NULL: none yet */
	int retries_after; /* retries used by the task once the run has ended; -1: not decided */
	bool retries_ours; /* the task goes back to be tried again by us, not by a person */

	struct json_object *options; /* frozen, {"argv", "env", "cwd", "timeout", …} */
	char *prompt;		     /* kept until the agent has ended */
	size_t prompt_len;
	char *input; /* the agent's stdin; NULL: none */
	size_t input_len;

	struct run_step *steps;
	size_t step_count;
};

/* A new run, state claiming, with a fresh id; the rest is the caller's to fill. */
struct run *run_create(void);
void run_free(struct run *run); /* NULL is fine */

/* Appends a pending step; text is copied. */
void run_add_step(struct run *run, enum step_kind kind, const char *text);
void run_clear_steps(struct run *run);

/* The steps as JSON text (freed by the caller), and back; false where text is none of ours. */
char *run_steps_print(const struct run *run);
bool run_steps_parse(struct run *run, const char *text) __attribute__((warn_unused_result));

/* When a run of that id was created, in milliseconds. False where text is no run's id. */
bool run_id_time(const char *text, int64_t *ms);

const char *run_state_name(enum run_state state);
const char *run_outcome_name(enum run_outcome outcome);
bool run_state_parse(const char *name, enum run_state *state);
bool run_outcome_parse(const char *name, enum run_outcome *outcome);

/* The run as the API shows it; a new object, without prompt and options. */
struct json_object *run_to_json(const struct run *run);

#endif
