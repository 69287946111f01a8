/* The dispatcher's configuration as a plain record. */
#include "model/config.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

static const char *const mode_names[] = {
    [SHUTDOWN_CANCEL] = "cancel", [SHUTDOWN_DETACH] = "detach", [SHUTDOWN_DRAIN] = "drain"};

struct config *config_create(void)
{
	struct config *config = xcalloc(1, sizeof(*config));

	config->command = xcalloc(1, sizeof(*config->command));
	config->poll_interval = 30;
	config->max_concurrent_agents = 3;
	config->api_host = xstrdup("127.0.0.1");
	config->api_port = 8000;
	config->history_days = 30;
	config->on_shutdown = SHUTDOWN_CANCEL;
	config->stop_timeout = 10;
	config->max_log = INT64_C(256) << 20;
	config->log_level = -1;
	config->defaults = route_create(0);
	return config;
}

void config_free(struct config *config)
{
	if (config == NULL)
		return;
	for (size_t i = 0; i < config->route_count; i++)
		route_free(config->routes[i]);
	free(config->routes);
	route_free(config->defaults);
	free(config->script_path);
	free(config->script_dir);
	free(config->state_dir);
	xstrv_free(config->command);
	free(config->api_host);
	free(config->api_token);
	free(config->dead_letter_queue);
	free(config->backend_path);
	free(config->backend_user);
	free(config);
}

void config_add_route(struct config *config, struct route *route)
{
	config->routes =
	    xreallocarray(config->routes, config->route_count + 1, sizeof(*config->routes));
	config->routes[config->route_count++] = route;
}

bool shutdown_mode_parse(const char *text, enum shutdown_mode *mode)
{
	for (size_t i = 0; i < sizeof(mode_names) / sizeof(mode_names[0]); i++) {
		if (strcmp(text, mode_names[i]) == 0) {
			*mode = (enum shutdown_mode)i;
			return true;
		}
	}
	return false;
}

const char *shutdown_mode_name(enum shutdown_mode mode)
{
	return mode_names[mode];
}
