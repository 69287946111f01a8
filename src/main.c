/* The daemon: the order of its start and of its stop. */
#include "api/server.h"
#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/problems.h"
#include "dispatch/dispatcher.h"
#include "queue/json_file.h"
#include "script/script.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUPERVISOR "athanore-supervise"
#define SIGNAL_COUNT 3

struct daemon {
	struct cli_options options;
	struct script *script;
	const struct config *config;
	char *state_dir;
	int lock_fd;
	char *supervisor;
	struct loop *loop;
	struct worker *worker;
	struct reaper *reaper;
	struct queue *queue;
	struct store *store;
	struct api_server *api;
	char *api_url;
	struct dispatcher *dispatcher;
	struct event *signals[SIGNAL_COUNT];
};

static bool load_script(struct daemon *daemon, struct error *err)
{
	struct script_problems problems = {0};

	daemon->script = script_load(daemon->loop, daemon->options.script, &problems);
	if (daemon->script == NULL) {
		problems_print(&problems);
		script_problems_free(&problems);
		return error_set(err, ERROR_INVALID, "%s was not loaded", daemon->options.script);
	}
	daemon->config = script_config(daemon->script);
	if (daemon->options.log_level >= 0)
		log_set_level((enum log_level)daemon->options.log_level);
	else if (daemon->config->log_level >= 0)
		log_set_level((enum log_level)daemon->config->log_level);
	return true;
}

/* .athanore/NAME beside NAME.lua, unless the script or the command line says otherwise. */
static char *state_dir_path(const struct daemon *daemon)
{
	const char *name = strrchr(daemon->config->script_path, '/') + 1;
	size_t len = strlen(name);

	if (daemon->options.state_dir != NULL)
		return xstrdup(daemon->options.state_dir);
	if (daemon->config->state_dir != NULL)
		return xstrdup(daemon->config->state_dir);
	if (str_ends_with(name, ".lua"))
		len -= strlen(".lua");
	return xasprintf("%s/.athanore/%.*s", daemon->config->script_dir, (int)len, name);
}

/* One daemon a folder; no state in anybody's git. */
static bool take_state_dir(struct daemon *daemon, struct error *err)
{
	char *path = state_dir_path(daemon);
	char *lock, *ignore;
	pid_t holder;
	bool ok = fs_mkdir_p(path, 0700, err);

	daemon->state_dir = ok ? realpath(path, NULL) : NULL;
	free(path);
	if (daemon->state_dir == NULL)
		return ok ? error_set(err, ERROR_UNAVAILABLE, "the state folder is gone") : false;
	lock = fs_join(daemon->state_dir, "lock");
	daemon->lock_fd = fs_lock(lock, &holder, err);
	if (daemon->lock_fd == -1 && err->code == ERROR_CONFLICT)
		error_set(err, ERROR_CONFLICT,
		    "process %ld is running with the state folder %s already; stop it, or use "
		    "another "
		    "--state-dir",
		    (long)holder, daemon->state_dir);
	free(lock);
	if (daemon->lock_fd == -1)
		return false;
	ignore = fs_join(daemon->state_dir, ".gitignore");
	ok = access(ignore, F_OK) == 0 || fs_write_atomic(ignore, "*\n", 2, 0600, false, err);
	free(ignore);
	return ok;
}

/* Beside the binary in the build tree, in libexec where it is installed. */
static bool find_supervisor(struct daemon *daemon, struct error *err)
{
	static const char *const places[] = {SUPERVISOR, "../libexec/athanore/" SUPERVISOR,
	    ATHANORE_LIBEXECDIR "/" SUPERVISOR, NULL};
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *dir;

	self[n > 0 ? n : 0] = '\0';
	dir = fs_dirname(self);
	for (size_t i = 0; places[i] != NULL && daemon->supervisor == NULL; i++) {
		char *path = fs_join(dir, places[i]);

		if (access(path, X_OK) == 0)
			daemon->supervisor = path;
		else
			free(path);
	}
	free(dir);
	if (daemon->supervisor == NULL)
		return error_set(err, ERROR_NOT_FOUND,
		    "%s was found neither beside %s nor in %s; install athanore again", SUPERVISOR,
		    self, ATHANORE_LIBEXECDIR);
	return true;
}

static bool open_queue(struct daemon *daemon, struct error *err)
{
	switch (daemon->config->backend) {
	case BACKEND_JSON_FILE:
		daemon->queue = json_file_open(daemon->loop, daemon->worker,
		    daemon->config->backend_path, daemon->config->backend_user, err);
		return daemon->queue != NULL;
	case BACKEND_LUA:
		daemon->queue = script_queue(daemon->script, err);
		return daemon->queue != NULL;
	case BACKEND_NONE:
		break;
	}
	return error_set(err, ERROR_INVALID, "the script names no queue_backend");
}

static bool open_store(struct daemon *daemon, struct error *err)
{
	daemon->store =
	    store_open(daemon->worker, daemon->state_dir, queue_identity(daemon->queue), err);
	return daemon->store != NULL;
}

/* Where agents find the API: on this machine, so an address that means "all" is loopback. */
static char *make_api_url(const char *host, int port)
{
	if (str_equal(host, "0.0.0.0"))
		host = "127.0.0.1";
	else if (str_equal(host, "::"))
		host = "::1";
	return xasprintf(strchr(host, ':') != NULL ? "http://[%s]:%d" : "http://%s:%d", host, port);
}

