#ifndef ATHANORE_DISPATCH_CONTROL_H
#define ATHANORE_DISPATCH_CONTROL_H

#include "base/str.h"
#include "dispatch/dispatcher.h"

/*
 * What people ask of the dispatcher through the API: routes, pauses, retries, reasons. Each fn is
 * called once, in a later turn or, at the latest, when the dispatcher is freed.
 */

/*
 * A new route from its options, as an object; the route as dispatcher_route() shows it. Routes made
 * so are stored. On an error that an option is the reason of, result is {"field": its name}.
 */
void dispatcher_create_route(
    struct dispatcher *dispatcher, struct json_object *options, dispatcher_fn fn, void *arg);

/* Changes the options that are named; what comes from the script is as before after a restart. Runs
 * under way are not touched. */
void dispatcher_update_route(struct dispatcher *dispatcher, const char *queue_name,
    struct json_object *options, dispatcher_fn fn, void *arg);

/* {"queue_name", "source", "until"}: "until" is "reload" where the script will bring it back. */
void dispatcher_delete_route(
    struct dispatcher *dispatcher, const char *queue_name, dispatcher_fn fn, void *arg);

/* Takes no more tasks for the route (NULL: for any), or takes them again; NULL ends the pauses of
 * single routes too. Remembered across restarts. {"paused", "paused_routes"}. */
void dispatcher_pause(struct dispatcher *dispatcher, const char *queue_name, bool paused,
    dispatcher_fn fn, void *arg);

/* Polls all routes at once, whatever their intervals and backoffs: {"status", "routes"}, a new
 * object. NULL with err set (unavailable) while stopping. */
struct json_object *dispatcher_poll(struct dispatcher *dispatcher, struct error *err);

/*
 * Lets the task be tried anew: no retry counts as used, no wait holds it back. Where it is in the
 * in-progress or dead-letter queue of its route it is moved back to the queue that the route
 * watches. conflict while an agent is on it. {"task_id", "queue_name", "moved", "retry_count"}.
 */
void dispatcher_retry(
    struct dispatcher *dispatcher, const char *task_id, dispatcher_fn fn, void *arg);

/* Why the task is not running: {"task_id", "queue_name", "sentence", "reasons": [{"code", …}]}. */
void dispatcher_explain(
    struct dispatcher *dispatcher, const char *task_id, dispatcher_fn fn, void *arg);

/* Why no work can be taken now, as a new list of {"code", "message"}; empty: it can. */
struct json_object *dispatcher_obstacles(struct dispatcher *dispatcher);

/* Appends counters and gauges in Prometheus' text format. */
void dispatcher_metrics(struct dispatcher *dispatcher, struct str *out);

#endif
