/* Reads strings, lists, variables, paths and commands out of Lua. */
#include "script/values.h"

#include "base/alloc.h"
#include "base/fs.h"
#include "script/lua_json.h"

#include <ctype.h>
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The daemon sets these for each run. */
static const char *const reserved[] = {"ATHANORE_API", "ATHANORE_TASK_ID", "ATHANORE_RUN_ID",
    "ATHANORE_QUEUE", "ATHANORE_ATTEMPT", "ATHANORE_TOKEN"};

const char *value_type_name(lua_State *L, int index)
{
	if (lua_json_is_null(L, index))
		return "null";
	return luaL_typename(L, index);
}

bool value_string(lua_State *L, int index, const char *name, char **out, struct error *err)
{
	const char *text;
	size_t len;

	if (lua_type(L, index) != LUA_TSTRING)
		return error_set(err, ERROR_INVALID, "%s must be a string, got %s", name,
		    value_type_name(L, index));
	text = lua_tolstring(L, index, &len);
	if (strlen(text) != len)
		return error_set(err, ERROR_INVALID, "%s holds a NUL byte", name);
	free(*out);
	*out = xmemdup0(text, len);
	return true;
}

/* Whether the keys of the table are 1..n; raises nothing, unlike luaL_len(). */
static bool is_list(lua_State *L, int index, lua_Unsigned *n)
{
	lua_Unsigned count = 0;

	*n = lua_rawlen(L, index);
	lua_pushnil(L);
	while (lua_next(L, index) != 0) {
		lua_pop(L, 1);
		count++;
	}
	return count == *n;
}

bool value_strings(lua_State *L, int index, const char *name, char ***out, struct error *err)
{
	lua_Unsigned n;
	char **list;

	index = lua_absindex(L, index);
	if (lua_json_is_empty_array(L, index)) {
		xstrv_free(*out);
		*out = xcalloc(1, sizeof(**out));
		return true;
	}
	if (!lua_istable(L, index))
		return error_set(err, ERROR_INVALID, "%s must be a list of strings, got %s", name,
		    value_type_name(L, index));
	if (!is_list(L, index, &n))
		return error_set(err, ERROR_INVALID,
		    "%s must be a list of strings: {\"a\", \"b\"}, without names or gaps", name);
	list = xcalloc(n + 1, sizeof(*list));
	for (lua_Unsigned i = 0; i < n; i++) {
		char item[100];
		bool ok;

		snprintf(item, sizeof(item), "%s[%llu]", name, (unsigned long long)i + 1);
		lua_rawgeti(L, index, (lua_Integer)i + 1);
		ok = value_string(L, -1, item, &list[i], err);
		lua_pop(L, 1);
		if (!ok) {
			xstrv_free(list);
			return false;
		}
	}
	xstrv_free(*out);
	*out = list;
	return true;
}

static bool is_variable_name(const char *name)
{
	if (!isalpha((unsigned char)*name) && *name != '_')
		return false;
	for (; *name != '\0'; name++)
		if (!isalnum((unsigned char)*name) && *name != '_')
			return false;
	return true;
}

static bool is_reserved(const char *name)
{
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (strcmp(reserved[i], name) == 0)
			return true;
	return false;
}

void value_set_variable(char ***env, char *variable)
{
	size_t name_len = strcspn(variable, "=") + 1;
	size_t n = *env == NULL ? 0 : xstrv_len((const char *const *)*env);

	for (size_t i = 0; i < n; i++) {
		if (strncmp((*env)[i], variable, name_len) == 0) {
			free((*env)[i]);
			(*env)[i] = variable;
			return;
		}
	}
	*env = xreallocarray(*env, n + 2, sizeof(**env));
	(*env)[n] = variable;
	(*env)[n + 1] = NULL;
}

/* The text of a variable's value, or NULL with err set. */
static char *variable_value(lua_State *L, int index, const char *name, struct error *err)
{
	char *text = NULL;

	switch (lua_type(L, index)) {
	case LUA_TBOOLEAN:
		return xstrdup(lua_toboolean(L, index) ? "true" : "false");
	case LUA_TNUMBER:
		if (lua_isinteger(L, index))
			return xasprintf("%lld", (long long)lua_tointeger(L, index));
		return xasprintf("%.14g", lua_tonumber(L, index));
	case LUA_TSTRING:
		(void)value_string(L, index, name, &text, err);
		return text;
	default:
		error_set(err, ERROR_INVALID, "%s must be a string, a number or a boolean, got %s",
		    name, value_type_name(L, index));
		return NULL;
	}
}

