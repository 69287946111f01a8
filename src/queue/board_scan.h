#ifndef ATHANORE_QUEUE_BOARD_SCAN_H
#define ATHANORE_QUEUE_BOARD_SCAN_H

#include "base/error.h"
#include "base/str.h"

#include <stddef.h>

/*
 * Strict JSON (RFC 8259, valid UTF-8, nesting up to JSON_MAX_DEPTH) read as
 * positions in a text: no tree is built, so that what is not changed can be written back byte by
 * byte. After the first false nothing more may be read from the scan but its error.
 */
struct span {
	const char *data;
	size_t len;
};

struct board_scan {
	const char *start;
	const char *at;
	const char *end;
	size_t depth;
	const char *expected; /* what should stand at `at`; NULL while all is well */
};

/* The elements of one list or object; see board_scan_next(). */
struct board_scan_items {
	char close;
	bool begun;
	struct span before; /* white space in front of the element that comes next */
	struct span
	    after; /* white space behind the element before it, or inside of an empty list */
};

/* text must outlive the scan. A byte order mark at its start is passed over. */
void board_scan_init(struct board_scan *scan, const char *text, size_t len);

/* Passes over white space and returns it. */
struct span board_scan_space(struct board_scan *scan);

/* Fails the scan at where it stands; always false. expected must be a constant. */
bool board_scan_fail(struct board_scan *scan, const char *expected);

/* Passes over one value, checked to its end; value gets its bytes. */
bool board_scan_value(struct board_scan *scan, struct span *value);

/* Passes over a string; text gets its bytes with the quotes. */
bool board_scan_string(struct board_scan *scan, struct span *text);

/* Passes over '{' or '['; `what` is said where it does not stand there. */
bool board_scan_open(
    struct board_scan *scan, char bracket, struct board_scan_items *items, const char *what);

/*
 * 1: an element follows, which the caller passes over before it asks again; 0: the list or object
 * was closed; -1: the scan failed.
 */
int board_scan_next(struct board_scan *scan, struct board_scan_items *items);

/* Passes over `"key" : `; colon gets all between the key and the value. */
bool board_scan_key(struct board_scan *scan, struct span *key, struct span *colon);

/* Passes over white space to the end of the text, and fails if anything else is left. */
bool board_scan_end(struct board_scan *scan);

/* Line and column, from 1, of a place in the text. */
void board_scan_position(
    const struct board_scan *scan, const char *at, size_t *line, size_t *column);

/* Sets err (invalid) to where and why the scan failed. Always false. */
bool board_scan_error(const struct board_scan *scan, struct error *err);

/* Appends what a JSON string (with its quotes) means; a lone surrogate becomes U+FFFD. */
void board_scan_decode(struct span string, struct str *out);

/* Whether a JSON string (with its quotes) means `text`. */
bool board_scan_means(struct span string, const char *text);

/* A number without fraction and exponent; and one of those that 64 bits do not hold. */
bool board_scan_is_integer(struct span number);
bool board_scan_is_too_big(struct span number);

#endif