/* With port 0 the one of the last time, so that agents that outlived it still find the API. */
static bool listen_api(struct daemon *daemon, struct error *err)
{
	const char *host =
	    daemon->options.host != NULL ? daemon->options.host : daemon->config->api_host;
	int port = daemon->options.port >= 0 ? daemon->options.port : daemon->config->api_port;
	char *last = port == 0 ? store_load_fact(daemon->store, "api_port") : NULL;
	char *text;

	if (last != NULL) {
		daemon->api = api_server_listen(
		    daemon->loop, host, atoi(last), daemon->config->api_token, err);
		if (daemon->api == NULL)
			log_warn("%s; picking another port", err->message);
		free(last);
	}
	if (daemon->api == NULL)
		daemon->api =
		    api_server_listen(daemon->loop, host, port, daemon->config->api_token, err);
	if (daemon->api == NULL)
		return false;
	error_clear(err);
	text = xasprintf("%d", api_server_port(daemon->api));
	store_save_fact(daemon->store, "api_port", text);
	free(text);
	daemon->api_url = make_api_url(host, api_server_port(daemon->api));
	return true;
}

static void on_stopped(void *arg)
{
	struct daemon *daemon = arg;

	loop_stop(daemon->loop);
}

static bool start_dispatcher(struct daemon *daemon, struct error *err)
{
	daemon->dispatcher = dispatcher_create(&(struct dispatcher_options){
	    .loop = daemon->loop,
	    .worker = daemon->worker,
	    .reaper = daemon->reaper,
	    .store = daemon->store,
	    .queue = daemon->queue,
	    .script = daemon->script,
	    .state_dir = daemon->state_dir,
	    .supervisor = daemon->supervisor,
	    .api_url = daemon->api_url,
	    .once = daemon->options.once,
	    .stopped = on_stopped,
	    .arg = daemon,
	});
	if (!dispatcher_start(daemon->dispatcher, err))
		return false;
	api_server_serve(daemon->api, daemon->dispatcher);
	log_with(LOG_INFO, (const char *const[]){"url", daemon->api_url, NULL}, "listening");
	return true;
}

static void on_stop_signal(evutil_socket_t sig, short what, void *arg)
{
	struct daemon *daemon = arg;

	(void)what;
	log_info("caught %s", strsignal((int)sig));
	dispatcher_stop(daemon->dispatcher);
}

static void on_hangup(evutil_socket_t sig, short what, void *arg)
{
	struct daemon *daemon = arg;

	(void)sig;
	(void)what;
	log_warn("caught SIGHUP: a changed %s is loaded at the next start", daemon->options.script);
}

static void handle_signals(struct daemon *daemon)
{
	static const struct {
		int number;
		event_callback_fn fn;
	} table[] = {{SIGINT, on_stop_signal}, {SIGTERM, on_stop_signal}, {SIGHUP, on_hangup}};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < SIGNAL_COUNT; i++) {
		daemon->signals[i] =
		    evsignal_new(loop_base(daemon->loop), table[i].number, table[i].fn, daemon);
		if (daemon->signals[i] == NULL || evsignal_add(daemon->signals[i], NULL) != 0)
			fatal("cannot handle signal %d", table[i].number);
	}
}

static void stop(struct daemon *daemon)
{
	if (daemon->worker != NULL)
		worker_flush(daemon->worker);
	loop_settle(daemon->loop);
	api_server_free(daemon->api);
	dispatcher_free(daemon->dispatcher);
	queue_free(daemon->queue);
	script_unref(daemon->script);
	worker_free(daemon->worker);
	store_free(daemon->store);
	reaper_free(daemon->reaper);
	for (size_t i = 0; i < SIGNAL_COUNT; i++)
		if (daemon->signals[i] != NULL)
			event_free(daemon->signals[i]);
	loop_free(daemon->loop);
	if (daemon->lock_fd != -1)
		close(daemon->lock_fd);
	free(daemon->supervisor);
	free(daemon->state_dir);
	free(daemon->api_url);
	libevent_global_shutdown();
}

int main(int argc, char **argv)
{
	struct daemon daemon = {.lock_fd = -1};
	struct error err = {0};
	int status = EXIT_FAILURE;

	if (!cli_parse(argc, argv, &daemon.options, &status))
		return status;
	if (daemon.options.command != NULL)
		return cli_check(daemon.options.script);

	daemon.loop = loop_create();
	if (load_script(&daemon, &err) && take_state_dir(&daemon, &err) &&
	    find_supervisor(&daemon, &err)) {
		handle_signals(&daemon);
		daemon.reaper = reaper_create(daemon.loop);
		daemon.worker = worker_create(daemon.loop);
		if (open_queue(&daemon, &err) && open_store(&daemon, &err) &&
		    listen_api(&daemon, &err) && start_dispatcher(&daemon, &err)) {
			loop_run(daemon.loop);
			status = dispatcher_failed(daemon.dispatcher) ? EXIT_FAILURE : EXIT_SUCCESS;
			log_info("stopped");
		}
	}
	if (err.code != ERROR_NONE)
		log_error("%s", err.message);
	error_clear(&err);
	stop(&daemon);
	return status;
}
