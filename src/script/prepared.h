#ifndef ATHANORE_SCRIPT_PREPARED_H
#define ATHANORE_SCRIPT_PREPARED_H

#include "script/script.h"

#include <lua.h>

/*
 * Reads the four results of an agent adapter's command(run) that begin at index: argv, env, cwd,
 * stdin, or one table {argv=, env=, cwd=, stdin=}. Relative paths begin at dir. False with err
 * set; raises nothing.
 */
bool prepared_read(
    lua_State *L, int index, struct script_prepared *prepared, const char *dir, struct error *err);

#endif
