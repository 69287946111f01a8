/* What can be wrong with a dispatcher as a whole: routes that do not fit together. */
#include "model/route_check.h"
#include "script/script_impl.h"

/* Where the mistakes of one route are told. */
struct check {
	struct script_problems *problems;
	const struct place *place;
};

static void on_mistake(void *arg, enum error_code code, const char *field, const char *message)
{
	const struct check *check = arg;

	(void)code;
	(void)field;
	problems_add(check->problems, check->place->file, check->place->line, "%s", message);
}

static void check_route(
    struct script *script, const struct script_dispatcher *dispatcher, size_t index)
{
	const struct config *config = dispatcher->config;
	const struct route_set set = {.routes = (const struct route *const *)config->routes,
	    .count = config->route_count,
	    .defaults = config->defaults};
	struct check check = {script->problems, &dispatcher->route_places[index]};

	if (dispatcher->route_needs_command[index] && config->routes[index]->command[0] == NULL)
		problems_add(check.problems, check.place->file, check.place->line,
		    "command is missing: set it on the route or on the dispatcher, or give the "
		    "route an agent");
	route_check(config->routes[index], &set, on_mistake, &check);
}

void script_check(struct script *script, const struct script_dispatcher *dispatcher)
{
	const struct config *config = dispatcher->config;

	if (config->route_count == 0)
		problems_add(script->problems, dispatcher->place.file, dispatcher->place.line,
		    "the dispatcher has no routes: add dispatcher:route { queue_name = …, prompt = "
		    "… }");
	for (size_t i = 0; i < config->route_count; i++)
		check_route(script, dispatcher, i);
}
