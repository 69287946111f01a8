/* inotify as callbacks of the loop, with few descriptors for many paths. */
#include "loop/watch.h"

#include "base/alloc.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/queue.h>
#include <unistd.h>
#include <uthash.h>

struct watch {
	struct watcher *watcher;
	int wd;
	watch_fn fn;
	void *arg;
	UT_hash_handle hh; /* by wd */
};

/*
 * One inotify descriptor, of which a user has few (max_user_instances): all paths of a loop share
 * it. Only a file that is watched twice needs another, since a descriptor knows each file once.
 */
struct watcher {
	struct loop *loop;
	int fd;
	struct event *event;
	struct watch *by_wd;
	bool delivering;
	LIST_ENTRY(watcher) next;
};

static LIST_HEAD(, watcher) watchers = LIST_HEAD_INITIALIZER(watchers);

/* Not while its events are delivered: the reader does it then. */
static void free_unused(struct watcher *watcher)
{
	if (watcher->by_wd != NULL || watcher->delivering)
		return;
	LIST_REMOVE(watcher, next);
	event_free(watcher->event);
	close(watcher->fd);
	free(watcher);
}

static struct watch *find(const struct watcher *watcher, int wd)
{
	struct watch *watch;

	HASH_FIND_INT(watcher->by_wd, &wd, watch);
	return watch;
}

/* Tells all, each of whom may free any of them. */
static void overflow(struct watcher *watcher)
{
	size_t count = HASH_COUNT(watcher->by_wd), i = 0;
	int *wds = xcalloc(count + 1, sizeof(*wds));

	for (struct watch *watch = watcher->by_wd; watch != NULL; watch = watch->hh.next)
		wds[i++] = watch->wd;
	for (i = 0; i < count; i++) {
		struct watch *watch = find(watcher, wds[i]);

		if (watch != NULL)
			watch->fn(watch->arg, IN_Q_OVERFLOW, NULL);
	}
	free(wds);
}

/* An event whose watch was freed meanwhile is dropped: the kernel does not give a number twice. */
static void deliver(struct watcher *watcher, const char *buf, size_t len)
{
	for (size_t at = 0; at + sizeof(struct inotify_event) <= len;) {
		const struct inotify_event *ev = (const void *)(buf + at);
		struct watch *watch = find(watcher, ev->wd);

		if ((ev->mask & IN_Q_OVERFLOW) != 0)
			overflow(watcher);
		else if (watch != NULL)
			watch->fn(watch->arg, ev->mask, ev->len > 0 ? ev->name : NULL);
		at += sizeof(*ev) + ev->len;
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	_Alignas(struct inotify_event) char buf[4096];
	struct watcher *watcher = arg;
	ssize_t n = read(fd, buf, sizeof(buf));

	/* One read a turn: a path that changes all the time must not keep the loop here. */
	(void)what;
	if (n <= 0)
		return;
	watcher->delivering = true;
	deliver(watcher, buf, (size_t)n);
	watcher->delivering = false;
	free_unused(watcher);
}

static struct watcher *watcher_create(struct loop *loop)
{
	struct watcher *watcher;
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (fd == -1)
		return NULL;
	watcher = xcalloc(1, sizeof(*watcher));
	watcher->loop = loop;
	watcher->fd = fd;
	watcher->event = event_new(loop_base(loop), fd, EV_READ | EV_PERSIST, on_readable, watcher);
	if (watcher->event == NULL || event_add(watcher->event, NULL) != 0)
		fatal("event_new failed");
	LIST_INSERT_HEAD(&watchers, watcher, next);
	return watcher;
}

static struct watch *add(struct watcher *watcher, int wd, watch_fn fn, void *arg)
{
	struct watch *watch = xcalloc(1, sizeof(*watch));

	watch->watcher = watcher;
	watch->wd = wd;
	watch->fn = fn;
	watch->arg = arg;
	HASH_ADD_INT(watcher->by_wd, wd, watch);
	return watch;
}

struct watch *watch_create(
    struct loop *loop, const char *path, uint32_t mask, watch_fn fn, void *arg, struct error *err)
{
	struct watcher *watcher;
	int wd = -1;

	LIST_FOREACH (watcher, &watchers, next) {
		if (watcher->loop != loop)
			continue;
		wd = inotify_add_watch(watcher->fd, path, mask | IN_MASK_CREATE);
		if (wd != -1)
			return add(watcher, wd, fn, arg);
		if (errno != EEXIST) { /* another one would not do better */
			error_set_errno(err, ERROR_UNAVAILABLE, errno, "cannot watch %s", path);
			return NULL;
		}
	}
	watcher = watcher_create(loop);
	if (watcher == NULL) {
		error_set_errno(err, ERROR_UNAVAILABLE, errno,
		    "cannot watch %s (see /proc/sys/fs/inotify/max_user_instances)", path);
		return NULL;
	}
	wd = inotify_add_watch(watcher->fd, path, mask);
	if (wd != -1)
		return add(watcher, wd, fn, arg);
	error_set_errno(err, ERROR_UNAVAILABLE, errno, "cannot watch %s", path);
	free_unused(watcher);
	return NULL;
}

void watch_free(struct watch *watch)
{
	struct watcher *watcher;

	if (watch == NULL)
		return;
	watcher = watch->watcher;
	HASH_DEL(watcher->by_wd, watch);
	/* Fails where the file is gone, and its watch with it. */
	(void)inotify_rm_watch(watcher->fd, watch->wd);
	free(watch);
	free_unused(watcher);
}
