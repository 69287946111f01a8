#ifndef ATHANORE_API_SSE_H
#define ATHANORE_API_SSE_H

#include "api/request.h"

/* Event streams out of logs: a run's, those of a task's runs one behind the other, the journal. */
struct api_sse;

/* Both are borrowed. */
struct api_sse *api_sse_create(struct loop *loop, struct dispatcher *dispatcher);
/* After the streams. NULL is fine. */
void api_sse_free(struct api_sse *sse);

/* Where a stream begins. */
struct api_sse_start {
	const char *run_id;  /* NULL: the journal, or a task that has had no run */
	const char *task_id; /* of the run; NULL: the journal */
	bool go_on;	     /* with the task's next run */
	bool tell_position;  /* (journal only) before the first event, for a client that sees none
				before a cut */
	int64_t offset;
};

/* Answers the request with a stream. What start names is copied. */
void api_sse_begin(struct api_request *request, const struct api_sse_start *start);

#endif
