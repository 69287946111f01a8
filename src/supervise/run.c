/* The life of a run: from the agent's start until no process of it is left. */
#include "supervise/run.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "supervise/output.h"
#include "supervise/stop.h"
#include "supervise/tree.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* A pipe that somebody outside of the tree holds open is left after this. */
#define DRAIN_SECONDS 1.0
/* Between two attempts to kill all, growing from the first to the second. */
#define KILL_PAUSE_MIN 0.01
#define KILL_PAUSE_MAX 0.25

enum phase {
	RUNNING,     /* the agent runs */
	TERMINATING, /* the tree was sent TERM */
	KILLING,     /* the tree is being killed */
	DRAINING,    /* no process is left; the pipes are read to their end */
	DONE,
};

/*
 * All deadlines are times of clock_monotonic(), which stands still while the
 * machine sleeps: a timeout counts the time in which the agent could work, and
 * a laptop that was closed for a night finds its agents alive.
 */
struct run {
	const struct settings *settings;
	struct outcome *outcome;
	struct cgroup *cgroup;
	pid_t pid;
	int signal_fd;
	struct output *out;
	struct output *err;
	enum phase phase;
	double started;
	double last_output;
	double deadline; /* when the phase ends by itself; INFINITY in RUNNING */
	double next_kill;
	double kill_pause;
	bool stop_wanted;   /* TERM has come */
	bool children_left; /* as of the last look */
};

static double earlier(double a, double b)
{
	return a < b ? a : b;
}

static void enter_phase(struct run *run, enum phase phase, double now)
{
	run->phase = phase;
	switch (phase) {
	case TERMINATING:
		tree_signal(SIGTERM);
		run->deadline = now + run->settings->grace;
		return;
	case KILLING:
		run->deadline = now + run->settings->give_up;
		run->next_kill = now;
		run->kill_pause = KILL_PAUSE_MIN;
		return;
	case DRAINING:
		cgroup_remove(run->cgroup);
		run->cgroup = NULL;
		run->deadline = clock_monotonic() + DRAIN_SECONDS;
		return;
	case DONE:
		return;
	case RUNNING:
		break;
	}
	fatal("run: no way into phase %d", (int)phase);
}

/* Reaps what has died; orphans of the tree fall to us too. */
static void reap(struct run *run)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
		if (pid != run->pid)
			continue;
		run->outcome->exited = true;
		run->outcome->wait_status = status;
	}
	run->children_left = pid == 0;
}

static char *stop_reason_of(const struct run *run)
{
	char *path = fs_join(run->settings->dir, "stop.json");
	char *reason = stop_reason(path);

	free(path);
	return reason != NULL ? reason : xstrdup("cancelled");
}

/* Why the running agent has to be ended now (to be freed), or NULL. */
static char *reason_to_end(const struct run *run, double now)
{
	const struct settings *settings = run->settings;

	if (run->stop_wanted)
		return stop_reason_of(run);
	if (settings->timeout > 0 && now >= run->started + settings->timeout)
		return xstrdup("timeout");
	if (settings->stall > 0 && now >= run->last_output + settings->stall)
		return xstrdup("stalled");
	return NULL;
}

static void advance_running(struct run *run, double now)
{
	char *reason;

	/* First, so that an agent that ended by itself is never called timed out. */
	if (run->outcome->exited || !run->children_left) {
		enter_phase(run, run->children_left ? TERMINATING : DRAINING, now);
		return;
	}
	reason = reason_to_end(run, now);
	if (reason != NULL) {
		free(run->outcome->reason);
		run->outcome->reason = reason;
		enter_phase(run, TERMINATING, now);
	}
}

static void kill_all(struct run *run, double now)
{
	if (now < run->next_kill)
		return;
	cgroup_kill(run->cgroup);
	/* It is enough, most times: the walk is for what left the cgroup. */
	if (run->cgroup == NULL || run->kill_pause > KILL_PAUSE_MIN)
		tree_kill();
	run->next_kill = clock_monotonic() + run->kill_pause;
	run->kill_pause = earlier(run->kill_pause * 1.5, KILL_PAUSE_MAX);
}

