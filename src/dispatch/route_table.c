/* The routes in force: the script's, those made through the API, and how both change. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "dispatch/route_table.h"
#include "dispatch/state.h"

#include <stdlib.h>
#include <string.h>

static int compare_states(const void *a, const void *b)
{
	return route_compare(
	    ((const struct route_state *)a)->route, ((const struct route_state *)b)->route);
}

/* After a change of the array: the order of serving, and all that follows from it. */
static void settle(struct dispatcher *d)
{
	qsort(d->routes, d->route_count, sizeof(*d->routes), compare_states);
	pause_apply(d);
}

/* What an earlier route of the queue has left: its runs and claims still end. */
static void count_lives(const struct dispatcher *d, struct route_state *state)
{
	for (const struct live *live = d->lives; live != NULL; live = live->hh.next)
		if (strcmp(live->run->queue_name, state->route->queue_name) == 0)
			state->running += live->has_slot;
}

static struct route_state *add(struct dispatcher *d, struct route *route)
{
	struct route_state *state;

	d->routes = xreallocarray(d->routes, d->route_count + 1, sizeof(*d->routes));
	state = &d->routes[d->route_count++];
	*state = (struct route_state){.route = route};
	count_lives(d, state);
	return state;
}

void route_table_drop_claims(struct dispatcher *d, const char *queue_name)
{
	for (struct live *live = d->lives; live != NULL; live = live->hh.next)
		if (claim_is_preparing(live) && !live->let_go &&
		    (queue_name == NULL || strcmp(live->run->queue_name, queue_name) == 0))
			claim_let_go(live);
}

struct route_state *route_table_put(
    struct dispatcher *d, struct route *route, struct json_object *given)
{
	struct route_state *state = poller_route(d, route->queue_name);

	if (state == NULL) {
		state = add(d, route);
	} else {
		route_table_drop_claims(d, route->queue_name);
		route_free(state->route);
		json_object_put(state->given);
		state->route = route;
	}
	state->given = given;
	state->changed = given == NULL;
	state->due = true;
	if (d->poll_timer != NULL)
		state->next_poll = clock_monotonic() + route->poll_interval;
	settle(d);
	poller_kick(d);
	return poller_route(d, route->queue_name);
}

static void clear_state(struct route_state *state)
{
	route_free(state->route);
	json_object_put(state->given);
	poller_drop_tasks(state);
	free(state->error);
}

void route_table_remove(struct dispatcher *d, struct route_state *state)
{
	size_t index = (size_t)(state - d->routes);

	route_table_drop_claims(d, state->route->queue_name);
	clear_state(state);
	memmove(state, state + 1, (d->route_count - index - 1) * sizeof(*state));
	d->route_count--;
	settle(d);
	poller_kick(d);
}

void route_table_load(struct dispatcher *d)
{
	for (size_t i = 0; i < d->config->route_count; i++)
		add(d, route_copy(d->config->routes[i]));
	d->next_order = (int)d->config->route_count;
	settle(d);
}

/* ---- what is stored ---- */

struct inactive_route *route_table_inactive(struct dispatcher *d, const char *queue_name)
{
	for (struct inactive_route *item = d->inactive; item != NULL; item = item->next)
		if (strcmp(item->queue_name, queue_name) == 0)
			return item;
	return NULL;
}

void route_table_forget_inactive(struct dispatcher *d, const char *queue_name)
{
	for (struct inactive_route **at = &d->inactive; *at != NULL; at = &(*at)->next) {
		struct inactive_route *item = *at;

		if (strcmp(item->queue_name, queue_name) != 0)
			continue;
		*at = item->next;
		free(item->queue_name);
		free(item->error);
		free(item);
		return;
	}
}

static void keep_inactive(struct dispatcher *d, const char *queue_name, const char *why)
{
	struct inactive_route *item = xcalloc(1, sizeof(*item));

	log_error(
	    "the route of queue \"%s\", made through the API, is not used: %s; mend the script, "
	    "or DELETE the route",
	    queue_name, why);
	item->queue_name = xstrdup(queue_name);
	item->error = xstrdup(why);
	item->next = d->inactive;
	d->inactive = item;
}

static void load_stored(void *arg, const char *queue_name, const char *options)
{
	struct dispatcher *d = arg;
	struct error err = {0};
	struct json_object *given = json_parse(options, strlen(options), &err);
	const char *field;
	struct route *route =
	    given == NULL ? NULL : route_define(d, d->config->defaults, NULL, given, &field, &err);

	if (route != NULL) {
		route_table_put(d, route, given);
		return;
	}
	keep_inactive(d, queue_name, err.message);
	json_object_put(given);
	error_clear(&err);
}

bool route_table_load_stored(struct dispatcher *d, struct error *err)
{
	return store_load_routes(d->store, load_stored, d, err);
}

void route_table_free(struct dispatcher *d)
{
	for (size_t i = 0; i < d->route_count; i++)
		clear_state(&d->routes[i]);
	free(d->routes);
	d->routes = NULL;
	d->route_count = 0;
	while (d->inactive != NULL)
		route_table_forget_inactive(d, d->inactive->queue_name);
}
