/* Starts processes, and tells of their end. */
#include "loop/process.h"

#include "base/alloc.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <unistd.h>

struct process {
	struct reaper *reaper;
	pid_t pid;
	process_fn fn;
	void *arg;
	struct event *pidfd_event; /* NULL for children of ours */
	LIST_ENTRY(process) next;
};

struct reaper {
	struct loop *loop;
	struct event *sigchld;
	LIST_HEAD(, process) processes;
};

static struct process *find_child(struct reaper *reaper, pid_t pid)
{
	struct process *process;

	LIST_FOREACH (process, &reaper->processes, next)
		if (process->pid == pid && process->pidfd_event == NULL)
			return process;
	return NULL;
}

static void on_sigchld(evutil_socket_t fd, short what, void *arg)
{
	struct reaper *reaper = arg;
	int status;
	pid_t pid;

	(void)fd;
	(void)what;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct process *process = find_child(reaper, pid);

		if (process == NULL)
			continue; /* an orphan that fell to us */
		process->pid = -1;
		process->fn(process->arg, status);
	}
}

struct reaper *reaper_create(struct loop *loop)
{
	struct reaper *reaper = xcalloc(1, sizeof(*reaper));

	reaper->loop = loop;
	LIST_INIT(&reaper->processes);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == -1)
		fatal("prctl(PR_SET_CHILD_SUBREAPER) failed");
	reaper->sigchld = evsignal_new(loop_base(loop), SIGCHLD, on_sigchld, reaper);
	if (reaper->sigchld == NULL || evsignal_add(reaper->sigchld, NULL) != 0)
		fatal("cannot handle SIGCHLD");
	return reaper;
}

void reaper_free(struct reaper *reaper)
{
	if (reaper == NULL)
		return;
	if (!LIST_EMPTY(&reaper->processes))
		fatal("reaper_free: processes are still watched");
	event_free(reaper->sigchld);
	free(reaper);
}

bool reaper_knows(const struct reaper *reaper, pid_t pid)
{
	const struct process *process;

	LIST_FOREACH (process, &reaper->processes, next)
		if (process->pid == pid)
			return true;
	return false;
}

static void file_actions_init(posix_spawn_file_actions_t *actions)
{
	int rc = posix_spawn_file_actions_init(actions);

	rc |= posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
	rc |= posix_spawn_file_actions_addopen(actions, 1, "/dev/null", O_WRONLY, 0);
	rc |= posix_spawn_file_actions_addopen(actions, 2, "/dev/null", O_WRONLY, 0);
	rc |= posix_spawn_file_actions_addclosefrom_np(actions, 3);
	if (rc != 0)
		fatal("posix_spawn_file_actions failed");
}

static void attributes_init(posix_spawnattr_t *attr)
{
	sigset_t none, all;
	int rc = posix_spawnattr_init(attr);

	sigemptyset(&none);
	sigfillset(&all);
	rc |= posix_spawnattr_setsigmask(attr, &none);
	rc |= posix_spawnattr_setsigdefault(attr, &all);
	rc |= posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (rc != 0)
		fatal("posix_spawnattr failed");
}

static struct process *process_add(struct reaper *reaper, pid_t pid, process_fn fn, void *arg)
{
	struct process *process = xcalloc(1, sizeof(*process));

	process->reaper = reaper;
	process->pid = pid;
	process->fn = fn;
	process->arg = arg;
	LIST_INSERT_HEAD(&reaper->processes, process, next);
	return process;
}

struct process *process_spawn(struct reaper *reaper, const char *const *argv,
    const char *const *envp, process_fn fn, void *arg, struct error *err)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	pid_t pid;
	int rc;

	file_actions_init(&actions);
	attributes_init(&attr);
	rc = posix_spawn(&pid, argv[0], &actions, &attr, (char *const *)argv, (char *const *)envp);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	if (rc != 0) {
		error_set_errno(err, ERROR_UNAVAILABLE, rc, "cannot start %s", argv[0]);
		return NULL;
	}
	return process_add(reaper, pid, fn, arg);
}

static void on_pidfd(evutil_socket_t fd, short what, void *arg)
{
	struct process *process = arg;

	(void)fd;
	(void)what;
	event_del(process->pidfd_event);
	process->fn(process->arg, -1);
}

struct process *process_attach(
    struct reaper *reaper, pid_t pid, process_fn fn, void *arg, struct error *err)
{
	int fd = pidfd_open(pid, 0); /* close-on-exec by itself */
	struct process *process;

	if (fd == -1) {
		error_set_errno(err, errno == ESRCH ? ERROR_NOT_FOUND : ERROR_UNAVAILABLE, errno,
		    "cannot watch process %ld", (long)pid);
		return NULL;
	}
	process = process_add(reaper, pid, fn, arg);
	process->pidfd_event =
	    event_new(loop_base(reaper->loop), fd, EV_READ | EV_PERSIST, on_pidfd, process);
	if (process->pidfd_event == NULL || event_add(process->pidfd_event, NULL) != 0)
		fatal("event_new failed");
	return process;
}

/* A child that is not reaped keeps its pid; for others the pidfd names who is meant. */
bool process_kill(struct process *process, int sig, struct error *err)
{
	int rc;

	if (process->pidfd_event != NULL)
		rc = pidfd_send_signal(event_get_fd(process->pidfd_event), sig, NULL, 0);
	else
		rc = process->pid > 0 ? kill(process->pid, sig) : (errno = ESRCH, -1);
	if (rc == 0)
		return true;
	return error_set_errno(err, errno == ESRCH ? ERROR_NOT_FOUND : ERROR_UNAVAILABLE, errno,
	    "cannot send signal %d to process %ld", sig, (long)process->pid);
}

pid_t process_pid(const struct process *process)
{
	return process->pid;
}

void process_free(struct process *process)
{
	if (process == NULL)
		return;
	if (process->pidfd_event != NULL) {
		close(event_get_fd(process->pidfd_event));
		event_free(process->pidfd_event);
	}
	LIST_REMOVE(process, next);
	free(process);
}
