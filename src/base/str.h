#ifndef ATHANORE_BASE_STR_H
#define ATHANORE_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>

/* A growing byte buffer, NUL-terminated once anything was added. Start with {0}. */
struct str {
	char *data; /* NULL while empty and unused */
	size_t len;
	size_t cap;
};

void str_append(struct str *s, const void *data, size_t len);
void str_puts(struct str *s, const char *text);
void str_putc(struct str *s, char c);
void str_printf(struct str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Room for `more` bytes behind the end; returns where they go. Add to len what was written. */
char *str_reserve(struct str *s, size_t more);

/* Drops the content and keeps the memory. */
void str_clear(struct str *s);
void str_free(struct str *s);

/* The content as a C string that the caller frees; s is empty afterwards. Never NULL. */
char *str_steal(struct str *s);

/* The length of the UTF-8 sequence at p (1 to 4), or 0 where it is invalid or cut short. */
size_t str_utf8_length(const unsigned char *p, size_t len);
bool str_utf8_valid(const char *data, size_t len);

/* Appends data with each invalid byte replaced by U+FFFD. */
void str_append_utf8(struct str *s, const char *data, size_t len);

bool str_starts_with(const char *s, const char *prefix);
bool str_ends_with(const char *s, const char *suffix);

/* NULL equals NULL only. */
bool str_equal(const char *a, const char *b);

/* The one of `names` (NULL-terminated) that is nearest to `word`, or NULL where none is near. */
const char *str_nearest(const char *word, const char *const *names);

#endif
