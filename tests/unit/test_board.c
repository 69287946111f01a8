/* The board in memory: what it keeps, how it is laid out, what it refuses. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"
#include "queue/board_edit.h"
#include "queue/board_hash.h"

#include <stdlib.h>
#include <string.h>

static struct board *parse(const char *text)
{
	struct error err = {0};
	struct board *board = board_parse(xstrdup(text), strlen(text), "board", &err);

	if (board == NULL)
		fail_msg("%s", err.message);
	return board;
}

static bool collect(void *arg, const char *data, size_t len)
{
	str_append(arg, data, len);
	return true;
}

static void assert_text(const struct board *board, const char *text)
{
	struct str out = {0};

	assert_true(board_render(board, collect, &out));
	assert_string_equal(out.data, text);
	str_free(&out);
}

static struct json_object *json(const char *text)
{
	struct json_object *value = json_tokener_parse(text);

	assert_non_null(value);
	return value;
}

static void update(struct board *board, const char *id, const char *fields)
{
	struct json_object *value = json(fields);
	struct error err = {0};
	bool changed;

	if (!board_edit_update(board_task_find(board, id), value, &changed, &err))
		fail_msg("%s", err.message);
	json_object_put(value);
}

static void comment(struct board *board, const char *id, const char *text)
{
	struct json_object *value = json_object_new_object();
	struct error err = {0};

	json_put_string(value, "text", text);
	if (!board_edit_comment(board_task_find(board, id), value, &err))
		fail_msg("%s", err.message);
	json_object_put(value);
}

static struct board_task *create(struct board *board, const char *queue, const char *fields)
{
	struct json_object *value = json(fields);
	struct error err = {0};
	struct board_task *task = board_edit_create(board_queue_find(board, queue), value, &err);

	if (task == NULL)
		fail_msg("%s", err.message);
	json_object_put(value);
	return task;
}

static void test_untouched(void **state)
{
	static const char *const texts[] = {"{\"queues\":{}}", "{\"queues\":{\"\":[{\"\":0}]}}",
	    " { \"queues\" : { } } \n", "\xef\xbb\xbf{\"queues\": {\"A\": []}}\r\n",
	    "{\"x\":1,\"x\":2,\"queues\":{\"A\" : [ {\"id\":1} , {\"id\":2 , \"n\":2.50} ] , "
	    "\"B\":[ ]},\"y\":"
	    "[1e400]}",
	    "{\"queues\":{\"A\":[null,3,[],{},{\"id\":1.5},{\"id\":\"a\"},{\"id\":\"a\"}]}}"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct board *board = parse(texts[i]);

		assert_text(board, texts[i]);
		board_free(board);
	}
}

static void test_wrong_shape(void **state)
{
	static const struct {
		const char *text;
		const char *part;
	} cases[] = {
	    {"[]", "column 1: expected '{': the smallest board is"},
	    {"", "line 1, column 1"},
	    {"{}", "no key \"queues\"; the smallest board"},
	    {"{\"queues\":[]}", "column 11"},
	    {"{\"queues\":{\"A\":{}}}", "column 16: expected '['"},
	    {"{\"queues\":{},\n\"queues\":{}}",
		"line 2, column 1: expected the key \"queues\" once"},
	    {"{\"queues\":{\"A\":[{\"id\":1},]}}", "column 26"},
	    {"{\"queues\":{}} x", "column 15"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = {0};

		assert_null(
		    board_parse(xstrdup(cases[i].text), strlen(cases[i].text), "board", &err));
		assert_int_equal(err.code, ERROR_INVALID);
		if (strstr(err.message, cases[i].part) == NULL)
			fail_msg("%s: %s", cases[i].text, err.message);
		error_clear(&err);
	}
}

static void test_ids(void **state)
{
	struct board *board =
	    parse("{\"queues\":{\"A\":[{\"id\":7,\"n\":1},{\"id\":\"\\u0061\"},{\"x\":1},5,"
		  "{\"id\":\"7\",\"n\":2},{\"id\":\"\"},{\"id\":\"a\\u0000b\"}],"
		  "\"B\":[{\"id\":1},{\"id\":null,\"id\":2}]}}");
	struct board_queue *queue = board_queue_find(board, "A");

	(void)state;
	assert_int_equal(board_queue_count(queue), 2);
	assert_memory_equal(board_task_text(board_task_find(board, "7")).data, "{\"id\":7,", 8);
	assert_non_null(board_task_find(board, "a"));
	assert_non_null(board_task_find(board, "2"));
	assert_null(board_task_find(board, ""));
	assert_ptr_equal(board_task_next(board_task_first(queue)), board_task_find(board, "a"));
	assert_null(board_task_next(board_task_find(board, "a")));
	board_free(board);
}

static void test_queue_named_twice(void **state)
{
	const char *text = "{\"queues\":{\"A\":[{\"id\":1}],\"A\":[{\"id\":2}]}}";
	struct board *board = parse(text);

	(void)state;
	assert_null(board_task_find(board, "1"));
	assert_non_null(board_task_find(board, "2"));
	assert_null(board_queue_next(board_queue_first(board)));
	assert_false(board_edit_rename_queue(board_queue_find(board, "A"), "B", NULL));
	assert_text(board, text);
	board_free(board);
}

static void test_task_json(void **state)
{
	struct board *board =
	    parse("{\"queues\":{\"A\":[{\"id\":7,\"name\":5,\"labels\":null,\"comments\":[\"c\"],"
		  "\"x\":{\"y\":[]},\"queue\":\"Z\"}]}}");
	struct json_object *task = board_task_json(board, board_task_find(board, "7"), NULL);
	struct json_object *want =
	    json("{\"id\":\"7\",\"name\":\"5\",\"labels\":[],\"comments\":[\"c\"],\"x\":{"
		 "\"y\":[]},\"queue\":\"A\",\"description\":null,\"assignees\":[],"
		 "\"tasks\":[]}");

	(void)state;
	assert_true(json_object_equal(task, want));
	assert_ptr_equal(task, board_task_json(board, board_task_find(board, "7"), NULL));
	json_object_put(want);
	board_free(board);
}

static void test_move(void **state)
{
	struct board *board =
	    parse("{\"queues\": {\n  \"A\": [\n    {\"id\": 1},\n    {\"id\": 2},\n    "
		  "{\"id\": 3}\n  ],\n  \"B\": []\n}}");

	(void)state;
	board_edit_move(board_task_find(board, "1"), board_queue_find(board, "B"));
	assert_text(board,
	    "{\"queues\": {\n  \"A\": [\n    {\"id\": 2},\n    {\"id\": 3}\n  ],\n  \"B\": [\n    "
	    "{\"id\": 1}\n  ]\n}}");
	board_edit_move(board_task_find(board, "3"), board_queue_find(board, "B"));
	board_edit_move(board_task_find(board, "2"), board_queue_find(board, "B"));
	assert_text(board,
	    "{\"queues\": {\n  \"A\": [],\n  \"B\": [\n    {\"id\": 1},\n    {\"id\": 3},\n    "
	    "{\"id\": 2}\n  ]\n}}");
	assert_int_equal(board_queue_count(board_queue_find(board, "A")), 0);
	assert_int_equal(board_queue_count(board_queue_find(board, "B")), 3);
	board_free(board);
}

static void test_move_compact(void **state)
{
	struct board *board = parse("{\"queues\":{\"A\":[{\"id\":1},{\"id\":2}],\"B\":[]}}");

	(void)state;
	board_edit_move(board_task_find(board, "1"), board_queue_find(board, "B"));
	board_edit_move(board_task_find(board, "2"), board_queue_find(board, "B"));
	assert_text(board, "{\"queues\":{\"A\":[],\"B\":[{\"id\":1},{\"id\":2}]}}");
	board_free(board);
}

static void test_move_first(void **state)
{
	struct board *board = parse("{\"queues\":{\"A\":[{\"id\":1}, {\"id\":2}],\"B\":[ ]}}");

	(void)state;
	board_edit_move(board_task_find(board, "1"), board_queue_find(board, "B"));
	assert_text(board, "{\"queues\":{\"A\":[{\"id\":2}],\"B\":[{\"id\":1}]}}");
	board_free(board);
}

static void test_update_keeps_the_rest(void **state)
{
	struct board *board = parse(
	    "{\"queues\":{\"A\":[{\"id\":1, \"n\":2.50,\"name\" : \"a\", \"labels\":[\"x\"]}]}}");

	(void)state;
	update(board, "1", "{\"name\":\"h\xc3\xa4\\n\",\"labels\":null,\"assignees\":[\"me\"]}");
	assert_text(board, "{\"queues\":{\"A\":[{\"id\":1, \"n\":2.50,\"name\" : \"h\xc3\xa4\\n\", "
			   "\"labels\":[], \"assignees\":[\"me\"]}]}}");
	board_free(board);
}

static void test_update_same_value(void **state)
{
	struct board *board =
	    parse("{\"queues\":{\"A\":[{\"id\":1,\"name\":\"\\u0061\",\"labels\":[ ]}]}}");
	struct json_object *fields = json("{\"name\":\"a\",\"labels\":null,\"description\":null}");
	bool changed = true;

	(void)state;
	assert_true(board_edit_update(board_task_find(board, "1"), fields, &changed, NULL));
	assert_false(changed);
	json_object_put(fields);
	board_free(board);
}

static void assert_refused(const char *task, const char *part)
{
	char *text = xasprintf("{\"queues\":{\"A\":[%s]}}", task);
	struct board *board = parse(text);
	struct json_object *value = json("{\"name\":\"b\"}");
	struct error err = {0};
	bool changed;

	assert_false(board_edit_comment(board_task_find(board, "1"), value, &err));
	assert_int_equal(err.code, ERROR_INVALID);
	assert_non_null(strstr(err.message, part));
	assert_non_null(strstr(err.message, "task 1"));
	error_clear(&err);
	if (strstr(part, "list") == NULL) {
		assert_false(board_edit_update(board_task_find(board, "1"), value, &changed, &err));
		assert_non_null(strstr(err.message, part));
		error_clear(&err);
	}
	assert_text(board, text);
	/* Moving it touches nothing of it. */
	board_edit_move(board_task_find(board, "1"), board_edit_add_queue(board, "B", NULL));
	json_object_put(value);
	board_free(board);
	free(text);
}

