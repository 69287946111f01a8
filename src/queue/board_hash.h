#ifndef ATHANORE_QUEUE_BOARD_HASH_H
#define ATHANORE_QUEUE_BOARD_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A fast 128-bit hash of a file's bytes, to tell whether two versions are the
 * same. It is no defence against somebody who seeks two that collide.
 */
struct board_hash {
	uint64_t lane[2];
	uint64_t len;
	unsigned char rest[32]; /* bytes that do not fill a block yet */
	size_t rest_len;
};

struct board_digest {
	uint64_t part[2];
};

/* How the bytes are cut into calls does not matter. */
void board_hash_init(struct board_hash *hash);
void board_hash_add(struct board_hash *hash, const void *data, size_t len);
struct board_digest board_hash_end(const struct board_hash *hash);

bool board_digest_equal(struct board_digest a, struct board_digest b);

#endif
