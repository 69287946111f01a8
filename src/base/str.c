/* Growing byte buffers, UTF-8 and small questions about strings. */
#include "base/str.h"

#include "base/alloc.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *str_reserve(struct str *s, size_t more)
{
	size_t need = s->len + more + 1;

	if (more >= SIZE_MAX / 4)
		fatal("str_reserve: %zu bytes", more);
	if (need > s->cap) {
		size_t cap = s->cap < 32 ? 64 : s->cap + s->cap / 2;

		s->cap = cap < need ? need : cap;
		s->data = xreallocarray(s->data, s->cap, 1);
	}
	return s->data + s->len;
}

void str_append(struct str *s, const void *data, size_t len)
{
	char *at = str_reserve(s, len);

	if (len > 0)
		memcpy(at, data, len);
	s->len += len;
	s->data[s->len] = '\0';
}

void str_puts(struct str *s, const char *text)
{
	str_append(s, text, strlen(text));
}

void str_putc(struct str *s, char c)
{
	str_append(s, &c, 1);
}

void str_printf(struct str *s, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	str_puts(s, text);
	free(text);
}

void str_clear(struct str *s)
{
	s->len = 0;
	if (s->data != NULL)
		s->data[0] = '\0';
}

void str_free(struct str *s)
{
	free(s->data);
	*s = (struct str){0};
}

char *str_steal(struct str *s)
{
	char *data = s->data != NULL ? s->data : xstrdup("");

	*s = (struct str){0};
	return data;
}

/* The number of bytes that lead byte c announces, and the lowest second byte that is legal. */
static size_t utf8_lead(unsigned char c, unsigned char *low, unsigned char *high)
{
	*low = 0x80;
	*high = 0xbf;
	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c <= 0xdf)
		return 2;
	if (c >= 0xe0 && c <= 0xef) {
		if (c == 0xe0)
			*low = 0xa0;
		if (c == 0xed)
			*high = 0x9f; /* no surrogates */
		return 3;
	}
	if (c >= 0xf0 && c <= 0xf4) {
		if (c == 0xf0)
			*low = 0x90;
		if (c == 0xf4)
			*high = 0x8f; /* nothing past U+10FFFF */
		return 4;
	}
	return 0;
}

size_t str_utf8_length(const unsigned char *p, size_t len)
{
	unsigned char low, high;
	size_t n;

	if (len == 0)
		return 0;
	n = utf8_lead(p[0], &low, &high);
	if (n == 0 || n > len)
		return 0;
	if (n > 1 && (p[1] < low || p[1] > high))
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* How many bytes from data on are valid UTF-8. */
static size_t utf8_span(const char *data, size_t len)
{
	size_t at = 0;

	while (at < len) {
		size_t n = (unsigned char)data[at] < 0x80
			       ? 1
			       : str_utf8_length((const unsigned char *)data + at, len - at);

		if (n == 0)
			break;
		at += n;
	}
	return at;
}

bool str_utf8_valid(const char *data, size_t len)
{
	return utf8_span(data, len) == len;
}

void str_append_utf8(struct str *s, const char *data, size_t len)
{
	while (len > 0) {
		size_t good = utf8_span(data, len);

		str_append(s, data, good);
		data += good;
		len -= good;
		if (len > 0) {
			str_append(s, "\xef\xbf\xbd", 3);
			data++;
			len--;
		}
	}
}

bool str_starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends_with(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

bool str_equal(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Levenshtein distance; words over 63 bytes are infinitely far. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t row[64], n = strlen(a), m = strlen(b);

	if (n > 63 || m > 63)
		return SIZE_MAX;
	for (size_t j = 0; j <= m; j++)
		row[j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t cost = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < cost)
				cost = row[j] + 1;
			if (row[j - 1] + 1 < cost)
				cost = row[j - 1] + 1;
			row[j] = cost;
		}
	}
	return row[m];
}

const char *str_nearest(const char *word, const char *const *names)
{
	size_t best = strlen(word) / 3 + 2; /* further away is no hint but noise */
	const char *found = NULL;

	for (; *names != NULL; names++) {
		size_t distance = edit_distance(word, *names);

		if (distance < best) {
			best = distance;
			found = *names;
		}
	}
	return found;
}
