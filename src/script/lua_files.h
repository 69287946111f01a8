#ifndef ATHANORE_SCRIPT_LUA_FILES_H
#define ATHANORE_SCRIPT_LUA_FILES_H

#include <stddef.h>

/* The Lua modules built into the binary; made by scripts/embed. */
struct lua_file {
	const char *module; /* "athanore.queues.planka"; NULL ends the list */
	const char *text;   /* NUL-terminated */
	size_t len;
};

extern const struct lua_file lua_files[];

#endif
