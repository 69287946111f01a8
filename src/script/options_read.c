/* Reads tables of options and says what is wrong with them. */
#include "base/alloc.h"
#include "base/str.h"
#include "script/lua_json.h"
#include "script/options.h"
#include "script/problems.h"
#include "script/values.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One option that is being read: its value is at index. */
struct reading {
	lua_State *L;
	int index;
	const struct option *option;
	const struct option_target *target;
	char *slot; /* where it goes */
	struct error err;
};

static bool wrong_type(struct reading *reading, const char *expected)
{
	return error_set(&reading->err, ERROR_INVALID, "%s must be %s%s, got %s",
	    reading->option->name, expected,
	    (reading->option->flags & OPTION_OFF) != 0 ? " (or false)" : "",
	    value_type_name(reading->L, reading->index));
}

static bool read_number(struct reading *reading, const char *expected)
{
	double value;

	if (lua_type(reading->L, reading->index) != LUA_TNUMBER)
		return wrong_type(reading, expected);
	value = lua_tonumber(reading->L, reading->index);
	if (!option_check_range(reading->option, value, &reading->err))
		return false;
	memcpy(reading->slot, &value, sizeof(value));
	return true;
}

static bool read_whole(struct reading *reading, lua_Integer *value)
{
	double number;
	int is_whole;

	if (lua_type(reading->L, reading->index) != LUA_TNUMBER)
		return wrong_type(reading, "a whole number");
	number = lua_tonumber(reading->L, reading->index);
	*value = lua_tointegerx(reading->L, reading->index, &is_whole);
	if (isfinite(number) && !is_whole && number == number && number != floor(number))
		return error_set(&reading->err, ERROR_INVALID,
		    "%s must be a whole number, got %.15g", reading->option->name, number);
	if (!is_whole)
		return option_out_of_range(reading->option, number, &reading->err);
	return option_check_range(reading->option, number, &reading->err);
}

static bool read_int(struct reading *reading)
{
	lua_Integer value = 0;
	int whole;

	if (!read_whole(reading, &value))
		return false;
	whole = (int)value;
	memcpy(reading->slot, &whole, sizeof(whole));
	return true;
}

static bool read_int64(struct reading *reading)
{
	lua_Integer value = 0;
	int64_t bytes;

	if (!read_whole(reading, &value))
		return false;
	bytes = value;
	memcpy(reading->slot, &bytes, sizeof(bytes));
	return true;
}

static bool read_text(struct reading *reading)
{
	char **slot = (char **)(void *)reading->slot;

	if (lua_type(reading->L, reading->index) != LUA_TSTRING)
		return wrong_type(reading, "a string");
	if (lua_rawlen(reading->L, reading->index) == 0)
		return error_set(
		    &reading->err, ERROR_INVALID, "%s is an empty string", reading->option->name);
	return value_string(reading->L, reading->index, reading->option->name, slot, &reading->err);
}

static bool read_flag(struct reading *reading)
{
	bool value = lua_toboolean(reading->L, reading->index) != 0;

	if (!lua_isboolean(reading->L, reading->index))
		return wrong_type(reading, "true or false");
	memcpy(reading->slot, &value, sizeof(value));
	return true;
}

static bool read_choice(struct reading *reading)
{
	const char *const *choices = reading->option->choices;
	const char *text = NULL;
	struct str list = {0};

	if (lua_type(reading->L, reading->index) == LUA_TSTRING)
		text = lua_tostring(reading->L, reading->index);
	for (int i = 0; choices[i] != NULL; i++) {
		if (text != NULL && strcmp(text, choices[i]) == 0) {
			memcpy(reading->slot, &i, sizeof(i));
			str_free(&list);
			return true;
		}
		str_printf(&list, "%s\"%s\"", i > 0 ? ", " : "", choices[i]);
	}
	error_set(&reading->err, ERROR_INVALID, "%s must be one of %s, got %s%.60s%s",
	    reading->option->name, list.data, text != NULL ? "\"" : "",
	    text != NULL ? text : value_type_name(reading->L, reading->index),
	    text != NULL ? "\"" : "");
	str_free(&list);
	return false;
}

static bool read_value(struct reading *reading)
{
	const struct option *option = reading->option;
	lua_State *L = reading->L;
	char ***list = (char ***)(void *)reading->slot;

	switch (option->type) {
	case OPTION_TEXT:
		return read_text(reading);
	case OPTION_PATH:
		return value_path(L, reading->index, option->name, reading->target->dir,
		    (char **)(void *)reading->slot, &reading->err);
	case OPTION_NUMBER:
		return read_number(reading, "a number");
	case OPTION_SECONDS:
		return read_number(reading, "a number of seconds");
	case OPTION_WHOLE:
		return read_int(reading);
	case OPTION_BYTES:
		return read_int64(reading);
	case OPTION_FLAG:
		return read_flag(reading);
	case OPTION_CHOICE:
		return read_choice(reading);
	case OPTION_COMMAND:
		return value_command(
		    L, reading->index, option->name, reading->target->dir, list, &reading->err);
	case OPTION_STRINGS:
		return value_strings(L, reading->index, option->name, list, &reading->err);
	case OPTION_ENV:
		return value_env(L, reading->index, option->name, list, &reading->err);
	case OPTION_FUNCTION:
		return lua_isfunction(L, reading->index) || wrong_type(reading, "a function");
	case OPTION_LUA:
		return true;
	}
	fatal("option %s has type %d", option->name, (int)option->type);
}

