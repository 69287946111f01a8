/* Which options scripts have, as tables. */
#include "script/options.h"

#include <limits.h>

#define IN_CONFIG(member) offsetof(struct config, member)
#define IN_ROUTE(member) offsetof(struct route, member)
#define IN_RUN(member) offsetof(struct run_settings, member)

/* A year: longer waits are mistakes. */
#define LONG_TIME (366.0 * 86400)
#define MANY 1000000

/* In the order of enum shutdown_mode, and of enum log_level. */
static const char *const shutdown_modes[] = {"cancel", "detach", "drain", NULL};
static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};

const struct option dispatcher_options[] = {
    {"command", OPTION_COMMAND, 0, IN_CONFIG(command), 0, 0, NULL, NULL},
    {"poll_interval", OPTION_SECONDS, OPTION_POSITIVE, IN_CONFIG(poll_interval), 0, LONG_TIME, NULL,
	NULL},
    {"agent_timeout", OPTION_SECONDS, OPTION_OFF, IN_CONFIG(agent_timeout), 0, LONG_TIME, NULL,
	NULL},
    {"max_concurrent_agents", OPTION_WHOLE, 0, IN_CONFIG(max_concurrent_agents), 1, MANY, NULL,
	NULL},
    {"api_host", OPTION_TEXT, 0, IN_CONFIG(api_host), 0, 0, NULL, NULL},
    {"api_port", OPTION_WHOLE, 0, IN_CONFIG(api_port), 0, 65535, NULL, NULL},
    {"api_token", OPTION_TEXT, OPTION_OFF, IN_CONFIG(api_token), 0, 0, NULL, NULL},
    {"queue_backend", OPTION_LUA, OPTION_REQUIRED, 0, 0, 0, NULL,
	"athanore.json_file(\"board.json\")"},
    {"default_agent", OPTION_LUA, 0, 0, 0, 0, NULL, NULL},
    {"max_retries", OPTION_WHOLE, OPTION_OFF, IN_CONFIG(max_retries), 0, MANY, NULL, NULL},
    {"dead_letter_queue", OPTION_TEXT, OPTION_OFF, IN_CONFIG(dead_letter_queue), 0, 0, NULL, NULL},
    {"enable_queue_management", OPTION_FLAG, 0, IN_CONFIG(enable_queue_management), 0, 0, NULL,
	NULL},
    {"state_dir", OPTION_PATH, 0, IN_CONFIG(state_dir), 0, 0, NULL, NULL},
    {"history_days", OPTION_NUMBER, 0, IN_CONFIG(history_days), 0, 36600, NULL, NULL},
    {"on_shutdown", OPTION_CHOICE, 0, IN_CONFIG(on_shutdown), 0, 0, shutdown_modes, NULL},
    {"stop_timeout", OPTION_SECONDS, 0, IN_CONFIG(stop_timeout), 0, LONG_TIME, NULL, NULL},
    {"max_log", OPTION_BYTES, 0, IN_CONFIG(max_log), 4096, 1e15, NULL, NULL},
    {"log_level", OPTION_CHOICE, 0, IN_CONFIG(log_level), 0, 0, log_levels, NULL},
    /* Defaults of routes. */
    {"stall_timeout", OPTION_SECONDS, OPTION_OFF | OPTION_ROUTE, IN_ROUTE(stall_timeout), 0,
	LONG_TIME, NULL, NULL},
    {"retry_backoff", OPTION_SECONDS, OPTION_OFF | OPTION_ROUTE, IN_ROUTE(retry_backoff), 0,
	LONG_TIME, NULL, NULL},
    {"success_queue", OPTION_TEXT, OPTION_OFF | OPTION_ROUTE, IN_ROUTE(success_queue), 0, 0, NULL,
	NULL},
    {"require_move", OPTION_FLAG, OPTION_ROUTE, IN_ROUTE(require_move), 0, 0, NULL, NULL},
    {"cancel_when_moved", OPTION_FLAG, OPTION_ROUTE, IN_ROUTE(cancel_when_moved), 0, 0, NULL, NULL},
    {"cwd", OPTION_PATH, OPTION_ROUTE, IN_ROUTE(cwd), 0, 0, NULL, NULL},
    {"env", OPTION_ENV, OPTION_ROUTE, IN_ROUTE(env), 0, 0, NULL, NULL},
    {NULL, OPTION_LUA, 0, 0, 0, 0, NULL, NULL},
};

