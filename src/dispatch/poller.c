/* When to poll which queues, and which of the tasks found to claim. */
#include "dispatch/state.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

/* Longest pause between polls of a backend that fails, in seconds. */
#define LONGEST_BACKOFF 300.0

/* Pause between two prunings, in seconds. */
#define HOUSEKEEPING 3600.0

static void poll_now(struct dispatcher *d);

struct route_state *poller_route(struct dispatcher *d, const char *queue_name)
{
	for (size_t i = 0; i < d->route_count; i++)
		if (strcmp(d->routes[i].route->queue_name, queue_name) == 0)
			return &d->routes[i];
	return NULL;
}

static bool route_has_room(const struct route_state *route)
{
	if (route->paused)
		return false;
	return route->route->max_concurrent == 0 || route->running < route->route->max_concurrent;
}

static bool slot_free(const struct dispatcher *d)
{
	return d->slots_used < d->config->max_concurrent_agents;
}

/* Up to a tenth later than asked for, so that daemons and routes do not fall into step. */
static double jittered(double seconds)
{
	return seconds * (1 + 0.1 * drand48());
}

/* Sets the timer to what comes first: a route's tick, a retry, the end of a backoff. */
static void set_timer(struct dispatcher *d)
{
	double now = clock_monotonic();
	double next = now + HOUSEKEEPING;

	if (!dispatcher_claims(d)) {
		loop_timer_cancel(d->poll_timer);
		return;
	}
	for (size_t i = 0; i < d->route_count; i++) {
		const struct route_state *route = &d->routes[i];

		if (route->next_poll < next)
			next = route->next_poll;
		if (route->retry_at != 0 && route->retry_at < next)
			next = route->retry_at;
	}
	if (d->poll_not_before > now)
		next = d->poll_not_before;
	loop_timer_set(d->poll_timer, next - now);
}

void poller_retry_at(struct route_state *route, double when)
{
	if (route->retry_at == 0 || when < route->retry_at)
		route->retry_at = when;
}

static void tick_routes(struct dispatcher *d, double now)
{
	for (size_t i = 0; i < d->route_count; i++) {
		struct route_state *route = &d->routes[i];

		if (route->retry_at != 0 && route->retry_at <= now) {
			route->due = true;
			route->retry_at = 0;
		}
		if (route->next_poll > now)
			continue;
		route->due = true;
		route->next_poll = now + jittered(route->route->poll_interval);
	}
}

static void remove_folder(void *arg)
{
	char *path = arg;
	struct error err = {0};

	if (!fs_remove_tree(path, &err))
		log_warn("%s", err.message);
	error_clear(&err);
	free(path);
}

static void on_pruned(void *arg, char *const *run_ids)
{
	struct dispatcher *d = arg;
	size_t count = 0;

	for (; run_ids[count] != NULL; count++)
		worker_submit(d->worker, &(struct worker_job){.run = remove_folder,
					     .arg = fs_join(d->runs_dir, run_ids[count])});
	if (count > 0)
		d->next_prune = 0; /* there may be more */
}

/* Follows the ticks and has no timer of its own: an idle daemon wakes up for polls only. */
static void housekeeping(struct dispatcher *d, double now)
{
	int64_t keep = (int64_t)(d->config->history_days * 86400e3);

	if (now < d->next_prune)
		return;
	d->next_prune = now + HOUSEKEEPING;
	holds_sweep(&d->holds, now);
	store_prune(d->store, clock_now_ms() - keep, on_pruned, d);
	journal_prune(d, clock_now_ms() - keep);
}

static void on_timer(void *arg)
{
	struct dispatcher *d = arg;
	double now = clock_monotonic();

	housekeeping(d, now);
	tick_routes(d, now);
	moved_check(d);
	poll_now(d);
	set_timer(d);
}

void poller_drop_tasks(struct route_state *route)
{
	for (size_t i = 0; i < route->task_count; i++)
		json_object_put(route->tasks[i]);
	free(route->tasks);
	route->tasks = NULL;
	route->task_count = route->task_next = 0;
}

/* Whether more is to be asked for at once: all of a full answer was not ready, and slots are free.
 */
