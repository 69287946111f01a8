#ifndef ATHANORE_STORE_RUNLOG_H
#define ATHANORE_STORE_RUNLOG_H

#include "base/error.h"
#include "base/str.h"

#include <json-c/json.h>
#include <stdint.h>

/*
 * A run's log, events.jsonl: one JSON record a line, written by the supervisor and by the
 * daemon. An event's id is the offset of the byte after its line. All of this touches the disk: it
 * is for the storage thread.
 */

/* Appends one record (no newline in it), behind a newline where the file ends torn. */
bool runlog_append(const char *path, const char *record, size_t len, struct error *err)
    __attribute__((warn_unused_result));

/*
 * The last `max` events as a JSON list, oldest first, each with its "id"; a line that is no
 * record becomes {"type": "corrupt"}. Of a line over 64 KiB only the beginning is there, with
 * "truncated": true. All together have at most max_bytes. An empty list where there is no file.
 */
struct json_object *runlog_tail(const char *path, size_t max, size_t max_bytes);

/* Appends to out the last lines that the agent wrote to stderr: at most max_lines, and about
 * max_bytes of text. */
void runlog_stderr_tail(const char *path, size_t max_lines, size_t max_bytes, struct str *out);

#endif
