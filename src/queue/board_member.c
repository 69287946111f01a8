/* Changes one member in the text of an object; the rest of the text stays as it was written. */
#include "base/alloc.h"
#include "queue/board_private.h"

#include <string.h>

/* Where a member stands in its object. The last of that name, if there are several. */
struct place {
	struct span value;	 /* {NULL, 0}: absent */
	struct span last_before; /* white space in front of the object's last member */
	const char *last_end;	 /* where that member ends; behind the '{' in an empty object */
	size_t members;
};

static void find(struct span object, const char *name, struct place *place)
{
	struct span key, colon, value;
	struct board_scan_items items;
	struct board_scan scan;

	*place = (struct place){.last_end = object.data + 1};
	board_scan_init(&scan, object.data, object.len);
	if (!board_scan_open(&scan, '{', &items, "'{'"))
		fatal("board_member: the text is no object");
	while (board_scan_next(&scan, &items) == 1 && board_scan_key(&scan, &key, &colon) &&
	       board_scan_value(&scan, &value)) {
		if (board_scan_means(key, name))
			place->value = value;
		place->last_before = items.before;
		place->last_end = scan.at;
		place->members++;
	}
}

/* Whether new elements of a list (or object) get lines of their own. */
static bool opens_line(struct span value, bool otherwise)
{
	struct board_scan scan;
	struct span space;

	if (value.data == NULL || (value.data[0] != '[' && value.data[0] != '{'))
		return otherwise;
	board_scan_init(&scan, value.data + 1, value.len - 1);
	space = board_scan_space(&scan);
	if (*scan.at == ']' || *scan.at == '}')
		return otherwise;
	return board_style_has_line_break(space);
}

static void put_span_to(struct str *out, const char *from, const char *to)
{
	str_append(out, from, (size_t)(to - from));
}

static void put_new_member(
    struct str *out, const struct place *place, const char *key, const struct board_layout *layout)
{
	struct json_object *name = json_object_new_string(key);

	if (place->members > 0)
		str_putc(out, ',');
	if (place->members > 1 || layout->multi_line)
		str_append(out, place->last_before.data, place->last_before.len);
	else if (place->members == 1)
		str_puts(out, layout->comma);
	board_style_print(out, name, layout, 0);
	str_puts(out, layout->colon);
	json_object_put(name);
}

void board_member_set(struct span object, const char *key, struct json_object *value,
    const struct board_layout *like, struct str *out)
{
	struct board_layout layout;
	struct place place;

	find(object, key, &place);
	board_style_of(object, like, &layout);
	if (place.value.data == NULL) {
		put_span_to(out, object.data, place.last_end);
		put_new_member(out, &place, key, &layout);
		place.value.data = place.last_end;
	} else {
		put_span_to(out, object.data, place.value.data);
	}
	layout.multi_line = layout.multi_line && opens_line(place.value, true);
	board_style_print(out, value, &layout, 1);
	put_span_to(out, place.value.data + place.value.len, object.data + object.len);
	board_style_clear_layout(&layout);
}

/* The elements of a list that is not empty. */
struct elements {
	struct span last;
	struct span last_before;
	const char *end; /* where the last one ends */
	size_t n;
};

static void find_elements(struct span list, struct elements *elements)
{
	struct board_scan_items items;
	struct board_scan scan;

	*elements = (struct elements){0};
	board_scan_init(&scan, list.data, list.len);
	if (!board_scan_open(&scan, '[', &items, "'['"))
		fatal("board_member: the text is no list");
	while (board_scan_next(&scan, &items) == 1 && board_scan_value(&scan, &elements->last)) {
		elements->last_before = items.before;
		elements->end = scan.at;
		elements->n++;
	}
}

static void append_like_last(struct span object, const struct elements *elements,
    struct json_object *item, const struct board_layout *outer_layout, struct str *out)
{
	struct board_layout layout = *outer_layout;
	bool own_line = board_style_has_line_break(elements->last_before);

	layout.outer = (struct str){0};
	str_append(&layout.outer, elements->last_before.data, elements->last_before.len);
	layout.multi_line = own_line && (elements->last.data[0] == '{'
						? opens_line(elements->last, layout.multi_line)
						: layout.multi_line);
	put_span_to(out, object.data, elements->end);
	str_putc(out, ',');
	if (own_line || elements->n > 1)
		str_append(out, elements->last_before.data, elements->last_before.len);
	else
		str_puts(out, layout.comma);
	if (layout.step.len == 0)
		str_puts(&layout.step, "  ");
	board_style_print(out, item, &layout, 0);
	put_span_to(out, elements->end, object.data + object.len);
	str_free(&layout.outer);
	if (outer_layout->step.len == 0)
		str_free(&layout.step);
}

bool board_member_append(struct span object, const char *key, struct json_object *item,
    const struct board_layout *like, struct str *out, struct error *err)
{
	struct elements elements = {0};
	struct board_layout layout;
	struct place place;

	find(object, key, &place);
	if (place.value.data != NULL && place.value.data[0] != '[' && place.value.data[0] != 'n')
		return error_set(err, ERROR_INVALID, "its \"%s\" is no list", key);
	if (place.value.data != NULL && place.value.data[0] == '[')
		find_elements(place.value, &elements);
	if (elements.n == 0) {
		struct json_object *list = json_object_new_array();

		json_object_array_add(list, json_object_get(item));
		board_member_set(object, key, list, like, out);
		json_object_put(list);
		return true;
	}
	board_style_of(object, like, &layout);
	append_like_last(object, &elements, item, &layout, out);
	board_style_clear_layout(&layout);
	return true;
}

static bool check_value(struct board_scan *scan, struct error *err);

static bool check_key(struct span key, struct json_object *seen, struct error *err)
{
	struct str name = {0};
	bool ok = false;

	board_scan_decode(key, &name);
	if (name.len != strlen(name.data))
		error_set(err, ERROR_INVALID, "the key %.*s has a NUL in it",
		    (int)(key.len > 100 ? 100 : key.len), key.data);
	else if (json_object_object_get_ex(seen, name.data, NULL))
		error_set(
		    err, ERROR_INVALID, "the key \"%.100s\" stands twice in one object", name.data);
	else
		ok = json_object_object_add(seen, name.data, NULL) == 0;
	str_free(&name);
	return ok;
}

static bool check_items(struct board_scan *scan, char bracket, struct error *err)
{
	struct json_object *seen = bracket == '{' ? json_object_new_object() : NULL;
	struct board_scan_items items;
	struct span key, colon;
	bool ok = board_scan_open(scan, bracket, &items, "a list or an object");
	int more = 0;

	while (ok && (more = board_scan_next(scan, &items)) == 1) {
		if (bracket == '{')
			ok = board_scan_key(scan, &key, &colon) && check_key(key, seen, err);
		ok = ok && check_value(scan, err);
	}
	json_object_put(seen);
	return ok && more == 0;
}

static bool check_value(struct board_scan *scan, struct error *err)
{
	struct span value;

	if (scan->at < scan->end && (*scan->at == '{' || *scan->at == '['))
		return check_items(scan, *scan->at, err);
	if (!board_scan_value(scan, &value))
		return false;
	if (value.data[0] == '"' || !board_scan_is_too_big(value))
		return true;
	return error_set(err, ERROR_INVALID, "the integer %.*s does not fit into 64 bits",
	    (int)(value.len > 60 ? 60 : value.len), value.data);
}

bool board_member_check(struct span object, struct error *err)
{
	struct board_scan scan;

	board_scan_init(&scan, object.data, object.len);
	return check_value(&scan, err);
}
