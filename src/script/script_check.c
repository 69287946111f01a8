/* What can be wrong with a dispatcher as a whole: routes that do not fit together. */
#include "base/str.h"
#include "script/script_impl.h"

/* One route and what it is checked against. */
struct check {
	struct script_problems *problems;
	const struct script_dispatcher *dispatcher;
	const struct route *route;
	const struct place *place;
};

#define ROUTE_PROBLEM(check, ...) \
	problems_add((check)->problems, (check)->place->file, (check)->place->line, __VA_ARGS__)

/* The route that watches a queue, or NULL. */
static const struct route *watcher(const struct script_dispatcher *dispatcher, const char *queue)
{
	for (size_t i = 0; i < dispatcher->config->route_count; i++)
		if (str_equal(dispatcher->config->routes[i]->queue_name, queue))
			return dispatcher->config->routes[i];
	return NULL;
}

static void check_in_progress(const struct check *check)
{
	const char *queue = check->route->in_progress_queue;
	const struct route *other = watcher(check->dispatcher, queue);

	if (other == check->route)
		ROUTE_PROBLEM(check,
		    "in_progress_queue '%s' is the queue that the route watches: its tasks would "
		    "be "
		    "taken again and again",
		    queue);
	else if (other != NULL)
		ROUTE_PROBLEM(check,
		    "in_progress_queue '%s' is watched by the route of line %d: tasks in progress "
		    "would be taken again",
		    queue, other->line);
}

static void check_targets(const struct check *check)
{
	const struct route *route = check->route;
	const struct route *defaults = check->dispatcher->defaults;

	if (str_equal(route->dead_letter_queue, route->queue_name))
		ROUTE_PROBLEM(check,
		    "dead_letter_queue '%s' is the queue that the route watches: failed tasks "
		    "would "
		    "come back for ever%s",
		    route->queue_name,
		    str_equal(route->dead_letter_queue, defaults->dead_letter_queue)
			? "; set dead_letter_queue = false on this route"
			: "");
	if (str_equal(route->success_queue, route->queue_name))
		ROUTE_PROBLEM(check,
		    "success_queue '%s' is the queue that the route watches: finished tasks would "
		    "come "
		    "back for ever%s",
		    route->queue_name,
		    str_equal(route->success_queue, defaults->success_queue)
			? "; set success_queue = false on this route"
			: "");
	if (route->success_queue != NULL &&
	    str_equal(route->success_queue, route->in_progress_queue))
		ROUTE_PROBLEM(check,
		    "success_queue '%s' is the in_progress_queue: finished tasks would stay where "
		    "they "
		    "are",
		    route->success_queue);
	if (route->dead_letter_queue != NULL &&
	    str_equal(route->dead_letter_queue, route->in_progress_queue))
		ROUTE_PROBLEM(check,
		    "dead_letter_queue '%s' is the in_progress_queue: failed tasks would stay "
		    "where "
		    "they are",
		    route->dead_letter_queue);
}

static void check_route(const struct check *check, size_t index)
{
	const struct script_dispatcher *dispatcher = check->dispatcher;
	const struct route *route = check->route;
	const struct route *first;

	if (dispatcher->route_needs_command[index] && route->command[0] == NULL)
		ROUTE_PROBLEM(check, "command is missing: set it on the route or on the "
				     "dispatcher, or give the route an "
				     "agent");
	/* A route whose options are wrong has been reported; what it names is not known. */
	if (route->queue_name == NULL || route->in_progress_queue == NULL)
		return;
	first = watcher(dispatcher, route->queue_name);
	if (first != route)
		ROUTE_PROBLEM(check, "queue '%s' has a route already, at line %d",
		    route->queue_name, first->line);
	check_in_progress(check);
	check_targets(check);
}

void script_check(struct script *script, const struct script_dispatcher *dispatcher)
{
	const struct config *config = dispatcher->config;

	if (config->route_count == 0)
		problems_add(script->problems, dispatcher->place.file, dispatcher->place.line,
		    "the dispatcher has no routes: add dispatcher:route { queue_name = …, prompt = "
		    "… }");
	for (size_t i = 0; i < config->route_count; i++) {
		const struct check check = {.problems = script->problems,
		    .dispatcher = dispatcher,
		    .route = config->routes[i],
		    .place = &dispatcher->route_places[i]};

		check_route(&check, i);
	}
}
