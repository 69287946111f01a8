/* A fast hash of file contents: two lanes of 64-bit multiplications folded to 128 bits. */
#include "queue/board_hash.h"

#include <string.h>

#define BLOCK 32

/* Odd constants with about as many ones as zeros: the fractions of the roots of 2, 3, 5 and 7. */
static const uint64_t secret[4] = {
    0x6a09e667f3bcc909u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu, 0xa54ff53a5f1d36f1u};

static inline uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline void add_block(struct board_hash *hash, const unsigned char *at)
{
	uint64_t w[4];

	memcpy(w, at, sizeof(w));
	/* Additions keep a zero factor from wiping out what came before. */
	hash->lane[0] = mix(w[0] ^ secret[0], w[1] ^ hash->lane[0]) + (w[0] ^ (w[1] << 1));
	hash->lane[1] = mix(w[2] ^ secret[1], w[3] ^ hash->lane[1]) + (w[2] ^ (w[3] << 1));
}

void board_hash_init(struct board_hash *hash)
{
	*hash = (struct board_hash){.lane = {secret[2], secret[3]}};
}

void board_hash_add(struct board_hash *hash, const void *data, size_t len)
{
	const unsigned char *at = data;

	hash->len += len;
	if (hash->rest_len > 0) {
		size_t take = BLOCK - hash->rest_len < len ? BLOCK - hash->rest_len : len;

		memcpy(hash->rest + hash->rest_len, at, take);
		hash->rest_len += take;
		at += take;
		len -= take;
		if (hash->rest_len < BLOCK)
			return;
		add_block(hash, hash->rest);
		hash->rest_len = 0;
	}
	for (; len >= BLOCK; at += BLOCK, len -= BLOCK)
		add_block(hash, at);
	if (len > 0)
		memcpy(hash->rest, at, len);
	hash->rest_len = len;
}

struct board_digest board_hash_end(const struct board_hash *hash)
{
	struct board_hash last = *hash;
	uint64_t a, b;

	memset(last.rest + last.rest_len, 0, BLOCK - last.rest_len);
	add_block(&last, last.rest);
	a = mix(last.lane[0] ^ secret[1], last.len ^ secret[2]);
	b = mix(last.lane[1] ^ secret[3], last.len ^ secret[0]);
	return (struct board_digest){{a ^ mix(b, secret[2]), b ^ mix(a, secret[3])}};
}

bool board_digest_equal(struct board_digest a, struct board_digest b)
{
	return a.part[0] == b.part[0] && a.part[1] == b.part[1];
}
