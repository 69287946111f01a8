/* What the dispatcher is doing, as the API shows it. */
#include "dispatch/route_table.h"
#include "dispatch/state.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"
#include "store/runlog.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

/* How much of a run's log GET /agents/{task_id} shows. Its answer is all in memory at once, a few
 * times over. */
#define MAX_EVENTS 1000
#define MAX_EVENT_BYTES (512 << 10)

static const char *state_text(const struct dispatcher *d)
{
	return d->stopping != STOP_NO ? "stopping" : "running";
}

static struct json_object *queue_status(struct dispatcher *d)
{
	struct json_object *object = json_object_new_object();
	const struct error *fault = queue_fault(d->queue);

	json_put_string(object, "kind", queue_kind(d->queue));
	json_put_string(object, "identity", queue_identity(d->queue));
	json_put_string(object, "error", fault != NULL ? fault->message : d->poll_error);
	return object;
}

/* Runs that a person has to look at. */
static struct json_object *attention(struct dispatcher *d)
{
	struct json_object *list = json_object_new_array();

	for (struct live *live = d->lives; live != NULL; live = live->hh.next) {
		struct json_object *item;

		if (live->run->attention == NULL && live->survivors == 0)
			continue;
		item = json_object_new_object();
		json_put_string(item, "run_id", live->run->id);
		json_put_string(item, "task_id", live->run->task_id);
		if (live->survivors > 0)
			json_put_int(item, "surviving_processes", (int64_t)live->survivors);
		json_put_string(item, "message",
		    live->run->attention != NULL ? live->run->attention
						 : "processes of the agent do not end");
		json_object_array_add(list, item);
	}
	return list;
}

static bool agent_at_work(const struct live *live)
{
	return live->run->state == RUN_RUNNING && live->end.reason == NULL;
}

static int active_agents(const struct dispatcher *d)
{
	int count = 0;

	for (const struct live *live = d->lives; live != NULL; live = live->hh.next)
		count += agent_at_work(live);
	return count;
}

static int64_t next_poll_at(const struct dispatcher *d)
{
	double next = 0;

	for (size_t i = 0; i < d->route_count; i++)
		if (next == 0 || d->routes[i].next_poll < next)
			next = d->routes[i].next_poll;
	return next == 0 ? 0 : clock_now_ms() + (int64_t)((next - clock_monotonic()) * 1000);
}

/* Routes made through the API that do not fit the script as it is now. */
static struct json_object *inactive_routes(const struct dispatcher *d)
{
	struct json_object *list = json_object_new_array();

	for (const struct inactive_route *route = d->inactive; route != NULL; route = route->next) {
		struct json_object *item = json_object_new_object();

		json_put_string(item, "queue_name", route->queue_name);
		json_put_string(item, "error", route->error);
		json_object_array_add(list, item);
	}
	return list;
}

struct json_object *dispatcher_status(struct dispatcher *d)
{
	struct json_object *object = json_object_new_object();
	int max = d->config->max_concurrent_agents;

	json_put_string(object, "name", "athanore");
	json_put_string(object, "version", ATHANORE_VERSION);
	json_put_int(object, "pid", getpid());
	json_put_string(object, "state", state_text(d));
	json_put_string(object, "script", d->config->script_path);
	json_put_time(object, "started_at", d->started_at);
	json_put_double(
	    object, "uptime_seconds", floor((double)(clock_now_ms() - d->started_at) / 1000));
	json_put_int(object, "active_agents", active_agents(d));
	json_put_int(object, "max_concurrent_agents", max);
	json_put_int(object, "free_slots", max > d->slots_used ? max - d->slots_used : 0);
	json_put_double(object, "poll_interval", d->config->poll_interval);
	json_put_time(object, "last_poll_at", d->last_poll_at);
	json_put_time(object, "next_poll_at", next_poll_at(d));
	json_put(object, "queue", queue_status(d));
	json_put_string(object, "storage_error", d->store_error);
	json_put_bool(object, "paused", d->paused);
	json_put(object, "paused_routes", json_from_strv((const char *const *)d->paused_queues));
	json_put(object, "inactive_routes", inactive_routes(d));
	json_put(object, "needs_attention", attention(d));
	return object;
}

static struct json_object *agent_to_json(struct live *live)
{
	struct json_object *object = run_to_json(live->run);
	double timeout = json_get_double(live->run->options, "timeout", 0);
	bool running = agent_at_work(live);

