/* The storage thread: runs jobs in order and posts their completions to the loop. */
#include "loop/worker.h"

#include "base/alloc.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

struct entry {
	struct worker_job job;
	STAILQ_ENTRY(entry) next;
};

STAILQ_HEAD(entry_list, entry);

struct worker {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake; /* the thread waits here for jobs */
	pthread_cond_t idle; /* worker_flush() waits here */
	struct entry_list waiting;
	struct entry_list finished;
	struct entry_list completing; /* the loop's own: finished, completion not called yet */
	bool busy;
	bool stop;
	int posted_fd; /* eventfd: something is in `finished` */
	struct event *posted;
};

/* Runs the jobs of `batch` and returns with all groups ended. A job without a group does not end
 * the one that is open: no completion is called before, so nobody can have relied on its end. */
static void run_batch(struct entry_list *batch)
{
	const struct worker_group *open = NULL;
	struct entry *entry;

	STAILQ_FOREACH (entry, batch, next) {
		const struct worker_group *group = entry->job.group;

		if (group != NULL && group != open) {
			if (open != NULL)
				open->end(open->arg);
			open = group;
			open->begin(open->arg);
		}
		entry->job.run(entry->job.arg);
	}
	if (open != NULL)
		open->end(open->arg);
}

static void post(struct worker *worker)
{
	uint64_t one = 1;

	while (write(worker->posted_fd, &one, sizeof(one)) == -1)
		if (errno != EINTR)
			fatal("write to the worker's eventfd failed");
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;

	pthread_mutex_lock(&worker->mutex);
	for (;;) {
		struct entry_list batch = STAILQ_HEAD_INITIALIZER(batch);

		while (STAILQ_EMPTY(&worker->waiting) && !worker->stop)
			pthread_cond_wait(&worker->wake, &worker->mutex);
		if (STAILQ_EMPTY(&worker->waiting))
			break;
		STAILQ_CONCAT(&batch, &worker->waiting);
		worker->busy = true;
		pthread_mutex_unlock(&worker->mutex);
		run_batch(&batch);
		pthread_mutex_lock(&worker->mutex);
		STAILQ_CONCAT(&worker->finished, &batch);
		worker->busy = false;
		pthread_cond_broadcast(&worker->idle);
		post(worker);
	}
	pthread_mutex_unlock(&worker->mutex);
	return NULL;
}

/* A completion may call worker_flush(): the list is shared, so that the order holds then too. */
static void complete(struct worker *worker)
{
	struct entry *entry;

	pthread_mutex_lock(&worker->mutex);
	STAILQ_CONCAT(&worker->completing, &worker->finished);
	pthread_mutex_unlock(&worker->mutex);
	while ((entry = STAILQ_FIRST(&worker->completing)) != NULL) {
		STAILQ_REMOVE_HEAD(&worker->completing, next);
		if (entry->job.done != NULL)
			entry->job.done(entry->job.arg);
		free(entry);
	}
}

static void on_posted(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) == -1 && errno != EAGAIN && errno != EINTR)
		fatal("read from the worker's eventfd failed");
	complete(arg);
}

/* Signals are the loop's business: the thread blocks all of them. */
static void start_thread(struct worker *worker)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0)
		fatal("cannot start the storage thread");
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct worker *worker_create(struct loop *loop)
{
	struct worker *worker = xcalloc(1, sizeof(*worker));

	STAILQ_INIT(&worker->waiting);
	STAILQ_INIT(&worker->finished);
	STAILQ_INIT(&worker->completing);
	pthread_mutex_init(&worker->mutex, NULL);
	pthread_cond_init(&worker->wake, NULL);
	pthread_cond_init(&worker->idle, NULL);
	worker->posted_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (worker->posted_fd == -1)
		fatal("eventfd failed");
	worker->posted =
	    event_new(loop_base(loop), worker->posted_fd, EV_READ | EV_PERSIST, on_posted, worker);
	if (worker->posted == NULL || event_add(worker->posted, NULL) != 0)
		fatal("event_new failed");
	start_thread(worker);
	return worker;
}

void worker_submit(struct worker *worker, const struct worker_job *job)
{
	struct entry *entry = xcalloc(1, sizeof(*entry));

	entry->job = *job;
	pthread_mutex_lock(&worker->mutex);
	STAILQ_INSERT_TAIL(&worker->waiting, entry, next);
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->mutex);
}

void worker_flush(struct worker *worker)
{
	pthread_mutex_lock(&worker->mutex);
	while (worker->busy || !STAILQ_EMPTY(&worker->waiting))
		pthread_cond_wait(&worker->idle, &worker->mutex);
	pthread_mutex_unlock(&worker->mutex);
	complete(worker);
}

static bool worker_quiet(struct worker *worker)
{
	bool quiet;

	pthread_mutex_lock(&worker->mutex);
	quiet = !worker->busy && STAILQ_EMPTY(&worker->waiting) && STAILQ_EMPTY(&worker->finished);
	pthread_mutex_unlock(&worker->mutex);
	return quiet;
}

void worker_free(struct worker *worker)
{
	if (worker == NULL)
		return;
	while (!worker_quiet(worker))
		worker_flush(worker);
	pthread_mutex_lock(&worker->mutex);
	worker->stop = true;
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->mutex);
	pthread_join(worker->thread, NULL);
	event_free(worker->posted);
	close(worker->posted_fd);
	pthread_cond_destroy(&worker->wake);
	pthread_cond_destroy(&worker->idle);
	pthread_mutex_destroy(&worker->mutex);
	free(worker);
}
