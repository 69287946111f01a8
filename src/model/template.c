/* Prompts as templates: text with names of the task's members in it. */
#include "model/template.h"

#include "base/json.h"

#include <string.h>

static const struct {
	const char *name;
	const char *key;
} names[] = {
    {"task.id", "id"},
    {"task.name", "name"},
    {"task.description", "description"},
};

#define NAMES (sizeof(names) / sizeof(names[0]))
#define BLANKS " \t\r\n"

/* A piece of a template: text as it stands, or the name of a member. */
struct piece {
	const char *text;
	size_t len;
	const char *name; /* between the braces, without the blanks; NULL: it is text */
	size_t name_len;
	const char *key; /* of the task; NULL: the name is none that there is */
};

static const char *find_key(const char *name, size_t len)
{
	for (size_t i = 0; i < NAMES; i++)
		if (strlen(names[i].name) == len && memcmp(names[i].name, name, len) == 0)
			return names[i].key;
	return NULL;
}

/* The name that begins behind the braces at `at`. False where no braces close it. */
static bool read_name(struct piece *piece, const char *at)
{
	const char *name = at + 2;
	const char *end = strstr(name, "}}");

	if (end == NULL)
		return false;
	piece->text = at;
	piece->len = (size_t)(end + 2 - at);
	name += strspn(name, BLANKS);
	piece->name = name;
	piece->name_len = name < end ? (size_t)(end - name) : 0;
	while (piece->name_len > 0 && strchr(BLANKS, name[piece->name_len - 1]) != NULL)
		piece->name_len--;
	piece->key = find_key(piece->name, piece->name_len);
	return true;
}

/* The piece at *at, which moves behind it; false where a name is not closed. */
static bool next_piece(const char **at, struct piece *piece)
{
	const char *open = strstr(*at, "{{");

	*piece = (struct piece){.text = *at};
	if (open == NULL) {
		piece->len = strlen(*at);
	} else if (open > *at) {
		piece->len = (size_t)(open - *at);
	} else if (strncmp(open, "{{{{", 4) == 0) {
		piece->len = 2;
		*at += 2;
	} else if (!read_name(piece, open)) {
		return false;
	}
	*at += piece->len;
	return true;
}

static bool unknown(const struct piece *piece, struct error *err)
{
	struct str known = {0};

	for (size_t i = 0; i < NAMES; i++)
		str_printf(&known, "%s{{%s}}", i > 0 ? ", " : "", names[i].name);
	error_set(err, ERROR_INVALID,
	    "prompt: there is no {{%.*s}}; a prompt may name %s (and {{{{ stands for {{)",
	    (int)(piece->name_len < 60 ? piece->name_len : 60), piece->name, known.data);
	str_free(&known);
	return false;
}

bool template_check(const char *text, struct error *err)
{
	const char *at = text;
	struct piece piece;

	while (*at != '\0') {
		if (!next_piece(&at, &piece))
			return error_set(err, ERROR_INVALID,
			    "prompt: \"%.40s\" is not closed by }} ({{{{ stands for {{)", at);
		if (piece.name != NULL && piece.key == NULL)
			return unknown(&piece, err);
	}
	return true;
}

void template_expand(const char *text, struct json_object *task, struct str *out)
{
	const char *at = text;
	struct piece piece;

	while (*at != '\0' && next_piece(&at, &piece)) {
		const char *value = piece.key != NULL ? json_get_string(task, piece.key) : NULL;

		if (piece.name == NULL)
			str_append(out, piece.text, piece.len);
		else if (value != NULL)
			str_puts(out, value);
	}
}
