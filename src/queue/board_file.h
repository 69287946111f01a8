#ifndef ATHANORE_QUEUE_BOARD_FILE_H
#define ATHANORE_QUEUE_BOARD_FILE_H

#include "base/error.h"
#include "queue/board.h"
#include "queue/board_hash.h"

#include <sys/types.h>
#include <time.h>

/*
 * The board on the disk: read, and replaced without ever losing what another
 * program writes to it at the same time. All here but board_file_stat() is slow and for the
 * storage thread.
 */
struct board_file;

/* What the file was when we looked at it. */
struct board_version {
	bool exists;
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	bool racy; /* changed so lately that a later change may not show in its times */
	struct board_digest digest; /* of a file that was read or written */
};

/* Largest file that is read or written. */
#define BOARD_FILE_MAX ((size_t)0x7fffffff)

/* path is copied. */
struct board_file *board_file_create(const char *path);
void board_file_free(struct board_file *file);

/* Fills all but digest and racy; callable from every thread. */
void board_file_stat(const char *path, struct board_version *version);
bool board_version_same(const struct board_version *a, const struct board_version *b);

enum board_read {
	BOARD_READ,	  /* board is the caller's */
	BOARD_UNCHANGED,  /* its bytes are those of `known` */
	BOARD_UNREADABLE, /* err is set (unavailable, with the path); version is what was seen */
};

/* known may be NULL: read in any case. */
enum board_read board_file_read(struct board_file *file, const struct board_version *known,
    struct board **board, struct board_version *version, struct error *err);

enum board_write {
	BOARD_WRITTEN,	 /* and safe on the disk; version is what it is now */
	BOARD_OVERTAKEN, /* the file is not `expected` any more, and was left as it is */
	BOARD_FAILED,	 /* err is set (unavailable, with the path); the file was left as it is */
};

/* Puts the board's text in the place of `expected`. */
enum board_write board_file_write(struct board_file *file, const struct board *board,
    const struct board_version *expected, struct board_version *version, struct error *err);

/*
 * A version that we had replaced, and into which a program that held it open has
 * written afterwards.
 */
struct board_late {
	struct board *board; /* the caller's; NULL: there is none */
	char *kept;	     /* where the file stands now; the caller frees it */
	struct board_version version;
};

/*
 * Looks at the replaced versions that are kept for late writers: those that
 * nobody touched for long enough (`all`: in any case) are deleted. One that was written, and was
 * replaced after `since` (clock_monotonic()), is given out in late; an older or broken one stays
 * beside the board, and the log says so. True while there are more to be looked at later.
 */
bool board_file_sweep(struct board_file *file, bool all, double since, struct board_late *late);

/* The content of late is on the board now: its file is deleted once it rests. */
void board_file_merged(struct board_file *file, const struct board_late *late);

/* Deletes what a daemon that was killed left behind, or keeps it where it may be somebody's work.
 */
void board_file_recover(struct board_file *file);

#endif
