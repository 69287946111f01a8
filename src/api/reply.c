/* Answers: JSON, problem documents, and what goes with them. */
#include "api/request_parts.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void log_access(const struct api_request *request, int status)
{
	const char *target = api_request_target(request);
	const char *method = api_request_method(request);

	if (log_get_level() > LOG_DEBUG)
		return;
	if (request->evreq == NULL)
		log_debug("a client was gone before its answer (%d)", status);
	else
		log_debug("%s %.*s %d %.1f ms", method != NULL ? method : "(unknown method)",
		    (int)strcspn(target, "?"), target, status,
		    (clock_monotonic() - request->started) * 1000);
}

void api_reply_header(struct api_request *request, const char *name, const char *value)
{
	if (request->evreq == NULL)
		return;
	if (evhttp_add_header(evhttp_request_get_output_headers(request->evreq), name, value) != 0)
		fatal("evhttp_add_header refused %s", name);
}

/* Hands the answer to evhttp, and ends the request. type NULL: there is no body. */
static void send_answer(struct api_request *request, int status, const char *type, const char *head,
    size_t head_len, const char *tail, size_t tail_len, bool refused)
{
	struct evhttp_request *evreq = request->evreq;
	struct evbuffer *output;
	char length[24];

	log_access(request, status);
	request->owner->answers[status]++;
	if (evreq == NULL) {
		api_request_finish(request);
		return;
	}
	snprintf(length, sizeof(length), "%zu", head_len + tail_len);
	if (type != NULL) {
		api_reply_header(request, "Content-Type", type);
		api_reply_header(request, "Content-Length", length);
	}
	if (refused || request->owner->stopping)
		api_reply_header(request, "Connection", "close");
	output = evhttp_request_get_output_buffer(evreq);
	if (evhttp_request_get_command(evreq) != EVHTTP_REQ_HEAD &&
	    (evbuffer_add(output, head, head_len) != 0 ||
		(tail_len > 0 && evbuffer_add(output, tail, tail_len) != 0)))
		fatal("evbuffer_add failed");
	/* evhttp never closes behind a CONNECT, which gets an answer like any other here. */
	if (evreq->type == EVHTTP_REQ_CONNECT)
		evreq->type = EVHTTP_REQ_GET;
	api_connection_reply(request->connection, evreq, refused);
	api_request_finish(request);
	evhttp_send_reply(evreq, status, api_status_title(status), NULL);
}

struct evhttp_request *api_reply_detach(
    struct api_request *request, struct api_connection **connection)
{
	struct evhttp_request *evreq = request->evreq;

	log_access(request, 200);
	request->owner->answers[200]++;
	*connection = request->connection;
	api_request_finish(request);
	return evreq;
}

void api_reply_text(struct api_request *request, int status, const char *text, size_t len)
{
	send_answer(request, status, "application/json", text, len, NULL, 0, false);
}

void api_reply_typed(
    struct api_request *request, int status, const char *type, const char *text, size_t len)
{
	send_answer(request, status, type, text, len, NULL, 0, false);
}

void api_reply_nothing(struct api_request *request)
{
	send_answer(request, 204, NULL, "", 0, NULL, 0, false);
}

void api_reply_parts(struct api_request *request, int status, const char *head, size_t head_len,
    const char *tail, size_t tail_len)
{
	send_answer(request, status, "application/json", head, head_len, tail, tail_len, false);
}

void api_reply_json(struct api_request *request, int status, struct json_object *value)
{
	size_t len;
	const char *text = api_json_text(value, &len);

	api_reply_text(request, status, text, len);
}

void api_reply_list(struct api_request *request, const char *key, struct json_object *list)
{
	struct json_object *object = json_object_new_object();

	json_put(object, key, list != NULL ? list : json_object_new_array());
	api_reply_json(request, 200, object);
	json_object_put(object);
}

static void add_headers(struct api_request *request, const struct api_problem *problem)
{
	char seconds[24];

	if (problem->allow != NULL)
		api_reply_header(request, "Allow", problem->allow);
	if (problem->challenge)
		api_reply_header(request, "WWW-Authenticate", "Bearer realm=\"athanore\"");
	if (problem->retry_after > 0) {
		snprintf(seconds, sizeof(seconds), "%.0f", fmin(ceil(problem->retry_after), 1e9));
		api_reply_header(request, "Retry-After", seconds);
	}
}

void api_reply_problem(struct api_request *request, struct api_problem *problem)
{
	struct str body = {0};

	api_problem_print(problem, &body);
	add_headers(request, problem);
	send_answer(request, problem->status, "application/problem+json", body.data, body.len, NULL,
	    0, problem->close);
	str_free(&body);
	api_problem_clear(problem);
}

void api_reply_error(struct api_request *request, const struct error *err)
{
	struct api_problem problem = {0};

	/* Somebody has to mend it, and who asked may be an agent that tells nobody. */
	if (err->code == ERROR_INTERNAL)
		log_error("%s", err->message);
	api_problem_from_error(&problem, err);
	api_reply_problem(request, &problem);
}

const char *api_json_text(struct json_object *value, size_t *len)
{
	const char *text;

	if (value == NULL) {
		*len = 4;
		return "null";
	}
	text = json_object_to_json_string_length(
	    value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, len);
	if (text == NULL)
		fatal("json_object_to_json_string failed");
	return text;
}
