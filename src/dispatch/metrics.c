/* Counts runs and polls, and prints them for Prometheus. */
#include "dispatch/metrics.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <uthash.h>

/* Outcomes that a run can have in the end. */
#define FIRST_OUTCOME OUTCOME_SUCCESS
#define OUTCOMES (OUTCOME_DROPPED + 1)

struct queue_metrics {
	char *queue_name;
	uint64_t outcomes[OUTCOMES];
	uint64_t retries;
	uint64_t runs; /* that had an agent */
	double seconds;
	UT_hash_handle hh;
};

static struct queue_metrics *find_or_add(struct metrics *metrics, const char *queue_name)
{
	struct queue_metrics *queue;

	HASH_FIND_STR(metrics->by_queue, queue_name, queue);
	if (queue == NULL) {
		queue = xcalloc(1, sizeof(*queue));
		queue->queue_name = xstrdup(queue_name);
		HASH_ADD_KEYPTR(
		    hh, metrics->by_queue, queue->queue_name, strlen(queue->queue_name), queue);
	}
	return queue;
}

void metrics_run_ended(struct metrics *metrics, const struct run *run)
{
	struct queue_metrics *queue = find_or_add(metrics, run->queue_name);

	queue->outcomes[run->outcome]++;
	queue->retries += run->retries_ours && run->retries_after > run->attempt;
	if (run->started_at == 0)
		return;
	queue->runs++;
	if (run->ended_at > run->started_at)
		queue->seconds += (double)(run->ended_at - run->started_at) / 1000;
}

void metrics_head(struct str *out, const char *name, const char *type, const char *help)
{
	str_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_label(struct str *out, const char *value)
{
	str_putc(out, '"');
	for (; *value != '\0'; value++) {
		if (*value == '\n')
			str_puts(out, "\\n");
		else if (*value == '"' || *value == '\\')
			str_printf(out, "\\%c", *value);
		else
			str_putc(out, *value);
	}
	str_putc(out, '"');
}

static void sample(
    struct str *out, const char *name, const struct queue_metrics *queue, uint64_t value)
{
	str_printf(out, "%s{queue=", name);
	metrics_label(out, queue->queue_name);
	str_printf(out, "} %" PRIu64 "\n", value);
}

static void print_outcomes(const struct metrics *metrics, struct str *out)
{
	metrics_head(out, "athanore_runs_total", "counter", "Ended runs, by outcome.");
	for (const struct queue_metrics *queue = metrics->by_queue; queue != NULL;
	     queue = queue->hh.next) {
		for (int i = FIRST_OUTCOME; i < OUTCOMES; i++) {
			if (queue->outcomes[i] == 0)
				continue;
			str_puts(out, "athanore_runs_total{queue=");
			metrics_label(out, queue->queue_name);
			str_printf(out, ",outcome=\"%s\"} %" PRIu64 "\n",
			    run_outcome_name((enum run_outcome)i), queue->outcomes[i]);
		}
	}
}

static void print_durations(const struct metrics *metrics, struct str *out)
{
	metrics_head(out, "athanore_run_duration_seconds", "summary",
	    "How long agents ran, from their start to their end.");
	for (const struct queue_metrics *queue = metrics->by_queue; queue != NULL;
	     queue = queue->hh.next) {
		str_puts(out, "athanore_run_duration_seconds_sum{queue=");
		metrics_label(out, queue->queue_name);
		str_printf(out, "} %.3f\n", queue->seconds);
		sample(out, "athanore_run_duration_seconds_count", queue, queue->runs);
	}
}

void metrics_print(const struct metrics *metrics, struct str *out)
{
	print_outcomes(metrics, out);
	print_durations(metrics, out);
	metrics_head(out, "athanore_retries_total", "counter", "Tasks put back to be tried again.");
	for (const struct queue_metrics *queue = metrics->by_queue; queue != NULL;
	     queue = queue->hh.next)
		sample(out, "athanore_retries_total", queue, queue->retries);
	metrics_head(out, "athanore_polls_total", "counter", "Polls of the queue backend.");
	str_printf(out, "athanore_polls_total %" PRIu64 "\n", metrics->polls);
	metrics_head(out, "athanore_poll_errors_total", "counter", "Polls that failed.");
	str_printf(out, "athanore_poll_errors_total %" PRIu64 "\n", metrics->poll_errors);
}

void metrics_clear(struct metrics *metrics)
{
	struct queue_metrics *queue, *next;

	HASH_ITER (hh, metrics->by_queue, queue, next) {
		HASH_DEL(metrics->by_queue, queue);
		free(queue->queue_name);
		free(queue);
	}
}
