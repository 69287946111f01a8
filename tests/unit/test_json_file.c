/* The json_file queue: its operations, and the changes it sees. */
#include "json_file_helper.h"

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
	    cmocka_unit_test(test_refused_task_writes_nothing),
	    cmocka_unit_test(test_cancel),
	    cmocka_unit_test(test_free_answers_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
