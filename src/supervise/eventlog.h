#ifndef ATHANORE_SUPERVISE_EVENTLOG_H
#define ATHANORE_SUPERVISE_EVENTLOG_H

#include "base/error.h"
#include "supervise/ring.h"

#include <stdint.h>

/*
 * The run's events.jsonl, which the daemon appends to as well: each record is
 * one write in append mode. Records that are over the limit, or that the disk
 * does not take, wait in a ring in memory, where the newest 1 MiB survive.
 */
struct eventlog;

/* Opens or creates path (0600); limit: bytes of our own records. NULL with err set on failure. */
struct eventlog *eventlog_open(const char *path, uint64_t limit, struct error *err);
void eventlog_free(struct eventlog *log);

/* One record, a line with its newline. Never fails: see above. */
void eventlog_write(struct eventlog *log, const char *record, size_t len);

/* The last record was written: adds what waits in the ring, and a record of what was dropped. */
void eventlog_finish(struct eventlog *log);

/* The size of the file now. */
int64_t eventlog_size(const struct eventlog *log);

/*
 * True where records could not be written to the end: loss says how many, and
 * error is the reason's text, borrowed. To be asked after eventlog_finish().
 */
bool eventlog_lost(const struct eventlog *log, struct ring_loss *loss, const char **error);

#endif
