/* Tasks that have to wait before they are taken. */
#include "dispatch/holds.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <uthash.h>

#define LONGEST_HOLD 900.0

struct hold {
	char *task_id;
	double until;
	int failures;
	bool retry;
	bool refused;
	char *reason; /* or NULL */
	UT_hash_handle hh;
};

static struct hold *find(const struct holds *holds, const char *task_id)
{
	struct hold *hold;

	HASH_FIND_STR(holds->by_task, task_id, hold);
	return hold;
}

static struct hold *find_or_add(struct holds *holds, const char *task_id)
{
	struct hold *hold = find(holds, task_id);

	if (hold == NULL) {
		hold = xcalloc(1, sizeof(*hold));
		hold->task_id = xstrdup(task_id);
		HASH_ADD_KEYPTR(hh, holds->by_task, hold->task_id, strlen(hold->task_id), hold);
	}
	return hold;
}

void holds_set(struct holds *holds, const char *task_id, double until, bool retry)
{
	struct hold *hold = find_or_add(holds, task_id);

	free(hold->reason);
	hold->reason = NULL;
	hold->until = until;
	hold->retry = retry;
	hold->refused = false;
}

double holds_back_off(struct holds *holds, const char *task_id, double now, double base)
{
	struct hold *hold = find_or_add(holds, task_id);
	double seconds = base;

	for (int i = 0; i < hold->failures && seconds < LONGEST_HOLD; i++)
		seconds *= 2;
	if (seconds > LONGEST_HOLD)
		seconds = LONGEST_HOLD;
	hold->failures++;
	hold->until = now + seconds;
	hold->retry = false;
	hold->refused = false;
	return seconds;
}

void holds_mark_refused(struct holds *holds, const char *task_id)
{
	struct hold *hold = find(holds, task_id);

	if (hold != NULL)
		hold->refused = true;
}

void holds_release_refused(struct holds *holds, double now)
{
	for (struct hold *hold = holds->by_task; hold != NULL; hold = hold->hh.next)
		if (hold->refused && hold->until > now)
			hold->until = now;
}

bool holds_active(const struct holds *holds, const char *task_id, double now)
{
	const struct hold *hold = find(holds, task_id);

	return hold != NULL && now < hold->until;
}

static void drop(struct holds *holds, struct hold *hold)
{
	HASH_DEL(holds->by_task, hold);
	free(hold->task_id);
	free(hold->reason);
	free(hold);
}

void holds_set_reason(struct holds *holds, const char *task_id, const char *text)
{
	struct hold *hold = find(holds, task_id);

	if (hold == NULL)
		return;
	free(hold->reason);
	hold->reason = xstrdup(text);
}

bool holds_look(const struct holds *holds, const char *task_id, double now, struct hold_view *view)
{
	const struct hold *hold = find(holds, task_id);

	if (hold == NULL || now >= hold->until)
		return false;
	*view = (struct hold_view){hold->until, hold->retry, hold->reason};
	return true;
}

void holds_forget(struct holds *holds, const char *task_id)
{
	struct hold *hold = find(holds, task_id);

	if (hold != NULL)
		drop(holds, hold);
}

double holds_retry_at(const struct holds *holds, const char *task_id)
{
	const struct hold *hold = find(holds, task_id);

	return hold != NULL && hold->retry ? hold->until : 0;
}

size_t holds_count(const struct holds *holds)
{
	return HASH_COUNT(holds->by_task);
}

void holds_sweep(struct holds *holds, double now)
{
	struct hold *hold, *next;

	HASH_ITER (hh, holds->by_task, hold, next)
		if (hold->until + 3600 < now)
			drop(holds, hold);
}

void holds_free(struct holds *holds)
{
	struct hold *hold, *next;

	HASH_ITER (hh, holds->by_task, hold, next)
		drop(holds, hold);
}
