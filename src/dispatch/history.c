/* Runs that are and were, for those who ask or wait for them. */
#include "dispatch/state.h"

#include "base/alloc.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"

#include <stdlib.h>

struct question {
	dispatcher_fn fn;
	void *arg;
	size_t limit;
	char *run_id;
};

static struct question *question_create(dispatcher_fn fn, void *arg)
{
	struct question *question = xcalloc(1, sizeof(*question));

	question->fn = fn;
	question->arg = arg;
	return question;
}

/* Ends the question with its answer; takes over result. */
static void answer(struct question *question, struct json_object *result, const struct error *err)
{
	question->fn(question->arg, err != NULL ? NULL : result, err);
	json_object_put(result);
	free(question->run_id);
	free(question);
}

static void on_runs(void *arg, struct run **runs, size_t count, const struct error *err)
{
	struct question *question = arg;
	struct json_object *page = json_object_new_object();
	struct json_object *list = json_object_new_array();
	const char *last = NULL;

	/* One more than was asked for tells that there is another page. */
	for (size_t i = 0; i < count && i < question->limit; i++) {
		json_object_array_add(list, run_to_json(runs[i]));
		last = runs[i]->id;
	}
	json_put(page, "runs", list);
	json_put_string(page, "next_cursor", count > question->limit ? last : NULL);
	for (size_t i = 0; i < count; i++)
		run_free(runs[i]);
	answer(question, page, err);
}

void dispatcher_runs(
    struct dispatcher *d, const struct store_filter *filter, dispatcher_fn fn, void *arg)
{
	struct question *question = question_create(fn, arg);
	struct store_filter more = *filter;

	question->limit = filter->limit;
	more.limit++;
	store_list_runs(d->store, &more, on_runs, question);
}

static void on_run(void *arg, struct run **runs, size_t count, const struct error *err)
{
	struct question *question = arg;
	struct error missing = {0};
	struct json_object *result = count > 0 ? run_to_json(runs[0]) : NULL;

	for (size_t i = 0; i < count; i++)
		run_free(runs[i]);
	if (err == NULL && count == 0 && question->run_id != NULL) {
		error_set(&missing, ERROR_NOT_FOUND, "there is no run \"%s\"", question->run_id);
		err = &missing;
	}
	answer(question, result, err);
	error_clear(&missing);
}

void dispatcher_run(struct dispatcher *d, const char *run_id, dispatcher_fn fn, void *arg)
{
	struct question *question = question_create(fn, arg);

	question->run_id = xstrdup(run_id);
	store_get_run(d->store, run_id, on_run, question);
}

void dispatcher_next_run(
    struct dispatcher *d, const char *task_id, const char *after, dispatcher_fn fn, void *arg)
{
	store_next_run(d->store, task_id, after, on_run, question_create(fn, arg));
}

bool dispatcher_run_lives(struct dispatcher *d, const char *task_id, const char *run_id)
{
	const struct live *live = live_find(d, task_id);

	return live != NULL && str_equal(live->run->id, run_id);
}

void dispatcher_on_run(struct dispatcher *d, dispatcher_run_fn fn, void *arg)
{
	d->run_fn = fn;
	d->run_arg = arg;
}

void history_tell(struct live *live, bool ended)
{
	if (live->d->run_fn != NULL)
		live->d->run_fn(live->d->run_arg, live->run->task_id, live->run->id, ended);
}

char *dispatcher_log_path(struct dispatcher *d, const char *run_id)
{
	char *dir = fs_join(d->runs_dir, run_id);
	char *path = fs_join(dir, "events.jsonl");

	free(dir);
	return path;
}

struct worker *dispatcher_worker(struct dispatcher *d)
{
	return d->worker;
}
