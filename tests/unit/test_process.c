/* Starting processes and learning of their end. */
#include "check.h"

#include "base/str.h"
#include "loop/loop.h"
#include "loop/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static struct loop *loop;
static struct reaper *reaper;
static char *dir;

/* What a test starts; NULL again once it has ended or was let go. */
static struct process *process;
static struct process *attached;
static struct process *processes[20];

/* What the last end that was told was like, and how many there were. */
static int last_status;
static int ends;
static int wanted; /* the loop stops after so many */

static int set_up(void **state)
{
	if (make_temp_dir(state) != 0)
		return -1;
	dir = *state;
	loop = loop_create();
	reaper = reaper_create(loop);
	last_status = -77;
	ends = 0;
	wanted = 1;
	return 0;
}

static void let_go(struct process **which)
{
	process_free(*which);
	*which = NULL;
}

static int tear_down(void **state)
{
	let_go(&process);
	let_go(&attached);
	for (size_t i = 0; i < sizeof(processes) / sizeof(*processes); i++)
		let_go(&processes[i]);
	reaper_free(reaper);
	loop_free(loop);
	return remove_temp_dir(state);
}

static void give_up(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void run_at_most(double seconds)
{
	struct loop_timer *guard = loop_timer_create(loop, give_up, NULL);

	loop_timer_set(guard, seconds);
	loop_run(loop);
	loop_timer_free(guard);
}

static void on_end(void *arg, int status)
{
	last_status = status;
	let_go(arg);
	if (++ends == wanted)
		loop_stop(loop);
}

static struct process *spawn_shell(
    const char *script, const char *const *envp, struct process **out)
{
	const char *const argv[] = {"/bin/sh", "-c", script, dir, NULL};
	static const char *const none[] = {NULL};
	struct error err = {0};

	*out = process_spawn(reaper, argv, envp == NULL ? none : envp, on_end, out, &err);
	if (*out == NULL)
		fail_msg("%s", err.message);
	return *out;
}

static char *read_back(const char *name)
{
	char *path = fs_join(dir, name);
	struct str text = {0};

	assert_true(fs_read(path, &text, 1 << 16, NULL));
	free(path);
	return str_steal(&text);
}

static void test_exit_status(void **state)
{
	(void)state;
	spawn_shell("exit 3", NULL, &process);
	assert_true(process_pid(process) > 0);
	run_at_most(10);
	assert_int_equal(ends, 1);
	assert_true(WIFEXITED(last_status));
	assert_int_equal(WEXITSTATUS(last_status), 3);
}

static void test_signal(void **state)
{
	(void)state;
	spawn_shell("kill -KILL $$", NULL, &process);
	run_at_most(10);
	assert_int_equal(ends, 1);
	assert_true(WIFSIGNALED(last_status));
	assert_int_equal(WTERMSIG(last_status), SIGKILL);
}

static void test_many(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		spawn_shell("exit 0", NULL, &processes[i]);
	wanted = 20;
	run_at_most(20);
	assert_int_equal(ends, 20);
	for (int i = 0; i < 20; i++)
		assert_null(processes[i]);
}

static void test_environment(void **state)
{
	static const char *const envp[] = {"ONE=1", "TWO=a b", NULL};
	char *text;

	(void)state;
	spawn_shell("tr '\\0' '\\n' < /proc/self/environ > \"$0/env\"", envp, &process);
	run_at_most(10);
	text = read_back("env");
	assert_non_null(strstr(text, "ONE=1\n"));
	assert_non_null(strstr(text, "TWO=a b\n"));
	assert_null(strstr(text, "HOME="));
	free(text);
}

/* A mask out of /proc/PID/status, less 32 and 33: glibc's own, which its posix_spawn() ignores. */
static unsigned long long signals_of(const char *status, const char *name)
{
	const char *found = strstr(status, name);

	assert_non_null(found);
	return strtoull(found + strlen(name), NULL, 16) & ~(3ULL << 31);
}

/* Descriptors, stdin and the signal mask of ours are not the child's. */
static void test_clean_child(void **state)
{
	int leaked = open("/dev/zero", O_RDONLY); /* not close-on-exec */
	sigset_t set, before;
	char *text;

	(void)state;
	assert_true(leaked > 2);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &before);
	signal(SIGUSR2, SIG_IGN);
	spawn_shell("exec > \"$0/out\"; cat; for fd in /proc/self/fd/*; do readlink $fd; done;"
		    " grep -E '^Sig(Blk|Ign)' /proc/self/status",
	    NULL, &process);
	sigprocmask(SIG_SETMASK, &before, NULL);
	signal(SIGUSR2, SIG_DFL);
	run_at_most(10);
	close(leaked);
	text = read_back("out");
	assert_null(strstr(text, "/dev/zero"));
	assert_non_null(strstr(text, "/dev/null"));
	assert_int_equal(signals_of(text, "SigBlk:"), 0);
	assert_int_equal(signals_of(text, "SigIgn:"), 0);
	free(text);
}

