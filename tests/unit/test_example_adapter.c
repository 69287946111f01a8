/* The queue adapter of examples/custom-adapter works: every operation, on a file of its own. */
#include "script_helper.h"

static void copy_example(const char *name)
{
	char *path = fs_join("examples/custom-adapter", name);
	struct str text = {0};
	struct error err = {0};

	if (!fs_read(path, &text, 1 << 20, &err))
		fail_msg("%s (the tests run in the project's folder)", err.message);
	free(write_file(name, text.data));
	str_free(&text);
	free(path);
}

static void ask(struct queue *queue, const struct queue_request *request, struct answer *answer)
{
	*answer = (struct answer){0};
	queue_call(queue, request, 5, on_result, answer);
	run_until_stopped();
	if (answer->err.code != ERROR_NONE && answer->err.code != ERROR_NOT_FOUND)
		fail_msg("%s", answer->err.message);
}

static void test_example(void **state)
{
	const char *const queues[] = {"Todo", NULL};
	struct script_problems problems = {0};
	struct json_object *fields = parse("{\"name\":\"third\",\"description\":\"a\\nb\"}");
	struct json_object *clear = parse("{\"description\":null}");
	struct error err = {0};
	struct script *script;
	struct queue *queue;
	struct answer answer;
	char *path;

	(void)state;
	copy_example("queue.lua");
	copy_example("tasks.txt");
	copy_example("routes.lua");
	path = fs_join(folder, "routes.lua");
	script = script_load(loop, path, &problems);
	if (script == NULL)
		fail_msg("%d: %s", problems.list[0].line, problems.list[0].message);
	queue = script_queue(script, &err);
	assert_non_null(queue);
	ask(queue, &(struct queue_request){.op = QUEUE_GET_READY_TASKS, .queues = queues}, &answer);
	assert_int_equal(json_object_array_length(answer.result), 2);
	answer_clear(&answer);
	ask(queue,
	    &(struct queue_request){
		.op = QUEUE_MOVE_TASK, .task_id = "1", .target_queue = "In Progress"},
	    &answer);
	answer_clear(&answer);
	ask(queue,
	    &(struct queue_request){
		.op = QUEUE_CREATE_TASK, .queue_name = "Todo", .fields = fields},
	    &answer);
	assert_string_equal(json_get_string(answer.result, "id"), "3");
	answer_clear(&answer);
	ask(queue,
	    &(struct queue_request){.op = QUEUE_UPDATE_TASK, .task_id = "3", .fields = clear},
	    &answer);
	assert_string_equal(json_get_string(answer.result, "description"), "");
	assert_string_equal(json_get_string(answer.result, "name"), "third");
	answer_clear(&answer);
	ask(queue, &(struct queue_request){.op = QUEUE_GET_TASK, .task_id = "99"}, &answer);
	assert_int_equal(answer.err.code, ERROR_NOT_FOUND);
	answer_clear(&answer);
	ask(queue, &(struct queue_request){.op = QUEUE_LIST_QUEUES}, &answer);
	assert_string_equal(json_object_to_json_string_ext(answer.result, JSON_C_TO_STRING_PLAIN),
	    "[{\"name\":\"Todo\",\"task_count\":2},{\"name\":\"In Progress\",\"task_count\":1},"
	    "{\"name\":\"Done\",\"task_count\":0}]");
	answer_clear(&answer);
	queue_free(queue);
	script_unref(script);
	json_object_put(fields);
	json_object_put(clear);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_example, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("example_adapter", tests, NULL, NULL);
}
