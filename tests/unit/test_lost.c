/* Killing what a dead supervisor has left behind: real processes, in the ways in which they hide.
 */
#include "check.h"

#include "base/clock.h"
#include "base/str.h"
#include "dispatch/lost.h"
#include "loop/loop.h"
#include "loop/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define RUN_ID "20260101-000000-000-test"

static struct loop *loop;
static struct reaper *reaper;
static char *dir;
static struct process *process; /* one that is watched, as a live supervisor is */

static int set_up(void **state)
{
	if (make_temp_dir(state) != 0)
		return -1;
	dir = *state;
	loop = loop_create();
	reaper = reaper_create(loop);
	return 0;
}

static void reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		continue;
}

static int tear_down(void **state)
{
	if (process != NULL) {
		kill(process_pid(process), SIGKILL);
		waitpid(process_pid(process), NULL, 0);
		process_free(process);
		process = NULL;
	}
	/* What a failed test left has fallen to us. */
	while (lost_kill(reaper, RUN_ID, NULL) > 0)
		reap();
	reap();
	reaper_free(reaper);
	loop_free(loop);
	return remove_temp_dir(state);
}

static void on_end(void *arg, int status)
{
	(void)arg;
	(void)status;
}

/* A shell of which the reaper knows nothing: it becomes a supervisor that is to die. */
static pid_t start_unwatched(const char *script, const char *environment)
{
	const char *const argv[] = {"/bin/sh", "-c", script, dir, NULL};
	const char *const envp[] = {"PATH=/usr/bin:/bin", environment, NULL};
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		/* What a failed test leaves must not hold the test's own output open. */
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		for (int fd = 0; fd < 3; fd++)
			dup2(null, fd);
		execve(argv[0], (char *const *)argv, (char *const *)envp);
		_exit(127);
	}
	return pid;
}

static void start_watched(const char *script, const char *environment)
{
	const char *const argv[] = {"/bin/sh", "-c", script, dir, NULL};
	const char *const envp[] = {"PATH=/usr/bin:/bin", environment, NULL};
	struct error err = {0};

	process = process_spawn(reaper, argv, envp, on_end, NULL, &err);
	if (process == NULL)
		fail_msg("%s", err.message);
}

static double deadline;

static void begin_waiting(void)
{
	deadline = clock_monotonic() + 10;
}

static void wait_a_little(const char *what)
{
	if (clock_monotonic() > deadline)
		fail_msg("it takes too long: %s", what);
	usleep(2000);
}

/* The pid that a script has written to the file, once it is there as a whole. */
static pid_t read_pid(const char *name)
{
	char *path = fs_join(dir, name);
	struct str text = {0};
	pid_t pid;

	begin_waiting();
	while (
	    !fs_read(path, &text, 100, NULL) || text.len == 0 || text.data[text.len - 1] != '\n') {
		str_clear(&text);
		wait_a_little(name);
	}
	pid = (pid_t)strtol(text.data, NULL, 10);
	assert_true(pid > 1);
	str_free(&text);
	free(path);
	return pid;
}

/* 0 where there is none, else the letter of its state: Z is dead, T stopped. */
static char state_of(pid_t pid)
{
	char *path = xasprintf("/proc/%ld/stat", (long)pid);
	struct str text = {0};
	char state = 0;

	if (fs_read(path, &text, 4096, NULL))
		state = strrchr(text.data, ')')[2];
	str_free(&text);
	free(path);
	return state;
}

static bool lives(pid_t pid)
{
	char state = state_of(pid);

	return state != 0 && state != 'Z' && state != 'X';
}

/* A process that was killed is gone a little later. */
static void assert_dies(pid_t pid)
{
	begin_waiting();
	while (lives(pid))
		wait_a_little("the end of a process");
}

static void assert_untouched(pid_t pid)
{
	char state = state_of(pid);

	if (state != 'S' && state != 'R' && state != 'D')
		fail_msg("process %ld is in state %c", (long)pid, state == 0 ? '-' : state);
}

/* As the runner does: until nothing is found. The number of the first round. */
static size_t kill_all(void)
{
	size_t first = lost_kill(reaper, RUN_ID, NULL);

	begin_waiting();
	if (first == 0)
		return 0;
	while (lost_kill(reaper, RUN_ID, NULL) > 0) {
		reap();
		wait_a_little("the end of all processes");
	}
	return first;
}