static void test_cannot_start(void **state)
{
	const char *const argv[] = {"/none/such", NULL};
	struct error err = {0};

	(void)state;
	assert_null(process_spawn(reaper, argv, argv + 1, on_end, NULL, &err));
	assert_int_equal(err.code, ERROR_UNAVAILABLE);
	assert_string_equal(err.message, "cannot start /none/such: No such file or directory");
	error_clear(&err);
}

static bool is_child(pid_t pid)
{
	siginfo_t info;

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static void run_until_reaped(pid_t pid)
{
	while (is_child(pid))
		run_at_most(0.01);
}

/* A child that nobody watches any more is reaped all the same. */
static void test_free_leaves_it_running(void **state)
{
	pid_t pid;

	(void)state;
	spawn_shell("exec sleep 1000", NULL, &process);
	pid = process_pid(process);
	let_go(&process);
	process_free(NULL);
	assert_int_equal(kill(pid, 0), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	run_until_reaped(pid);
	assert_int_equal(ends, 0);
	spawn_shell("exit 0", NULL, &process);
	run_at_most(10);
	assert_int_equal(ends, 1);
}

/* Orphans fall to us, and are reaped without a word. */
static void test_orphans(void **state)
{
	char *text;
	pid_t pid;

	(void)state;
	spawn_shell("(sleep 0.2; exit 5) & echo $! > \"$0/pid\"", NULL, &process);
	run_at_most(10);
	assert_int_equal(ends, 1);
	text = read_back("pid");
	pid = (pid_t)strtol(text, NULL, 10);
	free(text);
	assert_true(is_child(pid));
	run_until_reaped(pid);
	assert_int_equal(ends, 1);
}

static void test_attach(void **state)
{
	struct error err = {0};
	char *text;
	pid_t pid;

	(void)state;
	/* A grandchild, whose parent has gone. */
	spawn_shell("sleep 1000 & echo $! > \"$0/pid\"", NULL, &process);
	run_at_most(10);
	text = read_back("pid");
	pid = (pid_t)strtol(text, NULL, 10);
	free(text);
	attached = process_attach(reaper, pid, on_end, &attached, &err);
	assert_non_null(attached);
	assert_int_equal(process_pid(attached), pid);
	wanted = 2;
	assert_int_equal(kill(pid, SIGKILL), 0);
	run_at_most(10);
	assert_int_equal(ends, 2);
	assert_int_equal(last_status, -1);
	assert_null(attached);
	run_until_reaped(pid);
	assert_null(process_attach(reaper, pid, on_end, NULL, &err));
	assert_int_equal(err.code, ERROR_NOT_FOUND);
	error_clear(&err);
}

static void test_detach(void **state)
{
	pid_t pid;

	(void)state;
	spawn_shell("exec sleep 1000", NULL, &process);
	pid = process_pid(process);
	attached = process_attach(reaper, pid, on_end, &attached, NULL);
	assert_non_null(attached);
	let_go(&attached);
	assert_int_equal(kill(pid, SIGKILL), 0);
	run_at_most(10);
	assert_int_equal(ends, 1);
	assert_true(WIFSIGNALED(last_status));
}

#define with_reaper(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    with_reaper(test_exit_status),
	    with_reaper(test_signal),
	    with_reaper(test_many),
	    with_reaper(test_environment),
	    with_reaper(test_clean_child),
	    with_reaper(test_cannot_start),
	    with_reaper(test_free_leaves_it_running),
	    with_reaper(test_orphans),
	    with_reaper(test_attach),
	    with_reaper(test_detach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
