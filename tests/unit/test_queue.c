/* What all queue adapters share: deadlines, late answers, cancelled calls, the end. */
#include "check.h"

#include "base/str.h"
#include "queue/queue.h"

#include <string.h>

struct test_queue {
	struct queue base;
	struct queue_call *open; /* submitted, not answered */
	int cancelled;
	bool closed;
	bool *freed;
	bool answers_in_cancel;
};

static struct loop *loop;
static struct test_queue *queue;
static bool queue_freed;

static struct {
	int count;
	enum error_code code;
	double retry_after;
	char *message;
	char *result;
} answer;

static void on_answer(void *arg, struct json_object *result, const struct error *err)
{
	assert_ptr_equal(arg, &answer);
	assert_true(result == NULL || err == NULL);
	answer.count++;
	if (result != NULL)
		answer.result = xstrdup(json_object_get_string(result));
	if (err != NULL) {
		answer.code = err->code;
		answer.retry_after = err->retry_after;
		answer.message = xstrdup(err->message);
	}
}

static void submit(struct queue *base, const struct queue_request *request, struct queue_call *call)
{
	(void)request;
	((struct test_queue *)base)->open = call;
}

static void reply(const char *text)
{
	struct queue_call *call = queue->open;

	queue->open = NULL;
	queue_answer(call, json_object_new_string(text), NULL);
}

static void cancel(struct queue *base, struct queue_call *call)
{
	struct test_queue *self = (struct test_queue *)base;

	assert_ptr_equal(self->open, call);
	self->cancelled++;
	if (self->answers_in_cancel)
		reply("too late");
}

static void close_queue(struct queue *base)
{
	struct test_queue *self = (struct test_queue *)base;
	struct error err = {0};

	self->closed = true;
	if (self->open == NULL)
		return;
	error_set(&err, ERROR_UNAVAILABLE, "closed");
	queue_answer(self->open, NULL, &err);
	error_clear(&err);
}

static void free_queue(struct queue *base)
{
	assert_true(((struct test_queue *)base)->closed);
	queue_freed = true;
	free(base);
}

static const struct queue_vtable vtable = {
    .kind = "test",
    .supported = 1u << QUEUE_CLAIM_TASK,
    .submit = submit,
    .cancel = cancel,
    .free = free_queue,
    .close = close_queue,
};

static int set_up(void **state)
{
	(void)state;
	loop = loop_create();
	queue = xcalloc(1, sizeof(*queue));
	queue_init(&queue->base, &vtable, loop, "test:1");
	queue_freed = false;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (!queue_freed)
		queue_free(&queue->base);
	loop_free(loop);
	free(answer.message);
	free(answer.result);
	memset(&answer, 0, sizeof(answer));
	return 0;
}

static void stop_loop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void serve(double seconds)
{
	struct loop_timer *timer = loop_timer_create(loop, stop_loop, NULL);

	loop_timer_set(timer, seconds);
	loop_run(loop);
	loop_timer_free(timer);
}

static struct queue_call *call(enum queue_op op, double timeout)
{
	return queue_call(&queue->base, &(struct queue_request){.op = op, .task_id = "1"}, timeout,
	    on_answer, &answer);
}

static void test_answer(void **state)
{
	(void)state;
	call(QUEUE_GET_TASK, 10);
	reply("task");
	assert_int_equal(answer.count, 0); /* never inside the adapter's own call */
	serve(0);
	serve(0);
	assert_int_equal(answer.count, 1);
	assert_string_equal(answer.result, "task");
	assert_int_equal(queue->cancelled, 0);
}

/* A result that comes with an error is dropped; what the error says arrives whole. */
static void test_error(void **state)
{
	struct error err = {0};

	(void)state;
	call(QUEUE_GET_TASK, 10);
	error_set(&err, ERROR_RATE_LIMITED, "slowly");
	err.retry_after = 2.5;
	queue_answer(queue->open, json_object_new_string("x"), &err);
	queue->open = NULL;
	error_clear(&err);
	loop_settle(loop);
	assert_int_equal(answer.count, 1);
	assert_null(answer.result);
	assert_int_equal(answer.code, ERROR_RATE_LIMITED);
	assert_true(answer.retry_after == 2.5);
	assert_string_equal(answer.message, "slowly");
}

