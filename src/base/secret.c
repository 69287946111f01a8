/* Random tokens and their hashes. */
#include "base/secret.h"

#include "base/alloc.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define BYTES 32

static void to_hex(const unsigned char *bytes, char out[SECRET_SIZE])
{
	for (int i = 0; i < BYTES; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

void secret_token(char token[SECRET_SIZE])
{
	unsigned char bytes[BYTES];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		fatal("getrandom failed");
	to_hex(bytes, token);
}

void secret_hash(const char *text, char hash[SECRET_SIZE])
{
	unsigned char digest[EVP_MAX_MD_SIZE];

	if (EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) != 1)
		fatal("SHA-256 failed");
	to_hex(digest, hash);
}
