/* Taking no more tasks for a while: for one route, or for all. */
#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "dispatch/control.h"
#include "dispatch/route_table.h"

#include <stdlib.h>
#include <string.h>

/* The name that the store has for all routes: no queue is called so. */
#define ALL ""

static size_t count(const struct dispatcher *d)
{
	return d->paused_queues == NULL ? 0 : xstrv_len((const char *const *)d->paused_queues);
}

static bool is_paused(const struct dispatcher *d, const char *queue_name)
{
	for (size_t i = 0; i < count(d); i++)
		if (strcmp(d->paused_queues[i], queue_name) == 0)
			return true;
	return false;
}

void pause_forget(struct dispatcher *d, const char *queue_name)
{
	size_t kept = 0;

	for (size_t i = 0, n = count(d); i < n; i++) {
		if (strcmp(d->paused_queues[i], queue_name) == 0)
			free(d->paused_queues[i]);
		else
			d->paused_queues[kept++] = d->paused_queues[i];
	}
	if (d->paused_queues != NULL)
		d->paused_queues[kept] = NULL;
}

void pause_apply(struct dispatcher *d)
{
	for (size_t i = 0; i < d->route_count; i++)
		d->routes[i].paused = d->paused || is_paused(d, d->routes[i].route->queue_name);
}

bool pause_covers_all(const struct dispatcher *d)
{
	for (size_t i = 0; i < d->route_count; i++)
		if (!d->routes[i].paused)
			return false;
	return true;
}

static void load(void *arg, const char *queue_name)
{
	struct dispatcher *d = arg;

	if (strcmp(queue_name, ALL) == 0)
		d->paused = true;
	else
		d->paused_queues = xstrv_add(d->paused_queues, queue_name);
}

bool pause_load(struct dispatcher *d, struct error *err)
{
	if (!store_load_pauses(d->store, load, d, err))
		return false;
	pause_apply(d);
	if (d->paused)
		log_warn("all routes are paused since before the start; POST /resume ends it");
	return true;
}

/* ---- a change ---- */

struct pause_change {
	struct dispatcher *d;
	char *queue_name; /* NULL: all */
	bool paused;
	dispatcher_fn fn;
	void *arg;
	struct error err;
};

/* Ends the change. */
static void answer(struct pause_change *change, struct json_object *result, const struct error *err)
{
	change->fn(change->arg, result, err);
	json_object_put(result);
	error_clear(&change->err);
	free(change->queue_name);
	free(change);
}

static void set(const struct pause_change *change)
{
	struct dispatcher *d = change->d;

	if (change->queue_name == NULL)
		d->paused = change->paused;
	else if (!change->paused)
		pause_forget(d, change->queue_name);
	else if (!is_paused(d, change->queue_name))
		d->paused_queues = xstrv_add(d->paused_queues, change->queue_name);
	if (change->queue_name == NULL && !change->paused) {
		xstrv_free(d->paused_queues);
		d->paused_queues = NULL;
	}
	pause_apply(d);
	log_info("%s%s%s", change->queue_name != NULL ? "the route of queue " : "all routes",
	    change->queue_name != NULL ? change->queue_name : "",
	    change->paused ? ": paused" : ": resumed");
}

struct json_object *pause_view(const struct dispatcher *d)
{
	struct json_object *view = json_object_new_object();

	json_put_bool(view, "paused", d->paused);
	json_put(view, "paused_routes", json_from_strv((const char *const *)d->paused_queues));
	return view;
}

static void on_stored(void *arg, bool ok, const struct error *err)
{
	struct pause_change *change = arg;
	struct dispatcher *d = change->d;

	if (!ok) {
		answer(change, NULL, err);
		return;
	}
	set(change);
	if (change->paused)
		route_table_drop_claims(d, change->queue_name);
	else
		dispatcher_poke(d);
	answer(change, pause_view(d), NULL);
	dispatcher_check_rest(d);
}

static void refuse(void *arg)
{
	struct pause_change *change = arg;

	answer(change, NULL, &change->err);
}

void dispatcher_pause(
    struct dispatcher *d, const char *queue_name, bool paused, dispatcher_fn fn, void *arg)
{
	struct pause_change *change = xcalloc(1, sizeof(*change));

	change->d = d;
	change->queue_name = xstrdup(queue_name);
	change->paused = paused;
	change->fn = fn;
	change->arg = arg;
	if (queue_name != NULL && poller_route(d, queue_name) == NULL) {
		error_set(
		    &change->err, ERROR_NOT_FOUND, "no route watches the queue \"%s\"", queue_name);
		loop_defer(d->loop, refuse, change);
	} else if (queue_name == NULL && !paused) {
		store_forget_pauses(d->store, on_stored, change);
	} else {
		store_save_pause(
		    d->store, queue_name != NULL ? queue_name : ALL, paused, on_stored, change);
	}
}
