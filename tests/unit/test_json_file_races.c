/* The json_file queue beside other programs that write the same board. */
#include "json_file_helper.h"

#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define TASK(id) "{\"id\": \"" id "\", \"name\": \"n\", \"comments\": []}"
#define BOARD \
	"{\"queues\": {\"Todo\": [" TASK("1") ", " TASK("2") "], \"Doing\": [], \"Outside\": []}}"
/* What a program writes that had read BOARD, and adds a task. */
#define EDITED                                           \
	"{\"queues\": {\"Todo\": [" TASK("1") ", " TASK( \
	    "2") "], \"Doing\": [], \"Outside\": [" TASK("o") "]}}"
#define EDITED_AGAIN                                     \
	"{\"queues\": {\"Todo\": [" TASK("1") ", " TASK( \
	    "2") "], \"Doing\": [], \"Outside\": [" TASK("p") "]}}"

/* Called on the storage thread before each exchange of ours; n counts them from 1. */
static void (*before_exchange)(int n);
static int exchanges;
static bool no_exchange;
static char *board_path;
static atomic_int open_fd = -1;

/* Stands in for libc's. */
int renameat2(int old_dir, const char *old_path, int new_dir, const char *new_path, unsigned flags)
{
	if ((flags & RENAME_EXCHANGE) != 0) {
		if (no_exchange) {
			errno = EINVAL;
			return -1;
		}
		if (before_exchange != NULL)
			before_exchange(++exchanges);
	}
	return (int)syscall(SYS_renameat2, old_dir, old_path, new_dir, new_path, flags);
}

static void setup(struct fixture *f, void (*hook)(int n))
{
	exchanges = 0;
	before_exchange = hook;
	fixture_init(f, BOARD);
	board_path = f->path;
	assert_in_queue(f, "1", "Todo");
}

static void teardown(struct fixture *f)
{
	fixture_free(f); /* and with it the thread that looks at these */
	before_exchange = NULL;
	no_exchange = false;
}

static void replace_first(int n)
{
	if (n == 1)
		write_text(board_path, EDITED);
}

static void test_replaced_before_exchange(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, replace_first);
	assert_true(claim(&f, "1", "Todo", "Doing"));
	assert_int_equal(exchanges, 3); /* there, back, there */
	assert_board(&f, "{\"queues\": {\"Todo\": [" TASK("2") "], \"Doing\": [" TASK(
			     "1") "], \"Outside\": [" TASK("o") "]}}");
	assert_int_equal(count_files(&f, "conflict"), 0);
	teardown(&f);
}

static void write_first_in_place(int n)
{
	if (n == 1)
		write_in_place(board_path, EDITED);
}

static void test_written_before_exchange(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, write_first_in_place);
	assert_true(claim(&f, "1", "Todo", "Doing"));
	assert_in_queue(&f, "o", "Outside");
	assert_in_queue(&f, "1", "Doing");
	assert_int_equal(count_files(&f, "conflict"), 0);
	teardown(&f);
}

static const struct timespec same_time[2] = {{4000000000, 1}, {4000000000, 1}};

static void rewrite_first(int n)
{
	if (n != 1)
		return;
	write_in_place(board_path, EDITED_AGAIN);
	utimensat(AT_FDCWD, board_path, same_time, 0);
}

/* Same size, same time: where times are no proof, the bytes are compared. */
static void test_looks_the_same(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, rewrite_first);
	write_in_place(f.path, EDITED);
	assert_int_equal(utimensat(AT_FDCWD, f.path, same_time, 0), 0);
	assert_in_queue(&f, "o", "Outside");
	assert_true(claim(&f, "1", "Todo", "Doing"));
	assert_in_queue(&f, "p", "Outside");
	assert_in_queue(&f, "o", NULL);
	teardown(&f);
}

static void truncate_first(int n)
{
	if (n == 1)
		open_fd = open(board_path, O_WRONLY | O_TRUNC | O_CLOEXEC);
}

