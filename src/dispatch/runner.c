/* A run from its claim to the end of its supervisor. */
#include "dispatch/state.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/str.h"
#include "dispatch/environ.h"
#include "dispatch/lost.h"
#include "dispatch/run_folder.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

/* A supervisor that exits with this has found the run begun by another. */
#define EXIT_ALREADY_STARTED 3

/* Supervisors started for one run before we give up on it. */
#define MAX_SPAWNS 3

static void spawn(struct live *live);
static void probe(struct live *live, run_probe_fn fn);

static const char *cancel_text(enum cancel_reason reason)
{
	switch (reason) {
	case CANCEL_REQUESTED:
		return "cancelled";
	case CANCEL_SHUTDOWN:
		return "shutdown";
	case CANCEL_MOVED:
		return "moved";
	case CANCEL_NONE:
		break;
	}
	fatal("a run is ended for no reason");
}

/* Ends the run without an exit record: reason is one of run_end's. */
static void end_with(struct live *live, const char *reason, const char *error)
{
	struct run_end end = {.exit_code = -1};

	if (live->cancel != CANCEL_NONE)
		reason = cancel_text(live->cancel);
	end.reason = xstrdup(reason);
	end.error = xstrdup(error);
	finish_begin(live, &end);
}

/* ---- the end ---- */

static void kill_leftovers(struct live *live)
{
	size_t alive = lost_kill(live->d->options.reaper, live->run->id, live->cgroup);

	if (alive == 0) {
		live->survivors = 0;
		end_with(live, "lost", NULL);
		return;
	}
	if (live->survivors == 0)
		live_log(live, LOG_WARN,
		    "its supervisor is gone; killing %zu processes that it left", alive);
	live->survivors = alive;
	live_retry(live, 2, kill_leftovers);
	if (live->failures < 20)
		loop_timer_set(live->timer, 0.05);
}

static void on_supervisor_end(void *arg, int status);

/* A daemon that stops waits for agents longer than for what is left to be done after them. */
static void supervisor_gone(struct live *live)
{
	process_free(live->process);
	live->process = NULL;
	dispatcher_check_rest(live->d);
}

static void on_verified(void *arg, struct run_probe *found);

/* Watches the supervisor that holds the lock. It may have ended since we looked, and its pid be
 * somebody else's: we look once more. */
static void attach(struct live *live, pid_t pid)
{
	struct error err = {0};

	process_free(live->process);
	live->process = process_attach(live->d->options.reaper, pid, on_supervisor_end, live, &err);
	if (live->process == NULL) {
		live_log(live, LOG_DEBUG, "%s", err.message);
		error_clear(&err);
		live_retry(live, 1, runner_resume);
		return;
	}
	live->run->pid = pid;
	if (live->run->state == RUN_STARTING)
		live_set_state(live, RUN_RUNNING);
	store_update_run(live->d->store, live->run, NULL, NULL);
	dispatcher_check_rest(live->d); /* an agent at work can be left */
	probe(live, on_verified);
}

/* What a look at the folder says of a run whose supervisor is not ours to watch any more. */
static void on_probed(void *arg, struct run_probe *found)
{
	struct live *live = arg;

	live->folder_busy = false;
	if (live_frozen(live))
		return;
	if (found->held) {
		attach(live, found->pid);
	} else if (found->ended) {
		finish_begin(live, &found->end);
	} else if (found->started) {
		free(live->cgroup);
		live->cgroup = found->cgroup;
		found->cgroup = NULL;
		kill_leftovers(live);
	} else if (live->cancel != CANCEL_NONE) {
		end_with(live, "cancelled", NULL);
	} else if (live->spawns < MAX_SPAWNS) {
		spawn(live);
	} else {
		end_with(
		    live, "spawn_failed", "athanore-supervise ended before it started the agent");
	}
}

static void on_verified(void *arg, struct run_probe *found)
{
	struct live *live = arg;

	live->folder_busy = false;
	if (live_frozen(live))
		return;
	if (found->held && live->process != NULL && found->pid == process_pid(live->process)) {
		live_log(live, LOG_INFO, "agent taken up again");
		if (live->cancel != CANCEL_NONE)
			runner_cancel(live, live->cancel);
		return;
	}
	supervisor_gone(live);
	on_probed(live, found);
}

static void probe(struct live *live, run_probe_fn fn)
{
	char *dir = live_dir(live);

	live->folder_busy = true;
	run_folder_probe(live->d->worker, dir, fn, live);
	free(dir);
}

static void on_supervisor_end(void *arg, int status)
{
	struct live *live = arg;

	supervisor_gone(live);
	if (live->folder_busy)
		return; /* we are looking already */
	if (status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_ALREADY_STARTED)
		live_log(live, LOG_INFO, "another supervisor has the run already");
	else if (status > 0)
		live_log(live, LOG_WARN, "athanore-supervise ended with wait status 0x%x", status);
	probe(live, on_probed);
}

/* ---- the start ---- */

static void add_number(char ***argv, const char *flag, double value)
{
	char *text = xasprintf("%.15g", value);

	*argv = xstrv_add(xstrv_add(*argv, flag), text);
	free(text);
}

