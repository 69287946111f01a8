/* Finds and kills what a dead supervisor has left behind. */
#include "dispatch/lost.h"

#include "base/alloc.h"
#include "base/fs.h"
#include "base/str.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#define MAX_ENVIRON (4 << 20)

/* How the supervisor calls the cgroups that it makes. */
#define CGROUP_PREFIX "athanore-"

struct proc {
	pid_t pid;
	pid_t parent;
	char state;
	bool doomed;
};

struct procs {
	struct proc *list;
	size_t count;
};

/* Reads pid, state and parent from /proc/PID/stat; the name in it may hold anything. */
static bool read_stat(struct proc *proc)
{
	char path[64];
	struct str text = {0};
	const char *after;
	int parent;
	bool ok;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)proc->pid);
	ok = fs_read(path, &text, 1 << 16, NULL);
	after = ok ? strrchr(text.data, ')') : NULL;
	ok = after != NULL && sscanf(after, ") %c %d", &proc->state, &parent) == 2;
	if (ok)
		proc->parent = parent;
	str_free(&text);
	return ok;
}

static void scan(struct procs *procs)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		struct proc proc = {0};

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		proc.pid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (!read_stat(&proc) || proc.state == 'Z' || proc.state == 'X')
			continue;
		procs->list = xreallocarray(procs->list, procs->count + 1, sizeof(proc));
		procs->list[procs->count++] = proc;
	}
	if (dir != NULL)
		closedir(dir);
}

/* Whether the process was started with the marker ("NAME=value" and its NUL) in its environment. */
static bool carries(pid_t pid, const char *marker)
{
	char path[64];
	struct str text = {0};
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%ld/environ", (long)pid);
	if (fs_read(path, &text, MAX_ENVIRON, NULL)) {
		size_t len = strlen(marker) + 1;

		for (size_t at = 0; at + len <= text.len && !found;
		     at += strlen(text.data + at) + 1)
			found = memcmp(text.data + at, marker, len) == 0;
	}
	str_free(&text);
	return found;
}

static bool parent_doomed(const struct procs *procs, pid_t parent)
{
	for (size_t i = 0; i < procs->count; i++)
		if (procs->list[i].pid == parent)
			return procs->list[i].doomed;
	return false;
}

/* We may have been started by the run's agent ourselves, and are no leftover of it; nor is what we
 * watch. */
static bool is_spared(const struct reaper *reaper, pid_t pid)
{
	return pid == getpid() || reaper_knows(reaper, pid);
}

static void doom(struct procs *procs, const struct reaper *reaper, const char *marker)
{
	bool more = true;

	for (size_t i = 0; i < procs->count; i++) {
		struct proc *proc = &procs->list[i];

		/* A child of ours that nobody watches came to us from a supervisor that died. */
		proc->doomed = !is_spared(reaper, proc->pid) &&
			       (proc->parent == getpid() || carries(proc->pid, marker));
	}
	while (more) {
		more = false;
		for (size_t i = 0; i < procs->count; i++) {
			struct proc *proc = &procs->list[i];

			if (!proc->doomed && parent_doomed(procs, proc->parent) &&
			    !is_spared(reaper, proc->pid)) {
				proc->doomed = true;
				more = true;
			}
		}
	}
}

/* Whether the folder is a cgroup that a supervisor has made. What names it lies in a run's folder,
 * where the agent could write too: nothing else is to be killed. */
static bool is_our_cgroup(const char *path)
{
	const char *name = strrchr(path, '/');
	struct statfs fs;

	return path[0] == '/' && name != NULL && str_starts_with(name + 1, CGROUP_PREFIX) &&
	       statfs(path, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

static void write_kill(const char *path)
{
	char *file = fs_join(path, "cgroup.kill");
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd == -1 ? -1 : write(fd, "1", 1);

	(void)n; /* whether it worked is seen by who is left */
	if (fd != -1)
		close(fd);
	free(file);
}

/* Whether a process is left in the cgroup or in one below it. */
static bool populated(const char *path)
{
	char *file = fs_join(path, "cgroup.events");
	struct str text = {0};
	bool any = fs_read(file, &text, 1 << 16, NULL) && strstr(text.data, "populated 1") != NULL;

	str_free(&text);
	free(file);
	return any;
}

static int remove_folder(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return type == FTW_DP && rmdir(path) == -1 ? -1 : 0;
}

/* Kills what is in the cgroup; true while somebody is left there. */
static bool kill_cgroup(const char *path)
{
	if (path == NULL || !is_our_cgroup(path))
		return false;
	if (!populated(path)) {
		/* Where it fails, an empty cgroup is left, which harms nobody. */
		nftw(path, remove_folder, 16, FTW_DEPTH | FTW_PHYS);
		return false;
	}
	write_kill(path);
	return true;
}

size_t lost_kill(const struct reaper *reaper, const char *run_id, const char *cgroup)
{
	bool in_cgroup = kill_cgroup(cgroup);
	char *marker = xasprintf("ATHANORE_RUN_ID=%s", run_id);
	struct procs procs = {0};
	size_t alive = 0;

	scan(&procs);
	doom(&procs, reaper, marker);
	/* Stopped first, so that none of them can start another while we go through the list. */
	for (size_t i = 0; i < procs.count; i++)
		if (procs.list[i].doomed)
			kill(procs.list[i].pid, SIGSTOP);
	/* What may not be killed (it has changed its user) is alive all the same. */
	for (size_t i = 0; i < procs.count; i++)
		if (procs.list[i].doomed &&
		    (kill(procs.list[i].pid, SIGKILL) == 0 || errno == EPERM))
			alive++;
	free(procs.list);
	free(marker);
	return alive == 0 && in_cgroup ? 1 : alive;
}