static void advance_killing(struct run *run, double now)
{
	struct outcome *outcome = run->outcome;

	if (!run->children_left) {
		enter_phase(run, DRAINING, now);
	} else if (now >= run->deadline) {
		outcome->survivor_count = tree_list(outcome->survivors, REPORT_MAX_SURVIVORS);
		enter_phase(run, DRAINING, now);
	} else {
		kill_all(run, now);
	}
}

static void advance(struct run *run, double now)
{
	switch (run->phase) {
	case RUNNING:
		advance_running(run, now);
		return;
	case TERMINATING:
		if (!run->children_left)
			enter_phase(run, DRAINING, now);
		else if (now >= run->deadline)
			enter_phase(run, KILLING, now);
		return;
	case KILLING:
		advance_killing(run, now);
		return;
	case DRAINING:
		if ((output_fd(run->out) == -1 && output_fd(run->err) == -1) ||
		    now >= run->deadline)
			enter_phase(run, DONE, now);
		return;
	case DONE:
		break;
	}
	fatal("run: nothing comes after phase %d", (int)run->phase);
}

static double next_deadline(const struct run *run)
{
	const struct settings *settings = run->settings;
	double next = run->deadline;

	if (run->phase == RUNNING && settings->timeout > 0)
		next = earlier(next, run->started + settings->timeout);
	if (run->phase == RUNNING && settings->stall > 0)
		next = earlier(next, run->last_output + settings->stall);
	if (run->phase == KILLING)
		next = earlier(next, run->next_kill);
	return next;
}

/* For poll(): rounded up, so as not to wake a moment too early and spin. */
static int poll_timeout(const struct run *run)
{
	double seconds = next_deadline(run) - clock_monotonic();

	if (!isfinite(seconds))
		return -1;
	if (seconds <= 0)
		return 0;
	return seconds > 3600 ? 3600 * 1000 : (int)(seconds * 1000) + 1;
}

static void read_signals(struct run *run)
{
	struct signalfd_siginfo info;

	while (read(run->signal_fd, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo == SIGTERM)
			run->stop_wanted = true;
}

static void read_outputs(struct run *run, const struct pollfd *out, const struct pollfd *err)
{
	bool any = false;

	if (out->revents != 0)
		any = output_read(run->out);
	if (err->revents != 0)
		any = output_read(run->err) || any;
	if (any)
		run->last_output = clock_monotonic();
}

static void turn(struct run *run)
{
	struct pollfd fds[3] = {
	    {.fd = run->signal_fd, .events = POLLIN},
	    {.fd = output_fd(run->out), .events = POLLIN},
	    {.fd = output_fd(run->err), .events = POLLIN},
	};
	enum phase before;

	if (poll(fds, 3, poll_timeout(run)) == -1) {
		if (errno != EINTR && errno != EAGAIN && errno != ENOMEM)
			fatal("poll: %s", strerror(errno));
		return;
	}
	if (fds[0].revents != 0)
		read_signals(run);
	read_outputs(run, &fds[1], &fds[2]);
	reap(run);
	do {
		before = run->phase;
		advance(run, clock_monotonic());
	} while (run->phase != before && run->phase != DONE);
}

void run_watch(const struct settings *settings, const struct agent *agent, struct cgroup *cgroup,
    int signal_fd, struct eventlog *log, struct outcome *outcome)
{
	double now = clock_monotonic();
	struct run run = {
	    .settings = settings,
	    .outcome = outcome,
	    .cgroup = cgroup,
	    .pid = agent->pid,
	    .signal_fd = signal_fd,
	    .out = output_create(agent->out_fd, "stdout", log),
	    .err = output_create(agent->err_fd, "stderr", log),
	    .phase = RUNNING,
	    .started = now,
	    .last_output = now,
	    .deadline = INFINITY,
	};

	outcome->reason = xstrdup("exit");
	while (run.phase != DONE)
		turn(&run);
	output_free(run.out);
	output_free(run.err);
	getrusage(RUSAGE_CHILDREN, &outcome->usage);
}
