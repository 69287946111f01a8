/* The json_file queue when the board is broken or gone, the disk full, the daemon killed. */
#include "json_file_helper.h"

#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define KILL_TASKS 200

#define BOARD                                                                                    \
	"{\n  \"queues\": {\n    \"Todo\": [\n      {\"id\": \"1\", \"name\": \"Fix\", \"x\": "  \
	"2.50},\n     "                                                                          \
	" {\"id\": \"2\", \"name\": \"Test\"}\n    ],\n    \"Doing\": [],\n    \"Done\": []\n  " \
	"},\n  "                                                                                 \
	"\"z\": 1e400\n}\n"

static void test_broken(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, BOARD);
	assert_in_queue(&f, "1", "Todo");
	write_text(f.path, "{\n  \"queues\": {,}\n}");
	WAIT_FOR(&f, queue_fault(f.queue) != NULL);
	assert_non_null(strstr(queue_fault(f.queue)->message, "line 2, column 14"));
	assert_non_null(strstr(queue_fault(f.queue)->message, f.path));
	FAIL(&f, ERROR_UNAVAILABLE, "line 2, column 14", .op = QUEUE_GET_TASK, .task_id = "1");
	FAIL(&f, ERROR_UNAVAILABLE, "line 2, column 14", .op = QUEUE_CLAIM_TASK, .task_id = "1",
	    .from_queue = "Todo", .target_queue = "Doing");
	assert_board(&f, "{\n  \"queues\": {,}\n}");
	f.changes = 0;
	write_text(f.path, BOARD);
	WAIT_FOR(&f, queue_fault(f.queue) == NULL && f.changes > 0);
	assert_true(claim(&f, "1", "Todo", "Doing"));
	fixture_free(&f);
}

static void test_missing(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, NULL);
	WAIT_FOR(&f, queue_fault(f.queue) != NULL);
	assert_non_null(strstr(queue_fault(f.queue)->message, "the smallest is {\"queues\": {}}"));
	write_text(f.path, BOARD);
	WAIT_FOR(&f, queue_fault(f.queue) == NULL);
	assert_true(claim(&f, "1", "Todo", "Doing"));
	assert_int_equal(unlink(f.path), 0);
	FAIL(&f, ERROR_UNAVAILABLE, "there is no board", .op = QUEUE_GET_TASK, .task_id = "1");
	write_text(f.path, BOARD);
	/* Who takes the board away and puts an older one there means to. */
	assert_in_queue(&f, "1", "Todo");
	fixture_free(&f);
}

/* An editor that writes in place empties the board first: changes wait for it. */
static void test_waits_for_writer(void **state)
{
	struct fixture f;
	struct answer answer;

	(void)state;
	fixture_init(&f, BOARD);
	assert_in_queue(&f, "1", "Todo");
	write_in_place(f.path, "");
	begin(&f,
	    &(struct queue_request){.op = QUEUE_CLAIM_TASK,
		.task_id = "1",
		.from_queue = "Todo",
		.target_queue = "Doing"},
	    &answer);
	for (double end = clock_monotonic() + 0.1; clock_monotonic() < end;)
		turn(&f, 0.01);
	assert_false(answer.done);
	assert_null(queue_fault(f.queue));
	write_in_place(f.path, BOARD);
	finish(&f, &answer);
	assert_true(json_object_get_boolean(answer.result));
	answer_clear(&answer);
	assert_null(queue_fault(f.queue));
	fixture_free(&f);
}

static void test_folder_replaced(void **state)
{
	struct error err = {0};
	struct fixture f;
	char *aside, *fresh, *path;
	pid_t holder;
	int other;

	(void)state;
	fixture_init(&f, BOARD);
	assert_in_queue(&f, "1", "Todo");
	aside = xasprintf("%s.aside", f.dir);
	assert_int_equal(rename(f.dir, aside), 0);
	WAIT_FOR(&f, queue_fault(f.queue) != NULL);
	/* Another daemon is faster in the new one. */
	fresh = xasprintf("%s.fresh", f.dir);
	assert_int_equal(mkdir(fresh, 0700), 0);
	path = fs_join(fresh, "board.json.lock");
	other = fs_lock(path, &holder, &err);
	assert_int_not_equal(other, -1);
	free(path);
	assert_int_equal(rename(fresh, f.dir), 0);
	write_text(f.path, BOARD);
	WAIT_FOR(&f, queue_fault(f.queue) != NULL &&
			 strstr(queue_fault(f.queue)->message, "in use by another") != NULL);
	FAIL(&f, ERROR_UNAVAILABLE, "in use by another", .op = QUEUE_CLAIM_TASK, .task_id = "1",
	    .from_queue = "Todo", .target_queue = "Doing");
	close(other);
	WAIT_FOR(&f, queue_fault(f.queue) == NULL);
	assert_true(claim(&f, "1", "Todo", "Doing"));
	path = f.path;
	f.path = fs_join(aside, "board.json");
	assert_board(&f, BOARD);
	assert_true(fs_remove_tree(aside, NULL));
	free(path);
	free(fresh);
	free(aside);
	fixture_free(&f);
}

