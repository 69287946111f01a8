#ifndef ATHANORE_API_WIRE_H
#define ATHANORE_API_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The bytes of a request as they arrive. evhttp's parser accepts what other
 * parsers read differently (bare line feeds, NULs, folded headers, chunk sizes
 * like "0x3"); here they are noticed, so that such a request is refused.
 */
enum api_wire_state {
	WIRE_HEAD,	 /* in the request line or the headers */
	WIRE_CHUNK_SIZE, /* at or in the line that announces a chunk */
	WIRE_CHUNK_DATA,
	WIRE_CHUNK_END, /* the line end behind a chunk's data */
	WIRE_TRAILER,
	WIRE_REST, /* nothing more to notice: a body of known length, or the request is over */
};

struct api_wire {
	enum api_wire_state state;
	const char *fault; /* what is wrong, in words, or NULL */
	size_t head_len;   /* bytes of the request line and headers so far */
	size_t line_len;   /* of the line we are in, without its end */
	bool first_line;
	bool carriage_return; /* the last byte was one */
	bool chunked;
	char name[18]; /* the beginning of the line, in lower case */
	uint64_t chunk_left;
	unsigned chunk_digits;
};

/* Before the first byte of each request. */
void api_wire_start(struct api_wire *wire);

/* The bytes that follow those seen; what belongs to the next request already is ignored. */
void api_wire_feed(struct api_wire *wire, const char *data, size_t len);

#endif
