/* A cgroup for the agent's processes. */
#include "supervise/cgroup.h"

#include "base/alloc.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_PROC_FILE (1024 * 1024)
#define REMOVE_TRIES 100
#define REMOVE_PAUSE_NS 10000000L

struct cgroup {
	char *path;
	int dir_fd;
	int kill_fd;
};

/* The rest of the n-th field (from 0) of a line of fields between single spaces, or NULL. */
static char *field(char *line, int n)
{
	while (n-- > 0 && line != NULL) {
		line = strchr(line, ' ');
		line = line != NULL ? line + 1 : NULL;
	}
	return line;
}

/* mountinfo writes space, tab, newline and backslash as \ooo. */
static void decode_octal(char *text)
{
	char *to = text;

	while (*text != '\0') {
		unsigned int c;

		if (text[0] == '\\' && sscanf(text + 1, "%3o", &c) == 1 && strlen(text) >= 4) {
			*to++ = (char)c;
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

/* Takes a line of mountinfo apart: the root and the folder of a cgroup2 mount. */
static bool parse_mount(char *line, char **root, char **folder)
{
	char *type = strstr(line, " - ");

	if (type == NULL || !str_starts_with(type, " - cgroup2 "))
		return false;
	*root = field(line, 3);
	*folder = field(line, 4);
	if (*root == NULL || *folder == NULL || *folder > type)
		return false;
	*strchr(*root, ' ') = '\0';
	(*folder)[strcspn(*folder, " ")] = '\0';
	decode_octal(*root);
	decode_octal(*folder);
	return true;
}

/* Our own place in the hierarchy, as it is seen below the mount's root; NULL if it is not below. */
static const char *below_root(const char *place, const char *root)
{
	size_t len = strcmp(root, "/") == 0 ? 0 : strlen(root);

	if (strncmp(place, root, len) != 0 || (place[len] != '/' && place[len] != '\0'))
		return NULL;
	/* "/../x": we are outside of the namespace that the mount shows. */
	if (str_starts_with(place + len, "/..") || str_ends_with(place, " (deleted)"))
		return NULL;
	return strcmp(place + len, "/") == 0 ? "" : place + len;
}

/* The folder of our own cgroup for the unified hierarchy; NULL where it is not mounted. */
static char *folder_of(const char *place)
{
	struct str mounts = {0};
	char *found = NULL, *rest, *line, *root, *folder;

	if (!fs_read("/proc/self/mountinfo", &mounts, MAX_PROC_FILE, NULL))
		mounts.len = 0;
	rest = mounts.data;
	while (found == NULL && mounts.len > 0 && (line = strsep(&rest, "\n")) != NULL) {
		const char *below;

		if (!parse_mount(line, &root, &folder))
			continue;
		below = below_root(place, root);
		if (below != NULL)
			found = xasprintf("%s%s", folder, below);
	}
	str_free(&mounts);
	return found;
}

static char *own_folder(void)
{
	struct str text = {0};
	char *found = NULL, *rest, *line;

	if (!fs_read("/proc/self/cgroup", &text, MAX_PROC_FILE, NULL))
		text.len = 0;
	rest = text.data;
	while (found == NULL && text.len > 0 && (line = strsep(&rest, "\n")) != NULL)
		if (str_starts_with(line, "0::/"))
			found = folder_of(line + strlen("0::"));
	str_free(&text);
	return found;
}

static void cgroup_free(struct cgroup *cgroup)
{
	if (cgroup->dir_fd != -1)
		close(cgroup->dir_fd);
	if (cgroup->kill_fd != -1)
		close(cgroup->kill_fd);
	free(cgroup->path);
	free(cgroup);
}

static struct cgroup *create_at(char *path)
{
	struct cgroup *cgroup = xcalloc(1, sizeof(*cgroup));

	cgroup->path = path;
	cgroup->dir_fd = cgroup->kill_fd = -1;
	/* An empty one of this name is left of a supervisor that was killed. */
	if (mkdir(path, 0755) == -1 &&
	    (errno != EEXIST || rmdir(path) == -1 || mkdir(path, 0755) == -1))
		goto fail;
	cgroup->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup->dir_fd != -1)
		cgroup->kill_fd = openat(cgroup->dir_fd, "cgroup.kill", O_WRONLY | O_CLOEXEC);
	if (cgroup->kill_fd != -1)
		return cgroup;
	rmdir(path);
fail:
	cgroup_free(cgroup);
	return NULL;
}

struct cgroup *cgroup_create(const char *run_dir)
{
	const char *forbidden = getenv("ATHANORE_NO_CGROUP");
	struct stat st;
	struct cgroup *cgroup;
	char *parent;

	if (forbidden != NULL && forbidden[0] != '\0' && strcmp(forbidden, "0") != 0)
		return NULL;
	if (stat(run_dir, &st) == -1)
		return NULL;
	parent = own_folder();
	if (parent == NULL)
		return NULL;
	cgroup = create_at(xasprintf(
	    "%s/athanore-%llx-%ld", parent, (unsigned long long)st.st_ino, (long)getpid()));
	free(parent);
	return cgroup;
}

int cgroup_fd(const struct cgroup *cgroup)
{
	return cgroup != NULL ? cgroup->dir_fd : -1;
}

const char *cgroup_path(const struct cgroup *cgroup)
{
	return cgroup != NULL ? cgroup->path : NULL;
}

void cgroup_kill(struct cgroup *cgroup)
{
	ssize_t n;

	if (cgroup == NULL)
		return;
	/* Where it fails, the walk through the process tree is what is left. */
	n = write(cgroup->kill_fd, "1", 1);
	(void)n;
}

static int remove_folder(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return type == FTW_DP && rmdir(path) == -1 ? -1 : 0;
}

void cgroup_remove(struct cgroup *cgroup)
{
	struct timespec pause = {0, REMOVE_PAUSE_NS};

	if (cgroup == NULL)
		return;
	/* The last process may be reaped a moment before it has left its cgroup. */
	for (int i = 0; i < REMOVE_TRIES && rmdir(cgroup->path) == -1 && errno == EBUSY; i++) {
		cgroup_kill(cgroup);
		if (nftw(cgroup->path, remove_folder, 16, FTW_DEPTH | FTW_PHYS) == 0)
			break;
		nanosleep(&pause, NULL);
	}
	cgroup_free(cgroup);
}