static void test_nothing_left(void **state)
{
	(void)state;
	start_watched("echo $$ > $0/shell; exec sleep 1000", "OTHER=1");
	read_pid("shell");
	assert_int_equal(lost_kill(reaper, RUN_ID, NULL), 0);
	assert_untouched(process_pid(process));
}

/* Whoever's child it is: the marker in its environment tells. */
static void test_marker(void **state)
{
	pid_t marked;

	(void)state;
	start_watched(
	    "ATHANORE_RUN_ID=" RUN_ID " setsid sleep 1000 & echo $! > $0/marked; wait", "OTHER=1");
	marked = read_pid("marked");
	/* Until the shell's child has become sleep, its environment is the shell's. */
	begin_waiting();
	while (kill_all() == 0)
		wait_a_little("a process with the marker");
	assert_dies(marked);
	assert_true(reaper_knows(reaper, process_pid(process)));
}

/* Other runs, and what merely looks alike, are not touched. */
static void test_other_markers(void **state)
{
	static const char *const environments[] = {"ATHANORE_RUN_ID=" RUN_ID "2",
	    "ATHANORE_RUN_ID=20260101-000000-000-tes",
	    "ATHANORE_RUN_ID=", "X_ATHANORE_RUN_ID=" RUN_ID, "X=ATHANORE_RUN_ID=" RUN_ID,
	    "athanore_run_id=" RUN_ID};

	(void)state;
	for (size_t i = 0; i < sizeof(environments) / sizeof(*environments); i++) {
		char *script = xasprintf(
		    "sleep 1000 & echo $! > $0/sleep%zu; echo $$ > $0/shell%zu; wait", i, i);
		char *name = xasprintf("sleep%zu", i);
		pid_t pid;

		start_watched(script, environments[i]);
		pid = read_pid(name);
		assert_int_equal(lost_kill(reaper, RUN_ID, NULL), 0);
		assert_untouched(pid);
		assert_untouched(process_pid(process));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(process_pid(process), NULL, 0), process_pid(process));
		process_free(process);
		process = NULL;
		free(script);
		free(name);
	}
}

/* A child with a scrubbed environment goes with its parent. */
static void test_descendants(void **state)
{
	pid_t pids[3];

	(void)state;
	start_watched("ATHANORE_RUN_ID=" RUN_ID " sh -c 'echo $$ > $0/parent; env -i /bin/sh -c "
		      "\"/bin/sleep 1000 & echo \\$! > $0/grandchild; wait\" & "
		      "echo $! > $0/child; wait' $0 & wait",
	    "OTHER=1");
	pids[0] = read_pid("parent");
	pids[1] = read_pid("child");
	pids[2] = read_pid("grandchild");
	assert_int_equal(kill_all(), 3);
	for (int i = 0; i < 3; i++)
		assert_dies(pids[i]);
}

/* Double fork, own session, scrubbed environment, and its supervisor was killed: it fell to us. */
static void test_escaped(void **state)
{
	pid_t supervisor, escaped;

	(void)state;
	supervisor = start_unwatched("( setsid env -i /bin/sh -c 'echo $$ > '$0'/escaped; "
				     "exec /bin/sleep 1000' & ) ; kill -KILL $$",
	    "ATHANORE_RUN_ID=" RUN_ID);
	assert_int_equal(waitpid(supervisor, NULL, 0), supervisor);
	start_watched("echo $$ > $0/shell; exec sleep 1000", "ATHANORE_RUN_ID=of another run");
	read_pid("shell");
	escaped = read_pid("escaped");
	assert_untouched(escaped);
	assert_int_equal(kill_all(), 1);
	assert_dies(escaped);
	assert_untouched(process_pid(process));
}

/* Names hold what they like; /proc is read right all the same. */
static void test_odd_names(void **state)
{
	pid_t pid;

	(void)state;
	start_watched("cp /bin/sleep \"$0/a) Z 1 (b\"; ATHANORE_RUN_ID=" RUN_ID
		      " \"$0/a) Z 1 (b\" 1000 & echo $! > $0/odd; wait",
	    "OTHER=1");
	pid = read_pid("odd");
	begin_waiting();
	while (kill_all() == 0)
		wait_a_little("a process with an odd name");
	assert_dies(pid);
}

