#ifndef ATHANORE_SUPERVISE_RING_H
#define ATHANORE_SUPERVISE_RING_H

#include "base/str.h"

#include <stdint.h>

/*
 * The newest records, in memory, up to a number of bytes: the oldest give way.
 * The newest one is kept whatever its size. A record is a line: its only newline is its last byte.
 */
struct ring;

/* What had to give way. */
struct ring_loss {
	uint64_t bytes;
	uint64_t lines;
};

/* limit: bytes of all records together. They take memory from the first push on. */
struct ring *ring_create(size_t limit);
void ring_free(struct ring *ring);

/* Adds a copy of record; what gives way is added to loss. */
void ring_push(struct ring *ring, const char *record, size_t len, struct ring_loss *loss);

/* Appends the oldest record to out and leaves it in the ring; false where there is none. */
bool ring_oldest(const struct ring *ring, struct str *out);

/* Removes the oldest record and adds it to loss (NULL: not wanted); false where there is none. */
bool ring_pop(struct ring *ring, struct ring_loss *loss);

#endif
