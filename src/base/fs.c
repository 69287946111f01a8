/* Whole-file reads, atomic writes, locks and folders. */
#include "base/fs.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP 65536

static enum error_code code_of(int errnum)
{
	switch (errnum) {
	case ENOENT:
	case ENOTDIR:
		return ERROR_NOT_FOUND;
	case EACCES:
	case EPERM:
		return ERROR_FORBIDDEN;
	default:
		return ERROR_UNAVAILABLE;
	}
}

static bool read_fd(int fd, const char *path, struct str *out, size_t max, struct error *err)
{
	size_t start = out->len;

	for (;;) {
		ssize_t n = read(fd, str_reserve(out, READ_STEP), READ_STEP);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return error_set_errno(err, code_of(errno), errno, "cannot read %s", path);
		if (n == 0)
			break;
		out->len += (size_t)n;
		if (out->len - start > max)
			return error_set(
			    err, ERROR_INVALID, "%s is larger than %zu bytes", path, max);
	}
	out->data[out->len] = '\0';
	return true;
}

bool fs_read(const char *path, struct str *out, size_t max, struct error *err)
{
	size_t before = out->len;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool ok;

	if (fd == -1)
		return error_set_errno(err, code_of(errno), errno, "cannot open %s", path);
	ok = read_fd(fd, path, out, max, err);
	close(fd);
	if (!ok) {
		out->len = before;
		out->data[before] = '\0';
	}
	return ok;
}

int fs_write_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Makes the rename in the folder of path survive a power cut. */
static int sync_dir_of(const char *path)
{
	char *dir = fs_dirname(path);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd == -1 ? -1 : fsync(fd);

	free(dir);
	if (fd != -1)
		close(fd);
	return rc;
}

static int write_then_rename(
    int fd, const char *tmp, const char *path, const void *data, size_t len, bool durable)
{
	if (fs_write_all(fd, data, len) == -1)
		return -1;
	if (durable && fsync(fd) == -1)
		return -1;
	if (rename(tmp, path) == -1)
		return -1;
	return durable ? sync_dir_of(path) : 0;
}

/* A file of an earlier crash would keep its own mode and whoever has it open: it goes first. */
static int open_new(const char *path, mode_t mode)
{
	if (unlink(path) == -1 && errno != ENOENT)
		return -1;
	return open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
}

bool fs_write_atomic(
    const char *path, const void *data, size_t len, mode_t mode, bool durable, struct error *err)
{
	char *tmp = xasprintf("%s.tmp", path);
	int fd = open_new(tmp, mode);
	int rc = fd == -1 ? -1 : write_then_rename(fd, tmp, path, data, len, durable);
	int saved = errno;

	if (fd != -1)
		close(fd);
	if (rc == -1) {
		unlink(tmp);
		error_set_errno(err, code_of(saved), saved, "cannot write %s", path);
	}
	free(tmp);
	return rc == 0;
}

static bool make_dir(const char *path, mode_t mode, struct error *err)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return true;
	if (errno == EEXIST && stat(path, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			return true;
		return error_set(err, ERROR_CONFLICT, "%s is there and is no folder", path);
	}
	return error_set_errno(err, code_of(errno), errno, "cannot create the folder %s", path);
}

bool fs_mkdir_p(const char *path, mode_t mode, struct error *err)
{
	char *part;
	bool ok = true;

	if (path[0] == '\0')
		return error_set(err, ERROR_INVALID, "cannot create a folder without a name");
	part = xstrdup(path);
	for (char *slash = strchr(part + 1, '/'); ok && slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		ok = make_dir(part, mode, err);
		*slash = '/';
	}
	ok = ok && make_dir(part, mode, err);
	free(part);
	return ok;
}

/* What another process removes in the meantime is as good as removed by us. */
static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

static bool is_gone(const char *path)
{
	struct stat st;

	return lstat(path, &st) == -1 && errno == ENOENT;
}

bool fs_remove_tree(const char *path, struct error *err)
{
	/* A folder that vanishes under the walk ends it: what is left is for the next one. */
	for (int walks = 0; walks < 8; walks++) {
		if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0)
			return true;
		if (errno != ENOENT)
			break;
		if (is_gone(path))
			return true;
	}
	return error_set_errno(err, code_of(errno), errno, "cannot remove %s", path);
}

/* The pid written in a lock file, or 0. */
static pid_t read_holder(int fd)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	return (pid_t)strtol(text, NULL, 10);
}

static int write_holder(int fd)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (ftruncate(fd, 0) == -1)
		return -1;
	return pwrite(fd, text, (size_t)n, 0) == n ? 0 : -1;
}

int fs_lock(const char *path, pid_t *holder, struct error *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	*holder = 0;
	if (fd == -1) {
		error_set_errno(err, code_of(errno), errno, "cannot open the lock file %s", path);
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		if (write_holder(fd) == 0)
			return fd;
		error_set_errno(err, code_of(errno), errno, "cannot write the lock file %s", path);
	} else if (errno == EWOULDBLOCK) {
		*holder = read_holder(fd);
		error_set(err, ERROR_CONFLICT, "%s is locked by process %ld", path, (long)*holder);
	} else {
		error_set_errno(err, code_of(errno), errno, "cannot lock %s", path);
	}
	close(fd);
	return -1;
}

char *fs_join(const char *dir, const char *name)
{
	if (name[0] == '/' || strcmp(dir, ".") == 0)
		return xstrdup(name);
	return xasprintf("%s%s%s", dir, str_ends_with(dir, "/") ? "" : "/", name);
}

char *fs_dirname(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return xstrdup(".");
	if (slash == path)
		return xstrdup("/");
	return xmemdup0(path, (size_t)(slash - path));
}