static void test_refused(void **state)
{
	(void)state;
	assert_refused("{\"id\":1,\"x\":[{\"a\":1,\"\\u0061\":2}]}", "the key \"a\" stands twice");
	assert_refused("{\"id\":1,\"id\":1}", "the key \"id\" stands twice");
	assert_refused(
	    "{\"id\":1,\"x\":18446744073709551616}", "18446744073709551616 does not fit");
	assert_refused("{\"id\":1,\"\\u0000\":1}", "\\u0000");
	assert_refused("{\"id\":1,\"comments\":\"none\"}", "\"comments\" is no list");
}

static void assert_bad_fields(const char *fields, const char *part)
{
	struct board *board = parse("{\"queues\":{\"A\":[{\"id\":1}]}}");
	struct json_object *value = json(fields);
	struct error err = {0};
	bool changed;

	assert_false(board_edit_update(board_task_find(board, "1"), value, &changed, &err));
	assert_int_equal(err.code, ERROR_INVALID);
	if (strstr(err.message, part) == NULL)
		fail_msg("%s", err.message);
	error_clear(&err);
	json_object_put(value);
	board_free(board);
}

static void test_bad_fields(void **state)
{
	(void)state;
	assert_bad_fields("{\"name\":null}", "\"name\" of a task cannot be null");
	assert_bad_fields("{\"name\":5}", "must be a string");
	assert_bad_fields("{\"labels\":\"a\"}", "must be a list");
	assert_bad_fields("{\"lables\":[]}", "no field \"lables\"");
}

