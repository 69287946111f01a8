#ifndef ATHANORE_QUEUE_BOARD_FILE_PRIVATE_H
#define ATHANORE_QUEUE_BOARD_FILE_PRIVATE_H

#include "queue/board_file.h"

#include <sys/queue.h>

/* The body of a board_file, for board_file.c, board_swap.c and board_kept.c alone. */

/* A file that is not the board any more, but may still be open in another program. */
struct board_kept {
	TAILQ_ENTRY(board_kept) next;
	char *path;
	struct board_version version;
	double at;	/* clock_monotonic() */
	bool mergeable; /* it was the board for good, not for the blink of an eye */
	bool stays;	/* when it was written: it has a telling name already */
};

struct board_file {
	char *path;
	char *folder;
	char *prefix;		       /* FOLDER/.NAME.athanore- : our own files */
	bool no_exchange;	       /* the filesystem has no RENAME_EXCHANGE */
	bool owner_said;	       /* that the owner cannot be kept */
	TAILQ_HEAD(, board_kept) kept; /* oldest first */
};

/* board_file.c */
bool board_file_digest(const char *path, struct board_digest *digest);
/* The same file, not changed; tells also where it was renamed since. */
bool board_version_same_inode(const struct board_version *a, const struct board_version *b);
bool board_version_is_racy(const struct board_version *version);

/* board_kept.c */
/* Takes over path. */
void board_kept_add(struct board_file *file, char *path, const struct board_version *version,
    bool mergeable, bool stays);
/* Deletes the oldest kept version that nobody wrote into; false where there is none. */
bool board_kept_give_up_one(struct board_file *file);
/* Moves a file to a telling name beside the board, which the caller frees. */
char *board_kept_beside(struct board_file *file, const char *path);

#endif
