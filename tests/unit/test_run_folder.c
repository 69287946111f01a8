/* A run's folder: what is written before the supervisor starts, and what is found of it. */
#include "check.h"

#include "base/json.h"
#include "dispatch/run_folder.h"
#include "store/runlog.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

static struct loop *loop;
static struct worker *worker;
static char *dir;
static struct run *run;

static int set_up(void **state)
{
	if (make_temp_dir(state) != 0)
		return -1;
	dir = fs_join(*state, "runs/1");
	loop = loop_create();
	worker = worker_create(loop);
	run = run_create();
	run->task_id = xstrdup("7 \"\n\xff");
	run->queue_name = xstrdup("Todo");
	run->options = json_parse("{\"argv\":[\"a\"]}", 14, NULL);
	run->prompt = xmemdup0("Do\0it", 5);
	run->prompt_len = 5;
	return 0;
}

static int tear_down(void **state)
{
	worker_free(worker);
	loop_free(loop);
	run_free(run);
	free(dir);
	return remove_temp_dir(state);
}

static void assert_file(const char *name, const char *wanted, size_t len)
{
	char *path = fs_join(dir, name);
	struct str text = {0};
	struct stat st;

	assert_true(fs_read(path, &text, 1 << 20, NULL));
	assert_int_equal(text.len, len);
	assert_memory_equal(text.data, wanted, len);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	str_free(&text);
	free(path);
}

static void put_file(const char *name, const char *text)
{
	char *path = fs_join(dir, name);
	struct error err = {0};

	if (!fs_mkdir_p(dir, 0700, &err) ||
	    !fs_write_atomic(path, text, strlen(text), 0600, false, &err))
		fail_msg("%s", err.message);
	free(path);
}

static bool exists(const char *name)
{
	char *path = fs_join(dir, name);
	bool found = access(path, F_OK) == 0;

	free(path);
	return found;
}

static void written(void *arg, const struct error *err)
{
	struct str *message = arg;

	str_puts(message, err == NULL ? "written" : err->message);
}

/* "written", or the error. Freed by the caller. */
static char *write_folder(void)
{
	struct str message = {0};

	run_folder_write(worker, dir, run, written, &message);
	worker_flush(worker);
	return str_steal(&message);
}

static void assert_written(void)
{
	char *message = write_folder();

	assert_string_equal(message, "written");
	free(message);
}

static void test_write(void **state)
{
	char *log = fs_join(dir, "events.jsonl");
	struct json_object *events, *event;
	struct stat st;

	(void)state;
	assert_written();
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_file("run.json", "{\"argv\":[\"a\"]}", 14);
	assert_file("prompt.txt", "Do\0it", 5);
	assert_false(exists("stdin"));
	assert_false(exists("started"));
	assert_false(exists("lock"));
	events = runlog_tail(log, 9, 1 << 20);
	assert_int_equal(json_object_array_length(events), 1);
	event = json_object_array_get_idx(events, 0);
	assert_string_equal(json_get_string(event, "type"), "claimed");
	assert_string_equal(json_get_string(event, "task_id"), "7 \"\n\xef\xbf\xbd");
	assert_string_equal(json_get_string(event, "queue"), "Todo");
	assert_int_equal(json_get_int(event, "attempt", -1), 1);
	assert_non_null(json_get_string(event, "time"));
	json_object_put(events);
	free(log);
}

static void test_write_input(void **state)
{
	(void)state;
	run->input = xmemdup0("in\0put", 6);
	run->input_len = 6;
	assert_written();
	assert_file("stdin", "in\0put", 6);
}

static void test_write_empty(void **state)
{
	(void)state;
	free(run->prompt);
	run->prompt = NULL;
	run->prompt_len = 0;
	run->input = xstrdup("");
	assert_written();
	assert_file("prompt.txt", "", 0);
	assert_file("stdin", "", 0);
}

/* A daemon that died half way, or in a power cut, is followed by one that writes all, and no event
 * twice. */
static void test_write_again(void **state)
{
	char *log = fs_join(dir, "events.jsonl");
	char *rest = fs_join(dir, "run.json");
	struct json_object *events;

	(void)state;
	assert_written();
	assert_int_equal(unlink(rest), 0);
	put_file("prompt.txt.tmp", "half a pro");
	put_file("prompt.txt", "");
	assert_written();
	assert_file("run.json", "{\"argv\":[\"a\"]}", 14);
	assert_file("prompt.txt", "Do\0it", 5);
	events = runlog_tail(log, 9, 1 << 20);
	assert_int_equal(json_object_array_length(events), 1);
	json_object_put(events);
	free(rest);
	free(log);
}

/* The caller may change or free the run while the storage thread is at work. */
static void test_run_is_copied(void **state)
{
	struct str message = {0};

	(void)state;
	run_folder_write(worker, dir, run, written, &message);
	run_free(run);
	run = NULL;
	worker_flush(worker);
	assert_string_equal(message.data, "written");
	assert_file("prompt.txt", "Do\0it", 5);
	str_free(&message);
}

