#ifndef ATHANORE_DISPATCH_ROUTE_TABLE_H
#define ATHANORE_DISPATCH_ROUTE_TABLE_H

#include "dispatch/state.h"

/* The routes in force: what poller, claims and requests see of them. All in state.h's dispatcher.
 */

/* A stored route that cannot be used beside the script as it is now. */
struct inactive_route {
	char *queue_name;
	char *error;
	struct inactive_route *next;
};

/* Those of the script. */
void route_table_load(struct dispatcher *d);

/* Then those that were made through the API; one that does not fit is logged and kept inactive. */
bool route_table_load_stored(struct dispatcher *d, struct error *err)
    __attribute__((warn_unused_result));

void route_table_free(struct dispatcher *d);

/*
 * Adds the route, or puts it in the place of the one that watches its queue. Takes over route and
 * given (its options as JSON; NULL: it is the script's, changed). Runs under way go on as they are;
 * a claim whose script still runs is let go and made anew.
 */
struct route_state *route_table_put(
    struct dispatcher *d, struct route *route, struct json_object *given);

void route_table_remove(struct dispatcher *d, struct route_state *state);

/* Lets go of the claims for the queue (NULL: all) whose script still runs. */
void route_table_drop_claims(struct dispatcher *d, const char *queue_name);

/* NULL: none is inactive for the queue. */
struct inactive_route *route_table_inactive(struct dispatcher *d, const char *queue_name);
void route_table_forget_inactive(struct dispatcher *d, const char *queue_name);

/*
 * Makes a route of base with options (a JSON object) over it, and checks it alone and beside all
 * routes but the one in whose place it will be: that which watches the same queue where replace.
 * NULL with err set (invalid, conflict), *field being the option that is meant, or NULL.
 */
struct route *route_define(struct dispatcher *d, const struct route *base, bool replace,
    struct json_object *options, const char **field, struct error *err);

#endif
