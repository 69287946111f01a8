/* The command line that an agent adapter gives for a run. */
#include "script/prepared.h"

#include "base/alloc.h"
#include "script/values.h"

#include <stdlib.h>
#include <string.h>

/* The system takes no longer argument (MAX_ARG_STRLEN, with its NUL). */
#define MAX_ARGUMENT 131071

/* The place of the result where nothing was given. */
#define ABSENT 0

void script_prepared_free(struct script_prepared *prepared)
{
	if (prepared == NULL)
		return;
	free(prepared->prompt);
	xstrv_free(prepared->argv);
	xstrv_free(prepared->env);
	free(prepared->cwd);
	free(prepared->input);
	free(prepared);
}

static bool check_argv(char *const *argv, struct error *err)
{
	if (argv[0] == NULL || argv[0][0] == '\0')
		return error_set(err, ERROR_INVALID, "the command line is empty");
	for (size_t i = 0; argv[i] != NULL; i++)
		if (strlen(argv[i]) > MAX_ARGUMENT)
			return error_set(err, ERROR_INVALID,
			    "argv[%zu] has %zu bytes, and an argument may have %d: give the prompt "
			    "by stdin "
			    "(prompt_via = \"stdin\") or in a file",
			    i + 1, strlen(argv[i]), MAX_ARGUMENT);
	return true;
}

static bool read_argv(
    lua_State *L, int index, struct script_prepared *prepared, const char *dir, struct error *err)
{
	if (index == ABSENT)
		return error_set(err, ERROR_INVALID, "argv is missing: return a list of strings");
	if (!value_strings(L, index, "argv", &prepared->argv, err) ||
	    !check_argv(prepared->argv, err))
		return false;
	value_resolve_command(prepared->argv, dir);
	return true;
}

static bool read_env(lua_State *L, int index, struct script_prepared *prepared, struct error *err)
{
	prepared->env = xcalloc(1, sizeof(*prepared->env));
	return index == ABSENT || value_env(L, index, "env", &prepared->env, err);
}

static bool read_input(lua_State *L, int index, struct script_prepared *prepared, struct error *err)
{
	const char *text;

	if (index == ABSENT)
		return true;
	if (lua_type(L, index) != LUA_TSTRING)
		return error_set(err, ERROR_INVALID, "stdin must be a string, got %s",
		    value_type_name(L, index));
	text = lua_tolstring(L, index, &prepared->input_len);
	prepared->input = xmemdup0(text, prepared->input_len);
	return true;
}

static int place_of(lua_State *L, int index)
{
	return lua_isnil(L, index) ? ABSENT : index;
}

/* Whether the value is a table with the member argv; it is then at the four places from index on
 * instead, with the other members. */
static void spread_table(lua_State *L, int index)
{
	static const char *const members[] = {"argv", "env", "cwd", "stdin"};
	int table;

	if (!lua_istable(L, index) || lua_rawlen(L, index) > 0)
		return;
	lua_pushvalue(L, index);
	table = lua_gettop(L);
	for (int i = 0; i < 4; i++) {
		lua_pushnil(L);
		lua_replace(L, index + i);
	}
	lua_pushnil(L);
	while (lua_next(L, table) != 0) {
		for (int i = 0; i < 4; i++) {
			if (lua_type(L, -2) == LUA_TSTRING &&
			    strcmp(lua_tostring(L, -2), members[i]) == 0) {
				lua_pushvalue(L, -1);
				lua_replace(L, index + i);
			}
		}
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
}

bool prepared_read(
    lua_State *L, int index, struct script_prepared *prepared, const char *dir, struct error *err)
{
	int cwd;

	if (!lua_checkstack(L, 8))
		return error_set(err, ERROR_INTERNAL, "not enough memory");
	spread_table(L, index);
	cwd = place_of(L, index + 2);
	return read_argv(L, place_of(L, index), prepared, dir, err) &&
	       read_env(L, place_of(L, index + 1), prepared, err) &&
	       (cwd == ABSENT || value_path(L, cwd, "cwd", dir, &prepared->cwd, err)) &&
	       read_input(L, place_of(L, index + 3), prepared, err);
}
