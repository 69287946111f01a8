/* Finds and signals all descendants of this process. */
#include "supervise/tree.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define STOP_SECONDS 0.1
#define CHASE_SECONDS 0.02
#define CHASE_WIDTH 4
#define MAX_CLIMB 64

struct process {
	pid_t pid;
	pid_t parent;
	char state;
	bool ours;
	unsigned long long start; /* with the pid, this names a process for good */
};

struct table {
	struct process *list;
	size_t count;
	size_t cap;
};

/* Fills all but `ours` from /proc/PID/stat; false where the process is gone. */
static bool read_process(pid_t pid, struct process *process)
{
	char path[32], text[1024];
	const char *behind;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	/* The name may hold anything, parentheses too: the last one ends it. */
	behind = strrchr(text, ')');
	*process = (struct process){.pid = pid};
	return behind != NULL && sscanf(behind + 1,
				     " %c %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
				     "%*s %*s %*s %*s %llu",
				     &process->state, &process->parent, &process->start) == 3;
}

static void table_add(struct table *table, const struct process *process)
{
	if (table->count == table->cap) {
		table->cap = table->cap == 0 ? 256 : table->cap * 2;
		table->list = xreallocarray(table->list, table->cap, sizeof(*table->list));
	}
	table->list[table->count++] = *process;
}

static int compare_pids(const void *a, const void *b)
{
	pid_t x = ((const struct process *)a)->pid, y = ((const struct process *)b)->pid;

	return (x > y) - (x < y);
}

static bool is_ours(const struct table *table, pid_t pid)
{
	struct process key = {.pid = pid};
	const struct process *found =
	    bsearch(&key, table->list, table->count, sizeof(key), compare_pids);

	return found != NULL && found->ours;
}

/* A child may stand before its parent, where pids have wrapped: look until nothing is new. */
static void mark_descendants(struct table *table)
{
	pid_t self = getpid();
	bool again = true;

	while (again) {
		again = false;
		for (size_t i = 0; i < table->count; i++) {
			struct process *process = &table->list[i];

			if (process->ours)
				continue;
			process->ours = process->parent == self || is_ours(table, process->parent);
			again = again || process->ours;
		}
	}
}

static void keep_descendants(struct table *table)
{
	size_t kept = 0;

	if (table->count > 0)
		qsort(table->list, table->count, sizeof(*table->list), compare_pids);
	mark_descendants(table);
	for (size_t i = 0; i < table->count; i++)
		if (table->list[i].ours)
			table->list[kept++] = table->list[i];
	table->count = kept;
}

/* Replaces table by what is there now: our descendants, zombies included. */
static void look(struct table *table)
{
	DIR *dir = opendir("/proc");
	const struct dirent *entry;

	table->count = 0;
	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL) {
		struct process process;

		if (isdigit((unsigned char)entry->d_name[0]) &&
		    read_process((pid_t)atol(entry->d_name), &process))
			table_add(table, &process);
	}
	closedir(dir);
	keep_descendants(table);
}

static void send(const struct process *process, int sig)
{
	int fd = pidfd_open(process->pid, 0);
	struct process now;

	if (fd == -1) {
		if (errno != ESRCH && errno != EINVAL)
			kill(process->pid, sig); /* no pidfd to be had */
		return;
	}
	if (read_process(process->pid, &now) && now.start == process->start)
		pidfd_send_signal(fd, sig, NULL, 0);
	close(fd);
}

/* STOPs what moves; false where nothing did. */
static bool stop_all(const struct table *table)
{
	bool moving = false;

	for (size_t i = 0; i < table->count; i++) {
		const struct process *process = &table->list[i];

		if (process->state == 'Z' || process->state == 'X' || process->state == 'T' ||
		    process->state == 't')
			continue;
		send(process, SIGSTOP);
		moving = true;
	}
	return moving;
}

/* The pid that was given out last, or 0: the last word of /proc/loadavg. */
static pid_t newest_pid(void)
{
	int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
	const char *word;
	char text[128];
	ssize_t n;

	if (fd == -1)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	word = strrchr(text, ' ');
	return word != NULL ? (pid_t)atol(word + 1) : 0;
}

/* Goes up from a process to us, or to where it is certain that the way does not end here. */
static bool descends(struct process process)
{
	pid_t self = getpid();

	for (int depth = 0; depth < MAX_CLIMB; depth++) {
		if (process.parent == self)
			return true;
		if (process.parent <= 1 || !read_process(process.parent, &process))
			return false;
	}
	return false;
}

/*
 * A chain of processes of which each forks and exits is always somewhere else
 * when a look through all of /proc comes to its end. Its head is the newest process there is.
 */
static void chase(void)
{
	double end = clock_monotonic() + CHASE_SECONDS;

	do {
		pid_t newest = newest_pid();

		for (pid_t pid = newest; pid > 1 && pid > newest - CHASE_WIDTH; pid--) {
			struct process process;

			if (read_process(pid, &process) && process.state != 'Z' &&
			    descends(process))
				send(&process, SIGKILL);
		}
	} while (clock_monotonic() < end);
}

void tree_signal(int sig)
{
	struct table table = {0};

	look(&table);
	for (size_t i = 0; i < table.count; i++) {
		send(&table.list[i], sig);
		if (table.list[i].state == 'T') /* it would never see it */
			send(&table.list[i], SIGCONT);
	}
	free(table.list);
}

void tree_kill(void)
{
	struct table table = {0};
	double end = clock_monotonic() + STOP_SECONDS;
	bool moving;

	do {
		look(&table);
		moving = stop_all(&table);
	} while (moving && clock_monotonic() < end);
	for (size_t i = 0; i < table.count; i++)
		send(&table.list[i], SIGKILL);
	free(table.list);
	if (moving)
		chase();
}

size_t tree_list(pid_t *pids, size_t max)
{
	struct table table = {0};
	size_t n = 0;

	look(&table);
	for (size_t i = 0; i < table.count && n < max; i++)
		pids[n++] = table.list[i].pid;
	free(table.list);
	return n;
}
