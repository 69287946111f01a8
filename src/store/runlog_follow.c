/* Shares the files that are followed among their followers. */
#include "store/runlog_follow.h"

#include "base/alloc.h"
#include "base/log.h"
#include "loop/watch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/queue.h>
#include <unistd.h>
#include <uthash.h>

#define FETCH_BYTES (256 * 1024)
#define LOOK_SECONDS 0.25 /* where the kernel does not tell */

struct fetch;

struct runlog_follower {
	struct followed *file;
	struct fetch *fetch; /* under way, or NULL */
	void (*fn)(void *arg);
	void *arg;
	LIST_ENTRY(runlog_follower) next;
};

struct followed {
	struct runlog_follow *owner;
	char *path;
	int fd;		     /* -1: it is not there yet */
	struct watch *watch; /* NULL: the timer takes its place */
	struct loop_timer *look;
	bool telling;
	struct runlog_follower *tell_next;
	LIST_HEAD(, runlog_follower) followers;
	UT_hash_handle hh; /* by path */
};

struct runlog_follow {
	struct loop *loop;
	struct worker *worker;
	struct followed *files;
	bool warned;
};

/* A job for the storage thread, with a descriptor of its own: the file may be let go meanwhile. */
struct fetch {
	struct runlog_follower *follower; /* NULL: it is gone */
	int fd;				  /* -1: nothing to be done */
	int64_t offset;
};

struct runlog_follow *runlog_follow_create(struct loop *loop, struct worker *worker)
{
	struct runlog_follow *follow = xcalloc(1, sizeof(*follow));

	follow->loop = loop;
	follow->worker = worker;
	return follow;
}

void runlog_follow_free(struct runlog_follow *follow)
{
	if (follow == NULL)
		return;
	if (follow->files != NULL)
		fatal("runlog_follow_free: %s is followed", follow->files->path);
	free(follow);
}

static void free_unused(struct followed *file)
{
	if (file->telling || !LIST_EMPTY(&file->followers))
		return;
	HASH_DEL(file->owner->files, file);
	watch_free(file->watch);
	loop_timer_free(file->look);
	if (file->fd != -1)
		close(file->fd);
	free(file->path);
	free(file);
}

/* Each of them may free itself or another. */
static void tell_all(struct followed *file)
{
	struct runlog_follower *follower = LIST_FIRST(&file->followers);

	file->telling = true;
	for (; follower != NULL; follower = file->tell_next) {
		file->tell_next = LIST_NEXT(follower, next);
		follower->fn(follower->arg);
	}
	file->telling = false;
	free_unused(file);
}

static void on_change(void *arg, uint32_t mask, const char *name)
{
	(void)mask;
	(void)name;
	tell_all(arg);
}

static void on_look(void *arg)
{
	struct followed *file = arg;

	loop_timer_set(file->look, LOOK_SECONDS);
	tell_all(file);
}

static void watch_file(struct followed *file)
{
	struct error err = {0};

	file->watch = watch_create(file->owner->loop, file->path, IN_MODIFY, on_change, file, &err);
	if (file->watch != NULL)
		return;
	if (!file->owner->warned)
		log_warn(
		    "%s; looking at logs %g times a second instead", err.message, 1 / LOOK_SECONDS);
	file->owner->warned = true;
	error_clear(&err);
	file->look = loop_timer_create(file->owner->loop, on_look, file);
	loop_timer_set(file->look, LOOK_SECONDS);
}

int runlog_follower_fd(struct runlog_follower *follower)
{
	struct followed *file = follower->file;

	if (file->fd == -1) {
		file->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (file->fd != -1)
			watch_file(file);
	}
	return file->fd;
}

struct runlog_follower *runlog_follower_create(
    struct runlog_follow *follow, const char *path, void (*fn)(void *arg), void *arg)
{
	struct runlog_follower *follower = xcalloc(1, sizeof(*follower));
	struct followed *file;

	HASH_FIND_STR(follow->files, path, file);
	if (file == NULL) {
		file = xcalloc(1, sizeof(*file));
		file->owner = follow;
		file->path = xstrdup(path);
		file->fd = -1;
		LIST_INIT(&file->followers);
		HASH_ADD_KEYPTR(hh, follow->files, file->path, strlen(file->path), file);
	}
	follower->file = file;
	follower->fn = fn;
	follower->arg = arg;
	LIST_INSERT_HEAD(&file->followers, follower, next);
	return follower;
}

void runlog_follower_free(struct runlog_follower *follower)
{
	struct followed *file;

	if (follower == NULL)
		return;
	file = follower->file;
	if (follower->fetch != NULL)
		follower->fetch->follower = NULL;
	if (file->telling && file->tell_next == follower)
		file->tell_next = LIST_NEXT(follower, next);
	LIST_REMOVE(follower, next);
	free(follower);
	free_unused(file);
}

static void run_fetch(void *arg)
{
	static char waste[FETCH_BYTES]; /* the storage thread's */
	struct fetch *fetch = arg;

	/* What cannot be read is seen by who reads it in earnest. */
	if (fetch->fd == -1)
		return;
	(void)!pread(fetch->fd, waste, sizeof(waste), fetch->offset);
	close(fetch->fd);
}

static void fetch_done(void *arg)
{
	struct fetch *fetch = arg;
	struct runlog_follower *follower = fetch->follower;

	free(fetch);
	if (follower == NULL)
		return;
	follower->fetch = NULL;
	follower->fn(follower->arg);
}

void runlog_follower_fetch(struct runlog_follower *follower, int64_t offset)
{
	struct fetch *fetch;
	int fd;

	if (follower->fetch != NULL)
		return;
	fd = fcntl(runlog_follower_fd(follower), F_DUPFD_CLOEXEC, 0);
	if (fd == -1) { /* out of descriptors: the loop has to wait for the disk this once */
		char byte;

		(void)!pread(runlog_follower_fd(follower), &byte, 1, offset);
	}
	fetch = xcalloc(1, sizeof(*fetch));
	fetch->follower = follower;
	fetch->fd = fd;
	fetch->offset = offset;
	follower->fetch = fetch;
	worker_submit(follower->file->owner->worker,
	    &(struct worker_job){.run = run_fetch, .done = fetch_done, .arg = fetch});
}
