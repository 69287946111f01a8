#ifndef ATHANORE_SCRIPT_PROBLEMS_H
#define ATHANORE_SCRIPT_PROBLEMS_H

#include "script/script.h"

#include <lua.h>

/* Collects what is wrong in a script, each with its place. */

struct place {
	char *file; /* owned; NULL: not known */
	int line;
};

/* Where the C function that asks was called from in Lua; place must be empty. Raises nothing. */
void place_of_caller(lua_State *L, struct place *place);
void place_clear(struct place *place);

void problems_add(struct script_problems *problems, const char *file, int line, const char *fmt,
    ...) __attribute__((format(printf, 4, 5)));

/* From the text of an error of Lua, "file:12: message" and maybe a traceback, which is dropped. */
void problems_add_error(struct script_problems *problems, const char *file, const char *text);

/* By line; those without one stay behind. */
void problems_sort(struct script_problems *problems);

#endif
