#ifndef ATHANORE_API_REQUEST_H
#define ATHANORE_API_REQUEST_H

#include "api/connection.h"
#include "api/router.h"
#include "dispatch/dispatcher.h"

#include <sys/queue.h>

/*
 * One request from its arrival to its answer, which may come in a later turn.
 * It outlives its client: an operation of the queue goes on when the client is
 * gone, and the answer is dropped.
 */
struct api_request;
struct api_sse;
struct api_streams;
struct evhttp_request;

/* What the requests of one server share. */
struct api_requests {
	struct dispatcher *dispatcher;
	struct api_streams *streams;
	struct api_sse *sse;
	bool stopping;		       /* answers close their connections */
	uint64_t answers[600];	       /* given, by status */
	LIST_HEAD(, api_request) list; /* not answered yet */
};

/*
 * connection and evreq are kept until the answer, or until api_request_gone(). The router
 * fills the rest by the setters.
 */
struct api_request *api_request_create(struct api_requests *requests, struct evhttp_request *evreq);
void api_request_set_connection(struct api_request *request, struct api_connection *connection);

/* The method's name; NULL where it is none of HTTP's usual ones. */
const char *api_request_method(const struct api_request *request);
/* As in the request line; "" where there is none. */
const char *api_request_target(const struct api_request *request);
struct evhttp_request *api_request_evreq(struct api_request *request);

/* Where the request's path and the endpoint's parameters are kept. */
struct api_path *api_request_path(struct api_request *request);
const char **api_request_params(struct api_request *request);

/* Takes over body. */
void api_request_set_body(struct api_request *request, struct json_object *body);

/* The client is gone; arg is the request. */
void api_request_gone(void *arg);

/* The server ends before the answer: 503, and what it waits for is let go. */
void api_request_abandon(struct api_request *request);

/* ---- For handlers ---- */

/* The first parameter of the path. */
const char *api_request_param(const struct api_request *request);

/* NULL where the endpoint has no fields. */
struct json_object *api_request_body(const struct api_request *request);

struct dispatcher *api_request_dispatcher(const struct api_request *request);

/* What it shares with the others. */
struct api_requests *api_request_shared(struct api_request *request);

/* The value of a header, or NULL where it is not there or the client is gone. */
const char *api_request_header(const struct api_request *request, const char *name);

/* result is borrowed, NULL where the operation has none. */
typedef void (*api_result_fn)(struct api_request *request, struct json_object *result);

/* Begins an operation of the queue. Its error is answered here; otherwise fn goes on. */
void api_request_call(
    struct api_request *request, const struct queue_request *call, api_result_fn fn);

/*
 * Says what comes after an operation of the dispatcher whose continuation is
 * api_request_answered(). on_error may be NULL: the error is answered as it is; otherwise it
 * answers, and result is what came with the error.
 */
typedef void (*api_error_fn)(
    struct api_request *request, struct json_object *result, const struct error *err);
void api_request_expect(struct api_request *request, api_result_fn fn, api_error_fn on_error);

/* What the requests of the server share. */
const struct api_requests *api_request_owner(const struct api_request *request);

/* A continuation for dispatcher_agent() and its like: pass the request as arg. Answers with the
 * result, or the error. */
void api_request_answered(void *arg, struct json_object *result, const struct error *err);

/*
 * A continuation that is not the answer yet: pass api_request_awaited and the request to
 * dispatcher_run() and its like right after this, and fn goes on, with err NULL or what failed.
 */
typedef void (*api_awaited_fn)(
    struct api_request *request, struct json_object *result, const struct error *err);
void api_request_await(struct api_request *request, api_awaited_fn fn);
void api_request_awaited(void *arg, struct json_object *result, const struct error *err);

/* ---- The answer: exactly one for each request, which is freed by it ---- */

/* value is borrowed. */
void api_reply_json(struct api_request *request, int status, struct json_object *value);

/* JSON text as it is. */
void api_reply_text(struct api_request *request, int status, const char *text, size_t len);

/* JSON text in two parts; tail may be empty. */
void api_reply_parts(struct api_request *request, int status, const char *head, size_t head_len,
    const char *tail, size_t tail_len);

/* Compact text of a value, valid until the value is printed again, changed or freed. */
const char *api_json_text(struct json_object *value, size_t *len);

/* Another type of body. */
void api_reply_typed(
    struct api_request *request, int status, const char *type, const char *text, size_t len);

/* 204: without a body. */
void api_reply_nothing(struct api_request *request);

/* {"key": list}; takes over list. */
void api_reply_list(struct api_request *request, const char *key, struct json_object *list);

void api_reply_error(struct api_request *request, const struct error *err);

/* Ends problem. */
void api_reply_problem(struct api_request *request, struct api_problem *problem);

/* The answer is a stream: what the request held of evhttp is the caller's (*connection and the
 * result NULL where the client is gone). */
struct evhttp_request *api_reply_detach(
    struct api_request *request, struct api_connection **connection);

/* A header for the answer, before it; value is copied. Nothing where the client is gone. */
void api_reply_header(struct api_request *request, const char *name, const char *value);

#endif