/* At the deadline the caller hears of it once; the answer that comes later is dropped. */
static void test_deadline(void **state)
{
	(void)state;
	call(QUEUE_GET_TASK, 0.02);
	serve(0.1);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.code, ERROR_TIMEOUT);
	assert_string_equal(
	    answer.message, "get_task of the test queue did not answer within 0.02 s");
	assert_int_equal(queue->cancelled, 1);
	reply("late");
	serve(0.01);
	assert_int_equal(answer.count, 1);
	assert_null(answer.result);
}

static void test_deadline_answered_in_cancel(void **state)
{
	(void)state;
	queue->answers_in_cancel = true;
	call(QUEUE_GET_TASK, 0.01);
	serve(0.05);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.code, ERROR_TIMEOUT);
}

static void reply_now(void *arg)
{
	(void)arg;
	reply("just in time");
}

/* An answer and the deadline in the same turn: the answer is the one that counts. */
static void test_deadline_same_turn(void **state)
{
	struct loop_timer *timer = loop_timer_create(loop, reply_now, NULL);

	(void)state;
	loop_timer_set(timer, 0);
	call(QUEUE_GET_TASK, 0.000001);
	usleep(2000); /* both are due when the loop begins */
	serve(0.02);
	loop_timer_free(timer);
	assert_int_equal(answer.count, 1);
	assert_string_equal(answer.result, "just in time");
	assert_int_equal(queue->cancelled, 0);
}

static void test_cancel(void **state)
{
	struct queue_call *handle = call(QUEUE_GET_TASK, 0.02);

	(void)state;
	queue_cancel(handle);
	assert_int_equal(queue->cancelled, 1);
	serve(0.05); /* its deadline passes without a word */
	reply("unwanted");
	serve(0.01);
	assert_int_equal(answer.count, 0);
	assert_int_equal(queue->cancelled, 1);
}

/* Cancelled between the answer and its delivery. */
static void test_cancel_answered(void **state)
{
	struct queue_call *handle = call(QUEUE_GET_TASK, 10);

	(void)state;
	reply("task");
	queue_cancel(handle);
	assert_int_equal(queue->cancelled, 0);
	loop_settle(loop);
	assert_int_equal(answer.count, 0);
}

static void test_unsupported(void **state)
{
	(void)state;
	assert_true(queue_supports(&queue->base, QUEUE_CLAIM_TASK));
	assert_true(queue_supports(&queue->base, QUEUE_DELETE_QUEUE));
	assert_false(queue_supports(&queue->base, QUEUE_AUTHENTICATED_USER));
	call(QUEUE_AUTHENTICATED_USER, 10);
	assert_null(queue->open);
	assert_int_equal(answer.count, 0);
	loop_settle(loop);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.code, ERROR_UNSUPPORTED);
	assert_string_equal(answer.message, "the test queue has no authenticated_user");
}

/* The end answers what is open, to those who still wait. */
static void test_close(void **state)
{
	(void)state;
	call(QUEUE_GET_TASK, 10);
	queue_free(&queue->base);
	assert_true(queue_freed);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.code, ERROR_UNAVAILABLE);
}

static void count_change(void *arg)
{
	++*(int *)arg;
}

static void test_change(void **state)
{
	int changes = 0;

	(void)state;
	queue_changed(&queue->base); /* nobody listens */
	loop_settle(loop);
	queue_on_change(&queue->base, count_change, &changes);
	queue_changed(&queue->base);
	assert_int_equal(changes, 0);
	loop_settle(loop);
	assert_int_equal(changes, 1);
	queue_changed(&queue->base);
	queue_free(&queue->base); /* tells nobody any more */
	assert_int_equal(changes, 1);
}

static void test_names(void **state)
{
	(void)state;
	for (enum queue_op op = 0; op < QUEUE_OP_COUNT; op++)
		assert_true(strlen(queue_op_name(op)) > 0);
	assert_string_equal(queue_kind(&queue->base), "test");
	assert_string_equal(queue_identity(&queue->base), "test:1");
	assert_null(queue_fault(&queue->base));
}

#define with_queue(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    with_queue(test_answer),
	    with_queue(test_error),
	    with_queue(test_deadline),
	    with_queue(test_deadline_answered_in_cancel),
	    with_queue(test_deadline_same_turn),
	    with_queue(test_cancel),
	    with_queue(test_cancel_answered),
	    with_queue(test_unsupported),
	    with_queue(test_close),
	    with_queue(test_change),
	    with_queue(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
