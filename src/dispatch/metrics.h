#ifndef ATHANORE_DISPATCH_METRICS_H
#define ATHANORE_DISPATCH_METRICS_H

#include "base/str.h"
#include "model/run.h"

/* What has happened since the daemon started, counted. Start with {0}. */

struct queue_metrics;

struct metrics {
	struct queue_metrics *by_queue;
	uint64_t polls;
	uint64_t poll_errors;
};

/* The run has an outcome and its time of end. */
void metrics_run_ended(struct metrics *metrics, const struct run *run);

/* Appends the counters in Prometheus' text format. */
void metrics_print(const struct metrics *metrics, struct str *out);

/* Appends `# HELP` and `# TYPE`. */
void metrics_head(struct str *out, const char *name, const char *type, const char *help);

/* Appends a label's value, escaped, in its quotes. */
void metrics_label(struct str *out, const char *value);

void metrics_clear(struct metrics *metrics);

#endif