bool value_check_variable(const char *variable, const char *name, struct error *err)
{
	if (!is_variable_name(variable))
		return error_set(err, ERROR_INVALID,
		    "%s: '%.60s' is no name of a variable: letters, digits and '_', no digit first",
		    name, variable);
	return !is_reserved(variable) ||
	       error_set(err, ERROR_INVALID, "%s: %s is set by athanore itself for each run", name,
		   variable);
}

/* The variable whose name and value are on top. */
static bool read_variable(lua_State *L, const char *name, char ***out, struct error *err)
{
	char *item, *value;
	const char *key;
	size_t len;

	if (lua_type(L, -2) != LUA_TSTRING)
		return error_set(err, ERROR_INVALID,
		    "%s must be a table of variables: {NAME = \"value\"}", name);
	key = lua_tolstring(L, -2, &len);
	if (strlen(key) != len)
		key = ""; /* no name has a NUL */
	if (!value_check_variable(key, name, err))
		return false;
	item = xasprintf("%s.%s", name, key);
	value = variable_value(L, -1, item, err);
	free(item);
	if (value == NULL)
		return false;
	value_set_variable(out, xasprintf("%s=%s", key, value));
	free(value);
	return true;
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

bool value_env(lua_State *L, int index, const char *name, char ***out, struct error *err)
{
	index = lua_absindex(L, index);
	if (!lua_istable(L, index))
		return error_set(err, ERROR_INVALID, "%s must be a table of variables, got %s",
		    name, value_type_name(L, index));
	lua_pushnil(L);
	while (lua_next(L, index) != 0) {
		if (!read_variable(L, name, out, err)) {
			lua_pop(L, 2);
			return false;
		}
		lua_pop(L, 1);
	}
	/* Lua's order differs from process to process. */
	if (*out != NULL)
		qsort(*out, xstrv_len((const char *const *)*out), sizeof(**out), compare_strings);
	return true;
}

bool value_path(
    lua_State *L, int index, const char *name, const char *dir, char **out, struct error *err)
{
	char *text = NULL;

	if (!value_string(L, index, name, &text, err))
		return false;
	if (text[0] == '\0') {
		free(text);
		return error_set(err, ERROR_INVALID, "%s is empty", name);
	}
	free(*out);
	*out = fs_join(dir, text);
	free(text);
	return true;
}

void value_resolve_command(char **argv, const char *dir)
{
	char *path;

	if (argv[0] == NULL || argv[0][0] == '/' || strchr(argv[0], '/') == NULL)
		return;
	path = fs_join(dir, argv[0]);
	free(argv[0]);
	argv[0] = path;
}

/* "claude -p" as a string is no executable; is there really none of that name? */
bool value_check_executable(char *const *argv, const char *name, struct error *err)
{
	if (argv[0][0] == '\0')
		return error_set(err, ERROR_INVALID, "%s[1] is empty", name);
	if (strchr(argv[0], ' ') == NULL || access(argv[0], F_OK) == 0)
		return true;
	return error_set(err, ERROR_INVALID,
	    "%s '%s' is one executable, and there is none of that name; give its arguments in "
	    "args, "
	    "or a list: {\"program\", \"argument\"}",
	    name, argv[0]);
}

bool value_command(
    lua_State *L, int index, const char *name, const char *dir, char ***out, struct error *err)
{
	char **list = NULL;

	if (lua_type(L, index) == LUA_TSTRING) {
		list = xcalloc(2, sizeof(*list));
		if (!value_string(L, index, name, &list[0], err)) {
			free(list);
			return false;
		}
		if (list[0][0] == '\0') {
			free(list[0]);
			list[0] = NULL;
		}
	} else if (!lua_istable(L, index)) {
		return error_set(err, ERROR_INVALID,
		    "%s must be a string (one executable) or a list of strings, got %s", name,
		    value_type_name(L, index));
	} else if (!value_strings(L, index, name, &list, err)) {
		return false;
	}
	value_resolve_command(list, dir);
	if (list[0] != NULL && !value_check_executable(list, name, err)) {
		xstrv_free(list);
		return false;
	}
	xstrv_free(*out);
	*out = list;
	return true;
}