const struct option route_options[] = {
    {"queue_name", OPTION_TEXT, OPTION_REQUIRED | OPTION_ROUTE, IN_ROUTE(queue_name), 0, 0, NULL,
	"\"Todo\""},
    {"in_progress_queue", OPTION_TEXT, OPTION_ROUTE, IN_ROUTE(in_progress_queue), 0, 0, NULL, NULL},
    {"command", OPTION_COMMAND, OPTION_ROUTE, IN_ROUTE(command), 0, 0, NULL, NULL},
    {"args", OPTION_STRINGS, OPTION_ROUTE, IN_ROUTE(args), 0, 0, NULL, NULL},
    {"timeout", OPTION_SECONDS, OPTION_OFF | OPTION_ROUTE, IN_ROUTE(timeout), 0, LONG_TIME, NULL,
	NULL},
    {"poll_interval", OPTION_SECONDS, OPTION_POSITIVE | OPTION_ROUTE, IN_ROUTE(poll_interval), 0,
	LONG_TIME, NULL, NULL},
    {"priority", OPTION_NUMBER, OPTION_ROUTE, IN_ROUTE(priority), -1e15, 1e15, NULL, NULL},
    {"max_retries", OPTION_WHOLE, OPTION_OFF | OPTION_ROUTE, IN_ROUTE(max_retries), 0, MANY, NULL,
	NULL},
    {"dead_letter_queue", OPTION_TEXT, OPTION_OFF | OPTION_ROUTE, IN_ROUTE(dead_letter_queue), 0, 0,
	NULL, NULL},
    {"agent", OPTION_LUA, 0, 0, 0, 0, NULL, NULL},
    {"prompt", OPTION_FUNCTION, OPTION_REQUIRED, 0, 0, 0, NULL,
	"function(task_id, task_name) return \"Work on \" .. task_name end"},
    {"when", OPTION_FUNCTION, 0, 0, 0, 0, NULL, NULL},
    {"cwd", OPTION_PATH, OPTION_ROUTE, IN_ROUTE(cwd), 0, 0, NULL, NULL},
    {"env", OPTION_ENV, OPTION_ROUTE, IN_ROUTE(env), 0, 0, NULL, NULL},
    {"stall_timeout", OPTION_SECONDS, OPTION_OFF | OPTION_ROUTE, IN_ROUTE(stall_timeout), 0,
	LONG_TIME, NULL, NULL},
    {"retry_backoff", OPTION_SECONDS, OPTION_OFF | OPTION_ROUTE, IN_ROUTE(retry_backoff), 0,
	LONG_TIME, NULL, NULL},
    {"success_queue", OPTION_TEXT, OPTION_OFF | OPTION_ROUTE, IN_ROUTE(success_queue), 0, 0, NULL,
	NULL},
    {"require_move", OPTION_FLAG, OPTION_ROUTE, IN_ROUTE(require_move), 0, 0, NULL, NULL},
    {"cancel_when_moved", OPTION_FLAG, OPTION_ROUTE, IN_ROUTE(cancel_when_moved), 0, 0, NULL, NULL},
    {"max_concurrent", OPTION_WHOLE, OPTION_OFF | OPTION_ROUTE, IN_ROUTE(max_concurrent), 1, MANY,
	NULL, NULL},
    {NULL, OPTION_LUA, 0, 0, 0, 0, NULL, NULL},
};

const struct option run_options[] = {
    {"debug", OPTION_FLAG, 0, IN_RUN(debug), 0, 0, NULL, NULL},
    {"log_level", OPTION_CHOICE, 0, IN_RUN(log_level), 0, 0, log_levels, NULL},
    {NULL, OPTION_LUA, 0, 0, 0, 0, NULL, NULL},
};

const struct option json_file_options[] = {
    {"user", OPTION_TEXT, OPTION_OFF, IN_CONFIG(backend_user), 0, 0, NULL, NULL},
    {NULL, OPTION_LUA, 0, 0, 0, 0, NULL, NULL},
};
