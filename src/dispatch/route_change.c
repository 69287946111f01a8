/* Changes of routes through the API: one at a time, on disk before they have an effect. */
#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "dispatch/control.h"
#include "dispatch/route_table.h"

#include <stdlib.h>

enum change_kind { CHANGE_CREATE, CHANGE_UPDATE, CHANGE_DELETE };

struct route_change {
	struct dispatcher *d;
	enum change_kind kind;
	char *queue_name; /* NULL: it is to be created */
	struct json_object *options;
	dispatcher_fn fn;
	void *arg;
	struct route *route;	   /* what is to be put in force */
	struct json_object *given; /* as it is stored */
	STAILQ_ENTRY(route_change) next;
};

static void proceed(void *arg);

/* Answers the first change, and goes on with the next. */
static void end(struct route_change *change, struct json_object *result, const struct error *err)
{
	struct dispatcher *d = change->d;

	STAILQ_REMOVE_HEAD(&d->route_changes, next);
	change->fn(change->arg, result, err);
	json_object_put(result);
	free(change->queue_name);
	json_object_put(change->options);
	route_free(change->route);
	json_object_put(change->given);
	free(change);
	if (!STAILQ_EMPTY(&d->route_changes))
		loop_defer(d->loop, proceed, d);
}

/* Ends err. */
static void refuse(struct route_change *change, const char *field, struct error *err)
{
	struct json_object *about = json_object_new_object();

	json_put_string(about, "field", field);
	end(change, about, err);
	error_clear(err);
}

static void refuse_unknown(struct route_change *change)
{
	struct error err = {0};

	error_set(&err, ERROR_NOT_FOUND, "no route watches the queue \"%s\"", change->queue_name);
	refuse(change, NULL, &err);
}

/* ---- put in force ---- */

static void put(struct route_change *change)
{
	struct dispatcher *d = change->d;
	struct route_state *state = route_table_put(d, change->route, change->given);

	change->route = NULL;
	change->given = NULL;
	route_table_forget_inactive(d, state->route->queue_name);
	log_info("the route of queue \"%s\" was %s through the API", state->route->queue_name,
	    change->kind == CHANGE_CREATE ? "made" : "changed");
	end(change, route_view(state), NULL);
}

/* A stored route that is not used goes first: the one in force is another. */
static void drop(struct route_change *change)
{
	struct dispatcher *d = change->d;
	bool inactive = route_table_inactive(d, change->queue_name) != NULL;
	struct route_state *state = inactive ? NULL : poller_route(d, change->queue_name);
	bool script = state != NULL && state->given == NULL;
	struct json_object *result = json_object_new_object();

	json_put_string(result, "queue_name", change->queue_name);
	json_put_string(result, "source", script ? "script" : "api");
	json_put_string(result, "until", script ? "reload" : NULL);
	if (state != NULL)
		route_table_remove(d, state);
	if (!script) {
		pause_forget(d, change->queue_name);
		route_table_forget_inactive(d, change->queue_name);
	}
	log_info("the route of queue \"%s\" was deleted through the API%s", change->queue_name,
	    script ? "; the script brings it back when it is loaded again" : "");
	end(change, result, NULL);
}

static void on_stored(void *arg, bool ok, const struct error *err)
{
	struct route_change *change = arg;
	struct error copy = {0};

	if (!ok) {
		error_copy(&copy, err);
		refuse(change, NULL, &copy);
	} else if (change->kind == CHANGE_DELETE) {
		drop(change);
	} else {
		put(change);
	}
}

/* ---- the kinds ---- */

static void save(struct route_change *change)
{
	char *text = json_print(change->given);

	store_save_route(change->d->store, change->route->queue_name, text, on_stored, change);
	free(text);
}

static void create(struct route_change *change)
{
	struct dispatcher *d = change->d;
	struct error err = {0};
	const char *field;

	change->route = route_define(d, d->config->defaults, false, change->options, &field, &err);
	if (change->route == NULL) {
		refuse(change, field, &err);
		return;
	}
	change->given = json_object_get(change->options);
	save(change);
}

