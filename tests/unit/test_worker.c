/* The storage thread: order, groups, completions. */
#include "check.h"

#include "base/str.h"
#include "loop/loop.h"
#include "loop/worker.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>

static struct loop *loop;
static struct worker *worker;
static pthread_t loop_thread;

/* What happened, in order; written by both threads. */
static pthread_mutex_t trace_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct str trace;

/* Holds the storage thread so that jobs pile up behind the first. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static sem_t at_gate;

static int set_up(void **state)
{
	(void)state;
	sem_init(&at_gate, 0, 0);
	loop = loop_create();
	worker = worker_create(loop);
	loop_thread = pthread_self();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	worker_free(worker);
	loop_free(loop);
	str_free(&trace);
	return 0;
}

static void note(const char *text)
{
	pthread_mutex_lock(&trace_mutex);
	str_puts(&trace, text);
	pthread_mutex_unlock(&trace_mutex);
}

static void assert_trace(const char *wanted)
{
	assert_string_equal(trace.data == NULL ? "" : trace.data, wanted);
}

static atomic_int wrong_thread;

static void run(void *arg)
{
	wrong_thread += pthread_equal(pthread_self(), loop_thread) != 0;
	note(arg);
}

static void done(void *arg)
{
	char text[3] = {'+', *(const char *)arg, '\0'};

	wrong_thread += pthread_equal(pthread_self(), loop_thread) == 0;
	note(text);
}

static void done_and_stop(void *arg)
{
	done(arg);
	loop_stop(loop);
}

static void begin(void *arg)
{
	wrong_thread += pthread_equal(pthread_self(), loop_thread) != 0;
	note(arg);
	note("[");
}

static void end(void *arg)
{
	(void)arg;
	wrong_thread += pthread_equal(pthread_self(), loop_thread) != 0;
	note("]");
}

static const struct worker_group group_a = {.begin = begin, .end = end, .arg = "A"};
static const struct worker_group group_b = {.begin = begin, .end = end, .arg = "B"};

static void submit(const char *name, const struct worker_group *group)
{
	struct worker_job job = {.run = run, .done = done, .arg = (void *)name, .group = group};

	worker_submit(worker, &job);
}

static void wait_at_gate(void *arg)
{
	(void)arg;
	sem_post(&at_gate);
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
}

/* Until open_gate() nothing that is submitted runs. */
static void close_gate(void)
{
	struct worker_job job = {.run = wait_at_gate};

	pthread_mutex_lock(&gate);
	worker_submit(worker, &job);
	while (sem_wait(&at_gate) == -1)
		continue;
}

static void open_gate(void)
{
	pthread_mutex_unlock(&gate);
}

static void test_order(void **state)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "f"};

	(void)state;
	close_gate();
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		submit(names[i], NULL);
	open_gate();
	worker_flush(worker);
	assert_trace("abcdef+a+b+c+d+e+f");
	assert_int_equal(wrong_thread, 0);
}

static void test_groups(void **state)
{
	(void)state;
	close_gate();
	submit("1", &group_a);
	submit("2", &group_a);
	submit("3", &group_b);
	submit("4", NULL);
	submit("5", NULL);
	submit("6", &group_a);
	submit("7", &group_a);
	open_gate();
	worker_flush(worker);
	assert_trace("A[12]B[345]A[67]+1+2+3+4+5+6+7");
	assert_int_equal(wrong_thread, 0);
}

/* No completion before the commit that it speaks of. */
static void test_completion_after_end(void **state)
{
	(void)state;
	close_gate();
	submit("1", &group_a);
	submit("2", &group_a);
	open_gate();
	worker_flush(worker);
	assert_trace("A[12]+1+2");
}

static void test_flush_of_nothing(void **state)
{
	(void)state;
	worker_flush(worker);
	worker_flush(worker);
	assert_trace("");
	worker_free(NULL);
}

static void test_job_without_completion(void **state)
{
	struct worker_job job = {.run = run, .arg = "x"};

	(void)state;
	worker_submit(worker, &job);
	worker_flush(worker);
	assert_trace("x");
}

static void test_completion_from_the_loop(void **state)
{
	struct worker_job job = {.run = run, .done = done_and_stop, .arg = "x"};

	(void)state;
	worker_submit(worker, &job);
	loop_run(loop);
	assert_trace("x+x");
	worker_submit(worker, &job);
	loop_run(loop);
	assert_trace("x+xx+x");
	assert_int_equal(wrong_thread, 0);
}

static void done_submits(void *arg)
{
	done(arg);
	submit("n", NULL);
}

/* Free goes on until nothing is left: what completions submit is done too. */
static void test_free_finishes(void **state)
{
	struct worker_job job = {.run = run, .done = done_submits, .arg = "1"};

	(void)state;
	close_gate();
	submit("0", &group_a);
	worker_submit(worker, &job);
	open_gate();
	worker_free(worker);
	worker = NULL;
	assert_trace("A[01]+0+1n+n");
}

static void done_flushes(void *arg)
{
	done(arg);
	submit("n", NULL);
	worker_flush(worker);
	note("!");
}

/* A flush out of a completion keeps the order, and calls all that it promises to. */
static void test_flush_in_a_completion(void **state)
{
	struct worker_job job = {.run = run, .done = done_flushes, .arg = "1"};

	(void)state;
	close_gate();
	worker_submit(worker, &job);
	submit("2", NULL);
	submit("3", NULL);
	open_gate();
	worker_flush(worker);
	assert_trace("123+1n+2+3+n!");
}

struct sum {
	int jobs;
	int completions;
};

static void add_job(void *arg)
{
	((struct sum *)arg)->jobs++;
}

static void add_completion(void *arg)
{
	((struct sum *)arg)->completions++;
}

static void test_many(void **state)
{
	struct sum sum = {0};
	struct worker_job job = {.run = add_job, .done = add_completion, .arg = &sum};

	(void)state;
	for (int i = 0; i < 20000; i++) {
		worker_submit(worker, &job);
		if (i % 1000 == 0)
			worker_flush(worker);
	}
	worker_flush(worker);
	assert_int_equal(sum.jobs, 20000);
	assert_int_equal(sum.completions, 20000);
}

static void look_at_signals(void *arg)
{
	pthread_sigmask(SIG_SETMASK, NULL, arg);
}

/* The loop's signals are not delivered to the storage thread. */
static void test_signals_are_blocked(void **state)
{
	sigset_t there, here;
	struct worker_job job = {.run = look_at_signals, .arg = &there};

	(void)state;
	sigemptyset(&there);
	worker_submit(worker, &job);
	worker_flush(worker);
	assert_true(sigismember(&there, SIGTERM) && sigismember(&there, SIGCHLD));
	pthread_sigmask(SIG_SETMASK, NULL, &here);
	assert_false(sigismember(&here, SIGTERM));
}

#define with_worker(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    with_worker(test_order),
	    with_worker(test_groups),
	    with_worker(test_completion_after_end),
	    with_worker(test_flush_of_nothing),
	    with_worker(test_job_without_completion),
	    with_worker(test_completion_from_the_loop),
	    with_worker(test_free_finishes),
	    with_worker(test_flush_in_a_completion),
	    with_worker(test_many),
	    with_worker(test_signals_are_blocked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
