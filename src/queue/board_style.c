/* Finds out how a board is laid out, and prints new values likewise. */
#include "base/alloc.h"
#include "base/json_text.h"
#include "queue/board_private.h"

#include <stdlib.h>
#include <string.h>

bool board_style_has_line_break(struct span space)
{
	return space.len > 0 && memchr(space.data, '\n', space.len) != NULL;
}

static void set(struct str *to, struct span space)
{
	str_clear(to);
	str_append(to, space.data, space.len);
}

static bool colon_has_space(struct span colon)
{
	return colon.len > 0 && colon.data[colon.len - 1] != ':';
}

/* What the deeper break has more than the outer one; two blanks where that can't be told. */
static void set_step(struct str *step, struct span outer, struct span inner)
{
	str_clear(step);
	if (inner.len > outer.len && memcmp(inner.data, outer.data, outer.len) == 0)
		str_append(step, inner.data + outer.len, inner.len - outer.len);
	else
		str_puts(step, "  ");
}

void board_style_of(
    struct span object, const struct board_layout *like, struct board_layout *layout)
{
	struct span first = {NULL, 0}, second = {NULL, 0}, key, colon = {NULL, 0}, value;
	struct board_scan_items items;
	struct board_scan scan;
	size_t n = 0;

	*layout = (struct board_layout){.colon = ": ", .comma = " "};
	if (like != NULL) {
		layout->colon = like->colon;
		layout->comma = like->comma;
	}
	board_scan_init(&scan, object.data, object.len);
	if (!board_scan_open(&scan, '{', &items, "'{'"))
		return;
	while (board_scan_next(&scan, &items) == 1 && board_scan_key(&scan, &key, &colon) &&
	       board_scan_value(&scan, &value)) {
		if (++n == 1)
			first = items.before;
		else if (n == 2)
			second = items.before;
	}
	if (n > 0)
		layout->colon = colon_has_space(colon) ? ": " : ":";
	layout->multi_line = board_style_has_line_break(first);
	if (layout->multi_line) {
		set(&layout->outer, items.after);
		set_step(&layout->step, items.after, first);
	} else if (n > 1) {
		layout->comma = second.len > 0 ? " " : "";
	}
}

void board_style_clear_layout(struct board_layout *layout)
{
	str_free(&layout->outer);
	str_free(&layout->step);
}

static void put_break(struct str *out, const struct board_layout *layout, size_t depth)
{
	str_append(out, layout->outer.data, layout->outer.len);
	for (size_t i = 0; i < depth; i++)
		str_append(out, layout->step.data, layout->step.len);
}

static void put_gap(struct str *out, const struct board_layout *layout, size_t depth, bool first)
{
	if (!first)
		str_putc(out, ',');
	if (layout->multi_line)
		put_break(out, layout, depth);
	else if (!first)
		str_puts(out, layout->comma);
}

static void print_list(
    struct str *out, struct json_object *list, const struct board_layout *layout, size_t depth)
{
	size_t n = json_object_array_length(list);

	str_putc(out, '[');
	for (size_t i = 0; i < n; i++) {
		put_gap(out, layout, depth + 1, i == 0);
		board_style_print(out, json_object_array_get_idx(list, i), layout, depth + 1);
	}
	if (n > 0 && layout->multi_line)
		put_break(out, layout, depth);
	str_putc(out, ']');
}

static void print_object(
    struct str *out, struct json_object *object, const struct board_layout *layout, size_t depth)
{
	bool first = true;

	str_putc(out, '{');
	json_object_object_foreach (object, key, value) {
		put_gap(out, layout, depth + 1, first);
		json_text_string(out, key);
		str_puts(out, layout->colon);
		board_style_print(out, value, layout, depth + 1);
		first = false;
	}
	if (!first && layout->multi_line)
		put_break(out, layout, depth);
	str_putc(out, '}');
}

