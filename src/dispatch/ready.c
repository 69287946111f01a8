/* Whether work can be taken, when it is to be looked for, and gauges of what there is. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "dispatch/control.h"
#include "dispatch/state.h"

static void add(struct json_object *list, const char *code, const char *message)
{
	struct json_object *item = json_object_new_object();

	json_put_string(item, "code", code);
	json_put_string(item, "message", message);
	json_object_array_add(list, item);
}

struct json_object *dispatcher_obstacles(struct dispatcher *d)
{
	struct json_object *list = json_object_new_array();
	const struct error *fault = queue_fault(d->queue);
	bool full = d->slots_used >= d->config->max_concurrent_agents;

	if (d->stopping != STOP_NO)
		add(list, "stopping", "the daemon is stopping");
	if (fault != NULL || d->poll_error != NULL)
		add(list, "backend_unavailable", fault != NULL ? fault->message : d->poll_error);
	else if (d->last_poll_at == 0 && !full && !pause_covers_all(d))
		add(list, "not_polled_yet", "the first poll is not over");
	if (d->store_error != NULL)
		add(list, "storage_error", d->store_error);
	return list;
}

struct json_object *dispatcher_poll(struct dispatcher *d, struct error *err)
{
	struct json_object *object, *list;

	if (!dispatcher_claims(d)) {
		error_set(err, ERROR_UNAVAILABLE, "the daemon is stopping and takes no more tasks");
		return NULL;
	}
	object = json_object_new_object();
	list = json_object_new_array();
	for (size_t i = 0; i < d->route_count; i++)
		if (!d->routes[i].paused)
			json_object_array_add(
			    list, json_object_new_string(d->routes[i].route->queue_name));
	json_put_string(object, "status", "polling");
	json_put(object, "routes", list);
	d->poll_not_before = 0;
	dispatcher_poke(d);
	return object;
}

static void gauge(struct str *out, const char *name, const char *help, double value)
{
	metrics_head(out, name, "gauge", help);
	str_printf(out, "%s %.15g\n", name, value);
}

/* Whether 1 or 0, or how many, for each route. */
static void route_gauge(struct dispatcher *d, struct str *out, const char *name, const char *help,
    int (*value)(const struct route_state *state))
{
	metrics_head(out, name, "gauge", help);
	for (size_t i = 0; i < d->route_count; i++) {
		str_printf(out, "%s{queue=", name);
		metrics_label(out, d->routes[i].route->queue_name);
		str_printf(out, "} %d\n", value(&d->routes[i]));
	}
}

static int slots_of(const struct route_state *state)
{
	return state->running;
}

static int paused_of(const struct route_state *state)
{
	return state->paused;
}

static int at_work(const struct dispatcher *d)
{
	int count = 0;

	for (const struct live *live = d->lives; live != NULL; live = live->hh.next)
		count += live->run->state == RUN_RUNNING && live->has_slot;
	return count;
}

void dispatcher_metrics(struct dispatcher *d, struct str *out)
{
	struct json_object *obstacles = dispatcher_obstacles(d);

	metrics_head(out, "athanore_build_info", "gauge", "The program that answers.");
	str_puts(out, "athanore_build_info{version=");
	metrics_label(out, ATHANORE_VERSION);
	str_puts(out, "} 1\n");
	gauge(out, "athanore_start_time_seconds", "When the daemon started, since 1970.",
	    (double)d->started_at / 1000);
	gauge(out, "athanore_ready", "Whether work can be taken.",
	    json_object_array_length(obstacles) == 0);
	gauge(out, "athanore_active_agents", "Agents at work.", at_work(d));
	gauge(out, "athanore_slots_used", "Slots that runs hold.", d->slots_used);
	gauge(out, "athanore_slots", "Slots that there are: max_concurrent_agents.",
	    d->config->max_concurrent_agents);
	gauge(out, "athanore_unfinished_runs", "Runs that are not done, waiting ones included.",
	    HASH_COUNT(d->lives));
	route_gauge(
	    d, out, "athanore_route_slots_used", "Slots that the route's runs hold.", slots_of);
	route_gauge(
	    d, out, "athanore_route_paused", "Whether no task is taken for the route.", paused_of);
	metrics_print(&d->metrics, out);
	json_object_put(obstacles);
}
