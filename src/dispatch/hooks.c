/* Calls the functions that an agent adapter may have around a run. */
#include "dispatch/state.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"

#include <stdlib.h>

/* Deadline of a hook, in seconds: it may make a workspace. */
#define HOOK_TIMEOUT 300.0

/* Calls function(run, extra) if the adapter has it; false where it has not. extra is taken over. */
static bool call_hook(
    struct live *live, const char *function, struct json_object *extra, script_fn fn)
{
	const struct route *route = live_route(live);
	struct json_object *args;

	if (route == NULL || !script_agent_has(live->d->script, route, function)) {
		json_object_put(extra);
		return false;
	}
	args = json_object_new_array();
	json_object_array_add(args, live_describe(live));
	if (extra != NULL)
		json_object_array_add(args, extra);
	live->script_call =
	    script_agent_call(live->d->script, route, function, args, HOOK_TIMEOUT, fn, live);
	json_object_put(args);
	return true;
}

static void on_before(void *arg, struct json_object *result, const struct error *err)
{
	struct live *live = arg;

	(void)result;
	live->script_call = NULL;
	live->before_next(live, err);
}

void hooks_before(struct live *live, void (*next)(struct live *live, const struct error *err))
{
	live->before_next = next;
	if (!call_hook(live, "before", NULL, on_before))
		next(live, NULL);
}

/* An outcome by its name; those that no agent can have are none. */
static bool take_outcome(struct run *run, const char *name)
{
	enum run_outcome outcome;

	if (!run_outcome_parse(name, &outcome) || outcome == OUTCOME_NONE ||
	    outcome == OUTCOME_DROPPED)
		return false;
	run->outcome = outcome;
	return true;
}

/* The adapter may answer an outcome's name, or {outcome=, error=}. */
static void on_outcome(void *arg, struct json_object *result, const struct error *err)
{
	struct live *live = arg;
	const char *name = json_object_is_type(result, json_type_string)
			       ? json_object_get_string(result)
			       : json_get_string(result, "outcome");
	const char *error = json_get_string(result, "error");

	live->script_call = NULL;
	if (err != NULL)
		live_log(live, LOG_ERROR, "%s; the exit code decides", err->message);
	else if (name != NULL && !take_outcome(live->run, name))
		live_log(live, LOG_ERROR,
		    "the agent adapter's outcome \"%s\" is none that there is; the exit code "
		    "decides",
		    name);
	if (error != NULL) {
		free(live->end.error);
		live->end.error = xstrdup(error);
	}
	live->hook_next(live);
}

void hooks_outcome(struct live *live, void (*next)(struct live *live))
{
	struct json_object *end;

	if (live->run->outcome == OUTCOME_CANCELLED) {
		next(live); /* we ended it: whatever its output says is no outcome */
		return;
	}
	end = json_object_new_object();
	json_put_string(end, "reason", live->end.reason);
	if (live->end.exit_code >= 0)
		json_put_int(end, "exit_code", live->end.exit_code);
	if (live->end.signal > 0)
		json_put_int(end, "signal", live->end.signal);
	json_put_string(end, "error", live->end.error);
	json_put_string(end, "stderr", live->end.stderr_tail);
	json_put_string(end, "outcome", run_outcome_name(live->run->outcome));
	live->hook_next = next;
	if (!call_hook(live, "outcome", end, on_outcome))
		next(live);
}

static void on_after(void *arg, struct json_object *result, const struct error *err)
{
	struct live *live = arg;

	(void)result;
	live->script_call = NULL;
	if (err != NULL)
		live_log(live, LOG_ERROR, "%s", err->message);
	live->hook_next(live);
}

void hooks_after(struct live *live, void (*next)(struct live *live))
{
	live->hook_next = next;
	if (!call_hook(live, "after", json_object_new_string(run_outcome_name(live->run->outcome)),
		on_after))
		next(live);
}