/* A program is in the middle of writing in place: what it goes on to write is the board. */
static void test_half_written(void **state)
{
	struct fixture f;
	struct answer answer;

	(void)state;
	open_fd = -1;
	setup(&f, truncate_first);
	begin(&f,
	    &(struct queue_request){.op = QUEUE_CLAIM_TASK,
		.task_id = "1",
		.from_queue = "Todo",
		.target_queue = "Doing"},
	    &answer);
	WAIT_FOR(&f, open_fd != -1);
	for (double end = clock_monotonic() + 0.1; clock_monotonic() < end;)
		turn(&f, 0.01);
	assert_false(answer.done);
	assert_int_equal(fs_write_all(open_fd, EDITED, strlen(EDITED)), 0);
	close(open_fd);
	finish(&f, &answer);
	assert_true(json_object_get_boolean(answer.result));
	answer_clear(&answer);
	assert_in_queue(&f, "o", "Outside");
	assert_in_queue(&f, "1", "Doing");
	assert_int_equal(count_files(&f, "conflict"), 0);
	teardown(&f);
}

static void replace_twice(int n)
{
	if (n == 1)
		write_text(board_path, EDITED);
	if (n == 2)
		write_text(board_path, EDITED_AGAIN);
}

/* Also what comes in the moment before we take ours back is not lost. */
static void test_replaced_again_before_way_back(void **state)
{
	struct fixture f;
	char *kept;

	(void)state;
	setup(&f, replace_twice);
	assert_true(claim(&f, "1", "Todo", "Doing"));
	assert_in_queue(&f, "o", "Outside");
	assert_int_equal(count_files(&f, "board.json.conflict-"), 1);
	kept = read_file_named(&f, "conflict");
	assert_string_equal(kept, EDITED_AGAIN);
	free(kept);
	teardown(&f);
}

/* A program had the old file open, and writes into it when it is the board no more. */
static void test_late_writer(void **state)
{
	struct fixture f;
	int fd;

	(void)state;
	setup(&f, NULL);
	/* Old enough for its times to be trusted. */
	assert_int_equal(
	    utimensat(AT_FDCWD, f.path, (struct timespec[2]){{1000000000, 1}, {1000000000, 1}}, 0),
	    0);
	fd = open(f.path, O_WRONLY | O_CLOEXEC);
	assert_true(claim(&f, "1", "Todo", "Doing"));
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(fs_write_all(fd, EDITED, strlen(EDITED)), 0);
	close(fd);
	WAIT_FOR(
	    &f, f.changes > 0 && count_files(&f, "athanore-") + count_files(&f, "conflict") == 0);
	assert_in_queue(&f, "o", "Outside");
	assert_in_queue(&f, "1", "Doing");
	assert_in_queue(&f, "2", "Todo");
	assert_board(&f, "{\"queues\": {\"Todo\": [" TASK("2") "], \"Doing\": [" TASK(
			     "1") "], \"Outside\": [" TASK("o") "]}}");
	teardown(&f);
}

/* The same, but there is a newer edit: both are kept. */
static void test_late_writer_after_edit(void **state)
{
	struct fixture f;
	int fd;

	(void)state;
	setup(&f, NULL);
	fd = open(f.path, O_WRONLY | O_CLOEXEC);
	assert_true(claim(&f, "1", "Todo", "Doing"));
	write_text(f.path, EDITED_AGAIN);
	assert_in_queue(&f, "p", "Outside");
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(fs_write_all(fd, EDITED, strlen(EDITED)), 0);
	close(fd);
	WAIT_FOR(&f, count_files(&f, "board.json.conflict-") == 1);
	DO(&f, .op = QUEUE_ADD_COMMENT, .task_id = "p", .text = "still here");
	assert_in_queue(&f, "p", "Outside");
	assert_in_queue(&f, "1", "Doing");
	WAIT_FOR(&f, count_files(&f, "athanore-") == 0);
	assert_int_equal(count_files(&f, "board.json.conflict-"), 1);
	teardown(&f);
}

/* A program read the board before our write, and writes the whole of it after: it undoes what it
 * does not know of. */
