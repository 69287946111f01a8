#ifndef ATHANORE_DISPATCH_HOLDS_H
#define ATHANORE_DISPATCH_HOLDS_H

#include <stdbool.h>
#include <stddef.h>

/* Tasks that are not to be taken before a time: put back for a retry, or their prompt failed. */
struct hold;

struct holds {
	struct hold *by_task;
};

/* Until the monotonic time; retry: the task is to be tried again, it is not merely broken. */
void holds_set(struct holds *holds, const char *task_id, double until, bool retry);

/* Holds for base · 2^(failures in a row) seconds, at most 15 minutes; returns the seconds. */
double holds_back_off(struct holds *holds, const char *task_id, double now, double base);

/* The task is held because the backend refused to move it: holds_release_refused() lets it go. */
void holds_mark_refused(struct holds *holds, const char *task_id);

/* The backend is not what it was: what it refused may be tried now. */
void holds_release_refused(struct holds *holds, double now);
/* What holds_look() tells. */
struct hold_view {
	double until;
	bool retry;
	const char *reason; /* borrowed; NULL: none was given */
};

/* Why the task is held; text is copied. Nothing where it is not. */
void holds_set_reason(struct holds *holds, const char *task_id, const char *text);

/* False where the task is not held now. */
bool holds_look(const struct holds *holds, const char *task_id, double now, struct hold_view *view);

/* Whether the task is held now; a hold that is over is kept for its count of failures. */
bool holds_active(const struct holds *holds, const char *task_id, double now);

void holds_forget(struct holds *holds, const char *task_id);

/* When the task may be tried again, if that is what it is held for; else 0. */
double holds_retry_at(const struct holds *holds, const char *task_id);

/* How many tasks are held, or were within the last hour or so. */
size_t holds_count(const struct holds *holds);

/* Drops what was over an hour ago. */
void holds_sweep(struct holds *holds, double now);
void holds_free(struct holds *holds);

#endif
