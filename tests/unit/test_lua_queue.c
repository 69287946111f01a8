/* Queues written in Lua behind the vtable. */
#include "script_helper.h"

/* An adapter in memory: good enough for every operation. */
#define ADAPTER                                                                                    \
	"local athanore = require 'athanore'\n"                                                    \
	"local cjson = require 'cjson'\n"                                                          \
	"local tasks = { ['1'] = {id = 1, name = 'one', queue = 'A'}, "                            \
	"['2'] = {id = '2', name = 'two', queue = 'B', labels = {'x'}} }\n"                        \
	"adapter = {}\n"                                                                           \
	"function adapter:get_ready_tasks(queues, options)\n"                                      \
	"  local list = {}\n"                                                                      \
	"  for _, id in ipairs {'2', '1'} do for _, q in ipairs(queues) do\n"                      \
	"    if tasks[id] and tasks[id].queue == q then list[#list + 1] = tasks[id] end end end\n" \
	"  last_limit = options.limit\n"                                                           \
	"  return list\n"                                                                          \
	"end\n"                                                                                    \
	"function adapter:get_task(id) athanore.sleep(0) return tasks[id] end\n"                   \
	"function adapter:move_task(id, to) tasks[id].queue = to return true end\n"                \
	"function adapter:add_comment(id, text) return nil, 'no comments: ' .. text end\n"         \
	"function adapter:update_task(id, f)\n"                                                    \
	"  for k, v in pairs(f) do if v == cjson.null then tasks[id][k] = nil else tasks[id][k] "  \
	"= v end end\n"                                                                            \
	"  return tasks[id]\n"                                                                     \
	"end\n"                                                                                    \
	"function adapter:create_task(q, name, description)\n"                                     \
	"  return {id = 3, name = name, description = description} end\n"                          \
	"function adapter:list_queues() return {{name = 'A', task_count = 1}} end\n"               \
	"function adapter:get_queue(name) if name == 'A' then return {name = 'A', task_count = "   \
	"2.0} end end\n"                                                                           \
	"function adapter:create_queue(name) return nil, athanore.error('conflict', 'is there') "  \
	"end\n"                                                                                    \
	"function adapter:update_queue(name, o) return {name = o.new_name, task_count = 0} end\n"  \
	"function adapter:delete_queue(name) error('cannot') end\n"

#define END                                                                                      \
	"local d = athanore.dispatcher { command = 'agent', queue_backend = backend or adapter " \
	"}\n"                                                                                    \
	"d:route { queue_name = 'A', prompt = function() return 'x' end }\n"                     \
	"return d\n"

static struct queue *open_queue(const char *text)
{
	struct script *script = load_ok(text);
	struct error err = {0};
	struct queue *queue = script_queue(script, &err);

	if (queue == NULL)
		fail_msg("%s", err.message);
	script_unref(script);
	return queue;
}

static void ask(struct queue *queue, const struct queue_request *request, struct answer *answer)
{
	*answer = (struct answer){0};
	queue_call(queue, request, 5, on_result, answer);
	assert_false(answer->done);
	run_until_stopped();
	assert_true(answer->done);
}

/* The answer as text; "null" where there is none. */
static void expect(struct queue *queue, const struct queue_request *request, const char *text)
{
	struct answer answer;

	ask(queue, request, &answer);
	if (answer.err.code != ERROR_NONE)
		fail_msg("%s", answer.err.message);
	assert_string_equal(
	    json_object_to_json_string_ext(answer.result, JSON_C_TO_STRING_PLAIN), text);
	answer_clear(&answer);
}

static void expect_failure(struct queue *queue, const struct queue_request *request,
    enum error_code code, const char *message)
{
	struct answer answer;

	ask(queue, request, &answer);
	assert_null(answer.result);
	assert_int_equal(answer.err.code, code);
	assert_starts_with(answer.err.message, message);
	answer_clear(&answer);
}

