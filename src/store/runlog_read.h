#ifndef ATHANORE_STORE_RUNLOG_READ_H
#define ATHANORE_STORE_RUNLOG_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reads a log forward from an offset, a piece at a time and without waiting for the disk. A
 * record of any length takes no more memory than a short one. For the loop's thread.
 */

/* Where a reader is. Start with {.offset = where a record begins}; the rest is private. */
struct runlog_reader {
	int64_t offset;	 /* behind the last record that was told whole */
	int64_t scanned; /* of a long record: looked at so far */
	int64_t end;	 /* of a long record: behind its newline; 0: not known */
	int64_t told;	 /* of a long record: bytes of it that were told */
	int depth;	 /* of a long record: what a JSON parser would know */
	bool in_string;
	bool escaped;
	bool damaged;
};

/*
 * What was read. id is the offset behind the record; data is JSON without a line break in it, in
 * one piece or in several calls of runlog_read(). Its type is "corrupt" where the line is no
 * record, and then data is {"type":"corrupt"}.
 */
struct runlog_sink {
	void (*begin)(void *arg, const char *type, int64_t id);
	void (*data)(void *arg, const char *data, size_t len);
	void (*end)(void *arg);
	void *arg;
};

enum runlog_result {
	RUNLOG_MORE,   /* call again */
	RUNLOG_WAIT,   /* all that is there was told; more may come */
	RUNLOG_END,    /* all was told, and no more comes */
	RUNLOG_COLD,   /* it has to be fetched from the disk: runlog_follower_fetch() */
	RUNLOG_FAILED, /* errno says why */
};

/* Tells up to about 64 KiB. complete: nobody writes to the file any more. */
enum runlog_result runlog_read(
    struct runlog_reader *reader, int fd, bool complete, const struct runlog_sink *sink);

/* Whether a record may begin there. */
bool runlog_is_border(int fd, int64_t offset);

/* Where the first record begins; not 0 where the beginning was given back to the disk. */
int64_t runlog_first(int fd);

/* The size of the file; 0 where it cannot be told. */
int64_t runlog_size(int fd);

#endif
