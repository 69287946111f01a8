/* What a request's target and body go through: decoding, routing, the check of fields; and its
 * bytes through the wire watcher. Input: "METHOD TARGET\n" and the body. */
#include "api/path.h"
#include "api/router.h"
#include "api/wire.h"
#include "base/alloc.h"
#include "dispatch/dispatcher.h"
#include "../fixtures/no_runs.h"
#include "../fixtures/control_stub.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The table of endpoints names the handlers, which are never run here. */
#define NEVER_CALLED fatal("a handler was called")

struct queue *dispatcher_queue(struct dispatcher *dispatcher)
{
	(void)dispatcher;
	NEVER_CALLED;
}

struct json_object *dispatcher_status(struct dispatcher *dispatcher)
{
	(void)dispatcher;
	NEVER_CALLED;
}

struct json_object *dispatcher_agents(struct dispatcher *dispatcher)
{
	(void)dispatcher;
	NEVER_CALLED;
}

struct json_object *dispatcher_routes(struct dispatcher *dispatcher)
{
	(void)dispatcher;
	NEVER_CALLED;
}

struct json_object *dispatcher_route(
    struct dispatcher *dispatcher, const char *queue_name, struct error *err)
{
	(void)dispatcher;
	(void)queue_name;
	(void)err;
	NEVER_CALLED;
}

void dispatcher_agent(
    struct dispatcher *dispatcher, const char *task_id, dispatcher_fn fn, void *arg)
{
	(void)dispatcher;
	(void)task_id;
	(void)fn;
	(void)arg;
	NEVER_CALLED;
}

bool dispatcher_cancel(struct dispatcher *dispatcher, const char *task_id, struct error *err)
{
	(void)dispatcher;
	(void)task_id;
	(void)err;
	NEVER_CALLED;
}

int dispatcher_retry_count(struct dispatcher *dispatcher, const char *task_id)
{
	(void)dispatcher;
	(void)task_id;
	NEVER_CALLED;
}

void dispatcher_note(struct dispatcher *dispatcher, const char *task_id, const char *type,
    struct json_object *fields)
{
	(void)dispatcher;
	(void)task_id;
	(void)type;
	(void)fields;
	NEVER_CALLED;
}

void dispatcher_move_asked(struct dispatcher *dispatcher, const char *task_id)
{
	(void)dispatcher;
	(void)task_id;
	NEVER_CALLED;
}

void dispatcher_poke(struct dispatcher *dispatcher)
{
	(void)dispatcher;
	NEVER_CALLED;
}

/* Encoding a segment and decoding it again gives the same. */
static void check_round_trip(const struct api_path *path)
{
	for (size_t i = 0; i < path->count && i < API_MAX_SEGMENTS; i++) {
		struct api_problem problem = {0};
		struct api_path again;
		struct str target = {0};
		const char *authority;
		size_t len;

		if (strlen(path->segments[i]) > 1000)
			continue; /* three times as long when encoded, the target could be too long
				   */
		str_putc(&target, '/');
		api_path_encode(&target, path->segments[i]);
		if (!api_path_parse(&again, target.data, &authority, &len, &problem))
			fatal("cannot parse %s: %s", target.data, problem.detail);
		if (path->segments[i][0] != '\0' &&
		    (again.count != 1 || strcmp(again.segments[0], path->segments[i]) != 0))
			fatal("%s does not come back", target.data);
		api_path_clear(&again);
		str_free(&target);
	}
}

static void check_problem(struct api_problem *problem, bool expected)
{
	struct str text = {0};

	if ((problem->status != 0) != expected)
		fatal("a problem of status %d", problem->status);
	if (expected) {
		api_problem_print(problem, &text);
		if (!str_utf8_valid(text.data, text.len))
			fatal("a problem that is no UTF-8");
	}
	str_free(&text);
	api_problem_clear(problem);
}

static void route(const char *method, const char *target, const char *body, size_t len)
{
	const char *params[API_MAX_PARAMS] = {NULL}, *authority;
	const struct api_endpoint *endpoint = NULL;
	struct api_problem problem = {0};
	struct api_path path;
	size_t authority_len;

	if (api_path_parse(&path, target, &authority, &authority_len, &problem)) {
		check_round_trip(&path);
		endpoint = api_router_find(method, &path, params, &problem);
		check_problem(&problem, endpoint == NULL);
	} else {
		check_problem(&problem, true);
	}
	if (endpoint != NULL && endpoint->fields != NULL) {
		struct json_object *object = api_body_parse(body, len, endpoint->fields, &problem);

		check_problem(&problem, object == NULL);
		json_object_put(object);
	}
	api_path_clear(&path);
}

/* However the bytes are cut into reads, the same is seen. */
static void watch(const char *data, size_t len)
{
	struct api_wire whole, pieces;
	size_t step = len > 0 ? (unsigned char)data[0] % 7 + 1 : 1;

	api_wire_start(&whole);
	api_wire_feed(&whole, data, len);
	api_wire_start(&pieces);
	for (size_t at = 0; at < len; at += step)
		api_wire_feed(&pieces, data + at, len - at < step ? len - at : step);
	if (whole.state != pieces.state || whole.fault != pieces.fault ||
	    whole.head_len != pieces.head_len || whole.chunk_left != pieces.chunk_left)
		fatal("the wire watcher depends on the size of reads");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xmemdup0(data, size);
	char *end = memchr(text, '\n', size);
	char *space = memchr(text, ' ', size);

	watch(text, size);
	if (end != NULL && space != NULL && space < end) {
		*end = '\0';
		*space = '\0';
		route(text, space + 1, end + 1, size - (size_t)(end + 1 - text));
	}
	free(text);
	return 0;
}