#define REQUEST(...) (&(struct queue_request){__VA_ARGS__})

static void test_operations(void **state)
{
	struct queue *queue = open_queue(ADAPTER END);
	struct json_object *fields = parse("{\"name\":\"new\",\"labels\":null}");
	struct json_object *created = parse("{\"name\":\"n\",\"description\":\"d\"}");
	struct json_object *renamed = parse("{\"new_name\":\"Z\"}");
	const char *const queues[] = {"A", "B", NULL};
	struct answer answer;

	(void)state;
	assert_string_equal(queue_kind(queue), "lua");
	assert_starts_with(queue_identity(queue), "lua:/");
	assert_false(queue_supports(queue, QUEUE_CLAIM_TASK));
	ask(queue, REQUEST(.op = QUEUE_GET_READY_TASKS, .queues = queues, .limit = 5), &answer);
	assert_int_equal(json_object_array_length(answer.result), 2);
	assert_string_equal(
	    json_get_string(json_object_array_get_idx(answer.result, 0), "queue"), "A");
	assert_true(json_object_is_type(
	    json_object_object_get(json_object_array_get_idx(answer.result, 0), "id"),
	    json_type_string));
	answer_clear(&answer);

	ask(queue, REQUEST(.op = QUEUE_GET_TASK, .task_id = "2"), &answer);
	assert_string_equal(json_get_string(answer.result, "name"), "two");
	assert_int_equal(json_object_array_length(json_get_array(answer.result, "labels")), 1);
	assert_int_equal(json_object_array_length(json_get_array(answer.result, "comments")), 0);
	assert_true(json_object_object_get_ex(answer.result, "description", NULL));
	answer_clear(&answer);

	expect(queue, REQUEST(.op = QUEUE_MOVE_TASK, .task_id = "2", .target_queue = "C"), "null");
	ask(queue, REQUEST(.op = QUEUE_UPDATE_TASK, .task_id = "2", .fields = fields), &answer);
	assert_string_equal(json_get_string(answer.result, "name"), "new");
	assert_string_equal(json_get_string(answer.result, "queue"), "C");
	assert_int_equal(json_object_array_length(json_get_array(answer.result, "labels")), 0);
	answer_clear(&answer);
	ask(queue, REQUEST(.op = QUEUE_CREATE_TASK, .queue_name = "A", .fields = created), &answer);
	assert_string_equal(json_get_string(answer.result, "id"), "3");
	assert_string_equal(json_get_string(answer.result, "queue"), "A");
	assert_string_equal(json_get_string(answer.result, "description"), "d");
	answer_clear(&answer);
	expect(queue, REQUEST(.op = QUEUE_LIST_QUEUES), "[{\"name\":\"A\",\"task_count\":1}]");
	expect(queue, REQUEST(.op = QUEUE_UPDATE_QUEUE, .queue_name = "A", .fields = renamed),
	    "{\"name\":\"Z\",\"task_count\":0}");
	json_object_put(fields);
	json_object_put(created);
	json_object_put(renamed);
	queue_free(queue);
}

static void test_failures(void **state)
{
	struct queue *queue = open_queue(ADAPTER END);

	(void)state;
	expect_failure(queue, REQUEST(.op = QUEUE_GET_TASK, .task_id = "99"), ERROR_NOT_FOUND,
	    "queue adapter 'lua', get_task: task '99' was not found");
	expect_failure(queue, REQUEST(.op = QUEUE_ADD_COMMENT, .task_id = "1", .text = "hello"),
	    ERROR_INTERNAL, "no comments: hello");
	expect_failure(queue, REQUEST(.op = QUEUE_CREATE_QUEUE, .queue_name = "A"), ERROR_CONFLICT,
	    "is there");
	expect_failure(queue, REQUEST(.op = QUEUE_DELETE_QUEUE, .queue_name = "A"), ERROR_INTERNAL,
	    "routes.lua:25: cannot\nstack traceback:");
	expect_failure(queue, REQUEST(.op = QUEUE_GET_QUEUE, .queue_name = "X"), ERROR_NOT_FOUND,
	    "queue adapter 'lua', get_queue: queue 'X' was not found");
	expect_failure(queue,
	    REQUEST(.op = QUEUE_CLAIM_TASK, .task_id = "1", .from_queue = "A", .target_queue = "B"),
	    ERROR_UNSUPPORTED, "the lua queue has no claim_task");
	queue_free(queue);
}