static void test_stale_overwrite(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, NULL);
	assert_true(claim(&f, "1", "Todo", "Doing"));
	DO(&f, .op = QUEUE_ADD_COMMENT, .task_id = "1", .text = "hello");
	DO(&f, .op = QUEUE_CREATE_QUEUE, .queue_name = "QA");
	write_text(f.path, EDITED);
	assert_in_queue(&f, "1", "Doing");
	assert_in_queue(&f, "o", "Outside");
	DO(&f, .op = QUEUE_GET_QUEUE, .queue_name = "QA");
	WAIT_FOR(&f, ({
		char *text = read_text(f.path);
		bool all = strstr(text, "hello") != NULL && strstr(text, "QA") != NULL &&
			   strstr(text, "\"o\"") != NULL;

		free(text);
		all;
	}));
	teardown(&f);
}

/* What shows newer changes of ours was written by one who knew the older ones. */
static void test_undone_on_purpose(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, NULL);
	assert_true(claim(&f, "1", "Todo", "Doing"));
	assert_true(claim(&f, "2", "Todo", "Doing"));
	write_text(f.path, "{\"queues\": {\"Todo\": [" TASK("1") "], \"Doing\": [" TASK(
			       "2") "], \"Outside\": []}}");
	assert_in_queue(&f, "1", "Todo");
	assert_in_queue(&f, "2", "Doing");
	teardown(&f);
}

static void test_created_id_taken(void **state)
{
	struct json_object *fields = json_object_new_object();
	struct fixture f;
	struct json_object *task;

	(void)state;
	setup(&f, NULL);
	json_put_string(fields, "name", "ours");
	task = OK(&f, .op = QUEUE_CREATE_TASK, .queue_name = "Todo", .fields = fields);
	assert_string_equal(json_get_string(task, "id"), "3");
	json_object_put(task);
	json_object_put(fields);
	write_text(f.path,
	    "{\"queues\": {\"Todo\": [" TASK("1") ", {\"id\": \"3\", \"name\": \"theirs\"}]}}");
	task = OK(&f, .op = QUEUE_GET_TASK, .task_id = "3");
	assert_string_equal(json_get_string(task, "name"), "theirs");
	json_object_put(task);
	task = OK(&f, .op = QUEUE_GET_TASK, .task_id = "4");
	assert_string_equal(json_get_string(task, "name"), "ours");
	json_object_put(task);
	teardown(&f);
}

static void test_no_exchange(void **state)
{
	struct fixture f;

	(void)state;
	no_exchange = true;
	setup(&f, NULL);
	assert_true(claim(&f, "1", "Todo", "Doing"));
	assert_board(&f, "{\"queues\": {\"Todo\": [" TASK("2") "], \"Doing\": [" TASK(
			     "1") "], \"Outside\": []}}");
	write_text(f.path, EDITED);
	assert_true(claim(&f, "2", "Todo", "Doing"));
	assert_in_queue(&f, "1", "Doing");
	assert_in_queue(&f, "o", "Outside");
	WAIT_FOR(&f, count_files(&f, "athanore-") == 0);
	teardown(&f);
}

#define EDITS 200
#define OURS 60

static struct json_object *parse_board(const char *path)
{
	struct str text = {0};
	struct json_object *board = NULL;

	if (fs_read(path, &text, 1 << 26, NULL) && text.len > 0)
		board = json_parse(text.data, text.len, NULL);
	str_free(&text);
	return board;
}

/* In two halves, as a program with a small buffer does. */
static void write_halves(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	size_t half = strlen(text) / 2;

	if (fd == -1 || fs_write_all(fd, text, half) == -1)
		_exit(2);
	usleep(200);
	if (fs_write_all(fd, text + half, strlen(text) - half) == -1)
		_exit(3);
	close(fd);
}

static void replace(const char *path, const char *text)
{
	char *tmp = xasprintf("%s.editor", path);

	write_halves(tmp, text);
	if (rename(tmp, path) == -1)
		_exit(4);
	free(tmp);
}

