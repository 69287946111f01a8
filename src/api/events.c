/* The endpoints that are event streams: where each begins, and whether it may. */
#include "api/handlers.h"
#include "api/runs.h"
#include "api/sse.h"
#include "base/json.h"
#include "base/str.h"
#include "store/runlog_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUN_ID_SIZE 64

/* What the client has seen last. */
struct position {
	bool given;
	char run_id[RUN_ID_SIZE]; /* "" in the journal */
	int64_t offset;
};

static void refuse(struct api_request *request, int status, const char *code, const char *detail)
{
	struct api_problem problem = {0};

	api_problem_set(&problem, status, code, "%s", detail);
	api_reply_problem(request, &problem);
}

static void refuse_position(struct api_request *request)
{
	refuse(request, 400, "bad_event_id",
	    "Last-Event-ID is no id of an event of this stream; leave it out to begin anew");
}

static bool parse_offset(const char *text, int64_t *offset)
{
	size_t len = strlen(text);

	if (len == 0 || len > 18 || strspn(text, "0123456789") != len)
		return false;
	*offset = strtoll(text, NULL, 10);
	return true;
}

/* "RUN_ID:OFFSET", or "OFFSET" in the journal. False where it is neither. */
static bool parse_position(const char *text, bool journal, struct position *position)
{
	const char *colon = strrchr(text, ':');
	int64_t created;
	size_t len;

	if (journal)
		return parse_offset(text, &position->offset);
	len = colon != NULL ? (size_t)(colon - text) : 0;
	if (len == 0 || len >= RUN_ID_SIZE)
		return false;
	memcpy(position->run_id, text, len);
	position->run_id[len] = '\0';
	return run_id_time(position->run_id, &created) &&
	       parse_offset(colon + 1, &position->offset);
}

/* False where the request was refused. */
static bool get_position(struct api_request *request, bool journal, struct position *position)
{
	const char *text = api_request_header(request, "Last-Event-ID");

	*position = (struct position){0};
	/* Clients that have seen no event may say so by an empty one. */
	position->given = text != NULL && *text != '\0';
	if (!position->given || parse_position(text, journal, position))
		return true;
	refuse_position(request);
	return false;
}

/* Opens a log: false where the request was refused, for it is there and cannot be read. *fd is -1
 * where it is not there. */
static bool open_log(struct api_request *request, char *path, int *fd)
{
	struct error err = {0};

	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (*fd == -1 && errno != ENOENT) {
		error_set_errno(&err, ERROR_UNAVAILABLE, errno, "cannot open %s", path);
		api_reply_error(request, &err);
	}
	free(path);
	if (err.code == ERROR_NONE)
		return true;
	error_clear(&err);
	return false;
}

/* ---- one run, or a task from one run on ---- */

/* The log ends before what the client has seen where the machine lost what was not on disk yet. */
static bool fit_offset(struct api_request *request, int fd, struct position *position)
{
	int64_t size = runlog_size(fd);

	if (position->offset > size)
		position->offset = size;
	if (runlog_is_border(fd, position->offset))
		return true;
	refuse_position(request);
	return false;
}

static void start_run(struct api_request *request, const char *run_id, const char *task_id,
    struct position *position, bool go_on)
{
	struct dispatcher *dispatcher = api_request_dispatcher(request);
	bool lives = dispatcher_run_lives(dispatcher, task_id, run_id);
	int fd;

	if (!open_log(request, dispatcher_log_path(dispatcher, run_id), &fd))
		return;
	if (fd == -1 && !lives && !go_on) {
		refuse(request, 410, "gone", "the log of this run is not there any more");
	} else if (fd == -1 || fit_offset(request, fd, position)) {
		if (!lives && !go_on && position->given && position->offset >= runlog_size(fd))
			api_reply_nothing(request);
		else
			api_sse_begin(request, &(struct api_sse_start){.run_id = run_id,
						   .task_id = task_id,
						   .go_on = go_on,
						   .offset = fd == -1 ? 0 : position->offset});
	}
	if (fd != -1)
		close(fd);
}

static void got_run(struct api_request *request, struct json_object *run, const struct error *err)
{
	struct position position;

	if (err != NULL && err->code == ERROR_NOT_FOUND)
		api_reply_no_run(request, api_request_param(request));
	else if (err != NULL)
		api_reply_error(request, err);
	else if (get_position(request, false, &position))
		start_run(request, json_get_string(run, "run_id"), json_get_string(run, "task_id"),
		    &position, false);
}

void api_stream_run(struct api_request *request)
{
	struct position position;

	if (!get_position(request, false, &position))
		return;
	if (position.given && strcmp(position.run_id, api_request_param(request)) != 0) {
		refuse_position(request);
		return;
	}
	api_request_await(request, got_run);
	dispatcher_run(api_request_dispatcher(request), api_request_param(request),
	    api_request_awaited, request);
}

/* ---- a task ---- */

static void got_task(struct api_request *request, struct json_object *task)
{
	(void)task;
	api_sse_begin(
	    request, &(struct api_sse_start){.task_id = api_request_param(request), .go_on = true});
}

static void got_task_run(
    struct api_request *request, struct json_object *run, const struct error *err)
{
	const char *task_id = api_request_param(request);
	struct position position;

	if (err != NULL && err->code != ERROR_NOT_FOUND) {
		api_reply_error(request, err);
	} else if (!get_position(request, false, &position)) {
		return;
	} else if (err != NULL) {
		api_reply_no_run(request, position.run_id);
	} else if (run == NULL) {
		/* It has had none: the stream waits for its first, if there is such a task. */
		api_request_call(request,
		    &(struct queue_request){.op = QUEUE_GET_TASK, .task_id = task_id}, got_task);
	} else if (!str_equal(json_get_string(run, "task_id"), task_id)) {
		refuse_position(request);
	} else {
		start_run(request, json_get_string(run, "run_id"), task_id, &position, true);
	}
}

void api_stream_task(struct api_request *request)
{
	struct dispatcher *dispatcher = api_request_dispatcher(request);
	struct position position;

	if (!get_position(request, false, &position))
		return;
	api_request_await(request, got_task_run);
	if (position.given)
		dispatcher_run(dispatcher, position.run_id, api_request_awaited, request);
	else
		dispatcher_next_run(
		    dispatcher, api_request_param(request), NULL, api_request_awaited, request);
}

/* ---- the journal ---- */

static void start_journal(struct api_request *request, int fd, struct position *position)
{
	int64_t first = fd == -1 ? 0 : runlog_first(fd);

	if (!position->given)
		position->offset = fd == -1 ? 0 : runlog_size(fd);
	else if (position->offset == 0)
		position->offset = first;
	if (position->offset < first)
		refuse(request, 410, "gone",
		    "what followed this event is older than history_days, and is not kept any "
		    "more; "
		    "begin with Last-Event-ID: 0");
	else if (fd == -1 || fit_offset(request, fd, position))
		api_sse_begin(request,
		    &(struct api_sse_start){.tell_position = true, .offset = position->offset});
}

void api_stream_journal(struct api_request *request)
{
	struct position position;
	int fd;

	if (!get_position(request, true, &position) ||
	    !open_log(request, dispatcher_journal_path(api_request_dispatcher(request)), &fd))
		return;
	start_journal(request, fd, &position);
	if (fd != -1)
		close(fd);
}
