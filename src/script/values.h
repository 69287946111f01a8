#ifndef ATHANORE_SCRIPT_VALUES_H
#define ATHANORE_SCRIPT_VALUES_H

#include "base/error.h"

#include <lua.h>

/*
 * Lua values as the strings and lists of C. All raise nothing; on failure they are false with
 * err set to a message that begins with name ("args[2] must be a string, got number").
 */

/* "string", "number", …, "null" for athanore.json.null: how messages call a value. */
const char *value_type_name(lua_State *L, int index);

/* A string without NUL; *out is replaced. */
bool value_string(lua_State *L, int index, const char *name, char **out, struct error *err);

/* A list 1..n of strings without NUL; *out (NULL or a list) is replaced. */
bool value_strings(lua_State *L, int index, const char *name, char ***out, struct error *err);

/* A table of variables (string, number or boolean); each replaces the one of its name in *out, a
 * NULL-terminated list of "NAME=value" (NULL: empty), which is sorted afterwards. */
bool value_env(lua_State *L, int index, const char *name, char ***out, struct error *err);

/* A path, made absolute by dir. */
bool value_path(
    lua_State *L, int index, const char *name, const char *dir, char **out, struct error *err);

/* A string (one executable) or a list; "" and {} are the empty list. The executable is made
 * absolute by dir where it is a relative path, and left alone where PATH will find it. */
bool value_command(
    lua_State *L, int index, const char *name, const char *dir, char ***out, struct error *err);

/* Makes argv[0] absolute in the same way. */
void value_resolve_command(char **argv, const char *dir);

/* What the readers above check behind the types: that a command's first element can be an
 * executable, and that a variable may be set. */
bool value_check_executable(char *const *argv, const char *name, struct error *err);
bool value_check_variable(const char *variable, const char *name, struct error *err);

/* Takes over variable ("NAME=value"), which replaces the one of its name in the list *env (NULL:
 * empty). */
void value_set_variable(char ***env, char *variable);

#endif