/* Each starts its successor and ends, so that no list of them is ever up to date. */
static void test_relay(void **state)
{
	static const char runner[] = "#!/bin/sh\necho x >> \"$1/laps\"\nsleep 0.02\n"
				     "setsid env -i PATH=/usr/bin:/bin sh \"$0\" \"$1\" &\n";
	char *path = fs_join(dir, "runner");
	char *laps = fs_join(dir, "laps");
	struct str before = {0}, after = {0};
	pid_t supervisor;
	int quiet = 0;

	(void)state;
	assert_true(fs_write_atomic(path, runner, sizeof(runner) - 1, 0700, false, NULL));
	supervisor = start_unwatched("sh $0/runner $0", "ATHANORE_RUN_ID=" RUN_ID);
	assert_int_equal(waitpid(supervisor, NULL, 0), supervisor);
	begin_waiting();
	while (quiet < 5) {
		quiet = lost_kill(reaper, RUN_ID, NULL) == 0 ? quiet + 1 : 0;
		reap();
		wait_a_little("the end of the relay");
	}
	assert_true(fs_read(laps, &before, 1 << 20, NULL));
	usleep(100000); /* five laps, were there a runner left */
	assert_true(fs_read(laps, &after, 1 << 20, NULL));
	assert_int_equal(before.len, after.len);
	str_free(&before);
	str_free(&after);
	free(path);
	free(laps);
}

/* ---- as another process: what is told by the exit status ---- */

/* A daemon that was started by the agent of a run that is lost: it spares itself and its own. */
static int inside_the_run(void)
{
	char *survived = fs_join(dir, "survived");
	pid_t child;

	loop = loop_create();
	reaper = reaper_create(loop);
	start_watched("echo $$ > $0/inner; exec sleep 1000", "ATHANORE_RUN_ID=of another run");
	child = read_pid("inner");
	for (int i = 0; i < 5; i++)
		lost_kill(reaper, RUN_ID, NULL);
	if (!lives(child) || state_of(child) == 'T')
		return 1;
	kill(child, SIGKILL);
	/* The shell that started us is of the run, and is gone. */
	begin_waiting();
	while (getppid() == (pid_t)strtol(getenv("SHELL_PID"), NULL, 10))
		wait_a_little("the end of the shell");
	return close(creat(survived, 0600));
}

static void test_daemon_inside_the_run(void **state)
{
	char *script = xasprintf("echo $$ > $0/shell; export SHELL_PID=$$; "
				 "/proc/%ld/exe inside $0; exit 1",
	    (long)getpid());
	char *survived = fs_join(dir, "survived");
	pid_t shell = start_unwatched(script, "ATHANORE_RUN_ID=" RUN_ID);
	int status;

	(void)state;
	/* The shell is of the run, and what it started kills it. */
	begin_waiting();
	while (waitpid(shell, &status, WNOHANG) == 0)
		wait_a_little("a daemon to kill the shell that started it");
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	begin_waiting();
	while (access(survived, F_OK) != 0)
		wait_a_little("a daemon to spare itself");
	free(survived);
	free(script);
}

/* What we may not kill is not dead: it is counted as long as it lives. */
static int without_permission(void)
{
	pid_t child;

	loop = loop_create();
	reaper = reaper_create(loop);
	child = start_unwatched("echo $$ > $0/root; exec sleep 1000", "OTHER=1");
	read_pid("root");
	if (setresuid(65534, 65534, 65534) == -1)
		return 2;
	if (lost_kill(reaper, RUN_ID, NULL) != 1 || lost_kill(reaper, RUN_ID, NULL) != 1)
		return 3;
	return lives(child) ? 0 : 4;
}

static void test_without_permission(void **state)
{
	const char *const argv[] = {"/proc/self/exe", "unprivileged", dir, NULL};
	pid_t pid, child;
	int status;

	(void)state;
	if (geteuid() != 0)
		skip();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	child = read_pid("root");
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(status, 0);
}

#define with_reaper(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
	    with_reaper(test_nothing_left),
	    with_reaper(test_marker),
	    with_reaper(test_other_markers),
	    with_reaper(test_descendants),
	    with_reaper(test_escaped),
	    with_reaper(test_odd_names),
	    with_reaper(test_relay),
	    with_reaper(test_daemon_inside_the_run),
	    with_reaper(test_without_permission),
	};

	if (argc == 3) {
		dir = argv[2];
		/* Nothing is freed, and nobody looks for it. */
		_exit(strcmp(argv[1], "inside") == 0 ? inside_the_run() : without_permission());
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
