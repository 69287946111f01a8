#ifndef ATHANORE_MODEL_ROUTE_H
#define ATHANORE_MODEL_ROUTE_H

#include <json-c/json.h>
#include <stdbool.h>

/*
 * A route: which queue is watched, and how an agent is run for each of its
 * tasks. All values are effective: what the script left out of the route was
 * filled in from the dispatcher's defaults.
 */
struct route {
	char *queue_name;
	char *in_progress_queue;
	char **command; /* NULL-terminated; empty list where the agent adapter needs none */
	char **args;	/* NULL-terminated */
	char *cwd;	/* absolute, or NULL: the script's folder */
	char **env;	/* "NAME=value", NULL-terminated */
	char *agent;	/* the agent adapter's name: "subprocess" */

	double timeout;	      /* seconds; 0: none */
	double stall_timeout; /* seconds without output; 0: none */
	double poll_interval; /* seconds */
	double retry_backoff; /* seconds before the first retry, doubled for each further one; 0:
				 the next poll */
	bool has_priority;
	double priority; /* lower is served first */
	int order;	 /* registration order, from 0 */

	int max_retries;
	char *dead_letter_queue; /* NULL: none */
	char *success_queue;	 /* NULL: the agent moves the task itself */
	bool require_move;
	bool cancel_when_moved;
	int max_concurrent; /* 0: the dispatcher's limit only */

	char *prompt;	  /* a template (template.h); NULL: the script's function makes it */
	int script_index; /* which functions of the script belong to it; -1: the default agent's
			     only */
	int line;	  /* of the script where it was registered; 0: made through the API */
};

/* An empty route with the order given; ended by route_free() (NULL is fine). */
struct route *route_create(int order);
void route_free(struct route *route);

/* A copy of all that the route holds; lists that are NULL become empty ones. */
struct route *route_copy(const struct route *route);

/* Negative, 0 or positive: the order in which routes are served. */
int route_compare(const struct route *a, const struct route *b);

/* The route as the API shows it; a new object. Values of env are not shown: they may be secrets. */
struct json_object *route_to_json(const struct route *route);

#endif