/* Limits of the process stand in for a full disk: writes past 100 bytes fail with EFBIG. */
static void test_write_fails(void **state)
{
	struct rlimit old, small = {100, RLIM_INFINITY};
	struct fixture f;

	(void)state;
	fixture_init(&f, BOARD);
	signal(SIGXFSZ, SIG_IGN);
	assert_in_queue(&f, "1", "Todo");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	FAIL(&f, ERROR_UNAVAILABLE, strerror(EFBIG), .op = QUEUE_CLAIM_TASK, .task_id = "1",
	    .from_queue = "Todo", .target_queue = "Doing");
	assert_non_null(queue_fault(f.queue));
	assert_non_null(strstr(queue_fault(f.queue)->message, f.path));
	assert_in_queue(&f, "1", "Todo");
	assert_int_equal(count_files(&f, ".athanore-"), 0);
	assert_board(&f, BOARD);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_true(claim(&f, "1", "Todo", "Doing"));
	assert_null(queue_fault(f.queue));
	fixture_free(&f);
}

static void test_full_disk(void **state)
{
	char base[] = "/tmp/athanore-tmpfs-XXXXXX";
	struct fixture f;
	char *filler;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(base));
	if (mount("none", base, "tmpfs", 0, "size=256k") == -1) {
		rmdir(base);
		skip();
	}
	fixture_init_in(&f, base, BOARD);
	assert_in_queue(&f, "1", "Todo");
	filler = xasprintf("%s/filler", base);
	fd = open(filler, O_WRONLY | O_CREAT, 0600);
	while (write(fd, base, sizeof(base)) > 0)
		;
	close(fd);
	FAIL(&f, ERROR_UNAVAILABLE, strerror(ENOSPC), .op = QUEUE_CLAIM_TASK, .task_id = "1",
	    .from_queue = "Todo", .target_queue = "Doing");
	assert_in_queue(&f, "1", "Todo");
	assert_int_equal(unlink(filler), 0);
	assert_true(claim(&f, "1", "Todo", "Doing"));
	free(filler);
	fixture_free(&f);
	assert_int_equal(umount(base), 0);
	assert_int_equal(rmdir(base), 0);
}

/* For root only the immutable flag makes a folder read-only. */
static bool set_read_only(const char *dir, bool on)
{
	int fd, flags;
	bool ok;

	if (geteuid() != 0)
		return chmod(dir, on ? 0500 : 0700) == 0;
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	ok = fd != -1 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0;
	flags = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
	ok = ok && ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
	close(fd);
	return ok;
}

static void test_read_only_folder(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, BOARD);
	assert_in_queue(&f, "1", "Todo");
	if (!set_read_only(f.dir, true)) {
		fixture_free(&f);
		skip();
	}
	FAIL(&f, ERROR_UNAVAILABLE, "cannot write the board", .op = QUEUE_CLAIM_TASK,
	    .task_id = "1", .from_queue = "Todo", .target_queue = "Doing");
	assert_in_queue(&f, "1", "Todo");
	assert_non_null(queue_fault(f.queue));
	assert_true(set_read_only(f.dir, false));
	assert_true(claim(&f, "1", "Todo", "Doing"));
	assert_null(queue_fault(f.queue));
	fixture_free(&f);
}

