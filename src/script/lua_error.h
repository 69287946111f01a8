#ifndef ATHANORE_SCRIPT_LUA_ERROR_H
#define ATHANORE_SCRIPT_LUA_ERROR_H

#include "base/error.h"

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* Lua's error values and our struct error. */

/* "routes.lua:12", the innermost line of Lua that L stands at; false where there is none.
 * Allocates nothing, raises nothing. */
bool lua_error_where(lua_State *L, char *buf, size_t size);

/* "routes.lua:12", where the function at index was written. */
void lua_error_function_where(lua_State *L, int index, char *buf, size_t size);

/*
 * Reads the value at index, a string or a table {code=, message=, retry_after=}. May call
 * __tostring and raise, but what err holds is always sound.
 */
void lua_error_read(lua_State *L, int index, struct error *err);

/*
 * Describes the error by which coroutine co ended; the value is on its top. The first line is the
 * short message with file and line, then comes the traceback; none for a table with a code.
 * Called on another thread than co, protected.
 */
void lua_error_describe(lua_State *L, lua_State *co, struct error *err);

/* Sets `error` in the table on top: athanore.error(code, message, {retry_after=}). */
void lua_error_open(lua_State *L);

#endif