static bool wants_more(const struct dispatcher *d, struct route_state *route)
{
	if (route->task_count < route->limit)
		return false;
	if (!slot_free(d) || !route_has_room(route)) {
		route->behind = true;
		return false;
	}
	if (route->begun == 0)
		route->limit = 2 * route->task_count;
	return true;
}

/* Ends a poll whose tasks have all been looked at. */
static void cycle_end(struct dispatcher *d)
{
	d->in_cycle = false;
	for (size_t i = 0; i < d->route_count; i++) {
		struct route_state *route = &d->routes[i];

		if (!route->polled)
			continue;
		route->polled = false;
		if (route->task_next < route->task_count)
			route->behind = true;
		if (wants_more(d, route))
			route->due = true;
		else if (route->begun > 0)
			route->limit /= 2; /* what stood in the way is likely to be there still */
		poller_drop_tasks(route);
	}
	poll_now(d);
	dispatcher_check_rest(d);
}

static bool task_waits(struct dispatcher *d, struct route_state *route, struct json_object *task)
{
	const char *task_id = json_get_string(task, "id");
	double retry_at;

	if (live_find(d, task_id) != NULL) {
		route->behind = true; /* polled when its run has ended */
		return true;
	}
	if (!holds_active(&d->holds, task_id, clock_monotonic()))
		return false;
	retry_at = holds_retry_at(&d->holds, task_id);
	if (retry_at != 0)
		poller_retry_at(route, retry_at);
	return true;
}

/* Begins claims until the route or the daemon is full. */
static void fill_route(struct dispatcher *d, struct route_state *route)
{
	while (route->task_next < route->task_count) {
		struct json_object *task = route->tasks[route->task_next];

		if (!task_waits(d, route, task)) {
			if (!slot_free(d) || !route_has_room(route))
				return;
			d->preparing++;
			claim_begin(d, route, task);
		}
		route->task_next++;
	}
}

/* Hands tasks to free slots, in order; a claim that comes to nothing lets the next one in. */
static void fill_slots(struct dispatcher *d)
{
	for (size_t i = 0; i < d->route_count && dispatcher_claims(d); i++)
		fill_route(d, &d->routes[i]);
	if (d->preparing == 0)
		cycle_end(d);
}

void poller_prepared(struct dispatcher *d, struct route_state *route, bool begun)
{
	d->preparing--;
	if (begun && route != NULL)
		route->begun++;
	if (d->in_cycle && d->poll_call == NULL)
		fill_slots(d);
}

static void add_task(struct route_state *route, struct json_object *task)
{
	size_t n = route->task_count;

	if ((n & (n - 1)) == 0) /* full: it grows by doubling */
		route->tasks = xreallocarray(route->tasks, n == 0 ? 1 : 2 * n, sizeof(task));
	route->tasks[route->task_count++] = json_object_get(task);
}

/* Gives the tasks to the routes that asked for them. */
static void add_tasks(struct dispatcher *d, struct json_object *tasks)
{
	struct route_state *route = NULL;

	for (size_t i = 0; i < json_object_array_length(tasks); i++) {
		struct json_object *task = json_object_array_get_idx(tasks, i);
		const char *queue = json_get_string(task, "queue");

		if (queue == NULL)
			continue;
		if (route == NULL || strcmp(route->route->queue_name, queue) != 0)
			route = poller_route(d, queue);
		if (route != NULL && route->polled)
			add_task(route, task);
	}
}

static void poll_failed(struct dispatcher *d, const struct error *err)
{
	double delay = 1;

	for (int i = 0; i < d->poll_failures && delay < LONGEST_BACKOFF; i++)
		delay *= 2;
	delay = jittered(delay < LONGEST_BACKOFF ? delay : LONGEST_BACKOFF);
	if (err->retry_after > delay)
		delay = err->retry_after;
	d->in_cycle = false;
	d->poll_failures++;
	d->metrics.poll_errors++;
	d->poll_not_before = clock_monotonic() + delay;
	if (!str_equal(d->poll_error, err->message))
		log_error("cannot poll: %s (next try in %.3g s)", err->message, delay);
	free(d->poll_error);
	d->poll_error = xstrdup(err->message);
	for (size_t i = 0; i < d->route_count; i++) {
		d->routes[i].due = d->routes[i].due || d->routes[i].polled;
		d->routes[i].polled = false;
	}
	set_timer(d);
	dispatcher_check_rest(d);
}

