/* A task's text as a JSON value, parsed when somebody asks and kept while it is asked for. */
#include "base/alloc.h"
#include "base/json.h"
#include "queue/board_private.h"

#include <stdlib.h>

/* Text whose values are kept. json-c takes about ten times as much. */
#define CACHE_BYTES (4u << 20)

void board_json_forget(struct board *board, struct board_task *task)
{
	if (task->json == NULL)
		return;
	TAILQ_REMOVE(&board->cache, task, cached);
	board->cache_bytes -= task->text.len;
	json_object_put(task->json);
	task->json = NULL;
}

static void keep(struct board *board, struct board_task *task, struct json_object *json)
{
	task->json = json;
	TAILQ_INSERT_TAIL(&board->cache, task, cached);
	board->cache_bytes += task->text.len;
	while (board->cache_bytes > CACHE_BYTES && TAILQ_FIRST(&board->cache) != task)
		board_json_forget(board, TAILQ_FIRST(&board->cache));
}

/* People leave members out, or write null: the protocol does not. */
static void normalise(struct board_task *task, struct json_object *json)
{
	static const char *const lists[] = {"labels", "assignees", "comments", "tasks"};
	struct json_object *member = NULL;
	const char *text;

	json_put(json, "id", json_object_new_string_len(task->id.data, (int)task->id.len));
	text = json_get_string(json, "name");
	if (!json_object_object_get_ex(json, "name", &member) ||
	    !json_object_is_type(member, json_type_string))
		json_put_string(json, "name", text != NULL ? text : "");
	if (!json_object_object_get_ex(json, "description", &member) ||
	    !json_object_is_type(member, json_type_string))
		json_put_string(json, "description", json_get_string(json, "description"));
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (json_get_array(json, lists[i]) == NULL)
			json_put(json, lists[i], json_object_new_array());
	json_put_string(json, "queue", task->queue->name);
}

struct json_object *board_task_json(struct board *board, struct board_task *task, struct error *err)
{
	struct error why = {0};
	struct json_object *json;
	char *text;

	if (task->json != NULL) {
		if (TAILQ_NEXT(task, cached) != NULL) {
			TAILQ_REMOVE(&board->cache, task, cached);
			TAILQ_INSERT_TAIL(&board->cache, task, cached);
		}
		return task->json;
	}
	/* A copy, as the parser looks at the byte behind the end. */
	text = xmemdup0(task->text.data, task->text.len);
	json = json_parse(text, task->text.len, &why);
	free(text);
	if (json == NULL) {
		error_set(err, ERROR_INVALID, "task %.*s of the queue \"%s\" cannot be read: %s",
		    (int)(task->id.len > 100 ? 100 : task->id.len), task->id.data,
		    task->queue->name, why.message);
		error_clear(&why);
		return NULL;
	}
	normalise(task, json);
	keep(board, task, json);
	return json;
}
