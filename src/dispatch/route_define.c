/* Makes a route of options that came through the API, by the checks that scripts have. */
#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"
#include "dispatch/route_table.h"
#include "model/route_check.h"
#include "model/template.h"
#include "script/options.h"

#include <stdlib.h>
#include <string.h>

/* What null is for options that a script leaves out rather than switches off. */
static const char *const left_out[] = {"priority", "cwd", "prompt", NULL};

static bool is_null(struct json_object *options, const char *name)
{
	struct json_object *value = NULL;

	return json_object_object_get_ex(options, name, &value) && value == NULL;
}

/* The options that the script's table reads: without the prompt, and without nulls that it has not.
 */
static struct json_object *readable(struct json_object *options)
{
	struct json_object *copy = json_object_new_object();

	json_object_object_foreach (options, key, value) {
		json_put(copy, key, json_object_get(value));
	}
	json_object_object_del(copy, "prompt");
	for (size_t i = 0; left_out[i] != NULL; i++)
		if (is_null(options, left_out[i]))
			json_object_object_del(copy, left_out[i]);
	return copy;
}

/* null gives a route of the script its function back. */
static bool read_prompt(struct route *route, struct json_object *options, struct error *err)
{
	struct json_object *value = NULL;
	const char *text;

	if (json_object_object_get_ex(options, "prompt", &value)) {
		free(route->prompt);
		route->prompt = NULL;
	}
	if (value == NULL)
		return route->prompt != NULL || route->script_index >= 0 ||
		       error_set(err, ERROR_INVALID,
			   "prompt is missing: the text for the agent, in which {{task.id}} and "
			   "its "
			   "like stand for the task's");
	if (!json_object_is_type(value, json_type_string))
		return error_set(err, ERROR_INVALID, "prompt must be a string");
	text = json_object_get_string(value);
	if (strlen(text) != (size_t)json_object_get_string_len(value))
		return error_set(err, ERROR_INVALID, "prompt holds a NUL character");
	if (text[0] == '\0')
		return error_set(err, ERROR_INVALID, "prompt is an empty string");
	route->prompt = xstrdup(text);
	return template_check(text, err);
}

static bool read_options(struct dispatcher *d, struct route *route, struct json_object *options,
    const char **field, struct error *err)
{
	struct json_object *copy = readable(options), *value;
	const struct option_target target = {
	    .route = route, .dir = d->config->script_dir, .what = "the route"};
	bool ok;

	if (is_null(options, "cwd")) {
		free(route->cwd);
		route->cwd = xstrdup(d->config->defaults->cwd);
	}
	if (json_object_object_get_ex(options, "priority", &value))
		route->has_priority = value != NULL;
	ok = options_read_json(copy, route_options, &target, field, err);
	json_object_put(copy);
	if (!ok)
		return false;
	*field = "prompt";
	return read_prompt(route, options, err);
}

struct mistake {
	const char **field;
	struct error *err;
};

/* The first one counts. */
static void on_mistake(void *arg, enum error_code code, const char *field, const char *message)
{
	struct mistake *mistake = arg;

	if (mistake->err->code != ERROR_NONE)
		return;
	*mistake->field = field;
	error_set(mistake->err, code, "%s", message);
}

/* Where the route runs its command, is there one? Another agent of the script needs none. */
static bool check_command(
    struct dispatcher *d, const struct route *route, const char **field, struct error *err)
{
	*field = "command";
	if (route->command[0] != NULL || route->script_index >= 0 ||
	    !d->config->agent_needs_command)
		return true;
	return error_set(
	    err, ERROR_INVALID, "command is missing: the script sets none for all routes");
}

static bool check_beside(struct dispatcher *d, const struct route *route, bool replace,
    const char **field, struct error *err)
{
	const struct route **routes = xcalloc(d->route_count + 1, sizeof(routes[0]));
	struct route_set set = {.routes = routes, .defaults = d->config->defaults};
	struct mistake mistake = {field, err};

	*field = NULL;
	for (size_t i = 0; i < d->route_count; i++)
		if (!replace || !str_equal(d->routes[i].route->queue_name, route->queue_name))
			routes[set.count++] = d->routes[i].route;
	route_check(route, &set, on_mistake, &mistake);
	route_check_newcomer(route, &set, on_mistake, &mistake);
	free(routes);
	return err->code == ERROR_NONE;
}

struct route *route_define(struct dispatcher *d, const struct route *base, bool replace,
    struct json_object *options, const char **field, struct error *err)
{
	struct route *route = route_copy(base);

	*field = NULL;
	if (base == d->config->defaults) {
		route->order = d->next_order++;
		route->script_index = -1;
	}
	if (read_options(d, route, options, field, err) && check_command(d, route, field, err) &&
	    check_beside(d, route, replace, field, err))
		return route;
	route_free(route);
	return NULL;
}
