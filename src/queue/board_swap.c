/* Replaces the board's file by a new one, and takes that back where somebody was faster. */
#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "queue/board_file_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER 65536

/* Small pieces are gathered, large ones go out as they are. */
struct writer {
	int fd;
	size_t total;
	size_t used;
	struct board_hash hash;
	char buffer[BUFFER];
};

static bool writer_flush(struct writer *writer)
{
	bool ok = fs_write_all(writer->fd, writer->buffer, writer->used) == 0;

	writer->used = 0;
	return ok;
}

static bool writer_put(void *arg, const char *data, size_t len)
{
	struct writer *writer = arg;

	if (len > BOARD_FILE_MAX - writer->total) {
		errno = EFBIG;
		return false;
	}
	writer->total += len;
	board_hash_add(&writer->hash, data, len);
	/* What is gathered goes out first, or a large piece would overtake it. */
	if ((len > BUFFER / 2 || len > BUFFER - writer->used) && !writer_flush(writer))
		return false;
	if (len > BUFFER / 2)
		return fs_write_all(writer->fd, data, len) == 0;
	memcpy(writer->buffer + writer->used, data, len);
	writer->used += len;
	return true;
}

static bool write_content(int fd, const struct board *board, struct board_digest *digest)
{
	struct writer *writer = xmalloc(sizeof(*writer));
	bool ok;

	writer->fd = fd;
	writer->total = 0;
	writer->used = 0;
	board_hash_init(&writer->hash);
	ok = board_render(board, writer_put, writer) && writer_flush(writer);
	*digest = board_hash_end(&writer->hash);
	free(writer);
	return ok && fsync(fd) == 0;
}

/* Only root may give a file away: better a board that changes hands than one that is not written.
 */
static bool keep_owner(struct board_file *file, int fd, const struct board_version *old)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return false;
	if ((st.st_uid != old->uid || st.st_gid != old->gid) &&
	    fchown(fd, old->uid, old->gid) == -1 && fchown(fd, (uid_t)-1, old->gid) == -1 &&
	    !file->owner_said) {
		log_warn(
		    "%s: its owner cannot be kept when it is written: it becomes ours", file->path);
		file->owner_said = true;
	}
	return fchmod(fd, old->mode & 07777) == 0;
}

static bool fill(struct board_file *file, int fd, const struct board *board,
    const struct board_version *old, struct board_version *fresh)
{
	struct board_digest digest;
	struct stat st;

	if (!keep_owner(file, fd, old) || !write_content(fd, board, &digest) ||
	    fstat(fd, &st) == -1)
		return false;
	*fresh = (struct board_version){
	    .exists = true,
	    .dev = st.st_dev,
	    .ino = st.st_ino,
	    .size = st.st_size,
	    .mtime = st.st_mtim,
	    .ctime = st.st_ctim,
	    .mode = st.st_mode,
	    .uid = st.st_uid,
	    .gid = st.st_gid,
	    .digest = digest,
	};
	return true;
}

/*
 * The new file, complete and on the disk, but not in place yet. Its number is part of its name: as
 * long as they agree it is only ours; once they do not, it is what was the board.
 */
