/* Routes as plain records. */
#include "model/route.h"

#include "base/alloc.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

struct route *route_create(int order)
{
	struct route *route = xcalloc(1, sizeof(*route));

	route->order = order;
	route->script_index = -1;
	return route;
}

void route_free(struct route *route)
{
	if (route == NULL)
		return;
	free(route->queue_name);
	free(route->in_progress_queue);
	xstrv_free(route->command);
	xstrv_free(route->args);
	free(route->cwd);
	xstrv_free(route->env);
	free(route->agent);
	free(route->dead_letter_queue);
	free(route->success_queue);
	free(route->prompt);
	free(route);
}

static char **copy_list(char *const *list)
{
	return list != NULL ? xstrv_dup((const char *const *)list) : xcalloc(1, sizeof(*list));
}

struct route *route_copy(const struct route *route)
{
	struct route *copy = xmalloc(sizeof(*copy));

	*copy = *route;
	copy->queue_name = xstrdup(route->queue_name);
	copy->in_progress_queue = xstrdup(route->in_progress_queue);
	copy->command = copy_list(route->command);
	copy->args = copy_list(route->args);
	copy->cwd = xstrdup(route->cwd);
	copy->env = copy_list(route->env);
	copy->agent = xstrdup(route->agent);
	copy->dead_letter_queue = xstrdup(route->dead_letter_queue);
	copy->success_queue = xstrdup(route->success_queue);
	copy->prompt = xstrdup(route->prompt);
	return copy;
}

int route_compare(const struct route *a, const struct route *b)
{
	if (a->has_priority != b->has_priority)
		return a->has_priority ? -1 : 1;
	if (a->has_priority && a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	return (a->order > b->order) - (a->order < b->order);
}

static void put_seconds(struct json_object *object, const char *key, double seconds)
{
	if (seconds > 0)
		json_put_double(object, key, seconds);
	else
		json_put(object, key, NULL);
}

/* The names of the variables that the route sets. */
static struct json_object *env_names(char *const *env)
{
	struct json_object *names = json_object_new_array();

	for (; env != NULL && *env != NULL; env++)
		json_object_array_add(
		    names, json_object_new_string_len(*env, (int)strcspn(*env, "=")));
	return names;
}

struct json_object *route_to_json(const struct route *route)
{
	struct json_object *object = json_object_new_object();

	json_put_string(object, "queue_name", route->queue_name);
	json_put_string(object, "in_progress_queue", route->in_progress_queue);
	json_put(object, "command", json_from_strv((const char *const *)route->command));
	json_put(object, "args", json_from_strv((const char *const *)route->args));
	json_put_string(object, "cwd", route->cwd);
	json_put(object, "env", env_names(route->env));
	json_put_string(object, "agent", route->agent);
	json_put_string(object, "prompt", route->prompt);
	put_seconds(object, "timeout", route->timeout);
	put_seconds(object, "stall_timeout", route->stall_timeout);
	json_put_double(object, "poll_interval", route->poll_interval);
	put_seconds(object, "retry_backoff", route->retry_backoff);
	if (route->has_priority)
		json_put_double(object, "priority", route->priority);
	else
		json_put(object, "priority", NULL);
	json_put_int(object, "max_retries", route->max_retries);
	json_put_string(object, "dead_letter_queue", route->dead_letter_queue);
	json_put_string(object, "success_queue", route->success_queue);
	json_put_bool(object, "require_move", route->require_move);
	json_put_bool(object, "cancel_when_moved", route->cancel_when_moved);
	if (route->max_concurrent > 0)
		json_put_int(object, "max_concurrent", route->max_concurrent);
	else
		json_put(object, "max_concurrent", NULL);
	return object;
}