static void test_comments(void **state)
{
	struct board *board = parse("{\"queues\":{\"A\":[{\"id\":1},{\"id\":2,\"comments\":null},{"
				    "\"id\":3,\"comments\":[]},"
				    "{\"id\":4,\"comments\":[\"a\",{\"b\":1}], \"z\":0}]}}");

	(void)state;
	for (const char *id = "1\0002\0003\0004\0"; *id != '\0'; id += 2)
		comment(board, id, "hi");
	assert_text(board,
	    "{\"queues\":{\"A\":[{\"id\":1,\"comments\":[{\"text\":\"hi\"}]},"
	    "{\"id\":2,\"comments\":[{\"text\":\"hi\"}]},{\"id\":3,\"comments\":[{\"text\":\"hi\"}]"
	    "},"
	    "{\"id\":4,\"comments\":[\"a\",{\"b\":1},{\"text\":\"hi\"}], \"z\":0}]}}");
	board_free(board);
}

static void test_layout_indented(void **state)
{
	struct board *board =
	    parse("{\n  \"queues\": {\n    \"A\": [\n      {\n        \"id\": \"9\",\n        "
		  "\"comments\": []\n      }\n    ]\n  }\n}\n");

	(void)state;
	comment(board, "9", "hi");
	assert_non_null(board_edit_add_queue(board, "B", NULL));
	create(board, "B", "{\"name\":\"n\",\"labels\":[\"l\"]}");
	assert_text(board,
	    "{\n  \"queues\": {\n    \"A\": [\n      {\n        \"id\": \"9\",\n        "
	    "\"comments\": "
	    "[\n          {\n            \"text\": \"hi\"\n          }\n        ]\n      }\n    "
	    "],\n"
	    "    \"B\": [\n      {\n        \"id\": \"10\",\n        \"name\": \"n\",\n        "
	    "\"description\": null,\n        \"labels\": [\n          \"l\"\n        ],\n        "
	    "\"assignees\": [],\n        \"comments\": [],\n        \"tasks\": []\n      }\n    ]\n"
	    "  }\n}\n");
	board_free(board);
}

