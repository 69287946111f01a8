/* Follows logs and turns their records into events. */
#include "api/sse.h"

#include "api/stream.h"
#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "store/runlog_follow.h"
#include "store/runlog_read.h"

#include <errno.h>
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

struct seek;

/* One reader. */
struct sse {
	struct api_sse *owner;
	struct api_stream *stream;
	char *task_id; /* NULL: it reads the journal */
	char *run_id;  /* the run that is read, or was last; NULL: none yet */
	bool go_on;
	bool complete;			  /* nothing more is written to the log */
	struct runlog_follower *follower; /* NULL: it waits for the task's next run */
	struct runlog_reader reader;
	struct seek *seek;	  /* a question for the next run, or NULL */
	bool seek_again;	  /* a run began since it was asked */
	struct loop_timer *again; /* made when it is needed */
	LIST_ENTRY(sse) next;
};

/* Outlives its reader where need be. */
struct seek {
	struct sse *sse;
};

struct api_sse {
	struct loop *loop;
	struct dispatcher *dispatcher;
	struct runlog_follow *follow;
	struct evbuffer *out; /* of the one who is being served */
	const struct sse *serving;
	bool within; /* an event is begun in out, and not ended */
	int64_t id;
	LIST_HEAD(, sse) list;
};

static void serve(struct sse *sse);
static void look_for_next(struct sse *sse);

static void sse_free(struct sse *sse)
{
	LIST_REMOVE(sse, next);
	if (sse->seek != NULL)
		sse->seek->sse = NULL;
	runlog_follower_free(sse->follower);
	loop_timer_free(sse->again);
	free(sse->task_id);
	free(sse->run_id);
	free(sse);
}

static void end(struct sse *sse)
{
	struct api_stream *stream = sse->stream;

	sse_free(sse);
	api_stream_end(stream);
}

/* ---- records become events ---- */

static void on_begin(void *arg, const char *type, int64_t id)
{
	struct api_sse *owner = arg;

	owner->within = true;
	owner->id = id;
	if (evbuffer_add_printf(owner->out, "event: %s\ndata: ", type) < 0)
		fatal("evbuffer_add_printf failed");
}

static void on_data(void *arg, const char *data, size_t len)
{
	struct api_sse *owner = arg;

	if (evbuffer_add(owner->out, data, len) != 0)
		fatal("evbuffer_add failed");
}

static void put_id(struct api_sse *owner, const struct sse *sse, int64_t id)
{
	if (evbuffer_add_printf(owner->out, "id: %s%s%lld\n\n",
		sse->task_id != NULL ? sse->run_id : "", sse->task_id != NULL ? ":" : "",
		(long long)id) < 0)
		fatal("evbuffer_add_printf failed");
}

/* The id comes last, so that a client that is cut off within an event does not know it yet. */
static void on_end(void *arg)
{
	struct api_sse *owner = arg;

	owner->within = false;
	on_data(owner, "\n", 1);
	put_id(owner, owner->serving, owner->id);
}

/* ---- reading ---- */

static void on_more(void *arg)
{
	serve(arg);
}

/* All of its log was sent, and no more comes. */
static void at_end(struct sse *sse)
{
	if (!sse->go_on) {
		end(sse);
		return;
	}
	runlog_follower_free(sse->follower);
	sse->follower = NULL;
	look_for_next(sse);
}

/* In a later turn, so that others have theirs. */
static void serve_later(struct sse *sse)
{
	if (sse->again == NULL)
		sse->again = loop_timer_create(sse->owner->loop, on_more, sse);
	loop_timer_set(sse->again, 0);
}

/* True where something was sent, and serve() is called again once it is written. */
static bool send_out(struct sse *sse)
{
	struct api_sse *owner = sse->owner;

	if (evbuffer_get_length(owner->out) == 0)
		return false;
	api_stream_send(sse->stream, owner->out, owner->within);
	return true;
}

static enum runlog_result read_some(struct sse *sse, int fd)
{
	struct api_sse *owner = sse->owner;
	const struct runlog_sink sink = {on_begin, on_data, on_end, owner};

	owner->serving = sse;
	owner->within = sse->reader.told > 0;
	owner->id = sse->reader.end;
	return runlog_read(&sse->reader, fd, sse->complete, &sink);
}

static void failed(struct sse *sse)
{
	log_warn("cannot read the log of %s: %s; the client is to come again",
	    sse->run_id != NULL ? sse->run_id : "the daemon", strerror(errno));
	end(sse);
}

/* errno says why. A run that never got its folder has no log, or has none yet. */
static void no_log(struct sse *sse)
{
	if (errno != ENOENT)
		failed(sse);
	else if (sse->complete)
		at_end(sse);
}

