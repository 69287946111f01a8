#ifndef ATHANORE_SCRIPT_SCRIPT_H
#define ATHANORE_SCRIPT_SCRIPT_H

#include "base/error.h"
#include "base/str.h"
#include "loop/loop.h"
#include "model/config.h"
#include "queue/queue.h"

#include <json-c/json.h>

/*
 * One loaded script (a generation): its Lua state, what it configured, and
 * the functions that it gave. Every call into it is a coroutine under a CPU
 * deadline and a memory cap, and is answered once, from the loop, in a later turn.
 */
struct script;
struct script_call;

/* What is wrong in a script, in the order in which it stands there. */
struct script_problem {
	char *file;
	int line; /* 0: not known */
	char *message;
};

struct script_problems {
	struct script_problem *list;
	size_t count;
};

void script_problems_free(struct script_problems *problems);

/*
 * Loads and validates a script. NULL where it has any mistake: all of them are then in
 * problems, which starts as {0} and is ended by script_problems_free(). The result is
 * referenced once.
 */
struct script *script_load(struct loop *loop, const char *path, struct script_problems *problems);

struct script *script_ref(struct script *script);

/* The last reference cancels what is under way, as script_cancel() does, and closes the state.
 * NULL is fine. */
void script_unref(struct script *script);

/* Lives as long as the script. */
const struct config *script_config(const struct script *script);

/*
 * The queue of a script whose backend is BACKEND_LUA: calls create_adapter() if the
 * table has one (so once per started daemon). The queue holds a reference to the script.
 */
struct queue *script_queue(struct script *script, struct error *err);

/* What a route's functions make of a ready task. */
struct script_prepared {
	bool ready;   /* false: the route's `when` said no; nothing else is set */
	char *prompt; /* prompt_len bytes and a NUL */
	size_t prompt_len;
	char **argv; /* the agent's command line, at least one element */
	char **env;  /* more "NAME=value" from the agent adapter, may be empty */
	char *cwd;   /* NULL: the route's */
	char *input; /* the agent's stdin, input_len bytes; NULL: /dev/null */
	size_t input_len;
};

/* Seconds that one task's functions may take, with all that they wait for. */
#define SCRIPT_PREPARE_TIMEOUT 30.0

/* On failure err is set and prepared NULL; prepared is the caller's, with script_prepared_free().
 */
typedef void (*script_prepare_fn)(
    void *arg, struct script_prepared *prepared, const struct error *err);

/*
 * Runs the route's when(task), prompt(task_id, task_name, task) and its agent
 * adapter's command(run) in one coroutine. run is the table the adapter sees: {id, attempt,
 * max_retries, prompt_file, api, …}; to it are added `prompt`, `task` and `route`. Both objects are
 * borrowed until this returns. The handle is valid until fn was called.
 */
struct script_call *script_prepare(struct script *script, const struct route *route,
    struct json_object *task, struct json_object *run, script_prepare_fn fn, void *arg);
void script_prepared_free(struct script_prepared *prepared);

/* The same with a prompt that is made already (copied), in place of the route's function. */
struct script_call *script_prepare_prompt(struct script *script, const struct route *route,
    const struct str *prompt, struct json_object *task, struct json_object *run,
    script_prepare_fn fn, void *arg);

/* result is what the function returned, as JSON (NULL for nil), borrowed. */
typedef void (*script_fn)(void *arg, struct json_object *result, const struct error *err);

/* Whether the route's agent adapter has the function ("outcome", "before", "after", "event"). */
bool script_agent_has(struct script *script, const struct route *route, const char *function);

/* Calls it as function(args[0], args[1], …); args is a JSON list, borrowed until this returns. */
struct script_call *script_agent_call(struct script *script, const struct route *route,
    const char *function, struct json_object *args, double timeout, script_fn fn, void *arg);

/* Calls the route's when(task), if it has one: result is a boolean. */
struct script_call *script_when(struct script *script, const struct route *route,
    struct json_object *task, script_fn fn, void *arg);

/* fn will not be called; the coroutine is closed. */
void script_cancel(struct script_call *call);

#endif
