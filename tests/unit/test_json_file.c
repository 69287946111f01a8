/* The json_file queue: its operations, and what it does when the board is broken or gone. */
#include "json_file_helper.h"

#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define BOARD                                                                                    \
	"{\n  \"queues\": {\n    \"Todo\": [\n      {\"id\": \"1\", \"name\": \"Fix\", \"x\": "  \
	"2.50},\n     "                                                                          \
	" {\"id\": \"2\", \"name\": \"Test\"}\n    ],\n    \"Doing\": [],\n    \"Done\": []\n  " \
	"},\n  "                                                                                 \
	"\"z\": 1e400\n}\n"

static void test_reads(void **state)
{
	struct fixture f;
	struct json_object *result;

	(void)state;
	fixture_init(&f, BOARD);
	result = OK(&f, .op = QUEUE_LIST_QUEUES);
	assert_string_equal(json_object_to_json_string_ext(result, JSON_C_TO_STRING_PLAIN),
	    "[{\"name\":\"Todo\",\"task_count\":2},{\"name\":\"Doing\",\"task_count\":0},"
	    "{\"name\":\"Done\",\"task_count\":0}]");
	json_object_put(result);
	result = OK(&f, .op = QUEUE_GET_TASK, .task_id = "2");
	assert_string_equal(json_get_string(result, "queue"), "Todo");
	json_object_put(result);
	result = OK(&f, .op = QUEUE_GET_QUEUE, .queue_name = "Todo");
	assert_int_equal(json_get_int(result, "task_count", 0), 2);
	json_object_put(result);
	FAIL(&f, ERROR_NOT_FOUND, "no task \"9\"", .op = QUEUE_GET_TASK, .task_id = "9");
	FAIL(&f, ERROR_NOT_FOUND, "there are \"Todo\", \"Doing\", \"Done\"", .op = QUEUE_GET_QUEUE,
	    .queue_name = "todo");
	result = OK(&f, .op = QUEUE_AUTHENTICATED_USER);
	assert_string_equal(json_object_get_string(result), "athanore");
	json_object_put(result);
	assert_board(&f, BOARD);
	fixture_free(&f);
}

static void test_ready(void **state)
{
	struct fixture f;
	struct json_object *result;

	(void)state;
	fixture_init(&f, BOARD);
	result = OK(&f, .op = QUEUE_GET_READY_TASKS,
	    .queues = (const char *const[]){"Done", "nowhere", "Todo", NULL}, .limit = 1);
	assert_int_equal(json_object_array_length(result), 1);
	assert_string_equal(json_get_string(json_object_array_get_idx(result, 0), "id"), "1");
	json_object_put(result);
	result = OK(&f, .op = QUEUE_GET_READY_TASKS, .queues = (const char *const[]){"Todo", NULL});
	assert_int_equal(json_object_array_length(result), 2);
	json_object_put(result);
	FAIL(&f, ERROR_NOT_FOUND, "no queue \"nowhere\"", .op = QUEUE_GET_READY_TASKS,
	    .queues = (const char *const[]){"nowhere", NULL});
	fixture_free(&f);
}

static void test_claim(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, BOARD);
	assert_true(claim(&f, "1", "Todo", "Doing"));
	assert_false(claim(&f, "1", "Todo", "Doing"));
	assert_false(claim(&f, "gone", "Todo", "Doing"));
	FAIL(&f, ERROR_NOT_FOUND, "no queue \"In Progress\"", .op = QUEUE_CLAIM_TASK,
	    .task_id = "2", .from_queue = "Todo", .target_queue = "In Progress");
	assert_board(&f,
	    "{\n  \"queues\": {\n    \"Todo\": [\n      {\"id\": \"2\", \"name\": \"Test\"}\n    "
	    "],\n  "
	    "  \"Doing\": [\n      {\"id\": \"1\", \"name\": \"Fix\", \"x\": 2.50}\n    ],\n    "
	    "\"Done\": []\n  },\n  \"z\": 1e400\n}\n");
	fixture_free(&f);
}

static void test_comment_and_update(void **state)
{
	struct fixture f;
	struct json_object *result, *fields = json_object_new_object();
	int64_t at;
	char *text;

	(void)state;
	fixture_init(&f, BOARD);
	result = OK(&f, .op = QUEUE_ADD_COMMENT, .task_id = "1", .text = "done\n");
	assert_string_equal(json_get_string(result, "author"), "athanore");
	assert_string_equal(json_get_string(result, "text"), "done\n");
	assert_true(clock_parse(json_get_string(result, "created_at"), &at));
	json_object_put(result);
	json_put(fields, "assignees", json_from_strv((const char *const[]){"athanore", NULL}));
	result = OK(&f, .op = QUEUE_UPDATE_TASK, .task_id = "1", .fields = fields);
	assert_int_equal(json_object_array_length(json_get_array(result, "assignees")), 1);
	assert_int_equal(json_object_array_length(json_get_array(result, "comments")), 1);
	json_object_put(result);
	json_object_put(fields);
	text = read_text(f.path);
	assert_non_null(strstr(text,
	    "{\"id\": \"1\", \"name\": \"Fix\", \"x\": 2.50, \"comments\": [{\"author\": "
	    "\"athanore\", \"text\": \"done\\n\", \"created_at\": \""));
	free(text);
	FAIL(&f, ERROR_INVALID, "needs a text", .op = QUEUE_ADD_COMMENT, .task_id = "1");
	fixture_free(&f);
}