/* A shallow copy of the options with the changes over them. */
static struct json_object *merge(struct json_object *given, struct json_object *changes)
{
	struct json_object *merged = json_object_new_object();

	json_object_object_foreach (given, key, value) {
		json_put(merged, key, json_object_get(value));
	}
	json_object_object_foreach (changes, name, changed) {
		json_put(merged, name, json_object_get(changed));
	}
	return merged;
}

static bool same_queue(struct route_change *change, struct error *err)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(change->options, "queue_name", &value) ||
	    (json_object_is_type(value, json_type_string) &&
		str_equal(json_object_get_string(value), change->queue_name)))
		return true;
	return error_set(err, ERROR_INVALID,
	    "queue_name of a route stays as it is: delete the route and make another");
}

static void update(struct route_change *change)
{
	struct dispatcher *d = change->d;
	struct route_state *state = poller_route(d, change->queue_name);
	const char *field = "queue_name";
	struct error err = {0};

	if (state == NULL) {
		refuse_unknown(change);
		return;
	}
	if (same_queue(change, &err) && state->given != NULL) {
		change->given = merge(state->given, change->options);
		change->route =
		    route_define(d, d->config->defaults, true, change->given, &field, &err);
	} else if (err.code == ERROR_NONE) {
		change->route = route_define(d, state->route, true, change->options, &field, &err);
	}
	if (change->route == NULL) {
		refuse(change, field, &err);
		return;
	}
	change->route->order = state->route->order;
	if (change->given != NULL)
		save(change);
	else
		put(change);
}

static void delete (struct route_change *change)
{
	struct dispatcher *d = change->d;
	struct route_state *state = poller_route(d, change->queue_name);

	bool inactive = route_table_inactive(d, change->queue_name) != NULL;

	if (state == NULL && !inactive)
		refuse_unknown(change);
	else if (!inactive && state->given == NULL)
		drop(change);
	else
		store_delete_route(d->store, change->queue_name, on_stored, change);
}

static void proceed(void *arg)
{
	struct dispatcher *d = arg;
	struct route_change *change = STAILQ_FIRST(&d->route_changes);
	struct error err = {0};

	if (d->stopping == STOP_DONE) {
		error_set(&err, ERROR_UNAVAILABLE, "the daemon is stopping");
		refuse(change, NULL, &err);
		return;
	}
	switch (change->kind) {
	case CHANGE_CREATE:
		create(change);
		return;
	case CHANGE_UPDATE:
		update(change);
		return;
	case CHANGE_DELETE:
		delete (change);
		return;
	}
	fatal("a change of routes is of no kind");
}

static void begin(struct dispatcher *d, enum change_kind kind, const char *queue_name,
    struct json_object *options, dispatcher_fn fn, void *arg)
{
	struct route_change *change = xcalloc(1, sizeof(*change));

	change->d = d;
	change->kind = kind;
	change->queue_name = xstrdup(queue_name);
	change->options = json_object_get(options);
	change->fn = fn;
	change->arg = arg;
	if (STAILQ_EMPTY(&d->route_changes))
		loop_defer(d->loop, proceed, d);
	STAILQ_INSERT_TAIL(&d->route_changes, change, next);
}

void dispatcher_create_route(
    struct dispatcher *d, struct json_object *options, dispatcher_fn fn, void *arg)
{
	begin(d, CHANGE_CREATE, NULL, options, fn, arg);
}

void dispatcher_update_route(struct dispatcher *d, const char *queue_name,
    struct json_object *options, dispatcher_fn fn, void *arg)
{
	begin(d, CHANGE_UPDATE, queue_name, options, fn, arg);
}

void dispatcher_delete_route(
    struct dispatcher *d, const char *queue_name, dispatcher_fn fn, void *arg)
{
	begin(d, CHANGE_DELETE, queue_name, NULL, fn, arg);
}