void board_style_print(
    struct str *out, struct json_object *value, const struct board_layout *layout, size_t depth)
{
	switch (json_object_get_type(value)) {
	case json_type_object:
		print_object(out, value, layout, depth);
		break;
	case json_type_array:
		print_list(out, value, layout, depth);
		break;
	case json_type_string:
		json_text_string_n(
		    out, json_object_get_string(value), (size_t)json_object_get_string_len(value));
		break;
	default:
		str_puts(out, json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
	}
}

/* The layout of tasks: that of the first one there is, else one line, as people write boards. */
static void learn_task(struct board *board)
{
	struct board_style *style = &board->style;
	struct board_queue *queue;
	struct board_task *task;
	bool spaced = board->head.len > 1 && board->head.data[board->head.len - 2] != ':';

	style->task =
	    (struct board_layout){.colon = spaced ? ": " : ":", .comma = spaced ? " " : ""};
	TAILQ_FOREACH (queue, &board->queues, next) {
		TAILQ_FOREACH (task, &queue->tasks, next) {
			if (task->text.data[0] == '{' && task->text.len > 2) {
				struct board_layout like = style->task;

				board_style_of(task->text, &like, &style->task);
				return;
			}
		}
	}
}

/* Where no queue shows it: by the indentation of the line on which "queues" stands. */
static void learn_queues(struct board *board)
{
	struct board_style *style = &board->style;
	struct board_queue *first = TAILQ_FIRST(&board->queues);
	const char *line = memrchr(board->head.data, '\n', board->head.len);

	set(&style->queues_end, board->queues_end);
	if (first != NULL) {
		struct board_queue *second = TAILQ_NEXT(first, next);

		set(&style->first_queue, first->before);
		if (second != NULL || board_style_has_line_break(first->before))
			set(&style->next_queue, second != NULL ? second->before : first->before);
		else
			str_puts(&style->next_queue, style->task.comma);
	} else if (line != NULL) {
		size_t indent = strspn(line + 1, " \t");

		set(&style->queues_end, (struct span){line, 1 + indent});
		set(&style->first_queue, (struct span){line, 1 + indent});
		if (indent > 0)
			str_append(&style->first_queue, line + 1, indent);
		else
			str_puts(&style->first_queue, "  ");
		str_append(&style->next_queue, style->first_queue.data, style->first_queue.len);
	} else {
		str_clear(&style->queues_end);
		str_puts(&style->next_queue, style->task.comma);
	}
}

/* Where no list of tasks shows it: one step deeper than the queues. */
static void guess_tasks(struct board *board)
{
	struct board_style *style = &board->style;
	struct span queue = {style->first_queue.data, style->first_queue.len};
	struct span end = {style->queues_end.data, style->queues_end.len};
	struct str step = {0};

	if (board_style_has_line_break(queue)) {
		set_step(&step, end, queue);
		set(&style->tasks_end, queue);
		set(&style->first_task, queue);
		str_append(&style->first_task, step.data, step.len);
		set(&style->next_task,
		    (struct span){style->first_task.data, style->first_task.len});
	} else {
		str_puts(&style->next_task, style->task.comma);
	}
	str_free(&step);
}

static void learn_tasks(struct board *board)
{
	struct board_style *style = &board->style;
	struct board_queue *queue, *one = NULL, *two = NULL;

	TAILQ_FOREACH (queue, &board->queues, next) {
		if (one == NULL && queue->n_items > 0)
			one = queue;
		if (two == NULL && queue->n_items > 1)
			two = queue;
	}
	if (one == NULL) {
		guess_tasks(board);
		return;
	}
	set(&style->first_task, TAILQ_FIRST(&one->tasks)->before);
	set(&style->tasks_end, one->end);
	if (two != NULL)
		set(&style->next_task, TAILQ_NEXT(TAILQ_FIRST(&two->tasks), next)->before);
	else if (board_style_has_line_break(TAILQ_FIRST(&one->tasks)->before))
		set(&style->next_task, TAILQ_FIRST(&one->tasks)->before);
	else
		str_puts(&style->next_task, style->task.comma);
}

void board_style_init(struct board *board)
{
	learn_task(board);
	learn_queues(board);
	learn_tasks(board);
}

void board_style_clear(struct board *board)
{
	struct board_style *style = &board->style;

	str_free(&style->first_task);
	str_free(&style->next_task);
	str_free(&style->tasks_end);
	str_free(&style->first_queue);
	str_free(&style->next_queue);
	str_free(&style->queues_end);
	board_style_clear_layout(&style->task);
}
