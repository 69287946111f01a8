/* The table of all endpoints, and which one a request means. */
#include "api/router.h"

#include "api/handlers.h"

#include <string.h>

static const struct api_endpoint endpoints[] = {
    {"GET", "/healthz", api_get_health, NULL, API_PUBLIC},
    {"GET", "/readyz", api_get_ready, NULL, 0},
    {"GET", "/metrics", api_get_metrics, NULL, 0},
    {"GET", "/status", api_get_status, NULL, 0},
    {"POST", "/pause", api_pause, api_pause_fields, 0},
    {"POST", "/resume", api_resume, api_pause_fields, 0},
    {"POST", "/poll", api_poll, NULL, 0},
    {"GET", "/agents", api_list_agents, NULL, 0},
    {"GET", "/agents/{task_id}", api_get_agent, NULL, 0},
    {"DELETE", "/agents/{task_id}", api_cancel_agent, NULL, 0},
    {"POST", "/tasks", api_create_task, api_create_task_fields, 0},
    {"GET", "/tasks/{task_id}", api_get_task, NULL, 0},
    {"PATCH", "/tasks/{task_id}", api_update_task, api_update_task_fields, 0},
    {"POST", "/tasks/{task_id}/comments", api_add_comment, api_add_comment_fields, 0},
    {"POST", "/tasks/{task_id}/move", api_move_task, api_move_task_fields, 0},
    {"GET", "/tasks/{task_id}/events", api_stream_task, NULL, 0},
    {"GET", "/runs", api_list_runs, NULL, 0},
    {"GET", "/runs/{run_id}", api_get_run, NULL, 0},
    {"GET", "/runs/{run_id}/events", api_stream_run, NULL, 0},
    {"GET", "/events", api_stream_journal, NULL, 0},
    {"POST", "/tasks/{task_id}/retry", api_retry_task, NULL, 0},
    {"GET", "/tasks/{task_id}/explain", api_explain_task, NULL, 0},
    {"GET", "/queues", api_list_queues, NULL, 0},
    {"POST", "/queues", api_create_queue, api_queue_fields, API_MANAGES},
    {"GET", "/queues/{queue_name}", api_get_queue, NULL, 0},
    {"PATCH", "/queues/{queue_name}", api_update_queue, api_queue_fields, API_MANAGES},
    {"DELETE", "/queues/{queue_name}", api_delete_queue, NULL, API_MANAGES},
    {"GET", "/routes", api_list_routes, NULL, 0},
    {"POST", "/routes", api_create_route, api_route_fields, API_MANAGES},
    {"GET", "/routes/{queue_name}", api_get_route, NULL, 0},
    {"PATCH", "/routes/{queue_name}", api_update_route, api_route_fields, API_MANAGES},
    {"DELETE", "/routes/{queue_name}", api_delete_route, NULL, API_MANAGES},
};

#define ENDPOINTS (sizeof(endpoints) / sizeof(endpoints[0]))

static bool matches(
    const char *pattern, const struct api_path *path, const char *params[API_MAX_PARAMS])
{
	size_t used = 0;

	for (size_t i = 0; i < path->count; i++) {
		size_t len;

		if (*pattern != '/')
			return false;
		pattern++;
		len = strcspn(pattern, "/");
		if (*pattern == '{')
			params[used++] = path->segments[i];
		else if (strlen(path->segments[i]) != len ||
			 memcmp(pattern, path->segments[i], len) != 0)
			return false;
		pattern += len;
	}
	return *pattern == '\0';
}

static bool serves(const struct api_endpoint *endpoint, const char *method)
{
	return method != NULL &&
	       (strcmp(endpoint->method, method) == 0 ||
		   (strcmp(method, "HEAD") == 0 && strcmp(endpoint->method, "GET") == 0));
}

static void allow(struct str *out, const char *method)
{
	str_puts(out, out->len > 0 ? ", " : "");
	str_puts(out, method);
	if (strcmp(method, "GET") == 0)
		str_puts(out, ", HEAD");
}

const struct api_endpoint *api_router_find(const char *method, const struct api_path *path,
    const char *params[API_MAX_PARAMS], struct api_problem *problem)
{
	struct str allowed = {0};

	for (size_t i = 0; i < ENDPOINTS; i++) {
		if (path->odd || path->count == 0 || path->count > API_MAX_SEGMENTS ||
		    !matches(endpoints[i].pattern, path, params))
			continue;
		if (serves(&endpoints[i], method)) {
			str_free(&allowed);
			return &endpoints[i];
		}
		allow(&allowed, endpoints[i].method);
	}
	if (allowed.len == 0) {
		api_problem_set(problem, 404, "not_found", "there is no such resource");
		return NULL;
	}
	api_problem_set(
	    problem, 405, "method_not_allowed", "this resource allows %s only", allowed.data);
	problem->allow = str_steal(&allowed);
	return NULL;
}
