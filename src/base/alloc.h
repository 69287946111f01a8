#ifndef ATHANORE_BASE_ALLOC_H
#define ATHANORE_BASE_ALLOC_H

#include <stdarg.h>
#include <stddef.h>

/*
 * Allocation that never fails: out of memory ends the process with a message
 * on stderr (exit 70). All results are freed with free().
 */

void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));

/* Zeroed; an overflowing n * size is out of memory. */
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));

/* Like reallocarray(3); ptr may be NULL. */
void *xreallocarray(void *ptr, size_t n, size_t size) __attribute__((returns_nonnull));

/* NULL in, NULL out. */
char *xstrdup(const char *s);

/* Copies exactly len bytes and adds a NUL. */
char *xmemdup0(const void *data, size_t len) __attribute__((returns_nonnull));

char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));
char *xvasprintf(const char *fmt, va_list ap)
    __attribute__((format(printf, 1, 0), returns_nonnull));

/* A NULL-terminated list of strings; each element and the list are owned by the caller. */
char **xstrv_dup(const char *const *list);
size_t xstrv_len(const char *const *list);
void xstrv_free(char **list);

/* Adds a copy of s to a NULL-terminated list (NULL: starts one); returns the new list. */
char **xstrv_add(char **list, const char *s) __attribute__((returns_nonnull));

/* A bug or an unusable process: says so on stderr and aborts. Never for bad input. */
void fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
