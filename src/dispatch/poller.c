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

static bool cycle_open(const struct dispatcher *d)
{
	return d->poll_call != NULL || d->candidate_next < d->candidate_count || d->preparing > 0;
}

/* Up to a tenth later than asked for, so that daemons and routes do not fall into step. */
static double jittered(double seconds)
{
	return seconds * (1 + 0.1 * drand48());
}

/* Sets the timer to what comes first: a route's tick, the end of a hold or of a backoff. */
static void set_timer(struct dispatcher *d)
{
	double now = clock_monotonic();
	double next = holds_next(&d->holds, now);

	if (!dispatcher_claims(d)) {
		loop_timer_cancel(d->poll_timer);
		return;
	}
	for (size_t i = 0; i < d->route_count; i++)
		if (next == 0 || d->routes[i].next_poll < next)
			next = d->routes[i].next_poll;
	if (d->poll_not_before > now)
		next = d->poll_not_before;
	loop_timer_set(d->poll_timer, next - now);
}

static void tick_routes(struct dispatcher *d, double now)
{
	for (size_t i = 0; i < d->route_count; i++) {
		struct route_state *route = &d->routes[i];

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
	d->next_prune = now + 3600;
	holds_sweep(&d->holds, now);
	store_prune(d->store, clock_now_ms() - keep, on_pruned, d);
}

static void on_timer(void *arg)
{
	struct dispatcher *d = arg;
	double now = clock_monotonic();

	housekeeping(d, now);
	tick_routes(d, now);
	moved_check(d);
	for (size_t i = 0; i < d->route_count; i++)
		if (d->routes[i].behind || d->routes[i].held)
			d->routes[i].due = true; /* a hold may be over */
	poll_now(d);
	set_timer(d);
}

static void candidates_free(struct dispatcher *d)
{
	for (size_t i = 0; i < d->candidate_count; i++)
		json_object_put(d->candidates[i].task);
	free(d->candidates);
	d->candidates = NULL;
	d->candidate_count = d->candidate_next = 0;
}

/* Whether more is to be asked for at once: all of a full answer was not ready, and slots are free.
 */
static bool wants_more(const struct dispatcher *d, struct route_state *route)
{
	if (route->returned < route->limit || !route_has_room(route))
		return false;
	if (!slot_free(d)) {
		route->behind = true;
		return false;
	}
	if (route->begun == 0)
		route->limit *= 2;
	return true;
}

/* Ends a poll whose tasks have all been looked at. */
static void cycle_end(struct dispatcher *d)
{
	candidates_free(d);
	for (size_t i = 0; i < d->route_count; i++) {
		struct route_state *route = &d->routes[i];

		if (!route->polled)
			continue;
		route->polled = false;
		if (wants_more(d, route))
			route->due = true;
		else if (route->begun > 0)
			route->limit = 0;
	}
	poll_now(d);
	dispatcher_check_rest(d);
}

static bool task_waits(struct dispatcher *d, const struct candidate *candidate)
{
	const char *task_id = json_get_string(candidate->task, "id");

	if (live_find(d, task_id) != NULL)
		return true;
	if (!holds_active(&d->holds, task_id, clock_monotonic()))
		return false;
	candidate->route->held = true;
	return true;
}

/* Hands tasks to free slots, in order; a claim that comes to nothing lets the next one in. */
static void fill_slots(struct dispatcher *d)
{
	while (d->candidate_next < d->candidate_count && dispatcher_claims(d)) {
		struct candidate *candidate = &d->candidates[d->candidate_next];

		if (task_waits(d, candidate)) {
			d->candidate_next++;
			continue;
		}
		/* Those that are being prepared may not be ready after all, and make room again:
		 * only what they do not let in is left behind, or the queue would be polled without
		 * end. */
		if (!route_has_room(candidate->route)) {
			if (candidate->route->preparing > 0)
				return;
			candidate->route->behind = true;
			d->candidate_next++;
			continue;
		}
		if (!slot_free(d)) {
			if (d->preparing > 0)
				return;
			break;
		}
		d->candidate_next++;
		d->preparing++;
		candidate->route->preparing++;
		claim_begin(d, candidate->route, candidate->task);
	}
	if (d->preparing == 0) {
		for (; d->candidate_next < d->candidate_count; d->candidate_next++)
			d->candidates[d->candidate_next].route->behind = true;
		cycle_end(d);
	}
}

void poller_prepared(struct dispatcher *d, struct route_state *route, bool begun)
{
	d->preparing--;
	if (route != NULL)
		route->preparing--;
	if (begun)
		route->begun++;
	if (d->poll_call == NULL)
		fill_slots(d);
}

static void add_candidates(
    struct dispatcher *d, struct route_state *route, struct json_object *tasks)
{
	for (size_t i = 0; i < json_object_array_length(tasks); i++) {
		struct json_object *task = json_object_array_get_idx(tasks, i);

		if (!str_equal(json_get_string(task, "queue"), route->route->queue_name))
			continue;
		route->returned++;
		d->candidates =
		    xreallocarray(d->candidates, d->candidate_count + 1, sizeof(*d->candidates));
		d->candidates[d->candidate_count++] =
		    (struct candidate){route, json_object_get(task)};
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
	d->poll_failures++;
	d->metrics.poll_errors++;
	d->poll_not_before = clock_monotonic() + delay;
	if (!str_equal(d->poll_error, err->message))
		log_error("cannot poll: %s (next try in %.0f s)", err->message, delay);
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
	for (size_t i = 0; i < d->route_count; i++)
		if (d->routes[i].polled)
			add_candidates(d, &d->routes[i], result);
	fill_slots(d);
}

/* How many tasks of a queue to ask for: what fits, and what we know to be there and not ready. */
static size_t default_limit(struct dispatcher *d)
{
	return (size_t)(d->config->max_concurrent_agents - d->slots_used) + HASH_COUNT(d->lives);
}

static void send_poll(struct dispatcher *d, const char **queues)
{
	struct queue_request request = {.op = QUEUE_GET_READY_TASKS, .queues = queues};

	for (size_t i = 0; i < d->route_count; i++)
		if (d->routes[i].polled && d->routes[i].limit > request.limit)
			request.limit = d->routes[i].limit;
	for (size_t i = 0; i < d->route_count; i++)
		d->routes[i].limit = d->routes[i].polled ? request.limit : d->routes[i].limit;
	d->poll_call = queue_call(d->queue, &request, QUEUE_TIMEOUT, on_polled, d);
}

/* Polls the routes that are due, if there is a slot and no poll is under way. */
static void poll_now(struct dispatcher *d)
{
	const char **queues;
	size_t count = 0;

	if (!dispatcher_claims(d) || cycle_open(d) || clock_monotonic() < d->poll_not_before)
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
		route->held = false;
		route->returned = route->begun = 0;
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
	if (d->candidate_next < d->candidate_count && d->poll_call == NULL)
		fill_slots(d);
	for (size_t i = 0; i < d->route_count; i++)
		if (d->routes[i].behind && slot_free(d) && route_has_room(&d->routes[i]))
			d->routes[i].due = true;
	poll_now(d);
	set_timer(d);
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
	candidates_free(d);
}

void dispatcher_poke(struct dispatcher *d)
{
	for (size_t i = 0; i < d->route_count; i++)
		d->routes[i].due = true;
	poller_kick(d);
}
