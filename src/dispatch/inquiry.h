#ifndef ATHANORE_DISPATCH_INQUIRY_H
#define ATHANORE_DISPATCH_INQUIRY_H

#include "dispatch/state.h"

/*
 * A question about one task that takes several turns: the task is fetched from the queue and its
 * last run from the store, and then `next` goes on. It waits for one thing at a time.
 */
struct inquiry {
	struct dispatcher *d;
	char *task_id;
	struct json_object *task; /* NULL: the queue did not answer */
	struct error task_err;	  /* why; never not_found: that ends the inquiry */
	struct run *last_run;	  /* NULL: there was none */
	void (*next)(struct inquiry *inquiry);
	dispatcher_fn fn;
	void *arg;
	struct json_object *data; /* next's own */
	struct queue_call *queue_call;
	struct script_call *script_call;
	bool reading; /* the storage thread is about to answer */
	LIST_ENTRY(inquiry) link;
};

void inquiry_begin(struct dispatcher *d, const char *task_id, void (*next)(struct inquiry *inquiry),
    dispatcher_fn fn, void *arg);

/* Answers and frees it. Takes over result; err is borrowed. */
void inquiry_end(struct inquiry *inquiry, struct json_object *result, const struct error *err);

/* Answers all that are under way with unavailable: the dispatcher ends. */
void inquiries_end(struct dispatcher *d);

#endif
