#ifndef ATHANORE_SUPERVISE_REPORT_H
#define ATHANORE_SUPERVISE_REPORT_H

#include "base/error.h"
#include "supervise/ring.h"

#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#define REPORT_MAX_SURVIVORS 64

/* How the run ended. */
struct outcome {
	bool exited; /* the agent ran and wait_status is waitpid()'s */
	int wait_status;
	char
	    *reason; /* owned: "exit", "timeout", "stalled", "spawn_failed", or the daemon's word */
	const char *error; /* of spawn_failed; else NULL */
	int64_t log_size;
	int64_t started_at; /* milliseconds since 1970 */
	int64_t ended_at;
	struct rusage usage;		       /* of all processes of the run that were reaped */
	pid_t survivors[REPORT_MAX_SURVIVORS]; /* what could not be killed */
	size_t survivor_count;
	struct ring_loss lost;	/* records that the log could not take to the end */
	const char *lost_error; /* why; NULL where nothing was lost */
};

/* exit.json: its space is taken when the run starts, so that a full disk cannot hide its end. */
struct report;

/* NULL with err set where the space is not to be had. */
struct report *report_reserve(const char *dir, struct error *err);

/* Gives the space back, unless the report was written. NULL is fine. */
void report_free(struct report *report);

/* Writes it durably. */
bool report_write(struct report *report, const struct outcome *outcome, struct error *err)
    __attribute__((warn_unused_result));

#endif
