#ifndef ATHANORE_SCRIPT_QUEUE_ANSWERS_H
#define ATHANORE_SCRIPT_QUEUE_ANSWERS_H

#include "queue/queue.h"

/*
 * What methods of a Lua queue may answer. Checks *result against the operation and completes it:
 * ids become strings, absent lists of a task empty ones, its queue the one that was asked for.
 * Replaces *result where the operation wants something simpler (null). False with err set,
 * naming the field, where it cannot be used.
 */
bool queue_answers_check(
    const struct queue_request *request, struct json_object **result, struct error *err);

#endif