static char *write_new(struct board_file *file, const struct board *board,
    const struct board_version *old, struct board_version *fresh)
{
	char *tmp = xasprintf("%stmp", file->prefix);
	char *path = NULL;
	int fd, saved;
	bool ok;

	unlink(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	ok = fd != -1 && fill(file, fd, board, old, fresh);
	saved = errno;
	if (fd != -1 && close(fd) == -1 && ok) {
		ok = false;
		saved = errno;
	}
	if (ok) {
		path = xasprintf("%snew-%ju", file->prefix, (uintmax_t)fresh->ino);
		if (rename(tmp, path) == -1) {
			saved = errno;
			free(path);
			path = NULL;
		}
	}
	if (path == NULL && fd != -1)
		unlink(tmp);
	free(tmp);
	errno = saved;
	return path;
}

/* Makes the renames last; some filesystems know no fsync of folders. */
static bool sync_folder(const struct board_file *file)
{
	int fd = open(file->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd != -1 && (fsync(fd) == 0 || errno == EINVAL);
	int saved = errno;

	if (fd != -1)
		close(fd);
	errno = saved;
	return ok;
}

/*
 * Without an exchange: the old file gets a second name first, so that it can
 * be looked at afterwards. 0, or -1 with errno set.
 */
static int replace(struct board_file *file, const char *new_path)
{
	char *second = xasprintf("%sout", file->prefix);
	int rc;

	unlink(second);
	rc = link(file->path, second);
	if (rc == -1 && errno != ENOENT)
		rc = 0; /* no hard links either: nothing to look at */
	if (rc == 0)
		rc = rename(new_path, file->path);
	if (rc == 0 && rename(second, new_path) == -1 && errno != ENOENT)
		rc = -1;
	if (rc == -1) {
		int saved = errno;

		unlink(second);
		errno = saved;
	}
	free(second);
	return rc;
}

static int exchange(struct board_file *file, const char *new_path)
{
	int rc;

	if (file->no_exchange)
		return replace(file, new_path);
	rc = renameat2(AT_FDCWD, new_path, AT_FDCWD, file->path, RENAME_EXCHANGE);
	if (rc == 0 || (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP))
		return rc;
	log_info(
	    "%s: its filesystem cannot exchange files: boards are replaced by rename", file->path);
	file->no_exchange = true;
	return replace(file, new_path);
}

/* Whether what came out of the exchange is what we had read. */
static bool is_expected(const char *path, const struct board_version *expected)
{
	struct board_version now;
	struct board_digest digest;

	board_file_stat(path, &now);
	if (!board_version_same_inode(&now, expected))
		return false;
	return !expected->racy ||
	       (board_file_digest(path, &digest) && board_digest_equal(digest, expected->digest));
}

/* The other program's version goes back into its place; ours was there for a moment only. */
static void take_back(struct board_file *file, char *new_path, const struct board_version *fresh)
{
	struct board_version now;
	int rc = file->no_exchange
		     ? rename(new_path, file->path)
		     : renameat2(AT_FDCWD, new_path, AT_FDCWD, file->path, RENAME_EXCHANGE);

	board_file_stat(new_path, &now);
	if (rc == 0 && (!now.exists || board_version_same_inode(&now, fresh))) {
		/* Somebody may have opened it in that moment. */
		board_kept_add(file, new_path, fresh, false, false);
		return;
	}
	if (now.exists) {
		char *beside = board_kept_beside(file, new_path);

		log_error("%s was changed several times while it was written; one of the versions "
			  "is kept as %s: see what of it is missing on the board",
		    file->path, beside);
		free(beside);
	}
	free(new_path);
}

/* Gives up a new file that never was in place. */
static enum board_write discard(char *new_path, enum board_write result)
{
	int saved = errno;

	unlink(new_path);
	free(new_path);
	errno = saved;
	return result;
}

static void keep_old(struct board_file *file, char *new_path, const struct board_version *expected)
{
	char *old_path = xasprintf("%sold-%ju-%jd-%jd.%09ld", file->prefix,
	    (uintmax_t)expected->ino, (intmax_t)expected->size, (intmax_t)expected->mtime.tv_sec,
	    expected->mtime.tv_nsec);

	if (rename(new_path, old_path) == 0) {
		board_kept_add(file, old_path, expected, true, false);
		free(new_path);
	} else {
		free(old_path);
		board_kept_add(file, new_path, expected, true, false);
	}
}

/* On a full disk the versions that are kept for late writers make room. */
static char *write_new_or_make_room(struct board_file *file, const struct board *board,
    const struct board_version *old, struct board_version *fresh)
{
	for (;;) {
		char *path = write_new(file, board, old, fresh);
		int saved = errno;

		if (path != NULL || (saved != ENOSPC && saved != EDQUOT) ||
		    !board_kept_give_up_one(file)) {
			errno = saved;
			return path;
		}
	}
}

static enum board_write put_in_place(struct board_file *file, char *new_path,
    const struct board_version *expected, struct board_version *fresh)
{
	struct board_version now;

	board_file_stat(file->path, &now);
	if (!board_version_same(&now, expected))
		return discard(new_path, BOARD_OVERTAKEN);
	fresh->racy = board_version_is_racy(fresh);
	if (exchange(file, new_path) == -1)
		return discard(new_path, errno == ENOENT ? BOARD_OVERTAKEN : BOARD_FAILED);
	board_file_stat(new_path, &now);
	if ((now.exists || !file->no_exchange) && !is_expected(new_path, expected)) {
		take_back(file, new_path, fresh);
		return BOARD_OVERTAKEN;
	}
	keep_old(file, new_path, expected);
	board_file_stat(file->path, &now);
	if (board_version_same_inode(&now, fresh))
		fresh->ctime = now.ctime; /* the exchange has set it */
	return sync_folder(file) ? BOARD_WRITTEN : BOARD_FAILED;
}

enum board_write board_file_write(struct board_file *file, const struct board *board,
    const struct board_version *expected, struct board_version *version, struct error *err)
{
	enum board_write result;
	struct board_version now;
	char *new_path;

	board_file_stat(file->path, &now);
	if (!expected->exists || !board_version_same(&now, expected))
		return BOARD_OVERTAKEN;
	new_path = write_new_or_make_room(file, board, expected, version);
	result = new_path != NULL ? put_in_place(file, new_path, expected, version) : BOARD_FAILED;
	if (result == BOARD_FAILED)
		error_set_errno(err, ERROR_UNAVAILABLE, errno,
		    "cannot write the board %s; nothing of this change was kept, try again once "
		    "that is mended",
		    file->path);
	return result;
}
