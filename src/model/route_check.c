/* What can be wrong with routes that are sound each for itself. */
#include "model/route_check.h"

#include "base/alloc.h"
#include "base/str.h"

#include <stdarg.h>
#include <stdlib.h>

/* One route and what it is checked against. */
struct check {
	const struct route *route;
	const struct route_set *set;
	route_check_fn fn;
	void *arg;
};

__attribute__((format(printf, 4, 5))) static void tell(
    const struct check *check, enum error_code code, const char *field, const char *fmt, ...)
{
	va_list ap;
	char *message;

	va_start(ap, fmt);
	message = xvasprintf(fmt, ap);
	va_end(ap);
	check->fn(check->arg, code, field, message);
	free(message);
}

/* The route that watches a queue, or NULL. */
static const struct route *watcher(const struct route_set *set, const char *queue)
{
	for (size_t i = 0; i < set->count; i++)
		if (str_equal(set->routes[i]->queue_name, queue))
			return set->routes[i];
	return NULL;
}

/* Where a route was made: "at line 12"; the caller frees it. */
static char *place_of(const struct route *route, const char *at)
{
	return route->line > 0 ? xasprintf("%s line %d", at, route->line)
			       : xstrdup("made through the API");
}

static void check_queue(const struct check *check)
{
	const struct route *first = watcher(check->set, check->route->queue_name);
	char *place;

	if (first == NULL || first == check->route)
		return;
	place = place_of(first, "at");
	tell(check, ERROR_CONFLICT, "queue_name", "queue '%s' has a route already, %s",
	    check->route->queue_name, place);
	free(place);
}

static void check_in_progress(const struct check *check)
{
	const struct route *route = check->route;
	const struct route *other = watcher(check->set, route->in_progress_queue);
	char *place;

	if (str_equal(route->in_progress_queue, route->queue_name)) {
		tell(check, ERROR_INVALID, "in_progress_queue",
		    "in_progress_queue '%s' is the queue that the route watches: its tasks would "
		    "be "
		    "taken again and again",
		    route->in_progress_queue);
	} else if (other != NULL) {
		place = place_of(other, "of");
		tell(check, ERROR_CONFLICT, "in_progress_queue",
		    "in_progress_queue '%s' is watched by the route %s: tasks in progress would be "
		    "taken again",
		    route->in_progress_queue, place);
		free(place);
	}
}

/* Advice where a mistake comes from the dispatcher's defaults. */
static const char *advice(
    const struct check *check, const char *value, const char *inherited, const char *text)
{
	return check->set->defaults != NULL && str_equal(value, inherited) ? text : "";
}

static void check_targets(const struct check *check)
{
	const struct route *route = check->route;
	const struct route none = {0};
	const struct route *defaults = check->set->defaults != NULL ? check->set->defaults : &none;

	if (str_equal(route->dead_letter_queue, route->queue_name))
		tell(check, ERROR_INVALID, "dead_letter_queue",
		    "dead_letter_queue '%s' is the queue that the route watches: failed tasks "
		    "would "
		    "come back for ever%s",
		    route->queue_name,
		    advice(check, route->dead_letter_queue, defaults->dead_letter_queue,
			"; set dead_letter_queue = false on this route"));
	if (str_equal(route->success_queue, route->queue_name))
		tell(check, ERROR_INVALID, "success_queue",
		    "success_queue '%s' is the queue that the route watches: finished tasks would "
		    "come back for ever%s",
		    route->queue_name,
		    advice(check, route->success_queue, defaults->success_queue,
			"; set success_queue = false on this route"));
	if (route->success_queue != NULL &&
	    str_equal(route->success_queue, route->in_progress_queue))
		tell(check, ERROR_INVALID, "success_queue",
		    "success_queue '%s' is the in_progress_queue: finished tasks would stay where "
		    "they are",
		    route->success_queue);
	if (route->dead_letter_queue != NULL &&
	    str_equal(route->dead_letter_queue, route->in_progress_queue))
		tell(check, ERROR_INVALID, "dead_letter_queue",
		    "dead_letter_queue '%s' is the in_progress_queue: failed tasks would stay "
		    "where "
		    "they are",
		    route->dead_letter_queue);
}

void route_check(
    const struct route *route, const struct route_set *set, route_check_fn fn, void *arg)
{
	const struct check check = {route, set, fn, arg};

	if (route->queue_name == NULL || route->in_progress_queue == NULL)
		return;
	check_queue(&check);
	check_in_progress(&check);
	check_targets(&check);
}

void route_check_newcomer(
    const struct route *route, const struct route_set *set, route_check_fn fn, void *arg)
{
	const struct check check = {route, set, fn, arg};

	for (size_t i = 0; i < set->count; i++) {
		const struct route *other = set->routes[i];

		if (other == route || !str_equal(other->in_progress_queue, route->queue_name))
			continue;
		tell(&check, ERROR_CONFLICT, "queue_name",
		    "queue '%s' is the in_progress_queue of the route of queue '%s': its tasks in "
		    "progress would be taken again",
		    route->queue_name, other->queue_name);
		return;
	}
}
