/*
 * Measures the json_file queue against bare json-c and cp: loading, polling, one change. Medians
 * of interleaved rounds. Usage: bench_board [--quick] [FOLDER]; the folder should be on a real
 * disk. Prints rows of scripts/bench: name, ours, reference, ratio, target, verdict, with tabs
 * between.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "loop/loop.h"
#include "loop/worker.h"
#include "queue/board.h"
#include "queue/json_file.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 9
#define LIMIT 10

static int polls = 20000;

static void die(const char *what, const struct error *err)
{
	fprintf(stderr, "bench_board: %s: %s\n", what, err != NULL ? err->message : "failed");
	exit(1);
}

static double cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values)
{
	qsort(values, ROUNDS, sizeof(*values), compare);
	return values[ROUNDS / 2];
}

static void print_row(
    const char *name, const char *unit, double ours, double reference, double target)
{
	double ratio = ours / reference;

	printf("board, %s\t%.2f %s\t%.2f %s\t%.2f\t<= %g\t%s\n", name, ours, unit, reference, unit,
	    ratio, target, ratio <= target ? "ok" : "MISSED");
}

static char *make_board(const char *dir, int tasks)
{
	char *path = xasprintf("%s/bench-%d.json", dir, tasks);
	struct error err = {0};
	struct str text = {0};

	str_puts(&text, "{\n  \"queues\": {\n    \"Todo\": [");
	for (int i = 1; i <= tasks; i++)
		str_printf(&text,
		    "%s\n      {\"id\": \"%d\", \"name\": \"Task number %d\", \"description\": "
		    "\"Some words about "
		    "what is to be done here, as people write them down, and a few more of them to "
		    "reach the "
		    "usual length.\", \"labels\": [\"bug\", \"backend\"], \"assignees\": [], "
		    "\"comments\": "
		    "[\"seen\"], \"tasks\": []}",
		    i > 1 ? "," : "", i, i);
	str_puts(&text, "\n    ],\n    \"In Progress\": [],\n    \"Done\": []\n  }\n}\n");
	if (!fs_write_atomic(path, text.data, text.len, 0644, true, &err))
		die("write", &err);
	str_free(&text);
	return path;
}

static void bench_load(const char *path)
{
	double ours[ROUNDS], bare[ROUNDS];
	struct error err = {0};
	struct str text = {0};

	if (!fs_read(path, &text, 1 << 30, &err))
		die("read", &err);
	for (int i = 0; i < ROUNDS; i++) {
		char *copy = xmemdup0(text.data, text.len);
		double start = cpu_now();
		struct board *board = board_parse(copy, text.len, "bench", &err);

		ours[i] = cpu_now() - start;
		if (board == NULL)
			die("parse", &err);
		board_free(board);
		start = cpu_now();
		json_object_put(json_parse(text.data, text.len, &err));
		bare[i] = cpu_now() - start;
	}
	print_row("loading, json-c", "ms", median(ours) * 1e3, median(bare) * 1e3, 1);
	str_free(&text);
}

struct bench {
	struct loop *loop;
	struct worker *worker;
	struct queue *queue;
	bool done;
};

static void on_answer(void *arg, struct json_object *result, const struct error *err)
{
	struct bench *bench = arg;

	(void)result;
	if (err != NULL)
		die("call", err);
	bench->done = true;
}

static void call(struct bench *bench, const struct queue_request *request)
{
	bench->done = false;
	queue_call(bench->queue, request, 60, on_answer, bench);
	while (!bench->done)
		event_base_loop(loop_base(bench->loop), EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
}

static void bench_open(struct bench *bench, const char *path)
{
	struct error err = {0};

	bench->loop = loop_create();
	bench->worker = worker_create(bench->loop);
	bench->queue = json_file_open(bench->loop, bench->worker, path, NULL, &err);
	if (bench->queue == NULL)
		die("open", &err);
	call(bench, &(struct queue_request){.op = QUEUE_LIST_QUEUES});
}

static void bench_close(struct bench *bench)
{
	queue_free(bench->queue);
	worker_free(bench->worker);
	loop_free(bench->loop);
}

static double measure_calls(struct bench *bench, const struct queue_request *request)
{
	double start = cpu_now();

	for (int i = 0; i < polls; i++)
		call(bench, request);
	return (cpu_now() - start) / polls;
}

static void bench_polls(const char *small_path, const char *large_path)
{
	struct queue_request poll = {.op = QUEUE_GET_READY_TASKS,
	    .queues = (const char *const[]){"Todo", NULL},
	    .limit = LIMIT};
	struct queue_request get = {.op = QUEUE_GET_TASK, .task_id = "50"};
	struct queue_request user = {.op = QUEUE_AUTHENTICATED_USER};
	double a[ROUNDS], b[ROUNDS], c[ROUNDS], d[ROUNDS];
	struct bench small, large;

	bench_open(&small, small_path);
	bench_open(&large, large_path);
	for (int i = 0; i < ROUNDS; i++) {
		a[i] = measure_calls(&small, &poll);
		b[i] = measure_calls(&large, &poll);
		c[i] = measure_calls(&large, &get);
		d[i] = measure_calls(&large, &user);
	}
	print_row("adapter's poll, 100000 to 100", "us", median(b) * 1e6, median(a) * 1e6, 2);
	printf("board, adapter's get_task\t%.2f us\t%.2f us any call\t%.2f\t \t \n",
	    median(c) * 1e6, median(d) * 1e6, median(c) / median(d));
	bench_close(&small);
	bench_close(&large);
}

static double copy_file(const char *path)
{
	char *to = xasprintf("%s.copy", path);
	double start = clock_monotonic();
	int in = open(path, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0644);
	char *buffer = xmalloc(1 << 20);
	double took;
	ssize_t n;

	while ((n = read(in, buffer, 1 << 20)) > 0)
		if (fs_write_all(out, buffer, (size_t)n) == -1)
			die("copy", NULL);
	if (fsync(out) == -1)
		die("fsync", NULL);
	took = clock_monotonic() - start;
	close(in);
	close(out);
	unlink(to);
	free(buffer);
	free(to);
	return took;
}

static void bench_change(const char *path)
{
	double change[ROUNDS], copy[ROUNDS];
	struct bench bench;

	bench_open(&bench, path);
	for (int i = 0; i < ROUNDS; i++) {
		char id[16];
		double start;

		snprintf(id, sizeof(id), "%d", 1000 + i);
		start = clock_monotonic();
		call(&bench, &(struct queue_request){.op = QUEUE_CLAIM_TASK,
				 .task_id = id,
				 .from_queue = "Todo",
				 .target_queue = "In Progress"});
		change[i] = clock_monotonic() - start;
		copy[i] = copy_file(path);
	}
	print_row(
	    "adapter's change, cp + fsync", "ms", median(change) * 1e3, median(copy) * 1e3, 4);
	bench_close(&bench);
}

int main(int argc, char **argv)
{
	bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
	const char *folder = argc > 1 + quick ? argv[1 + quick] : "/tmp";
	char *template = xasprintf("%s/athanore-bench-XXXXXX", folder);
	char *dir = mkdtemp(template);
	struct error err = {0};
	char *small, *large;

	if (quick)
		polls = 2000;
	if (dir == NULL)
		die("mkdtemp", NULL);
	log_set_level(LOG_ERROR);
	small = make_board(dir, 100);
	large = make_board(dir, 100000);
	bench_load(large);
	bench_polls(small, large);
	bench_change(large);
	free(small);
	free(large);
	if (!fs_remove_tree(dir, &err))
		die("remove", &err);
	free(template);
	return 0;
}