static void test_write_fails(void **state)
{
	char *parent = fs_dirname(dir);
	char *path = fs_join(dir, "prompt.txt.tmp");
	char *message;

	(void)state;
	assert_true(fs_write_atomic(parent, "", 0, 0600, false, NULL));
	message = write_folder();
	assert_non_null(strstr(message, parent));
	free(message);
	assert_int_equal(unlink(parent), 0);
	/* A folder where the file is to be written. */
	assert_true(fs_mkdir_p(path, 0700, NULL));
	message = write_folder();
	assert_non_null(strstr(message, "prompt.txt"));
	assert_false(exists("prompt.txt"));
	assert_false(exists("events.jsonl"));
	free(message);
	free(parent);
	free(path);
}

/* ---- what is found ---- */

/* "started held pid ended reason/exit/signal stderr", what is not so left out. */
static void describe(void *arg, struct run_probe *probe)
{
	struct str *text = arg;

	str_printf(text, "%s%spid=%ld", probe->started ? "started " : "",
	    probe->held ? "held " : "", (long)probe->pid);
	str_printf(text, "%s %s/%d/%d", probe->ended ? " ended" : "",
	    probe->end.reason == NULL ? "-" : probe->end.reason, probe->end.exit_code,
	    probe->end.signal);
	if (probe->end.stderr_tail != NULL)
		str_printf(text, " %s", probe->end.stderr_tail);
}

static void assert_probe(const char *wanted)
{
	struct str text = {0};

	run_folder_probe(worker, dir, describe, &text);
	worker_flush(worker);
	assert_string_equal(text.data, wanted);
	str_free(&text);
}

static void test_probe(void **state)
{
	char *lock = fs_join(dir, "lock");
	char *wanted = xasprintf("held pid=%ld -/-1/0", (long)getpid());
	char *started = xasprintf("started %s", wanted);
	pid_t holder;
	int fd;

	(void)state;
	assert_probe("pid=0 -/-1/0");
	assert_written();
	assert_probe("pid=0 -/-1/0");
	fd = fs_lock(lock, &holder, NULL);
	assert_true(fd >= 0);
	assert_probe(wanted);
	put_file("started", "{}\n");
	assert_probe(started);
	/* Looking takes nothing away from the holder, and the lock of the dead is nobody's. */
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
	free(wanted);
	wanted = xasprintf("started pid=%ld -/-1/0", (long)getpid());
	assert_probe(wanted);
	free(started);
	free(wanted);
	free(lock);
}

/* Another who looks at the same time is not taken for a supervisor. */
static void test_probe_beside_a_probe(void **state)
{
	char *lock = fs_join(dir, "lock");
	int fd;

	(void)state;
	put_file("lock", "");
	fd = open(lock, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_SH | LOCK_NB), 0);
	assert_probe("pid=0 -/-1/0");
	close(fd);
	free(lock);
}

static void test_probe_exit(void **state)
{
	(void)state;
	put_file("started", "{}\n");
	put_file("lock", "nonsense");
	put_file("events.jsonl",
	    "{\"stream\":\"stderr\",\"text\":\"oops\"}\n{\"stream\":\"stdout\",\"text\":\"x\"}\n");
	put_file("exit.json", "{\"exit_code\":0,\"signal\":null,\"reason\":\"exit\"}\n");
	assert_probe("started pid=0 ended exit/0/0");
	put_file("exit.json", "{\"exit_code\":7,\"signal\":null,\"reason\":\"exit\"}\n");
	assert_probe("started pid=0 ended exit/7/0 oops");
	put_file("exit.json", "{\"exit_code\":null,\"signal\":9,\"reason\":\"timeout\"}\n");
	assert_probe("started pid=0 ended timeout/-1/9 oops");
	put_file("exit.json", "{\"exit_code\":0,");
	assert_probe("started pid=0 -/-1/0");
	put_file("exit.json", "");
	assert_probe("started pid=0 -/-1/0");
	put_file("exit.json", "{}");
	assert_probe("started pid=0 -/-1/0");
}

static void test_stop_reason(void **state)
{
	struct error err = {0};

	(void)state;
	assert_false(run_folder_stop_reason(dir, "cancelled", &err));
	assert_non_null(strstr(err.message, dir));
	error_clear(&err);
	assert_written();
	assert_true(run_folder_stop_reason(dir, "cancelled", &err));
	assert_file("stop.json", "{\"reason\":\"cancelled\"}\n", 23);
	assert_true(run_folder_stop_reason(dir, "shutdown", &err));
	assert_file("stop.json", "{\"reason\":\"shutdown\"}\n", 22);
}

#define with_folder(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    with_folder(test_write),
	    with_folder(test_write_input),
	    with_folder(test_write_empty),
	    with_folder(test_write_again),
	    with_folder(test_run_is_copied),
	    with_folder(test_write_fails),
	    with_folder(test_probe),
	    with_folder(test_probe_beside_a_probe),
	    with_folder(test_probe_exit),
	    with_folder(test_stop_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