/* The other program: reads, adds a task, writes; EDITS times. */
static void edit_away(const char *path, bool in_place)
{
	for (int i = 0; i < EDITS;) {
		struct json_object *board = parse_board(path);
		struct json_object *queues = json_get_object(board, "queues"), *task;
		char *text;

		if (queues == NULL) {
			json_object_put(board);
			usleep(1000);
			continue;
		}
		task = json_object_new_object();
		text = xasprintf("o%d", i++);
		json_put_string(task, "id", text);
		free(text);
		json_object_array_add(json_get_array(queues, "Outside"), task);
		text = json_print(board);
		json_object_put(board);
		if (in_place)
			write_halves(path, text);
		else
			replace(path, text);
		free(text);
		usleep(3000);
	}
	_exit(0);
}

static char *many_tasks(void)
{
	struct str text = {0};

	str_puts(&text, "{\"queues\": {\"Todo\": [");
	for (int i = 0; i < OURS; i++)
		str_printf(&text, "%s{\"id\": \"t%d\", \"name\": \"n\", \"x\": 2.50}",
		    i > 0 ? ", " : "", i);
	str_puts(&text, "], \"Doing\": [], \"Outside\": []}}");
	return str_steal(&text);
}

/* Where all that is kept of the other program's tasks: the board, and what lies beside it. */
static void find_theirs(struct fixture *f, bool *found)
{
	DIR *dir = opendir(f->dir);
	struct dirent *entry;

	while ((entry = readdir(dir)) != NULL) {
		char *path = fs_join(f->dir, entry->d_name);
		char *text = strstr(entry->d_name, "board.json") == entry->d_name &&
				     strstr(entry->d_name, "lock") == NULL
				 ? read_text(path)
				 : xstrdup("");

		for (int i = 0; i < EDITS; i++) {
			char *id = xasprintf("\"o%d\"", i);

			found[i] = found[i] || strstr(text, id) != NULL;
			free(id);
		}
		free(text);
		free(path);
	}
	closedir(dir);
}

/* may_lose: how many of the other program's edits may be gone in the end. */
static void race(bool in_place, int may_lose)
{
	char *text = many_tasks();
	bool found[EDITS] = {false};
	struct fixture f;
	int status = 0;
	pid_t pid;

	fixture_init(&f, text);
	free(text);
	assert_in_queue(&f, "t0", "Todo");
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0)
		edit_away(f.path, in_place);
	for (int i = 0; i < OURS; i++) {
		text = xasprintf("t%d", i);
		assert_true(claim(&f, text, "Todo", "Doing"));
		DO(&f, .op = QUEUE_ADD_COMMENT, .task_id = text, .text = "mine");
		free(text);
	}
	WAIT_FOR(&f, waitpid(pid, &status, WNOHANG) == pid);
	assert_int_equal(status, 0);
	for (int i = 0; i < OURS; i++) {
		struct json_object *task;

		text = xasprintf("t%d", i);
		task = OK(&f, .op = QUEUE_GET_TASK, .task_id = text);
		assert_string_equal(json_get_string(task, "queue"), "Doing");
		assert_int_equal(json_object_array_length(json_get_array(task, "comments")), 1);
		json_object_put(task);
		free(text);
	}
	queue_free(f.queue);
	find_theirs(&f, found);
	for (int i = 0; i < EDITS; i++)
		if (!found[i] && may_lose-- <= 0)
			fail_msg("edit %d of the other program is lost", i);
	fixture_open(&f, NULL);
	fixture_free(&f);
}

static void test_race(void **state)
{
	(void)state;
	race(false, 0);
	race(true, 0);
}

static void test_race_without_exchange(void **state)
{
	(void)state;
	no_exchange = true;
	race(false, EDITS); /* there a look can come too early: only ours are sure to be kept */
	no_exchange = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_replaced_before_exchange),
	    cmocka_unit_test(test_written_before_exchange),
	    cmocka_unit_test(test_looks_the_same),
	    cmocka_unit_test(test_half_written),
	    cmocka_unit_test(test_replaced_again_before_way_back),
	    cmocka_unit_test(test_late_writer),
	    cmocka_unit_test(test_late_writer_after_edit),
	    cmocka_unit_test(test_stale_overwrite),
	    cmocka_unit_test(test_undone_on_purpose),
	    cmocka_unit_test(test_created_id_taken),
	    cmocka_unit_test(test_no_exchange),
	    cmocka_unit_test(test_race),
	    cmocka_unit_test(test_race_without_exchange),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
