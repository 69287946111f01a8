#ifndef ATHANORE_MODEL_ROUTE_CHECK_H
#define ATHANORE_MODEL_ROUTE_CHECK_H

#include "base/error.h"
#include "model/route.h"

#include <stddef.h>

/* Whether routes fit together, wherever they come from. */

/* What a route is checked against. All borrowed. */
struct route_set {
	const struct route *const *routes; /* it may be among them */
	size_t count;
	const struct route *defaults; /* what routes inherit, for advice; may be NULL */
};

/* One mistake: conflict where another route is the reason, else invalid. field is the option that
 * is meant; both strings are borrowed. */
typedef void (*route_check_fn)(
    void *arg, enum error_code code, const char *field, const char *message);

/* Tells every mistake of the route; queue_name and in_progress_queue may be NULL: not known. */
void route_check(
    const struct route *route, const struct route_set *set, route_check_fn fn, void *arg);

/* Tells where the route would watch the in-progress queue of another: for a set that was sound
 * before it came. */
void route_check_newcomer(
    const struct route *route, const struct route_set *set, route_check_fn fn, void *arg);

#endif
