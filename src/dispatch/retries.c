/* Retry counts in memory, by task and route. */
#include "dispatch/retries.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <uthash.h>

struct retry {
	char *key;
	int count;
	bool ours;
	UT_hash_handle hh;
};

/* U+001F stands in no queue's name that a person could type. */
static char *make_key(const char *task_id, const char *queue_name)
{
	return xasprintf("%s\x1f%s", task_id, queue_name);
}

static struct retry *find(const struct retries *retries, const char *key)
{
	struct retry *retry;

	HASH_FIND_STR(retries->by_key, key, retry);
	return retry;
}

static void drop(struct retries *retries, struct retry *retry)
{
	HASH_DEL(retries->by_key, retry);
	free(retry->key);
	free(retry);
}

void retries_set(
    struct retries *retries, const char *task_id, const char *queue_name, int count, bool ours)
{
	char *key = make_key(task_id, queue_name);
	struct retry *retry = find(retries, key);

	if (retry == NULL && count > 0) {
		retry = xcalloc(1, sizeof(*retry));
		retry->key = xstrdup(key);
		HASH_ADD_KEYPTR(hh, retries->by_key, retry->key, strlen(retry->key), retry);
	}
	if (retry != NULL && count > 0) {
		retry->count = count;
		retry->ours = ours;
	} else if (retry != NULL) {
		drop(retries, retry);
	}
	free(key);
}

int retries_get(
    const struct retries *retries, const char *task_id, const char *queue_name, bool *ours)
{
	char *key = make_key(task_id, queue_name);
	const struct retry *retry = find(retries, key);

	free(key);
	if (ours != NULL)
		*ours = retry != NULL && retry->ours;
	return retry == NULL ? 0 : retry->count;
}

bool retries_empty(const struct retries *retries)
{
	return retries->by_key == NULL;
}

void retries_free(struct retries *retries)
{
	struct retry *retry, *next;

	HASH_ITER (hh, retries->by_key, retry, next)
		drop(retries, retry);
}
