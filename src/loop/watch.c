/* inotify as callbacks of the loop, one descriptor a watched path. */
#include "loop/watch.h"

#include "base/alloc.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

struct watch {
	int fd;
	struct event *event;
	watch_fn fn;
	void *arg;
	bool *freed; /* set while fn runs: tells the reader that it is gone */
};

/* Calls fn for each event in buf, unless it frees the watch. */
static void deliver(struct watch *watch, const char *buf, size_t len)
{
	bool freed = false;

	watch->freed = &freed;
	for (size_t at = 0; at + sizeof(struct inotify_event) <= len;) {
		const struct inotify_event *ev = (const void *)(buf + at);

		watch->fn(watch->arg, ev->mask, ev->len > 0 ? ev->name : NULL);
		if (freed)
			return;
		at += sizeof(*ev) + ev->len;
	}
	watch->freed = NULL;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	_Alignas(struct inotify_event) char buf[4096];
	struct watch *watch = arg;
	ssize_t n = read(fd, buf, sizeof(buf));

	/* One read a turn: a path that changes all the time must not keep the loop here. */
	(void)what;
	if (n > 0)
		deliver(watch, buf, (size_t)n);
}

struct watch *watch_create(
    struct loop *loop, const char *path, uint32_t mask, watch_fn fn, void *arg, struct error *err)
{
	struct watch *watch;
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (fd == -1) {
		error_set_errno(err, ERROR_UNAVAILABLE, errno,
		    "cannot watch %s (see /proc/sys/fs/inotify/max_user_instances)", path);
		return NULL;
	}
	if (inotify_add_watch(fd, path, mask) == -1) {
		error_set_errno(err, ERROR_UNAVAILABLE, errno, "cannot watch %s", path);
		close(fd);
		return NULL;
	}
	watch = xcalloc(1, sizeof(*watch));
	watch->fd = fd;
	watch->fn = fn;
	watch->arg = arg;
	watch->event = event_new(loop_base(loop), fd, EV_READ | EV_PERSIST, on_readable, watch);
	if (watch->event == NULL || event_add(watch->event, NULL) != 0)
		fatal("event_new failed");
	return watch;
}

void watch_free(struct watch *watch)
{
	if (watch == NULL)
		return;
	if (watch->freed != NULL)
		*watch->freed = true;
	event_free(watch->event);
	close(watch->fd);
	free(watch);
}