/* false, or 0 for a number: what "off" looks like in the records is 0 or NULL. */
static bool switch_off(struct reading *reading)
{
	const struct option *option = reading->option;
	lua_State *L = reading->L;
	bool number = option->type != OPTION_TEXT;

	if ((option->flags & OPTION_OFF) == 0 || reading->slot == NULL)
		return false;
	if (lua_isboolean(L, reading->index)
		? lua_toboolean(L, reading->index) != 0
		: !number || lua_type(L, reading->index) != LUA_TNUMBER ||
		      lua_tonumber(L, reading->index) != 0)
		return false;
	option_clear(option, reading->slot);
	return true;
}

static void add_problem(const struct option_target *target, const char *message)
{
	problems_add(target->problems, target->file, target->line, "%s", message);
}

static bool read_option(
    lua_State *L, int table, const struct option *option, const struct option_target *target)
{
	struct reading reading = {.L = L, .option = option, .target = target};
	bool ok;

	reading.slot =
	    (char *)((option->flags & OPTION_ROUTE) != 0 ? (void *)target->route : target->config);
	if (reading.slot != NULL)
		reading.slot += option->offset;
	/* lua_getfield() could raise: it makes a string, and asks metatables. */
	lua_pushnil(L);
	ok = false;
	while (lua_next(L, table) != 0) {
		if (lua_type(L, -2) == LUA_TSTRING &&
		    strcmp(lua_tostring(L, -2), option->name) == 0) {
			ok = true;
			break;
		}
		lua_pop(L, 1);
	}
	if (!ok) {
		if ((option->flags & OPTION_REQUIRED) == 0)
			return true;
		problems_add(target->problems, target->file, target->line,
		    "%s is missing in %s: for example %s = %s", option->name, target->what,
		    option->name, option->example);
		return false;
	}
	if (reading.slot == NULL && option->type != OPTION_FUNCTION && option->type != OPTION_LUA)
		fatal("option %s has no place", option->name);
	reading.index = lua_gettop(L);
	ok = switch_off(&reading) || read_value(&reading);
	lua_pop(L, 2);
	if (!ok)
		add_problem(target, reading.err.message);
	error_clear(&reading.err);
	return ok;
}

static bool is_known(const struct option *options, const char *name)
{
	for (; options->name != NULL; options++)
		if (strcmp(options->name, name) == 0)
			return true;
	return false;
}

static void add_unknown(
    const char *name, const struct option *options, const struct option_target *target)
{
	const char *nearest = option_nearest(options, name);

	if (nearest != NULL)
		problems_add(target->problems, target->file, target->line,
		    "unknown option '%.60s' of %s; did you mean '%s'?", name, target->what,
		    nearest);
	else
		problems_add(target->problems, target->file, target->line,
		    "unknown option '%.60s' of %s", name, target->what);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Reports names that no option has, in an order that is not the table's: that one is random. */
static bool check_unknown(
    lua_State *L, int table, const struct option *options, const struct option_target *target)
{
	char **names = NULL;
	bool positional = false;

	lua_pushnil(L);
	while (lua_next(L, table) != 0) {
		lua_pop(L, 1);
		if (lua_type(L, -1) != LUA_TSTRING)
			positional = true;
		else if (!is_known(options, lua_tostring(L, -1)))
			names = xstrv_add(names, lua_tostring(L, -1));
	}
	if (positional)
		problems_add(target->problems, target->file, target->line,
		    "%s takes options with names: {name = value}", target->what);
	if (names != NULL)
		qsort(names, xstrv_len((const char *const *)names), sizeof(*names), compare_names);
	for (size_t i = 0; names != NULL && names[i] != NULL; i++)
		add_unknown(names[i], options, target);
	if (names == NULL)
		return !positional;
	xstrv_free(names);
	return false;
}

bool options_read(
    lua_State *L, int index, const struct option *options, const struct option_target *target)
{
	int table = lua_absindex(L, index);
	bool ok = true;

	if (!lua_istable(L, table)) {
		problems_add(target->problems, target->file, target->line,
		    "%s takes a table of options, got %s", target->what, value_type_name(L, table));
		return false;
	}
	for (const struct option *option = options; option->name != NULL; option++)
		ok = read_option(L, table, option, target) && ok;
	return check_unknown(L, table, options, target) && ok;
}