/* What a killed daemon left behind: its own new file goes, a version it had replaced stays. */
static void test_recovers(void **state)
{
	struct fixture f;
	struct stat st;
	char *ours, *theirs, *board;

	(void)state;
	fixture_init(&f, BOARD);
	queue_free(f.queue);
	board = xasprintf("%s/.board.json.athanore-tmp", f.dir);
	write_text(board, "{");
	assert_int_equal(stat(board, &st), 0);
	ours = xasprintf("%s/.board.json.athanore-new-%ju", f.dir, (uintmax_t)st.st_ino);
	assert_int_equal(rename(board, ours), 0);
	theirs = xasprintf("%s/.board.json.athanore-new-1", f.dir);
	write_text(theirs, "{\"queues\":{\"mine\":[]}}");
	fixture_open(&f, NULL);
	assert_in_queue(&f, "1", "Todo");
	assert_int_equal(count_files(&f, ".athanore-"), 0);
	assert_int_equal(count_files(&f, "board.json.conflict-"), 1);
	free(board);
	free(ours);
	free(theirs);
	fixture_free(&f);
}

static void test_becomes_a_link(void **state)
{
	struct fixture f;
	char *other;

	(void)state;
	fixture_init(&f, BOARD);
	assert_in_queue(&f, "1", "Todo");
	other = xasprintf("%s/other.json", f.dir);
	assert_int_equal(rename(f.path, other), 0);
	assert_int_equal(symlink(other, f.path), 0);
	FAIL(&f, ERROR_UNAVAILABLE, "has become a link", .op = QUEUE_CLAIM_TASK, .task_id = "1",
	    .from_queue = "Todo", .target_queue = "Doing");
	assert_int_equal(rename(other, f.path), 0);
	assert_in_queue(&f, "1", "Todo");
	free(other);
	fixture_free(&f);
}

/* Claims in a process of its own, and tells of each that was acknowledged. */
static void claim_away(const char *path, int tell)
{
	struct error err = {0};
	struct fixture f = {0};

	f.path = xstrdup(path);
	f.loop = loop_create();
	f.worker = worker_create(f.loop);
	f.queue = json_file_open(f.loop, f.worker, path, NULL, &err);
	if (f.queue == NULL)
		_exit(1);
	for (int i = 0; i < KILL_TASKS; i++) {
		char *id = xasprintf("%d", i);

		if (claim(&f, id, "Todo", "Doing") && write(tell, &i, sizeof(i)) != sizeof(i))
			_exit(2);
		free(id);
	}
	_exit(0);
}

/* Kills it after `claims` of them; returns the last one that was acknowledged. */
static int kill_after(const char *path, int claims)
{
	int fds[2], last = -1, next;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0)
		claim_away(path, fds[1]);
	close(fds[1]);
	while (claims-- > 0 && read(fds[0], &next, sizeof(next)) == sizeof(next))
		last = next;
	kill(pid, SIGKILL);
	while (read(fds[0], &next, sizeof(next)) == sizeof(next))
		last = next;
	close(fds[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return last;
}

static void test_killed(void **state)
{
	struct fixture f;
	struct str text = {0};

	(void)state;
	str_puts(&text, "{\"queues\": {\"Todo\": [");
	for (int i = 0; i < KILL_TASKS; i++)
		str_printf(&text, "%s{\"id\": %d}", i > 0 ? ", " : "", i);
	str_puts(&text, "], \"Doing\": []}}");
	for (int round = 1; round <= 20; round++) {
		struct json_object *queue;
		int last;

		fixture_init(&f, text.data);
		queue_free(f.queue);
		last = kill_after(f.path, round);
		fixture_open(&f, NULL);
		for (int i = 0; i <= last; i++) {
			char *id = xasprintf("%d", i);

			assert_in_queue(&f, id, "Doing");
			free(id);
		}
		queue = OK(&f, .op = QUEUE_GET_QUEUE, .queue_name = "Todo");
		/* One more may be on the disk, and was not acknowledged any more. */
		assert_in_range(
		    KILL_TASKS - json_get_int(queue, "task_count", 0), last + 1, last + 2);
		json_object_put(queue);
		assert_int_equal(count_files(&f, "athanore-"), 0);
		fixture_free(&f);
	}
	str_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_broken),
	    cmocka_unit_test(test_missing),
	    cmocka_unit_test(test_waits_for_writer),
	    cmocka_unit_test(test_folder_replaced),
	    cmocka_unit_test(test_write_fails),
	    cmocka_unit_test(test_full_disk),
	    cmocka_unit_test(test_read_only_folder),
	    cmocka_unit_test(test_recovers),
	    cmocka_unit_test(test_becomes_a_link),
	    cmocka_unit_test(test_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
