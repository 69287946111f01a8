#ifndef ATHANORE_BASE_FS_H
#define ATHANORE_BASE_FS_H

#include "base/error.h"
#include "base/str.h"

#include <sys/types.h>

/* Files and folders. Each bool function is false with err set; messages name the path. */

/* Appends the whole file to out, or nothing on failure; a file over max bytes is an error
 * (invalid). A missing one is not_found. */
bool fs_read(const char *path, struct str *out, size_t max, struct error *err)
    __attribute__((warn_unused_result));

/* All of it, through short writes and EINTR; -1 with errno set on failure. */
int fs_write_all(int fd, const void *data, size_t len) __attribute__((warn_unused_result));

/* Writes path by a temporary file beside it, fsync if durable, and rename. */
bool fs_write_atomic(const char *path, const void *data, size_t len, mode_t mode, bool durable,
    struct error *err) __attribute__((warn_unused_result));

/* Creates path and what is missing above it; what was there already is fine. */
bool fs_mkdir_p(const char *path, mode_t mode, struct error *err)
    __attribute__((warn_unused_result));

/* Removes a file, or a folder with all in it; never follows links. Missing is fine. */
bool fs_remove_tree(const char *path, struct error *err) __attribute__((warn_unused_result));

/*
 * Opens (creates, 0600) path and takes an exclusive flock on it. Returns the
 * descriptor, to be closed by the caller when the lock is to end, or -1 with
 * err set; conflict means another process holds it, whose pid is then written to *holder
 * (0 where it is not known). Writes our own pid into the file.
 */
int fs_lock(const char *path, pid_t *holder, struct error *err) __attribute__((warn_unused_result));

/* dir + "/" + name; name alone where it is absolute. The caller frees it. */
char *fs_join(const char *dir, const char *name);

/* The folder part of path ("." where it has none); the caller frees it. */
char *fs_dirname(const char *path);

#endif
