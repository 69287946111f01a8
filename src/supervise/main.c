/* athanore-supervise: runs one agent, logs its output, and leaves nothing of it behind. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "supervise/agent.h"
#include "supervise/cgroup.h"
#include "supervise/claim.h"
#include "supervise/eventlog.h"
#include "supervise/report.h"
#include "supervise/run.h"
#include "supervise/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum exit_status { EXIT_DONE = 0, EXIT_USAGE = 2, EXIT_NOT_FIRST = 3, EXIT_BROKEN = 4 };

/* What the steps of main() hand on. */
struct supervisor {
	struct settings settings;
	int64_t started_at;
	int signal_fd;
	struct report *report;
	struct eventlog *log;
	struct cgroup *cgroup;
	struct agent agent;
	struct outcome outcome;
};

static void complain(struct error *err)
{
	fprintf(stderr, "athanore-supervise: %s\n", err->message);
}

/* Nothing that the caller left open goes on; 0, 1 and 2 are never ours to be given out again. */
static bool own_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= 2);
	if (fd == -1)
		return false;
	closefrom(3);
	return true;
}

/* TERM and CHLD come through a descriptor; a terminal, a closed pipe or a full disk kill nobody. */
static bool own_signals(int *signal_fd)
{
	static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGXFSZ, SIGUSR1, SIGUSR2};
	sigset_t mask;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	/* Ignored by the caller, CHLD would take the agent's exit status away. */
	signal(SIGCHLD, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigaddset(&mask, SIGTERM);
	if (sigprocmask(SIG_SETMASK, &mask, NULL) == -1)
		return false;
	*signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	return *signal_fd != -1;
}

static bool own_process(struct supervisor *s, struct error *err)
{
	/* A leader of a process group is refused; then the caller has seen to the session. */
	setsid();
	/* One long line must not make malloc keep what it took for it. */
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	mallopt(M_TRIM_THRESHOLD, 128 * 1024);
	if (!own_descriptors() || !own_signals(&s->signal_fd))
		return error_set_errno(
		    err, ERROR_UNAVAILABLE, errno, "cannot set up the supervisor");
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == -1)
		return error_set_errno(
		    err, ERROR_UNAVAILABLE, errno, "cannot become the reaper of orphans");
	return true;
}

static bool open_run(struct supervisor *s, struct error *err)
{
	char *path = fs_join(s->settings.dir, "events.jsonl");

	s->report = report_reserve(s->settings.dir, err);
	if (s->report != NULL)
		s->log = eventlog_open(path, s->settings.max_log, err);
	free(path);
	return s->log != NULL;
}

static bool start_agent(struct supervisor *s, struct error *err)
{
	struct error ignored = {0};

	s->cgroup = cgroup_create(s->settings.dir);
	if (!agent_spawn(&s->settings, cgroup_fd(s->cgroup), &s->agent, err)) {
		cgroup_remove(s->cgroup);
		return false;
	}
	if (!s->agent.in_cgroup) {
		cgroup_remove(s->cgroup);
		s->cgroup = NULL;
	}
	/* It helps a daemon whose supervisor was killed; the run does without it. */
	if (!claim_complete(
		s->settings.dir, s->started_at, s->agent.pid, cgroup_path(s->cgroup), &ignored))
		complain(&ignored);
	error_clear(&ignored);
	return true;
}

static bool write_report(struct supervisor *s, struct error *err)
{
	s->outcome.started_at = s->started_at;
	s->outcome.ended_at = clock_now_ms();
	if (s->log != NULL) {
		eventlog_finish(s->log);
		eventlog_lost(s->log, &s->outcome.lost, &s->outcome.lost_error);
		s->outcome.log_size = eventlog_size(s->log);
	}
	return report_write(s->report, &s->outcome, err);
}

/* The run could not be set up: exit.json says so if that can still be written. */
static int fail_setup(struct supervisor *s, struct error *err)
{
	struct error second = {0};

	complain(err);
	s->outcome.reason = xstrdup("spawn_failed");
	s->outcome.error = err->message;
	if (s->report == NULL || !write_report(s, &second))
		claim_withdraw(s->settings.dir);
	error_clear(&second);
	return EXIT_BROKEN;
}

static int supervise(struct supervisor *s, struct error *err)
{
	struct error spawn_error = {0};
	int status = EXIT_DONE;

	s->started_at = clock_now_ms();
	if (!claim_take(s->settings.dir, s->started_at, err)) {
		complain(err);
		return err->code == ERROR_CONFLICT ? EXIT_NOT_FIRST : EXIT_BROKEN;
	}
	if (!open_run(s, err))
		return fail_setup(s, err);
	if (start_agent(s, &spawn_error)) {
		run_watch(&s->settings, &s->agent, s->cgroup, s->signal_fd, s->log, &s->outcome);
	} else {
		s->outcome.reason = xstrdup("spawn_failed");
		s->outcome.error = spawn_error.message;
	}
	if (!write_report(s, err)) {
		complain(err);
		status = EXIT_BROKEN;
	}
	error_clear(&spawn_error);
	return status;
}

int main(int argc, char **argv)
{
	struct supervisor s = {0};
	struct error err = {0};
	int status = EXIT_BROKEN;

	switch (settings_parse(&s.settings, argc, argv, &err)) {
	case SETTINGS_HELP:
		fputs(settings_help(), stdout);
		return EXIT_DONE;
	case SETTINGS_VERSION:
		puts("athanore-supervise " ATHANORE_VERSION);
		return EXIT_DONE;
	case SETTINGS_INVALID:
		complain(&err);
		error_clear(&err);
		return EXIT_USAGE;
	case SETTINGS_OK:
		break;
	}
	if (own_process(&s, &err))
		status = supervise(&s, &err);
	else
		complain(&err);
	free(s.outcome.reason);
	eventlog_free(s.log);
	report_free(s.report);
	error_clear(&err);
	return status;
}