/* What methods may not answer, and how it is said. */
static void test_bad_answers(void **state)
{
	static const struct {
		const char *ready; /* what get_ready_tasks({"A"}) returns */
		const char *message;
	} cases[] = {
	    {"nil", "the result must be a list of tasks, got nil"},
	    {"'x'", "the result must be a list of tasks, got string"},
	    {"{a = 1}", "the result must be a list of tasks, got object"},
	    {"{1}", "task 1 must be a task (a table), got int"},
	    {"{{name = 'x'}}", "task 1.id is missing"},
	    {"{{id = '', name = 'x'}}", "task 1.id is empty"},
	    {"{{id = 'a\\0b', name = 'x'}}", "task 1.id must be a string, got string"},
	    {"{{id = 1.5, name = 'x'}}", "task 1.id must be a string, got double"},
	    {"{{id = 1}}", "task 1.name is missing"},
	    {"{{id = 1, name = {}}}", "task 1.name must be a string, got object"},
	    {"{{id = 1, name = 'x', queue = 'Other'}}",
		"task 1.queue is 'Other', which was not asked for"},
	    {"{{id = 1, name = 'x', labels = 'l'}}", "task 1.labels must be a list, got string"},
	    {"{{id = 1, name = 'x', labels = {1}}}",
		"task 1.labels must be a list of strings, got int"},
	    {"{{id = 1, name = 'x', tasks = {a = 1}}}", "task 1.tasks must be a list, got object"},
	    {"{{id = 1, name = '\\xff'}}", "[1].name: is not valid UTF-8"},
	    {"{{id = 1, name = 'x', f = print}}", "[1].f: is a function, which JSON has not"},
	};
	const char *const queues[] = {"A", NULL};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text =
		    xasprintf(ADAPTER "adapter.name = 'mine'\n"
				      "function adapter:get_ready_tasks() return %s end\n" END,
			cases[i].ready);
		char *message =
		    xasprintf("queue adapter 'mine', get_ready_tasks: %s", cases[i].message);
		struct queue *queue = open_queue(text);

		expect_failure(queue, REQUEST(.op = QUEUE_GET_READY_TASKS, .queues = queues),
		    ERROR_INTERNAL, message);
		queue_free(queue);
		free(text);
		free(message);
	}
}

static void test_empty_and_limited(void **state)
{
	const char *const queues[] = {"A", NULL};
	struct queue *queue =
	    open_queue(ADAPTER "local n = 0 function adapter:get_ready_tasks(q, o) n = n + 1\n"
			       "if n == 1 then return {} end\n"
			       "return {{id = 1, name = 'a'}, {id = 2, name = 'b'}} end\n" END);
	struct answer answer;

	(void)state;
	expect(queue, REQUEST(.op = QUEUE_GET_READY_TASKS, .queues = queues), "[]");
	ask(queue, REQUEST(.op = QUEUE_GET_READY_TASKS, .queues = queues, .limit = 1), &answer);
	assert_int_equal(json_object_array_length(answer.result), 1);
	assert_string_equal(
	    json_get_string(json_object_array_get_idx(answer.result, 0), "queue"), "A");
	answer_clear(&answer);
	queue_free(queue);
}