static void test_layout_empty_board(void **state)
{
	struct board *board = parse("{\n  \"queues\": {}\n}\n");

	(void)state;
	assert_non_null(board_edit_add_queue(board, "A", NULL));
	create(board, "A", "{\"name\":\"n\"}");
	assert_text(board,
	    "{\n  \"queues\": {\n    \"A\": [\n      {\"id\": \"1\", \"name\": \"n\", "
	    "\"description\": null, "
	    "\"labels\": [], \"assignees\": [], \"comments\": [], \"tasks\": []}\n    ]\n  }\n}\n");
	board_free(board);
}

static void assert_new_id(const char *tasks, const char *start)
{
	char *text = xasprintf("{\"queues\":{\"A\":[%s]}}", tasks);
	struct board *board = parse(text);
	struct board_task *task = create(board, "A", "{\"name\":\"n\"}");

	assert_memory_equal(board_task_text(task).data, start, strlen(start));
	board_free(board);
	free(text);
}

static void test_new_ids(void **state)
{
	(void)state;
	assert_new_id("", "{\"id\":\"1\"");
	assert_new_id("{\"id\":5},{\"id\":3}", "{\"id\":6,");
	assert_new_id("{\"id\":\"5\"}", "{\"id\":\"6\"");
	assert_new_id("{\"id\":\"T-5\"}", "{\"id\":\"");
	assert_new_id("{\"id\":12345678901234567890}", "{\"id\":\"");
}

static void test_id_floor(void **state)
{
	struct board *board = parse("{\"queues\":{\"A\":[{\"id\":5}]}}");

	(void)state;
	board_set_id_floor(board, 41);
	assert_memory_equal(
	    board_task_text(create(board, "A", "{\"name\":\"n\"}")).data, "{\"id\":42,", 8);
	board_free(board);
}

