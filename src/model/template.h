#ifndef ATHANORE_MODEL_TEMPLATE_H
#define ATHANORE_MODEL_TEMPLATE_H

#include "base/error.h"
#include "base/str.h"

#include <json-c/json.h>

/*
 * Prompts of routes that no script has: text in which {{task.id}}, {{task.name}} and
 * {{task.description}} stand for the task's. "{{{{" is a "{{" of the prompt itself.
 */

/* False with err set (invalid) where the text names what there is not, or is not closed. */
bool template_check(const char *text, struct error *err) __attribute__((warn_unused_result));

/* Appends the prompt for a task to out; what the task does not have is empty. text was checked. */
void template_expand(const char *text, struct json_object *task, struct str *out);

#endif