static void test_create_move_queues(void **state)
{
	struct fixture f;
	struct json_object *fields = json_object_new_object(), *result;

	(void)state;
	fixture_init(&f, BOARD);
	json_put_string(fields, "name", "New");
	result = OK(&f, .op = QUEUE_CREATE_TASK, .queue_name = "Todo", .fields = fields);
	assert_string_equal(json_get_string(result, "id"), "3");
	assert_string_equal(json_get_string(result, "queue"), "Todo");
	json_object_put(result);
	result = OK(&f, .op = QUEUE_MOVE_TASK, .task_id = "3", .target_queue = "Done");
	assert_string_equal(json_get_string(result, "queue"), "Done");
	json_object_put(result);
	DO(&f, .op = QUEUE_MOVE_TASK, .task_id = "3", .target_queue = "Done");
	FAIL(&f, ERROR_NOT_FOUND, "no queue", .op = QUEUE_MOVE_TASK, .task_id = "3",
	    .target_queue = "x");
	DO(&f, .op = QUEUE_CREATE_QUEUE, .queue_name = "QA");
	FAIL(&f, ERROR_CONFLICT, "already", .op = QUEUE_CREATE_QUEUE, .queue_name = "QA");
	FAIL(&f, ERROR_INVALID, "name", .op = QUEUE_CREATE_QUEUE, .queue_name = "");
	json_put_string(fields, "new_name", "Review");
	DO(&f, .op = QUEUE_UPDATE_QUEUE, .queue_name = "QA", .fields = fields);
	FAIL(&f, ERROR_NOT_FOUND, "QA", .op = QUEUE_DELETE_QUEUE, .queue_name = "QA");
	DO(&f, .op = QUEUE_DELETE_QUEUE, .queue_name = "Review");
	FAIL(&f, ERROR_CONFLICT, "not empty", .op = QUEUE_DELETE_QUEUE, .queue_name = "Done");
	json_object_put(fields);
	fixture_free(&f);
}

/* What comes while a write is under way goes together: two writes for a hundred changes. */
static void test_grouped(void **state)
{
	struct fixture f;
	struct answer answers[100];
	struct stat before, after;

	(void)state;
	fixture_init(&f, BOARD);
	assert_int_equal(stat(f.path, &before), 0);
	for (int i = 0; i < 100; i++)
		begin(&f,
		    &(struct queue_request){.op = QUEUE_ADD_COMMENT, .task_id = "1", .text = "c"},
		    &answers[i]);
	for (int i = 0; i < 100; i++) {
		finish(&f, &answers[i]);
		json_object_put(want_ok(answers[i]));
	}
	assert_int_equal(stat(f.path, &after), 0);
	assert_int_not_equal(before.st_ino, after.st_ino);
	assert_int_equal(count_files(&f, "athanore-old"), 1);
	assert_int_equal(after.st_mode & 07777, 0644);
	fixture_free(&f);
}

static void test_leaves_no_files(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, BOARD);
	assert_true(claim(&f, "1", "Todo", "Doing"));
	assert_int_equal(count_files(&f, ".athanore-"), 1);
	WAIT_FOR(&f, count_files(&f, ".athanore-") == 0);
	assert_true(claim(&f, "2", "Todo", "Doing"));
	queue_free(f.queue);
	assert_int_equal(count_files(&f, ".athanore-"), 0);
	assert_int_equal(count_files(&f, "board"), 2); /* it and its lock */
	fixture_open(&f, NULL);
	fixture_free(&f);
}

static void test_lock(void **state)
{
	struct fixture f;
	struct error err = {0};
	char *pid = xasprintf("process %ld", (long)getpid());

	(void)state;
	fixture_init(&f, BOARD);
	assert_null(json_file_open(f.loop, f.worker, f.path, NULL, &err));
	assert_int_equal(err.code, ERROR_CONFLICT);
	assert_non_null(strstr(err.message, pid));
	error_clear(&err);
	assert_null(json_file_open(f.loop, f.worker, "/nowhere/at/all/board.json", NULL, &err));
	assert_int_equal(err.code, ERROR_NOT_FOUND);
	error_clear(&err);
	free(pid);
	fixture_free(&f);
}

static void test_symlink(void **state)
{
	struct fixture f;
	struct queue *queue;
	struct stat st;
	char *link, *text;

	(void)state;
	fixture_init(&f, BOARD);
	queue_free(f.queue);
	link = xasprintf("%s/link.json", f.dir);
	assert_int_equal(symlink("board.json", link), 0);
	f.queue = queue = json_file_open(f.loop, f.worker, link, NULL, NULL);
	assert_non_null(queue);
	assert_string_equal(queue_identity(queue), f.path);
	assert_true(claim(&f, "1", "Todo", "Doing"));
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	text = read_text(f.path);
	assert_null(strstr(text, "\"Doing\": []"));
	free(text);
	free(link);
	fixture_free(&f);
}