static void poll_worked(struct dispatcher *d)
{
	if (d->poll_error != NULL)
		log_info("polling works again");
	free(d->poll_error);
	d->poll_error = NULL;
	d->poll_failures = 0;
	d->poll_not_before = 0;
}

static void on_polled(void *arg, struct json_object *result, const struct error *err)
{
	struct dispatcher *d = arg;

	d->poll_call = NULL;
	d->last_poll_at = clock_now_ms();
	d->metrics.polls++;
	if (err != NULL) {
		poll_failed(d, err);
		return;
	}
	poll_worked(d);
	add_tasks(d, result);
	fill_slots(d);
}

/* How many tasks of a queue to ask for: what fits, and what we know to be there and not ready. */
static size_t default_limit(struct dispatcher *d)
{
	return (size_t)(d->config->max_concurrent_agents - d->slots_used) + HASH_COUNT(d->lives) +
	       holds_count(&d->holds);
}

static void send_poll(struct dispatcher *d, const char **queues)
{
	struct queue_request request = {.op = QUEUE_GET_READY_TASKS, .queues = queues};

	for (size_t i = 0; i < d->route_count; i++)
		if (d->routes[i].polled && d->routes[i].limit > request.limit)
			request.limit = d->routes[i].limit;
	for (size_t i = 0; i < d->route_count; i++)
		d->routes[i].limit = d->routes[i].polled ? request.limit : d->routes[i].limit;
	d->in_cycle = true;
	d->poll_call = queue_call(d->queue, &request, QUEUE_TIMEOUT, on_polled, d);
}

/* Polls the routes that are due, if there is a slot and no poll is under way. */
static void poll_now(struct dispatcher *d)
{
	const char **queues;
	size_t count = 0;

	if (!dispatcher_claims(d) || d->in_cycle || clock_monotonic() < d->poll_not_before)
		return;
	queues = xcalloc(d->route_count + 1, sizeof(*queues));
	for (size_t i = 0; i < d->route_count; i++) {
		struct route_state *route = &d->routes[i];

		if (!route->due)
			continue;
		route->due = false;
		route->behind = !slot_free(d) || !route_has_room(route);
		if (route->behind)
			continue;
		route->polled = true;
		route->begun = 0;
		if (route->limit < default_limit(d))
			route->limit = default_limit(d);
		queues[count++] = route->route->queue_name;
	}
	if (count > 0)
		send_poll(d, queues);
	else
		dispatcher_check_rest(d); /* all may be paused */
	free(queues);
}

static void kick(void *arg)
{
	struct dispatcher *d = arg;

	d->kicked = false;
	if (d->in_cycle && d->poll_call == NULL)
		fill_slots(d);
	for (size_t i = 0; i < d->route_count; i++)
		if (d->routes[i].behind && slot_free(d) && route_has_room(&d->routes[i]))
			d->routes[i].due = true;
	poll_now(d);
	set_timer(d);
	dispatcher_check_rest(d);
}

void poller_kick(struct dispatcher *d)
{
	if (d->kicked || !dispatcher_claims(d))
		return;
	d->kicked = true;
	loop_defer(d->loop, kick, d);
}

void poller_start(struct dispatcher *d)
{
	d->poll_timer = loop_timer_create(d->loop, on_timer, d);
	loop_timer_set(d->poll_timer, 0);
}

void poller_stop(struct dispatcher *d)
{
	loop_timer_cancel(d->poll_timer);
	if (d->poll_call != NULL)
		queue_cancel(d->poll_call);
	d->poll_call = NULL;
	d->in_cycle = false;
	for (size_t i = 0; i < d->route_count; i++)
		poller_drop_tasks(&d->routes[i]);
}

void dispatcher_poke(struct dispatcher *d)
{
	for (size_t i = 0; i < d->route_count; i++)
		d->routes[i].due = true;
	poller_kick(d);
}
