/* /routes: which queues are watched, and what is run for their tasks. */
#include "api/handlers.h"

#include "base/alloc.h"
#include "base/json.h"
#include "dispatch/control.h"

/* What a route takes is checked where routes are made, by the tables that scripts have. */
const struct api_field api_route_fields[] = {
    {"queue_name", API_ANY, 0},
    {"in_progress_queue", API_ANY, 0},
    {"prompt", API_ANY, 0},
    {"args", API_ANY, 0},
    {"timeout", API_ANY, 0},
    {"stall_timeout", API_ANY, 0},
    {"poll_interval", API_ANY, 0},
    {"priority", API_ANY, 0},
    {"max_retries", API_ANY, 0},
    {"retry_backoff", API_ANY, 0},
    {"dead_letter_queue", API_ANY, 0},
    {"success_queue", API_ANY, 0},
    {"require_move", API_ANY, 0},
    {"cancel_when_moved", API_ANY, 0},
    {"max_concurrent", API_ANY, 0},
    {"command", API_ANY, 0},
    {"env", API_ANY, 0},
    {"cwd", API_ANY, 0},
    {"agent", API_ANY, 0},
    {"when", API_ANY, 0},
    {0},
};

/* What decides which programs are run: on loopback, every user of the machine could. */
static const char *const guarded[] = {"command", "env", "cwd"};

void api_list_routes(struct api_request *request)
{
	api_reply_list(request, "routes", dispatcher_routes(api_request_dispatcher(request)));
}

void api_get_route(struct api_request *request)
{
	struct error err = {0};
	struct json_object *route =
	    dispatcher_route(api_request_dispatcher(request), api_request_param(request), &err);

	if (route == NULL) {
		api_reply_error(request, &err);
		error_clear(&err);
		return;
	}
	api_reply_json(request, 200, route);
	json_object_put(route);
}

/* False where the request was refused. */
static bool check_guarded(struct api_request *request)
{
	struct json_object *value;
	struct api_problem problem = {0};

	if (dispatcher_config(api_request_dispatcher(request))->api_token != NULL)
		return true;
	for (size_t i = 0; i < sizeof(guarded) / sizeof(guarded[0]); i++) {
		if (!json_object_object_get_ex(api_request_body(request), guarded[i], &value))
			continue;
		api_problem_set(&problem, 403, "forbidden",
		    "\"%s\" of a route can be set through the API only where the script has an "
		    "api_token: without one, every user of the machine could run programs as the "
		    "daemon's user",
		    guarded[i]);
		problem.field = xstrdup(guarded[i]);
		api_reply_problem(request, &problem);
		return false;
	}
	return true;
}

/* The option that is the reason comes with the error. */
static void refuse(struct api_request *request, struct json_object *about, const struct error *err)
{
	struct api_problem problem = {0};

	api_problem_from_error(&problem, err);
	problem.field = xstrdup(json_get_string(about, "field"));
	api_reply_problem(request, &problem);
}

static void reply_created(struct api_request *request, struct json_object *route)
{
	struct str location = {0};

	str_puts(&location, "/routes/");
	api_path_encode(&location, json_get_string(route, "queue_name"));
	api_reply_header(request, "Location", location.data);
	str_free(&location);
	api_reply_json(request, 201, route);
}

static void reply_route(struct api_request *request, struct json_object *route)
{
	api_reply_json(request, 200, route);
}

void api_create_route(struct api_request *request)
{
	if (!check_guarded(request))
		return;
	api_request_expect(request, reply_created, refuse);
	dispatcher_create_route(api_request_dispatcher(request), api_request_body(request),
	    api_request_answered, request);
}

void api_update_route(struct api_request *request)
{
	if (!check_guarded(request))
		return;
	api_request_expect(request, reply_route, refuse);
	dispatcher_update_route(api_request_dispatcher(request), api_request_param(request),
	    api_request_body(request), api_request_answered, request);
}

void api_delete_route(struct api_request *request)
{
	dispatcher_delete_route(api_request_dispatcher(request), api_request_param(request),
	    api_request_answered, request);
}