static void test_seen_at_once(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, BOARD);
	assert_in_queue(&f, "7", NULL);
	write_text(f.path, "{\"queues\":{\"Todo\":[{\"id\":7}],\"Doing\":[]}}");
	assert_in_queue(&f, "7", "Todo");
	write_in_place(f.path, "{\"queues\":{\"Todo\":[{\"id\":8}],\"Doing\":[]}}");
	WAIT_FOR(&f, f.changes >= 2);
	assert_in_queue(&f, "8", "Todo");
	assert_in_queue(&f, "7", NULL);
	/* By nobody's asking. */
	f.changes = 0;
	write_text(f.path, BOARD);
	WAIT_FOR(&f, f.changes == 1);
	/* Our own writes are no change. */
	assert_true(claim(&f, "1", "Todo", "Doing"));
	for (int i = 0; i < 10; i++)
		turn(&f, 0.01);
	assert_int_equal(f.changes, 1);
	fixture_free(&f);
}

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
	struct fixture f;
	char *aside, *path;

	(void)state;
	fixture_init(&f, BOARD);
	assert_in_queue(&f, "1", "Todo");
	aside = xasprintf("%s.aside", f.dir);
	assert_int_equal(rename(f.dir, aside), 0);
	WAIT_FOR(&f, queue_fault(f.queue) != NULL);
	assert_int_equal(mkdir(f.dir, 0700), 0);
	write_text(f.path, BOARD);
	WAIT_FOR(&f, queue_fault(f.queue) == NULL);
	assert_true(claim(&f, "1", "Todo", "Doing"));
	path = xasprintf("%s/board.json", aside);
	free(f.path);
	f.path = path;
	assert_board(&f, BOARD);
	assert_true(fs_remove_tree(aside, NULL));
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

static void test_refused_task_writes_nothing(void **state)
{
	static const char board[] = "{\"queues\":{\"A\":[{\"id\":1,\"k\":1,\"k\":2}],\"B\":[]}}";
	struct fixture f;

	(void)state;
	fixture_init(&f, board);
	FAIL(&f, ERROR_INVALID,
	    "task 1 of the queue \"A\" cannot be changed: the key \"k\" stands twice",
	    .op = QUEUE_ADD_COMMENT, .task_id = "1", .text = "x");
	assert_board(&f, board);
	assert_true(claim(&f, "1", "A", "B"));
	assert_board(&f, "{\"queues\":{\"A\":[],\"B\":[{\"id\":1,\"k\":1,\"k\":2}]}}");
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

static void test_cancel(void **state)
{
	struct fixture f;
	struct answer answer = {0};
	struct queue_call *handle;

	(void)state;
	fixture_init(&f, BOARD);
	handle = queue_call(f.queue,
	    &(struct queue_request){.op = QUEUE_MOVE_TASK, .task_id = "1", .target_queue = "Done"},
	    5, on_answer, &answer);
	queue_cancel(handle);
	assert_in_queue(&f, "1", "Todo");
	assert_false(answer.done);
	assert_board(&f, BOARD);
	fixture_free(&f);
}

static void test_free_answers_all(void **state)
{
	struct fixture f;
	struct answer begun, waiting;

	(void)state;
	fixture_init(&f, BOARD);
	assert_in_queue(&f, "1", "Todo");
	begin(&f,
	    &(struct queue_request){.op = QUEUE_MOVE_TASK, .task_id = "1", .target_queue = "Done"},
	    &begun);
	loop_settle(f.loop);
	begin(&f,
	    &(struct queue_request){.op = QUEUE_MOVE_TASK, .task_id = "2", .target_queue = "Done"},
	    &waiting);
	queue_free(f.queue);
	assert_true(begun.done && waiting.done);
	json_object_put(want_ok(begun));
	want_error(waiting, ERROR_UNAVAILABLE, "being closed");
	fixture_open(&f, NULL);
	assert_in_queue(&f, "1", "Done");
	assert_in_queue(&f, "2", "Todo");
	fixture_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reads),
	    cmocka_unit_test(test_ready),
	    cmocka_unit_test(test_claim),
	    cmocka_unit_test(test_comment_and_update),
	    cmocka_unit_test(test_create_move_queues),
	    cmocka_unit_test(test_grouped),
	    cmocka_unit_test(test_leaves_no_files),
	    cmocka_unit_test(test_lock),
	    cmocka_unit_test(test_symlink),
	    cmocka_unit_test(test_seen_at_once),
	    cmocka_unit_test(test_broken),
	    cmocka_unit_test(test_missing),
	    cmocka_unit_test(test_waits_for_writer),
	    cmocka_unit_test(test_folder_replaced),
	    cmocka_unit_test(test_write_fails),
	    cmocka_unit_test(test_full_disk),
	    cmocka_unit_test(test_read_only_folder),
	    cmocka_unit_test(test_refused_task_writes_nothing),
	    cmocka_unit_test(test_recovers),
	    cmocka_unit_test(test_cancel),
	    cmocka_unit_test(test_free_answers_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
