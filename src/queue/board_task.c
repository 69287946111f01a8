/* Changes to one task of a board: its fields and its comments. */
#include "base/alloc.h"
#include "base/json.h"
#include "queue/board_edit.h"
#include "queue/board_private.h"

#include <stdlib.h>
#include <string.h>

static const struct field {
	const char *name;
	enum json_type type;
	bool required; /* null does not clear it */
} fields_known[] = {
    {"name", json_type_string, true},
    {"description", json_type_string, false},
    {"labels", json_type_array, false},
    {"assignees", json_type_array, false},
};

#define N_FIELDS (sizeof(fields_known) / sizeof(fields_known[0]))

static const struct field *find_field(const char *name)
{
	for (size_t i = 0; i < N_FIELDS; i++)
		if (strcmp(fields_known[i].name, name) == 0)
			return &fields_known[i];
	return NULL;
}

static bool check_field(const char *key, struct json_object *value, struct error *err)
{
	const struct field *field = find_field(key);

	if (field == NULL)
		return error_set(err, ERROR_INVALID,
		    "a task has no field \"%.100s\" that can be set; there are name, description, "
		    "labels and assignees",
		    key);
	if (value == NULL && field->required)
		return error_set(err, ERROR_INVALID, "\"%s\" of a task cannot be null", key);
	if (value != NULL && !json_object_is_type(value, field->type))
		return error_set(err, ERROR_INVALID, "\"%s\" of a task must be a %s", key,
		    field->type == json_type_array ? "list" : "string");
	return true;
}

bool board_task_check_fields(struct json_object *fields, struct error *err)
{
	if (fields == NULL || !json_object_is_type(fields, json_type_object))
		return error_set(err, ERROR_INVALID, "the fields of a task must be an object");
	json_object_object_foreach (fields, key, value) {
		if (!check_field(key, value, err))
			return false;
	}
	return true;
}

/* Only a task that json-c keeps whole is changed: what others read out of it stays what it was. */
static bool check_task(struct board_task *task, struct error *err)
{
	struct error why = {0};

	if (board_member_check(task->text, &why))
		return true;
	error_set(err, ERROR_INVALID,
	    "task %.*s of the queue \"%s\" cannot be changed: %s; mend the file, nothing was "
	    "written",
	    (int)(task->id.len > 100 ? 100 : task->id.len), task->id.data, task->queue->name,
	    why.message != NULL ? why.message : "it cannot be read");
	error_clear(&why);
	return false;
}

/* Takes over the new text if json-c can read it. */
static bool replace_text(struct board_task *task, struct str *text, struct error *err)
{
	struct error why = {0};
	struct json_object *json = json_parse(text->data, text->len, &why);
	bool ok = json != NULL;

	if (ok)
		board_edit_set_text(task, (struct span){text->data, text->len});
	else
		error_set(err, ERROR_INVALID,
		    "task %.*s cannot be changed: %s; nothing was written",
		    (int)(task->id.len > 100 ? 100 : task->id.len), task->id.data, why.message);
	json_object_put(json);
	error_clear(&why);
	return ok;
}

/* Lists are cleared to [], a description to null. */
static struct json_object *value_to_set(const char *key, struct json_object *value)
{
	if (value == NULL && find_field(key)->type == json_type_array)
		return json_object_new_array();
	return json_object_get(value);
}

static void set_changed_fields(
    struct board_task *task, struct json_object *now, struct json_object *fields, struct str *text)
{
	json_object_object_foreach (fields, key, value) {
		struct json_object *wanted = value_to_set(key, value);
		struct span from = {text->data, text->len};
		struct str next = {0};

		if (!json_object_equal(wanted, json_object_object_get(now, key))) {
			board_member_set(from, key, wanted, &task->queue->board->style.task, &next);
			str_free(text);
			*text = next;
		}
		json_object_put(wanted);
	}
}

bool board_edit_update(
    struct board_task *task, struct json_object *fields, bool *changed, struct error *err)
{
	struct json_object *now;
	struct str text = {0};
	bool ok;

	*changed = false;
	if (!board_task_check_fields(fields, err))
		return false;
	now = board_task_json(task->queue->board, task, err);
	if (now == NULL || !check_task(task, err))
		return false;
	str_append(&text, task->text.data, task->text.len);
	set_changed_fields(task, now, fields, &text);
	*changed = text.len != task->text.len || memcmp(text.data, task->text.data, text.len) != 0;
	ok = !*changed || replace_text(task, &text, err);
	str_free(&text);
	return ok;
}

bool board_edit_comment(struct board_task *task, struct json_object *comment, struct error *err)
{
	struct error why = {0};
	struct str text = {0};
	bool ok;

	if (!check_task(task, err))
		return false;
	ok = board_member_append(
	    task->text, "comments", comment, &task->queue->board->style.task, &text, &why);
	if (!ok)
		error_set(err, ERROR_INVALID, "task %.*s cannot take a comment: %s",
		    (int)(task->id.len > 100 ? 100 : task->id.len), task->id.data, why.message);
	ok = ok && replace_text(task, &text, err);
	error_clear(&why);
	str_free(&text);
	return ok;
}