	json_put_bool(object, "running", running);
	json_put_int(object, "pid", live->run->pid);
	json_put(object, "timeout", NULL);
	if (timeout > 0)
		json_put_double(object, "timeout", timeout);
	if (running)
		json_put_double(object, "runtime_seconds",
		    (double)(clock_now_ms() - live->run->started_at) / 1000);
	return object;
}

struct json_object *dispatcher_agents(struct dispatcher *d)
{
	struct json_object *list = json_object_new_array();

	for (struct live *live = d->lives; live != NULL; live = live->hh.next)
		if (agent_at_work(live))
			json_object_array_add(list, agent_to_json(live));
	return list;
}

struct json_object *route_view(const struct route_state *state)
{
	struct json_object *object = route_to_json(state->route);

	json_put_string(object, "source", state->given == NULL ? "script" : "api");
	json_put_string(object, "until", state->changed ? "reload" : NULL);
	json_put_bool(object, "paused", state->paused);
	json_put_int(object, "active_agents", state->running);
	json_put_string(object, "error", state->error);
	json_put_time(object, "error_at", state->error_at);
	return object;
}

struct json_object *dispatcher_routes(struct dispatcher *d)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < d->route_count; i++)
		json_object_array_add(list, route_view(&d->routes[i]));
	return list;
}

struct json_object *dispatcher_route(
    struct dispatcher *d, const char *queue_name, struct error *err)
{
	struct route_state *state = poller_route(d, queue_name);

	if (state != NULL)
		return route_view(state);
	error_set(err, ERROR_NOT_FOUND, "no route watches the queue \"%s\"", queue_name);
	return NULL;
}

int dispatcher_retry_count(struct dispatcher *d, const char *task_id)
{
	struct live *live;

	if (retries_empty(&d->retries))
		return 0;
	live = live_find(d, task_id);
	if (live != NULL)
		return retries_get(&d->retries, task_id, live->run->queue_name, NULL);
	for (size_t i = 0; i < d->route_count; i++) {
		int count = retries_get(&d->retries, task_id, d->routes[i].route->queue_name, NULL);

		if (count > 0)
			return count;
	}
	return 0;
}

/* ---- one agent, with its events ---- */

struct agent_view {
	struct dispatcher *d;
	char *task_id;
	struct json_object *agent;
	char *log_path;
	struct json_object *events;
	dispatcher_fn fn;
	void *arg;
};

static void view_free(struct agent_view *view)
{
	json_object_put(view->agent);
	free(view->task_id);
	free(view->log_path);
	free(view);
}

static void read_events(void *arg)
{
	struct agent_view *view = arg;

	view->events = runlog_tail(view->log_path, MAX_EVENTS, MAX_EVENT_BYTES);
}

static void on_events(void *arg)
{
	struct agent_view *view = arg;

	json_put(view->agent, "events", view->events);
	view->fn(view->arg, view->agent, NULL);
	view_free(view);
}

static void view_events(struct agent_view *view, const char *run_id)
{
	char *dir = fs_join(view->d->runs_dir, run_id);

	view->log_path = fs_join(dir, "events.jsonl");
	free(dir);
	worker_submit(view->d->worker,
	    &(struct worker_job){.run = read_events, .done = on_events, .arg = view});
}

static void on_last_run(void *arg, struct run *run)
{
	struct agent_view *view = arg;
	struct error err = {0};

	if (run == NULL) {
		error_set(
		    &err, ERROR_NOT_FOUND, "no agent has run on the task \"%s\"", view->task_id);
		view->fn(view->arg, NULL, &err);
		error_clear(&err);
		view_free(view);
		return;
	}
	view->agent = run_to_json(run);
	json_put_bool(view->agent, "running", false);
	view_events(view, run->id);
	run_free(run);
}

void dispatcher_agent(struct dispatcher *d, const char *task_id, dispatcher_fn fn, void *arg)
{
	struct agent_view *view = xcalloc(1, sizeof(*view));
	struct live *live = live_find(d, task_id);

	view->d = d;
	view->task_id = xstrdup(task_id);
	view->fn = fn;
	view->arg = arg;
	if (live == NULL || !live->stored) {
		store_last_run(d->store, task_id, on_last_run, view);
		return;
	}
	view->agent = agent_to_json(live);
	view_events(view, live->run->id);
}