static void test_insert_taken_id(void **state)
{
	struct board *board = parse("{\"queues\":{\"A\":[{\"id\":5}]}}");
	struct span text = {"{\"id\":5, \"name\":\"x\"}", 20};

	(void)state;
	board_edit_insert(board_queue_find(board, "A"), text);
	assert_text(board, "{\"queues\":{\"A\":[{\"id\":5},{\"id\":6, \"name\":\"x\"}]}}");
	board_free(board);
}

static void test_queues(void **state)
{
	struct board *board = parse("{\"queues\":{\"A\":[{\"id\":1}],\"B\":[]}}");
	struct error err = {0};

	(void)state;
	assert_null(board_edit_add_queue(board, "A", &err));
	assert_int_equal(err.code, ERROR_CONFLICT);
	assert_null(board_edit_add_queue(board, "", &err));
	assert_int_equal(err.code, ERROR_INVALID);
	assert_false(board_edit_remove_queue(board_queue_find(board, "A"), &err));
	assert_int_equal(err.code, ERROR_CONFLICT);
	assert_false(board_edit_rename_queue(board_queue_find(board, "A"), "B", &err));
	assert_int_equal(err.code, ERROR_CONFLICT);
	error_clear(&err);
	board_task_json(board, board_task_find(board, "1"), NULL);
	assert_true(board_edit_rename_queue(board_queue_find(board, "A"), "C\"", NULL));
	assert_string_equal(
	    json_get_string(board_task_json(board, board_task_find(board, "1"), NULL), "queue"),
	    "C\"");
	assert_null(board_queue_find(board, "A"));
	assert_true(board_edit_remove_queue(board_queue_find(board, "B"), NULL));
	assert_text(board, "{\"queues\":{\"C\\\"\":[{\"id\":1}]}}");
	board_edit_move(board_task_find(board, "1"), board_edit_add_queue(board, "D", NULL));
	assert_true(board_edit_remove_queue(board_queue_find(board, "C\""), NULL));
	assert_text(board, "{\"queues\":{\"D\":[{\"id\":1}]}}");
	board_free(board);
}

static void test_hash(void **state)
{
	char data[300];
	struct board_hash a, b;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7);
	for (size_t cut = 0; cut <= sizeof(data); cut++) {
		board_hash_init(&a);
		board_hash_init(&b);
		board_hash_add(&a, data, sizeof(data));
		board_hash_add(&b, data, cut);
		board_hash_add(&b, data + cut, sizeof(data) - cut);
		assert_true(board_digest_equal(board_hash_end(&a), board_hash_end(&b)));
		if (cut < sizeof(data)) {
			data[cut] ^= 1;
			board_hash_init(&b);
			board_hash_add(&b, data, sizeof(data));
			assert_false(board_digest_equal(board_hash_end(&a), board_hash_end(&b)));
			data[cut] ^= 1;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_untouched),
	    cmocka_unit_test(test_wrong_shape),
	    cmocka_unit_test(test_ids),
	    cmocka_unit_test(test_queue_named_twice),
	    cmocka_unit_test(test_task_json),
	    cmocka_unit_test(test_move),
	    cmocka_unit_test(test_move_compact),
	    cmocka_unit_test(test_move_first),
	    cmocka_unit_test(test_update_keeps_the_rest),
	    cmocka_unit_test(test_update_same_value),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_bad_fields),
	    cmocka_unit_test(test_comments),
	    cmocka_unit_test(test_layout_indented),
	    cmocka_unit_test(test_layout_empty_board),
	    cmocka_unit_test(test_new_ids),
	    cmocka_unit_test(test_id_floor),
	    cmocka_unit_test(test_insert_taken_id),
	    cmocka_unit_test(test_queues),
	    cmocka_unit_test(test_hash),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
