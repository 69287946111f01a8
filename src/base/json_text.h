#ifndef ATHANORE_BASE_JSON_TEXT_H
#define ATHANORE_BASE_JSON_TEXT_H

#include "base/str.h"

#include <stdint.h>

/*
 * Writing JSON as text, without a tree. The caller puts the punctuation;
 * these put what can go wrong: strings and keys.
 */

/* "…" with all that JSON wants escaped; invalid UTF-8 becomes U+FFFD. NULL becomes null. */
void json_text_string(struct str *out, const char *text);
void json_text_string_n(struct str *out, const char *text, size_t len);

/* `"key":` with a comma before it unless out ends in '{' or is empty. key needs no escape. */
void json_text_key(struct str *out, const char *key);

/* key and value of a member; value may be NULL (null). */
void json_text_member(struct str *out, const char *key, const char *value);
void json_text_member_int(struct str *out, const char *key, int64_t value);
void json_text_member_bool(struct str *out, const char *key, bool value);
/* Milliseconds since 1970 as RFC 3339; 0 becomes null. */
void json_text_member_time(struct str *out, const char *key, int64_t ms);

#endif