static char **supervisor_argv(struct live *live)
{
	struct json_object *options = live->run->options;
	struct json_object *agent = json_get_array(options, "argv");
	const char *cwd = json_get_string(options, "cwd");
	char *dir = live_dir(live);
	char **argv = xstrv_add(NULL, live->d->options.supervisor);

	argv = xstrv_add(xstrv_add(argv, "--dir"), dir);
	add_number(&argv, "--timeout", json_get_double(options, "timeout", 0));
	add_number(&argv, "--stall", json_get_double(options, "stall_timeout", 0));
	add_number(&argv, "--max-log", json_get_double(options, "max_log", 0));
	if (cwd != NULL)
		argv = xstrv_add(xstrv_add(argv, "--cwd"), cwd);
	argv = xstrv_add(argv, "--");
	for (size_t i = 0; i < json_object_array_length(agent); i++)
		argv = xstrv_add(argv, json_object_get_string(json_object_array_get_idx(agent, i)));
	free(dir);
	return argv;
}

static void spawn(struct live *live)
{
	char token[SECRET_SIZE], hash[SECRET_SIZE];
	char **argv = supervisor_argv(live);
	char **env;
	struct error err = {0};

	secret_token(token);
	secret_hash(token, hash);
	free(live->run->token_hash);
	live->run->token_hash = xstrdup(hash);
	env = environ_make(live->run, live->d->options.api_url, token);
	live->spawns++;
	live->process = process_spawn(live->d->options.reaper, (const char *const *)argv,
	    (const char *const *)env, on_supervisor_end, live, &err);
	xstrv_free(argv);
	xstrv_free(env);
	if (live->process == NULL) {
		end_with(live, "spawn_failed", err.message);
		error_clear(&err);
		return;
	}
	live->run->pid = process_pid(live->process);
	if (live->run->started_at == 0)
		live->run->started_at = clock_now_ms();
	live_set_state(live, RUN_RUNNING);
	store_update_run(live->d->store, live->run, NULL, NULL);
	dispatcher_check_rest(live->d); /* an agent at work can be left */
	live_log(live, LOG_INFO, "agent started");
	journal_run(live, "started", NULL);
}

static void on_folder(void *arg, const struct error *err)
{
	struct live *live = arg;

	live->folder_busy = false;
	if (live_frozen(live) || live->committing)
		return; /* the commit has failed: the next one that does not goes on */
	history_tell(live, false);
	if (err != NULL)
		end_with(live, "spawn_failed", err->message);
	else if (live->cancel != CANCEL_NONE)
		end_with(live, "cancelled", NULL);
	else
		spawn(live);
}

static void write_folder(struct live *live)
{
	char *dir = live_dir(live);

	live->folder_busy = true;
	run_folder_write(live->d->worker, dir, live->run, on_folder, live);
	free(dir);
}

/* Completions come in order: the folder's is still to come where the first commit has worked. */
static void on_starting(struct live *live)
{
	live->committing = false;
	if (!live->folder_busy)
		write_folder(live);
}

/* The commit and the folder go to the storage thread together. A folder harms nobody without its
 * commit; the agent waits for both. */
static void begin_start(struct live *live)
{
	live_set_state(live, RUN_STARTING);
	live->committing = true;
	live_commit(live, on_starting);
	write_folder(live);
}

static void on_before(struct live *live, const struct error *err)
{
	if (err != NULL) {
		end_with(live, "spawn_failed", err->message);
	} else if (live->cancel != CANCEL_NONE) {
		end_with(live, "cancelled", NULL);
	} else {
		begin_start(live);
	}
}

void runner_start(struct live *live)
{
	if (live->cancel != CANCEL_NONE)
		end_with(live, "cancelled", NULL);
	else
		hooks_before(live, on_before);
}

/* After a restart: without a trace of a supervisor the folder is written (again), since a power
 * cut may have left it torn, and one is started; the supervisor itself makes sure that the agent is
 * started once. */
static void on_resumed(void *arg, struct run_probe *found)
{
	struct live *live = arg;

	live->folder_busy = false;
	if (live_frozen(live))
		return;
	if (found->started || found->held || found->ended)
		on_probed(live, found);
	else if (live->cancel != CANCEL_NONE)
		end_with(live, "cancelled", NULL);
	else
		write_folder(live);
}

void runner_resume(struct live *live)
{
	probe(live, on_resumed);
}

void runner_cancel(struct live *live, enum cancel_reason reason)
{
	struct error err = {0};
	char *dir;

	live->cancel = reason;
	/* Whatever is under way sees it when it is done; a process that is being verified may not
	 * be who we think it is. */
	if (live->process == NULL || live->folder_busy)
		return;
	dir = live_dir(live);
	if (!run_folder_stop_reason(dir, cancel_text(reason), &err))
		live_log(live, LOG_WARN, "%s", err.message);
	error_clear(&err);
	if (!process_kill(live->process, SIGTERM, &err))
		live_log(live, LOG_DEBUG, "%s", err.message);
	error_clear(&err);
	free(dir);
}
