/* Drains connections that we have closed, so that the last answer reaches the client. */
#include "api/linger.h"

#include "base/alloc.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#define LINGER_SECONDS 2
#define MAX_LINGERS 64

struct api_lingering {
	struct api_lingers *owner;
	int fd;
	struct event *readable;
	struct event *deadline;
	LIST_ENTRY(api_lingering) next;
};

struct api_lingers {
	struct event_base *base;
	size_t count;
	LIST_HEAD(, api_lingering) list;
};

struct api_lingers *api_lingers_create(struct event_base *base)
{
	struct api_lingers *lingers = xcalloc(1, sizeof(*lingers));

	lingers->base = base;
	LIST_INIT(&lingers->list);
	return lingers;
}

static void linger_free(struct api_lingering *linger)
{
	LIST_REMOVE(linger, next);
	linger->owner->count--;
	event_free(linger->readable);
	event_free(linger->deadline);
	close(linger->fd);
	free(linger);
}

void api_lingers_free(struct api_lingers *lingers)
{
	struct api_lingering *linger;

	if (lingers == NULL)
		return;
	while ((linger = LIST_FIRST(&lingers->list)) != NULL)
		linger_free(linger);
	free(lingers);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	char waste[16384];
	ssize_t n = read((int)fd, waste, sizeof(waste));

	(void)what;
	if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		linger_free(arg);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	linger_free(arg);
}

void api_linger(struct api_lingers *lingers, int fd)
{
	static const struct timeval patience = {.tv_sec = LINGER_SECONDS};
	struct api_lingering *linger;
	int copy;

	if (lingers->count == MAX_LINGERS)
		return;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy == -1) /* out of descriptors: the client may see a reset */
		return;
	linger = xcalloc(1, sizeof(*linger));
	linger->owner = lingers;
	linger->fd = copy;
	linger->readable =
	    event_new(lingers->base, copy, EV_READ | EV_PERSIST, on_readable, linger);
	linger->deadline = evtimer_new(lingers->base, on_deadline, linger);
	if (linger->readable == NULL || linger->deadline == NULL)
		fatal("event_new failed");
	LIST_INSERT_HEAD(&lingers->list, linger, next);
	lingers->count++;
	if (event_add(linger->readable, NULL) != 0 || evtimer_add(linger->deadline, &patience) != 0)
		linger_free(linger);
}
