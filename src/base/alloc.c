/* Allocation that dies with a message instead of returning NULL. */
#include "base/alloc.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void out_of_memory(size_t size) __attribute__((noreturn));

static void out_of_memory(size_t size)
{
	fprintf(stderr, "athanore: out of memory (%zu bytes wanted)\n", size);
	_Exit(70);
}

void *xmalloc(size_t size)
{
	void *ptr = malloc(size ? size : 1);

	if (ptr == NULL)
		out_of_memory(size);
	return ptr;
}

void *xcalloc(size_t n, size_t size)
{
	void *ptr = calloc(n ? n : 1, size ? size : 1);

	if (ptr == NULL)
		out_of_memory(n);
	return ptr;
}

void *xreallocarray(void *ptr, size_t n, size_t size)
{
	void *grown = reallocarray(ptr, n ? n : 1, size ? size : 1);

	if (grown == NULL)
		out_of_memory(n);
	return grown;
}

char *xstrdup(const char *s)
{
	return s == NULL ? NULL : xmemdup0(s, strlen(s));
}

char *xmemdup0(const void *data, size_t len)
{
	char *copy;

	if (len == SIZE_MAX)
		out_of_memory(len);
	copy = xmalloc(len + 1);
	if (len > 0)
		memcpy(copy, data, len);
	copy[len] = '\0';
	return copy;
}

char *xvasprintf(const char *fmt, va_list ap)
{
	char *out;

	if (vasprintf(&out, fmt, ap) < 0)
		out_of_memory(0);
	return out;
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *out;

	va_start(ap, fmt);
	out = xvasprintf(fmt, ap);
	va_end(ap);
	return out;
}

size_t xstrv_len(const char *const *list)
{
	size_t n = 0;

	while (list != NULL && list[n] != NULL)
		n++;
	return n;
}

char **xstrv_dup(const char *const *list)
{
	size_t n = xstrv_len(list);
	char **copy;

	if (list == NULL)
		return NULL;
	copy = xcalloc(n + 1, sizeof(*copy));
	for (size_t i = 0; i < n; i++)
		copy[i] = xstrdup(list[i]);
	return copy;
}

void xstrv_free(char **list)
{
	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		free(list[i]);
	free(list);
}

char **xstrv_add(char **list, const char *s)
{
	size_t n = xstrv_len((const char *const *)list);

	list = xreallocarray(list, n + 2, sizeof(*list));
	list[n] = xstrdup(s);
	list[n + 1] = NULL;
	return list;
}

void fatal(const char *fmt, ...)
{
	va_list ap;

	fputs("athanore: internal error: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}