static void test_optional_operations(void **state)
{
	struct queue *queue = open_queue(ADAPTER
	    "backend = {create_adapter = function(self) adapter.made = self == backend\n"
	    "adapter.identity = function(a) return 'id:' .. tostring(a.made) end\n"
	    "adapter.name = 'named'\n"
	    "function adapter:claim_task(id, from, to) return from == 'A' and to == 'B' end\n"
	    "function adapter:authenticated_user() return 'me' end\n"
	    "return adapter end}\n" END);

	(void)state;
	assert_string_equal(queue_identity(queue), "id:true");
	assert_string_equal(queue_kind(queue), "named");
	assert_true(queue_supports(queue, QUEUE_CLAIM_TASK));
	expect(queue,
	    REQUEST(.op = QUEUE_CLAIM_TASK, .task_id = "1", .from_queue = "A", .target_queue = "B"),
	    "true");
	expect(queue,
	    REQUEST(.op = QUEUE_CLAIM_TASK, .task_id = "1", .from_queue = "X", .target_queue = "B"),
	    "false");
	expect(queue, REQUEST(.op = QUEUE_AUTHENTICATED_USER), "\"me\"");
	queue_free(queue);
}

static void expect_no_queue(const char *create, const char *message)
{
	char *text =
	    xasprintf(ADAPTER "backend = {create_adapter = function() %s end}\n" END, create);
	struct script *script = load_ok(text);
	struct error err = {0};

	assert_null(script_queue(script, &err));
	assert_starts_with(err.message, message);
	error_clear(&err);
	script_unref(script);
	free(text);
}

static void test_create_adapter_fails(void **state)
{
	(void)state;
	expect_no_queue("return nil, 'no token'", "no token");
	expect_no_queue("error('no token')", "routes.lua:26: no token");
	expect_no_queue("adapter.get_task = nil adapter.move_task = 1 return adapter",
	    "the result of create_adapter() lacks the functions get_task, move_task");
	expect_no_queue("return 1", "the result of create_adapter() must be");
	expect_no_queue(
	    "athanore.sleep(1)", "routes.lua:26: athanore.sleep cannot wait while the queue");
	expect_no_queue("while true do end", "routes.lua:26: stopped after");
	expect_no_queue("adapter.identity = 5 return adapter",
	    "identity of the queue adapter must be a string, got number");
}

static void test_deadline_and_cancel(void **state)
{
	struct queue *queue = open_queue(ADAPTER
	    "function adapter:get_task(id) local c <close> = setmetatable({}, {__close = "
	    "function() closed = true end}) athanore.sleep(60) end\n"
	    "function adapter:list_queues() return {{name = tostring(closed), task_count = 0}} "
	    "end\n" END);
	struct answer answer = {0};
	struct queue_call *call;

	(void)state;
	queue_call(queue, REQUEST(.op = QUEUE_GET_TASK, .task_id = "1"), 0.02, on_result, &answer);
	run_until_stopped();
	assert_int_equal(answer.err.code, ERROR_TIMEOUT);
	answer_clear(&answer);
	expect(queue, REQUEST(.op = QUEUE_LIST_QUEUES), "[{\"name\":\"true\",\"task_count\":0}]");
	call =
	    queue_call(queue, REQUEST(.op = QUEUE_GET_TASK, .task_id = "1"), 5, on_result, &answer);
	queue_cancel(call);
	assert_false(answer.done);
	/* A call that is under way when the queue is closed is answered. */
	queue_call(queue, REQUEST(.op = QUEUE_GET_TASK, .task_id = "1"), 5, on_result, &answer);
	queue_free(queue);
	assert_true(answer.done);
	assert_int_equal(answer.err.code, ERROR_UNAVAILABLE);
	answer_clear(&answer);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_operations),
	    TEST(test_failures),
	    TEST(test_bad_answers),
	    TEST(test_empty_and_limited),
	    TEST(test_optional_operations),
	    TEST(test_create_adapter_fails),
	    TEST(test_deadline_and_cancel),
	};

	return cmocka_run_group_tests_name("lua_queue", tests, NULL, NULL);
}
