#ifndef ATHANORE_MODEL_CONFIG_H
#define ATHANORE_MODEL_CONFIG_H

#include "model/route.h"

#include <stddef.h>
#include <stdint.h>

/* What a script says of the dispatcher: the constructor's arguments and its routes. */

enum shutdown_mode {
	SHUTDOWN_CANCEL, /* end the agents and put their tasks back */
	SHUTDOWN_DETACH, /* leave the agents to their supervisors */
	SHUTDOWN_DRAIN,	 /* wait for the agents */
};

enum backend_kind {
	BACKEND_NONE,
	BACKEND_JSON_FILE,
	BACKEND_LUA, /* a table of the script; script_queue() opens it */
};

struct config {
	char *script_path; /* absolute */
	char *script_dir;  /* absolute */
	char *state_dir;   /* absolute; NULL: .athanore/NAME beside the script */

	char **command; /* NULL-terminated, empty where not given */
	double poll_interval;
	double agent_timeout; /* 0: none */
	int max_concurrent_agents;
	char *api_host;
	int api_port;
	char *api_token; /* NULL: none */
	bool enable_queue_management;
	int max_retries;
	char *dead_letter_queue;

	double history_days;
	enum shutdown_mode on_shutdown;
	double stop_timeout;
	int64_t max_log; /* bytes of output kept for one run */
	int log_level;	 /* enum log_level, or -1: the script does not say */

	enum backend_kind backend;
	char *backend_path; /* json_file: absolute */
	char *backend_user; /* json_file: who the daemon is on the board; NULL: nobody */

	struct route *defaults;	  /* what routes start from; its agent is the default one */
	bool agent_needs_command; /* that agent runs the route's command */
	struct route **routes;	  /* in registration order */
	size_t route_count;
};

/* All defaults; ended by config_free() (NULL is fine). */
struct config *config_create(void);
void config_free(struct config *config);

/* Takes over the route. */
void config_add_route(struct config *config, struct route *route);

/* "cancel", "detach", "drain"; false where text is none of them. */
bool shutdown_mode_parse(const char *text, enum shutdown_mode *mode);
const char *shutdown_mode_name(enum shutdown_mode mode);

#endif
