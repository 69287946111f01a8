/* Learns of changes to the board by other programs, and keeps other daemons away from it. */
#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "queue/json_file_private.h"

#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define WATCHED                                                                             \
	(IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | \
	    IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

#define REWATCH_SECONDS 1.0

bool json_file_lock(struct json_file *jf, struct error *err)
{
	struct error why = {0};
	pid_t holder;
	int fd = fs_lock(jf->lock_path, &holder, &why);

	if (fd == -1 && why.code == ERROR_CONFLICT && holder > 0)
		error_set(err, ERROR_CONFLICT,
		    "the board %s is in use by another athanore, process %ld: end that one, or "
		    "name another board",
		    jf->path, (long)holder);
	else if (fd == -1)
		error_set(
		    err, why.code, "the board %s cannot be locked: %s", jf->path, why.message);
	error_clear(&why);
	if (fd == -1)
		return false;
	if (jf->lock_fd != -1)
		close(jf->lock_fd);
	jf->lock_fd = fd;
	return true;
}

/* The folder was replaced by another one: so was the lock in it. */
static bool lock_again(struct json_file *jf, struct error *err)
{
	struct stat ours, there;

	if (fstat(jf->lock_fd, &ours) == 0 && stat(jf->lock_path, &there) == 0 &&
	    ours.st_dev == there.st_dev && ours.st_ino == there.st_ino)
		return true;
	return json_file_lock(jf, err);
}

static void unwatch(struct json_file *jf)
{
	watch_free(jf->watch);
	jf->watch = NULL;
	jf->stale = true;
	loop_timer_set(jf->tick, REWATCH_SECONDS);
}

static void on_event(void *arg, uint32_t mask, const char *name)
{
	struct json_file *jf = arg;

	if (jf->closing)
		return;
	if ((mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) != 0) {
		unwatch(jf);
	} else if ((mask & IN_Q_OVERFLOW) != 0) {
		jf->unsure = true;
	} else {
		if (name == NULL || strcmp(name, jf->name) != 0)
			return;
		/* Written in place: the times of the file may be too coarse to show it. */
		if ((mask & (IN_MODIFY | IN_CLOSE_WRITE)) != 0)
			jf->unsure = true;
	}
	/* A broken board is looked at again after a while only: it is being written. */
	if (jf->broken_since != 0 && loop_timer_pending(jf->tick))
		return;
	json_file_check(jf);
	json_file_advance_soon(jf);
}

void json_file_watch(struct json_file *jf)
{
	struct error err = {0};

	if (jf->watch != NULL || jf->closing)
		return;
	jf->watch = watch_create(jf->queue.loop, jf->folder, WATCHED, on_event, jf, &err);
	if (jf->watch == NULL) {
		log_debug("%s; it is looked at when it is used", err.message);
		loop_timer_set(jf->tick, REWATCH_SECONDS);
	} else if (lock_again(jf, &err)) {
		jf->locked_out = false;
		jf->unsure = true;
		json_file_check(jf);
	} else {
		jf->locked_out = true;
		err.code =
		    ERROR_UNAVAILABLE; /* to callers it is a board like any that cannot be used */
		json_file_broke(jf, &err);
		unwatch(jf);
	}
	error_clear(&err);
}

static void on_tick(void *arg)
{
	struct json_file *jf = arg;

	if (jf->closing)
		return;
	json_file_watch(jf);
	if (jf->broken_since != 0 && jf->version.racy)
		jf->unsure = true;
	if (jf->owed_at != 0 && clock_monotonic() >= jf->owed_at && json_file_is_readable(jf) &&
	    jf->state == JSON_FILE_IDLE) {
		jf->owed_at = 0;
		jf->dirty = json_file_redo(jf) || jf->dirty;
	}
	if (jf->owed_at != 0)
		loop_timer_set(jf->tick, REWATCH_SECONDS);
	json_file_check(jf);
	json_file_advance(jf);
}

static void on_sweep(void *arg)
{
	struct json_file *jf = arg;

	if (jf->closing)
		return;
	if (jf->state == JSON_FILE_IDLE)
		json_file_start_sweep(jf, false);
	else
		loop_timer_set(jf->sweep, REWATCH_SECONDS);
}

void json_file_start_timers(struct json_file *jf)
{
	jf->tick = loop_timer_create(jf->queue.loop, on_tick, jf);
	jf->sweep = loop_timer_create(jf->queue.loop, on_sweep, jf);
}
