/* Starts the agent. */
#include "supervise/agent.h"

#include "base/alloc.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* How far the child came; what it tells us where it cannot go on. */
enum step { STEP_SETUP, STEP_CWD, STEP_EXEC };

struct failure {
	enum step step;
	int errnum;
};

/* Everything open between us and the child; -1: closed, or not opened yet. */
struct ends {
	int input;
	int output[2];
	int errors[2];
	int status[2];
};

static void close_fd(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

static void close_ends(struct ends *ends)
{
	close_fd(&ends->input);
	for (int i = 0; i < 2; i++) {
		close_fd(&ends->output[i]);
		close_fd(&ends->errors[i]);
		close_fd(&ends->status[i]);
	}
}

static bool open_input(const char *dir, struct ends *ends, struct error *err)
{
	char *path = fs_join(dir, "stdin");
	bool ok = true;

	ends->input = open(path, O_RDONLY | O_CLOEXEC);
	if (ends->input == -1 && errno != ENOENT)
		ok = error_set_errno(err, ERROR_UNAVAILABLE, errno, "cannot open %s", path);
	free(path);
	if (!ok || ends->input != -1)
		return ok;
	ends->input = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return ends->input != -1 ||
	       error_set_errno(err, ERROR_UNAVAILABLE, errno, "cannot open /dev/null");
}

static bool open_ends(const char *dir, struct ends *ends, struct error *err)
{
	*ends = (struct ends){-1, {-1, -1}, {-1, -1}, {-1, -1}};
	if (!open_input(dir, ends, err))
		return false;
	if (pipe2(ends->output, O_CLOEXEC) == -1 || pipe2(ends->errors, O_CLOEXEC) == -1 ||
	    pipe2(ends->status, O_CLOEXEC) == -1)
		return error_set_errno(err, ERROR_UNAVAILABLE, errno, "cannot create a pipe");
	/* Only our ends: each end of a pipe has flags of its own. */
	if (fcntl(ends->output[0], F_SETFL, O_NONBLOCK) == -1 ||
	    fcntl(ends->errors[0], F_SETFL, O_NONBLOCK) == -1)
		return error_set_errno(err, ERROR_UNAVAILABLE, errno, "cannot set up a pipe");
	return true;
}

static void reset_signals(void)
{
	sigset_t none;

	/* It fails for KILL, STOP and those that libc keeps: they are default already. */
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void fail_child(const struct ends *ends, enum step step) __attribute__((noreturn));

static void fail_child(const struct ends *ends, enum step step)
{
	struct failure failure = {step, errno};

	/* Nobody is left to be told where this fails. */
	if (write(ends->status[1], &failure, sizeof(failure)) != sizeof(failure))
		_exit(126);
	_exit(127);
}

static void run_child(const struct settings *settings, const struct ends *ends, pid_t supervisor)
    __attribute__((noreturn));

static void run_child(const struct settings *settings, const struct ends *ends, pid_t supervisor)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1 || setpgid(0, 0) == -1)
		fail_child(ends, STEP_SETUP);
	if (getppid() != supervisor)
		_exit(127); /* it died before the call above */
	reset_signals();
	if (dup2(ends->input, 0) == -1 || dup2(ends->output[1], 1) == -1 ||
	    dup2(ends->errors[1], 2) == -1)
		fail_child(ends, STEP_SETUP);
	if (settings->cwd != NULL && chdir(settings->cwd) == -1)
		fail_child(ends, STEP_CWD);
	execvp(settings->argv[0], settings->argv);
	fail_child(ends, STEP_EXEC);
}

/*
 * A fork; into the cgroup at once, so that there is no moment outside of it,
 * and no wait for the lock that moving a process takes. -1 with errno set on failure.
 */
static pid_t fork_into(int cgroup_fd)
{
	struct clone_args args = {
	    .flags = CLONE_VFORK, /* without CLONE_VM: it only orders who runs first */
	    .exit_signal = SIGCHLD,
	};

	if (cgroup_fd != -1) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (__u64)cgroup_fd;
	}
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static pid_t start_child(
    const struct settings *settings, const struct ends *ends, int cgroup_fd, bool *in_cgroup)
{
	pid_t supervisor = getpid();
	pid_t pid = fork_into(cgroup_fd);

	*in_cgroup = pid != -1 && cgroup_fd != -1;
	if (pid == -1)
		pid = fork();
	if (pid == 0)
		run_child(settings, ends, supervisor);
	return pid;
}

static void explain_exec(const struct settings *settings, int errnum, struct error *err)
{
	const char *command = settings->argv[0];
	bool has_path = strchr(command, '/') != NULL;

	if (errnum == E2BIG)
		error_set(err, ERROR_INVALID,
		    "cannot start %s: its arguments and environment are too long (one argument may "
		    "have 128 KiB); hand the prompt over on stdin or in a file",
		    command);
	else if (errnum == ENOENT && !has_path)
		error_set(err, ERROR_NOT_FOUND,
		    "cannot start %s: no such command in PATH; install it, or name it by its full "
		    "path",
		    command);
	else if (errnum == ENOENT && access(command, F_OK) == 0)
		error_set(err, ERROR_NOT_FOUND,
		    "cannot start %s: the interpreter that it names in its first line is missing",
		    command);
	else if (errnum == EACCES)
		error_set_errno(err, ERROR_FORBIDDEN, errnum,
		    "cannot start %s (is it a file with the x permission?)", command);
	else
		error_set_errno(err, ERROR_NOT_FOUND, errnum, "cannot start %s", command);
}

static void explain(
    const struct settings *settings, const struct failure *failure, struct error *err)
{
	switch (failure->step) {
	case STEP_SETUP:
		error_set_errno(err, ERROR_UNAVAILABLE, failure->errnum,
		    "cannot set up a process for %s", settings->argv[0]);
		return;
	case STEP_CWD:
		error_set_errno(err, ERROR_NOT_FOUND, failure->errnum,
		    "cannot start %s: cannot enter its working directory %s", settings->argv[0],
		    settings->cwd);
		return;
	case STEP_EXEC:
		explain_exec(settings, failure->errnum, err);
		return;
	}
	fatal("agent: unknown step %d", (int)failure->step);
}

/* Waits until the child has become the agent; false with err set where it could not. */
static bool await_exec(
    const struct settings *settings, struct ends *ends, pid_t pid, struct error *err)
{
	struct failure failure;
	ssize_t n;

	close_fd(&ends->status[1]);
	do {
		n = read(ends->status[0], &failure, sizeof(failure));
	} while (n == -1 && errno == EINTR);
	if (n == 0)
		return true;
	waitpid(pid, NULL, 0);
	if (n == sizeof(failure))
		explain(settings, &failure, err);
	else
		error_set(err, ERROR_INTERNAL, "cannot start %s: its process told nonsense",
		    settings->argv[0]);
	return false;
}

bool agent_spawn(
    const struct settings *settings, int cgroup_fd, struct agent *agent, struct error *err)
{
	struct ends ends;
	bool ok = open_ends(settings->dir, &ends, err);

	if (ok) {
		agent->pid = start_child(settings, &ends, cgroup_fd, &agent->in_cgroup);
		ok = agent->pid == -1
			 ? error_set_errno(err, ERROR_UNAVAILABLE, errno,
			       "cannot start %s: no process to be had", settings->argv[0])
			 : await_exec(settings, &ends, agent->pid, err);
	}
	if (ok) {
		agent->out_fd = ends.output[0];
		agent->err_fd = ends.errors[0];
		ends.output[0] = ends.errors[0] = -1;
	}
	close_ends(&ends);
	return ok;
}
