/* Reads a board from its file, and knows versions of the file apart. */
#include "queue/board_file.h"

#include "base/alloc.h"
#include "base/fs.h"
#include "queue/board_file_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Clocks of filesystems tick every 10 ms at the slowest, where they count nanoseconds at all. */
#define TICK_NS 20000000LL
#define COARSE_TICK_NS 2100000000LL

#define PIECE 131072

struct board_file *board_file_create(const char *path)
{
	struct board_file *file = xcalloc(1, sizeof(*file));
	const char *slash = strrchr(path, '/');

	file->path = xstrdup(path);
	file->folder = fs_dirname(path);
	file->prefix = xasprintf("%.*s.%s.athanore-", slash != NULL ? (int)(slash + 1 - path) : 0,
	    path, slash != NULL ? slash + 1 : path);
	TAILQ_INIT(&file->kept);
	return file;
}

void board_file_free(struct board_file *file)
{
	struct board_kept *kept;

	if (file == NULL)
		return;
	while ((kept = TAILQ_FIRST(&file->kept)) != NULL) {
		TAILQ_REMOVE(&file->kept, kept, next);
		free(kept->path);
		free(kept);
	}
	free(file->path);
	free(file->folder);
	free(file->prefix);
	free(file);
}

static void from_stat(const struct stat *st, struct board_version *version)
{
	*version = (struct board_version){
	    .exists = true,
	    .dev = st->st_dev,
	    .ino = st->st_ino,
	    .size = st->st_size,
	    .mtime = st->st_mtim,
	    .ctime = st->st_ctim,
	    .mode = st->st_mode,
	    .uid = st->st_uid,
	    .gid = st->st_gid,
	};
}

void board_file_stat(const char *path, struct board_version *version)
{
	struct stat st;

	if (lstat(path, &st) == 0)
		from_stat(&st, version);
	else
		*version = (struct board_version){0};
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool board_version_same_inode(const struct board_version *a, const struct board_version *b)
{
	if (!a->exists || !b->exists)
		return a->exists == b->exists;
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       same_time(a->mtime, b->mtime);
}

bool board_version_same(const struct board_version *a, const struct board_version *b)
{
	return board_version_same_inode(a, b) && same_time(a->ctime, b->ctime);
}

bool board_version_is_racy(const struct board_version *version)
{
	struct timespec now;
	long long age;

	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		return true;
	age = (long long)(now.tv_sec - version->mtime.tv_sec);
	if (age > 1000)
		return false;
	age = age * 1000000000LL + (now.tv_nsec - version->mtime.tv_nsec);
	return age < (version->mtime.tv_nsec == 0 ? COARSE_TICK_NS : TICK_NS);
}

/* A file that changed while it was read gives ERROR_CONFLICT: read it again. */
static bool read_whole(
    int fd, const char *path, char **text, struct board_version *version, struct error *err)
{
	struct stat before, after;
	size_t size, len = 0;
	ssize_t n = -1;

	if (fstat(fd, &before) == -1)
		return error_set_errno(
		    err, ERROR_UNAVAILABLE, errno, "cannot read the board %s", path);
	from_stat(&before, version);
	version->racy = board_version_is_racy(version);
	if (!S_ISREG(before.st_mode))
		return error_set(err, ERROR_UNAVAILABLE, "the board %s is no regular file", path);
	size = (size_t)before.st_size;
	if (size > BOARD_FILE_MAX)
		return error_set(err, ERROR_UNAVAILABLE, "the board %s is larger than %zu bytes",
		    path, BOARD_FILE_MAX);
	*text = xmalloc(size + 1);
	while (len <= size) {
		n = read(fd, *text + len, size + 1 - len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	if (n == -1)
		return error_set_errno(
		    err, ERROR_UNAVAILABLE, errno, "cannot read the board %s", path);
	if (fstat(fd, &after) == -1 || len != size || after.st_size != before.st_size ||
	    !same_time(after.st_mtim, before.st_mtim))
		return error_set(
		    err, ERROR_UNAVAILABLE, "the board %s changes while it is read", path);
	(*text)[size] = '\0';
	return true;
}

/* text is NULL where this fails. */
static bool read_file(
    const char *path, char **text, struct board_version *version, struct error *err)
{
	/* O_NONBLOCK: a pipe of that name must not hold up the storage thread. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
	bool ok;

	*text = NULL;
	*version = (struct board_version){0};
	if (fd == -1 && errno == ENOENT)
		return error_set(err, ERROR_UNAVAILABLE,
		    "there is no board %s; write one, the smallest is {\"queues\": {}}", path);
	if (fd == -1) {
		int errnum = errno;

		board_file_stat(path, version);
		if (errnum == ELOOP)
			return error_set(err, ERROR_UNAVAILABLE,
			    "the board %s has become a link; restart to use what it points to, or "
			    "put the file "
			    "back",
			    path);
		return error_set_errno(
		    err, ERROR_UNAVAILABLE, errnum, "cannot open the board %s", path);
	}
	ok = read_whole(fd, path, text, version, err);
	close(fd);
	if (!ok) {
		free(*text);
		*text = NULL;
	}
	return ok;
}

static struct board_digest digest_of(const char *text, size_t len)
{
	struct board_hash hash;

	board_hash_init(&hash);
	board_hash_add(&hash, text, len);
	return board_hash_end(&hash);
}

/* Piece by piece: memory for all of it would cost more than reading it. */
bool board_file_digest(const char *path, struct board_digest *digest)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *buffer = xmalloc(PIECE);
	struct board_hash hash;
	ssize_t n = -1;

	board_hash_init(&hash);
	while (fd != -1) {
		n = read(fd, buffer, PIECE);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		board_hash_add(&hash, buffer, (size_t)n);
	}
	if (fd != -1)
		close(fd);
	free(buffer);
	*digest = board_hash_end(&hash);
	return n == 0;
}

enum board_read board_file_read(struct board_file *file, const struct board_version *known,
    struct board **board, struct board_version *version, struct error *err)
{
	struct error why = {0};
	char *text;

	*board = NULL;
	if (!read_file(file->path, &text, version, err))
		return BOARD_UNREADABLE;
	version->digest = digest_of(text, (size_t)version->size);
	if (known != NULL && known->exists && board_digest_equal(known->digest, version->digest)) {
		free(text);
		return BOARD_UNCHANGED;
	}
	*board = board_parse(text, (size_t)version->size, file->path, &why);
	if (*board != NULL)
		return BOARD_READ;
	error_set(err, ERROR_UNAVAILABLE,
	    "the board %s is broken: %s; mend the file, it is read again by itself", file->path,
	    why.message);
	error_clear(&why);
	return BOARD_UNREADABLE;
}
