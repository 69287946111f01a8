/* The list of what is wrong in a script. */
#include "script/problems.h"

#include "base/alloc.h"

#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void script_problems_free(struct script_problems *problems)
{
	for (size_t i = 0; i < problems->count; i++) {
		free(problems->list[i].file);
		free(problems->list[i].message);
	}
	free(problems->list);
	*problems = (struct script_problems){0};
}

void place_of_caller(lua_State *L, struct place *place)
{
	lua_Debug ar;

	for (int level = 1; lua_getstack(L, level, &ar) != 0; level++) {
		if (lua_getinfo(L, "Sl", &ar) != 0 && ar.currentline > 0) {
			place->file = xstrdup(ar.source[0] == '@' ? ar.source + 1 : ar.short_src);
			place->line = ar.currentline;
			return;
		}
	}
}

void place_clear(struct place *place)
{
	free(place->file);
	*place = (struct place){0};
}

/* Takes over message. */
static void append(struct script_problems *problems, const char *file, int line, char *message)
{
	problems->list =
	    xreallocarray(problems->list, problems->count + 1, sizeof(*problems->list));
	problems->list[problems->count++] =
	    (struct script_problem){.file = xstrdup(file), .line = line, .message = message};
}

void problems_add(
    struct script_problems *problems, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	append(problems, file, line, xvasprintf(fmt, ap));
	va_end(ap);
}

/* Finds ":12: " in a line of len bytes; where it begins, or NULL. */
static const char *find_line_number(const char *text, size_t len, int *line, const char **message)
{
	for (const char *p = text; p < text + len; p++) {
		const char *digit = p + 1;

		if (*p != ':')
			continue;
		while (isdigit((unsigned char)*digit))
			digit++;
		if (digit > p + 1 && digit - p < 10 && digit[0] == ':' && digit[1] == ' ') {
			*line = atoi(p + 1);
			*message = digit + 2;
			return p;
		}
	}
	return NULL;
}

void problems_add_error(struct script_problems *problems, const char *file, const char *text)
{
	const char *traceback = strstr(text, "\nstack traceback:");
	size_t len = traceback != NULL ? (size_t)(traceback - text) : strlen(text);
	const char *message = text;
	int line = 0;
	const char *colon = find_line_number(text, strcspn(text, "\n"), &line, &message);
	char *found = colon != NULL ? xmemdup0(text, (size_t)(colon - text)) : NULL;

	append(problems, found != NULL ? found : file, line,
	    xmemdup0(message, len - (size_t)(message - text)));
	free(found);
}

void problems_sort(struct script_problems *problems)
{
	/* By insertion: it is stable, and the list is short. */
	for (size_t i = 1; i < problems->count; i++) {
		struct script_problem moving = problems->list[i];
		unsigned key = moving.line > 0 ? (unsigned)moving.line : UINT_MAX;
		size_t at = i;

		while (at > 0) {
			int line = problems->list[at - 1].line;

			if ((line > 0 ? (unsigned)line : UINT_MAX) <= key)
				break;
			problems->list[at] = problems->list[at - 1];
			at--;
		}
		problems->list[at] = moving;
	}
}
