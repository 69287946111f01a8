/* Replaced versions of a board: kept for late writers, then deleted; or kept for good. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "queue/board_file_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A program that opened the board just before it was replaced writes within this many seconds. */
#define KEEP_SECONDS 1.5
#define KEEP_MAX 16
#define KEEP_BYTES ((off_t)64 << 20)

static int rename_new(const char *from, const char *to)
{
	int rc = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);

	if (rc == 0 || errno == EEXIST || errno == ENOENT)
		return rc;
	if (access(to, F_OK) == 0) {
		errno = EEXIST;
		return -1;
	}
	return rename(from, to);
}

char *board_kept_beside(struct board_file *file, const char *path)
{
	time_t now = time(NULL);
	char text[32];
	struct tm tm;

	if (gmtime_r(&now, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", &tm);
	for (int i = 1; i < 1000; i++) {
		char *to = i == 1 ? xasprintf("%s.conflict-%s", file->path, text)
				  : xasprintf("%s.conflict-%s-%d", file->path, text, i);

		if (rename_new(path, to) == 0)
			return to;
		free(to);
		if (errno != EEXIST)
			break;
	}
	return xstrdup(path); /* it stays where it is: not deleted is what counts */
}

static void drop(struct board_file *file, struct board_kept *kept)
{
	TAILQ_REMOVE(&file->kept, kept, next);
	free(kept->path);
	free(kept);
}

/* True where the file is as we left it, and gone now. */
static bool delete_untouched(struct board_kept *kept)
{
	struct board_digest digest;
	struct board_version now;

	board_file_stat(kept->path, &now);
	if (now.exists && !board_version_same_inode(&now, &kept->version))
		return false;
	if (now.exists && kept->version.racy && board_file_digest(kept->path, &digest) &&
	    !board_digest_equal(digest, kept->version.digest))
		return false;
	unlink(kept->path);
	return true;
}

bool board_kept_give_up_one(struct board_file *file)
{
	struct board_kept *kept;

	TAILQ_FOREACH (kept, &file->kept, next) {
		if (!delete_untouched(kept))
			continue;
		drop(file, kept);
		return true;
	}
	return false;
}

static char *keep_written(struct board_file *file, struct board_kept *kept)
{
	return kept->stays ? xstrdup(kept->path) : board_kept_beside(file, kept->path);
}

static void say_kept(const struct board_file *file, const char *path, const char *why)
{
	log_error("%s: a program that had it open wrote into a version that was replaced "
		  "meanwhile; %s, so that it is kept as %s: see what of it is missing on the board",
	    file->path, why, path);
}

static void delete_or_keep(struct board_file *file, struct board_kept *kept)
{
	if (!delete_untouched(kept)) {
		char *path = keep_written(file, kept);

		say_kept(file, path, "there are newer ones");
		free(path);
	}
	drop(file, kept);
}

static bool too_many(const struct board_file *file)
{
	const struct board_kept *kept;
	off_t bytes = 0;
	size_t n = 0;

	TAILQ_FOREACH (kept, &file->kept, next) {
		bytes += kept->version.size;
		n++;
	}
	return n > KEEP_MAX || (n > 1 && bytes > KEEP_BYTES);
}

void board_kept_add(struct board_file *file, char *path, const struct board_version *version,
    bool mergeable, bool stays)
{
	struct board_kept *kept = xcalloc(1, sizeof(*kept));

	kept->path = path;
	kept->version = *version;
	kept->at = clock_monotonic();
	kept->mergeable = mergeable;
	kept->stays = stays;
	TAILQ_INSERT_TAIL(&file->kept, kept, next);
	while (too_many(file))
		delete_or_keep(file, TAILQ_FIRST(&file->kept));
}

/* A version that was written late: given out for merging where that can be done, else kept. */
static void take_late(
    struct board_file *file, struct board_kept *kept, double since, struct board_late *late)
{
	char *path = keep_written(file, kept);
	struct board_file *other = board_file_create(path);
	struct error err = {0};

	if (!kept->mergeable || kept->at < since) {
		say_kept(file, path, "there are newer changes by others");
	} else if (board_file_read(other, NULL, &late->board, &late->version, &err) == BOARD_READ) {
		late->kept = xstrdup(path);
	} else {
		say_kept(file, path, err.message);
	}
	error_clear(&err);
	board_file_free(other);
	free(path);
	drop(file, kept);
}

bool board_file_sweep(struct board_file *file, bool all, double since, struct board_late *late)
{
	double now = clock_monotonic();
	struct board_kept *kept;

	*late = (struct board_late){0};
	while (late->board == NULL && (kept = TAILQ_FIRST(&file->kept)) != NULL &&
	       (all || now - kept->at >= KEEP_SECONDS)) {
		if (delete_untouched(kept))
			drop(file, kept);
		else
			take_late(file, kept, since, late);
	}
	return !TAILQ_EMPTY(&file->kept);
}

void board_file_merged(struct board_file *file, const struct board_late *late)
{
	board_kept_add(file, xstrdup(late->kept), &late->version, true, true);
}

/* Whether a file that we left behind is of no worth to anybody: its name says what it should be. */
static bool is_worthless(const char *kind, const struct stat *st)
{
	uintmax_t ino;
	intmax_t size, sec;
	long nsec;

	if (strcmp(kind, "tmp") == 0)
		return true;
	if (sscanf(kind, "new-%ju", &ino) == 1)
		return ino == st->st_ino;
	if (sscanf(kind, "old-%ju-%jd-%jd.%ld", &ino, &size, &sec, &nsec) == 4)
		return ino == st->st_ino && size == st->st_size && sec == st->st_mtim.tv_sec &&
		       nsec == st->st_mtim.tv_nsec;
	return false;
}

static void recover_one(struct board_file *file, const char *kind)
{
	char *path = xasprintf("%s%s", file->prefix, kind);
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISREG(st.st_mode)) {
		if (is_worthless(kind, &st)) {
			unlink(path);
		} else {
			char *beside = board_kept_beside(file, path);

			log_warn("%s: a daemon that was killed left another version of it behind, "
				 "which is kept as %s: see what of it is missing on the board",
			    file->path, beside);
			free(beside);
		}
	}
	free(path);
}

void board_file_recover(struct board_file *file)
{
	DIR *dir = opendir(file->folder);
	const char *slash = strrchr(file->prefix, '/');
	const char *prefix = slash != NULL ? slash + 1 : file->prefix;
	struct dirent *entry;
	char **kinds = NULL;

	if (dir == NULL)
		return; /* reading the board will say what is wrong with the folder */
	while ((entry = readdir(dir)) != NULL)
		if (str_starts_with(entry->d_name, prefix))
			kinds = xstrv_add(kinds, entry->d_name + strlen(prefix));
	closedir(dir);
	for (char **kind = kinds; kind != NULL && *kind != NULL; kind++)
		recover_one(file, *kind);
	xstrv_free(kinds);
}