/* Sends the next piece, if it is the time for that. */
static void serve(struct sse *sse)
{
	enum runlog_result result;
	int fd;

	if (sse->follower == NULL || api_stream_busy(sse->stream))
		return;
	fd = runlog_follower_fd(sse->follower);
	if (fd == -1) {
		no_log(sse);
		return;
	}
	result = read_some(sse, fd);
	if (send_out(sse))
		return;
	switch (result) {
	case RUNLOG_MORE:
		serve_later(sse);
		return;
	case RUNLOG_WAIT:
		return;
	case RUNLOG_END:
		at_end(sse);
		return;
	case RUNLOG_COLD:
		runlog_follower_fetch(sse->follower,
		    sse->reader.offset +
			(sse->reader.end != 0 ? sse->reader.told : sse->reader.scanned));
		return;
	case RUNLOG_FAILED:
		failed(sse);
		return;
	}
	fatal("a log was read with result %d", (int)result);
}

/* ---- one run behind the other ---- */

static void follow_log(struct sse *sse, int64_t offset)
{
	struct dispatcher *dispatcher = sse->owner->dispatcher;
	char *path = sse->task_id == NULL ? dispatcher_journal_path(dispatcher)
					  : dispatcher_log_path(dispatcher, sse->run_id);

	sse->complete =
	    sse->task_id != NULL && !dispatcher_run_lives(dispatcher, sse->task_id, sse->run_id);
	sse->reader = (struct runlog_reader){.offset = offset};
	sse->follower = runlog_follower_create(sse->owner->follow, path, on_more, sse);
	free(path);
}

static void on_next(void *arg, struct json_object *run, const struct error *err)
{
	struct seek *seek = arg;
	struct sse *sse = seek->sse;

	free(seek);
	if (sse == NULL)
		return;
	sse->seek = NULL;
	if (run != NULL) {
		free(sse->run_id);
		sse->run_id = xstrdup(json_get_string(run, "run_id"));
		follow_log(sse, 0);
		serve(sse);
	} else if (err != NULL) {
		log_warn("%s", err->message);
		end(sse);
	} else if (sse->seek_again) {
		look_for_next(sse);
	}
}

static void look_for_next(struct sse *sse)
{
	sse->seek_again = sse->seek != NULL;
	if (sse->seek != NULL)
		return;
	sse->seek = xcalloc(1, sizeof(*sse->seek));
	sse->seek->sse = sse;
	/* A task that has had no run begins with its first. */
	dispatcher_next_run(sse->owner->dispatcher, sse->task_id,
	    sse->run_id != NULL ? sse->run_id : "", on_next, sse->seek);
}

static void on_run(void *arg, const char *task_id, const char *run_id, bool ended)
{
	struct api_sse *owner = arg;
	struct sse *sse, *next;

	for (sse = LIST_FIRST(&owner->list); sse != NULL; sse = next) {
		next = LIST_NEXT(sse, next);
		if (sse->task_id == NULL || strcmp(sse->task_id, task_id) != 0)
			continue;
		if (sse->follower == NULL) {
			look_for_next(sse);
		} else if (str_equal(sse->run_id, run_id)) {
			sse->complete |= ended;
			serve(sse);
		}
	}
}

/* ---- the whole ---- */

static void on_writable(void *arg)
{
	serve(arg);
}

static void on_gone(void *arg)
{
	sse_free(arg);
}

static struct sse *sse_create(struct api_sse *owner, const struct api_sse_start *start)
{
	struct sse *sse = xcalloc(1, sizeof(*sse));

	sse->owner = owner;
	sse->task_id = xstrdup(start->task_id);
	sse->run_id = xstrdup(start->run_id);
	sse->go_on = start->go_on;
	LIST_INSERT_HEAD(&owner->list, sse, next);
	return sse;
}

void api_sse_begin(struct api_request *request, const struct api_sse_start *start)
{
	struct api_sse *owner = api_request_shared(request)->sse;
	struct sse *sse = sse_create(owner, start);
	struct str words = {0};

	str_puts(&words, "retry: 1000\n");
	if (start->tell_position)
		str_printf(&words, "id: %lld\n", (long long)start->offset);
	str_putc(&words, '\n');
	sse->stream = api_stream_start(
	    request, &(struct api_stream_user){on_writable, on_gone, sse}, words.data, words.len);
	str_free(&words);
	if (sse->stream == NULL) {
		sse_free(sse);
		return;
	}
	/* Its first words are on their way; serve() goes on behind them. */
	if (sse->task_id != NULL && sse->run_id == NULL)
		look_for_next(sse);
	else
		follow_log(sse, start->offset);
}

struct api_sse *api_sse_create(struct loop *loop, struct dispatcher *dispatcher)
{
	struct api_sse *owner = xcalloc(1, sizeof(*owner));

	owner->loop = loop;
	owner->dispatcher = dispatcher;
	owner->follow = runlog_follow_create(loop, dispatcher_worker(dispatcher));
	owner->out = evbuffer_new();
	if (owner->out == NULL)
		fatal("evbuffer_new failed");
	LIST_INIT(&owner->list);
	dispatcher_on_run(dispatcher, on_run, owner);
	return owner;
}

void api_sse_free(struct api_sse *owner)
{
	if (owner == NULL)
		return;
	dispatcher_on_run(owner->dispatcher, NULL, NULL);
	runlog_follow_free(owner->follow);
	evbuffer_free(owner->out);
	free(owner);
}
