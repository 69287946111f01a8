/* Writes a run's folder, and reads what the supervisor left in it. */
#include "dispatch/run_folder.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/json_text.h"
#include "store/runlog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* How much of stderr a comment quotes. */
#define STDERR_LINES 20
#define STDERR_BYTES 4000

struct write_job {
	char *dir;
	char *options;
	char *prompt;
	size_t prompt_len;
	char *input; /* NULL: none */
	size_t input_len;
	struct str first_record;
	struct error err;
	run_folder_fn fn;
	void *arg;
};

/* Not synced: until the agent has ended the store has all of it, and it is written again where a
 * power cut may have taken it. */
static bool write_file(struct write_job *job, const char *name, const char *data, size_t len)
{
	char *path = fs_join(job->dir, name);
	bool ok = fs_write_atomic(path, data, len, 0600, false, &job->err);

	free(path);
	return ok;
}

static bool write_first_record(struct write_job *job)
{
	char *path = fs_join(job->dir, "events.jsonl");
	bool ok = access(path, F_OK) == 0 ||
		  runlog_append(path, job->first_record.data, job->first_record.len, &job->err);

	free(path);
	return ok;
}

static void write_run(void *arg)
{
	struct write_job *job = arg;

	if (fs_mkdir_p(job->dir, 0700, &job->err) &&
	    write_file(job, "run.json", job->options, strlen(job->options)) &&
	    write_file(job, "prompt.txt", job->prompt, job->prompt_len) &&
	    (job->input == NULL || write_file(job, "stdin", job->input, job->input_len)))
		write_first_record(job);
}

static void write_done(void *arg)
{
	struct write_job *job = arg;

	job->fn(job->arg, job->err.code == ERROR_NONE ? NULL : &job->err);
	error_clear(&job->err);
	str_free(&job->first_record);
	free(job->dir);
	free(job->options);
	free(job->prompt);
	free(job->input);
	free(job);
}

void run_folder_write(
    struct worker *worker, const char *dir, const struct run *run, run_folder_fn fn, void *arg)
{
	struct write_job *job = xcalloc(1, sizeof(*job));

	job->dir = xstrdup(dir);
	job->options = json_print(run->options);
	job->prompt = xmemdup0(run->prompt, run->prompt_len);
	job->prompt_len = run->prompt_len;
	if (run->input != NULL)
		job->input = xmemdup0(run->input, run->input_len);
	job->input_len = run->input_len;
	str_putc(&job->first_record, '{');
	json_text_member_time(&job->first_record, "time", clock_now_ms());
	json_text_member(&job->first_record, "type", "claimed");
	json_text_member(&job->first_record, "task_id", run->task_id);
	json_text_member(&job->first_record, "queue", run->queue_name);
	json_text_member_int(&job->first_record, "attempt", run->attempt + 1);
	str_putc(&job->first_record, '}');
	job->fn = fn;
	job->arg = arg;
	worker_submit(
	    worker, &(struct worker_job){.run = write_run, .done = write_done, .arg = job});
}

struct probe_job {
	char *dir;
	struct run_probe probe;
	run_probe_fn fn;
	void *arg;
};

/* Whether somebody holds the lock. A shared try, so that two who ask do not see each other. */
static void probe_lock(struct run_probe *probe, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[32];
	ssize_t n;

	if (fd == -1)
		return;
	n = pread(fd, text, sizeof(text) - 1, 0);
	if (n > 0) {
		text[n] = '\0';
		probe->pid = (pid_t)strtol(text, NULL, 10);
	}
	probe->held = flock(fd, LOCK_SH | LOCK_NB) == -1 && errno == EWOULDBLOCK;
	close(fd);
}

/* Says whether the supervisor has begun, and with which cgroup. */
static void probe_started(struct run_probe *probe, const char *path)
{
	struct str text = {0};
	struct json_object *record = NULL;

	probe->started = access(path, F_OK) == 0;
	if (probe->started && fs_read(path, &text, 1 << 16, NULL))
		record = json_parse(text.data, text.len, NULL);
	probe->cgroup = xstrdup(json_get_string(record, "cgroup"));
	json_object_put(record);
	str_free(&text);
}

static void probe_exit(struct run_probe *probe, const char *dir)
{
	char *exit_path = fs_join(dir, "exit.json");
	char *log_path = fs_join(dir, "events.jsonl");
	struct str text = {0};
	struct str tail = {0};

	probe->ended = fs_read(exit_path, &text, 1 << 20, NULL) &&
		       run_end_parse(&probe->end, text.data, text.len);
	if (probe->ended && run_end_outcome(&probe->end) != OUTCOME_SUCCESS) {
		runlog_stderr_tail(log_path, STDERR_LINES, STDERR_BYTES, &tail);
		probe->end.stderr_tail = str_steal(&tail);
	}
	str_free(&text);
	free(exit_path);
	free(log_path);
}

static void probe_run(void *arg)
{
	struct probe_job *job = arg;
	char *lock = fs_join(job->dir, "lock");
	char *started = fs_join(job->dir, "started");

	job->probe.end.exit_code = -1;
	/* A supervisor takes the lock before it creates `started`, and writes exit.json before it
	 * lets the lock go: in this order one that starts or ends while we look is not taken for
	 * dead. */
	probe_started(&job->probe, started);
	probe_lock(&job->probe, lock);
	probe_exit(&job->probe, job->dir);
	free(lock);
	free(started);
}

static void probe_done(void *arg)
{
	struct probe_job *job = arg;

	job->fn(job->arg, &job->probe);
	run_end_clear(&job->probe.end);
	free(job->probe.cgroup);
	free(job->dir);
	free(job);
}

void run_folder_probe(struct worker *worker, const char *dir, run_probe_fn fn, void *arg)
{
	struct probe_job *job = xcalloc(1, sizeof(*job));

	job->dir = xstrdup(dir);
	job->fn = fn;
	job->arg = arg;
	worker_submit(
	    worker, &(struct worker_job){.run = probe_run, .done = probe_done, .arg = job});
}

bool run_folder_stop_reason(const char *dir, const char *reason, struct error *err)
{
	char *path = fs_join(dir, "stop.json");
	struct str text = {0};
	bool ok;

	str_putc(&text, '{');
	json_text_member(&text, "reason", reason);
	str_puts(&text, "}\n");
	ok = fs_write_atomic(path, text.data, text.len, 0600, false, err);
	str_free(&text);
	free(path);
	return ok;
}
