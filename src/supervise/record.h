#ifndef ATHANORE_SUPERVISE_RECORD_H
#define ATHANORE_SUPERVISE_RECORD_H

#include "base/str.h"

#include <stdint.h>

/*
 * The records that the supervisor adds to events.jsonl: one line of JSON each,
 * its newline included, appended to out. time is RFC 3339 text.
 */

/* A line of the agent's output, any bytes; stream is "stdout" or "stderr". */
void record_output(struct str *out, const char *time, const char *stream, const char *text,
    size_t len, bool truncated);

/* Records that are not in the log: how many, their size, and the error that kept them out (NULL:
 * the log's limit). */
void record_dropped(
    struct str *out, const char *time, uint64_t bytes, uint64_t lines, const char *error);

#endif
