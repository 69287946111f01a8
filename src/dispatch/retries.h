#ifndef ATHANORE_DISPATCH_RETRIES_H
#define ATHANORE_DISPATCH_RETRIES_H

#include <stdbool.h>

/* How many retries each task has used on each route, in memory; the store has the same. */
struct retry;

struct retries {
	struct retry *by_key;
};

/* ours: the task was put back by us; otherwise a person who puts it back starts it anew. */
void retries_set(
    struct retries *retries, const char *task_id, const char *queue_name, int count, bool ours);
int retries_get(
    const struct retries *retries, const char *task_id, const char *queue_name, bool *ours);
bool retries_empty(const struct retries *retries);
void retries_free(struct retries *retries);

#endif
