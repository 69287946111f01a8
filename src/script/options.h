#ifndef ATHANORE_SCRIPT_OPTIONS_H
#define ATHANORE_SCRIPT_OPTIONS_H

#include "script/script.h"

#include <lua.h>
#include <stddef.h>

/* The options that scripts give in tables, as const tables: name, type, range, destination. */

enum option_type {
	OPTION_TEXT,	 /* char *: a string that is not empty */
	OPTION_PATH,	 /* char *: made absolute by the script's folder */
	OPTION_NUMBER,	 /* double */
	OPTION_SECONDS,	 /* double */
	OPTION_WHOLE,	 /* int */
	OPTION_BYTES,	 /* int64_t */
	OPTION_FLAG,	 /* bool */
	OPTION_CHOICE,	 /* int: the index in choices */
	OPTION_COMMAND,	 /* char ** */
	OPTION_STRINGS,	 /* char ** */
	OPTION_ENV,	 /* char **: added to what is there */
	OPTION_FUNCTION, /* stays in Lua; only the type is checked */
	OPTION_LUA	 /* stays in Lua; the caller checks it */
};

enum {
	OPTION_REQUIRED = 1,
	OPTION_OFF = 2,	     /* false, or 0 for a number, says: none (0 or NULL) */
	OPTION_POSITIVE = 4, /* min itself is out of range */
	OPTION_ROUTE = 8     /* offset is in the struct route, else in the struct config */
};

struct option {
	const char *name; /* NULL ends a table */
	enum option_type type;
	unsigned flags;
	size_t offset;
	double min, max;	    /* of numbers */
	const char *const *choices; /* NULL-terminated */
	const char *example;	    /* of a required one's value */
};

extern const struct option dispatcher_options[];
extern const struct option route_options[];
extern const struct option run_options[];	/* of dispatcher:run{}; in a struct run_settings */
extern const struct option json_file_options[]; /* in a struct config */

struct run_settings {
	bool debug;
	int log_level; /* -1: not said */
};

/* Where options go, and what reading them needs. */
struct option_target {
	void *config; /* struct config, or what the table is for */
	struct route *route;
	const char *dir;  /* relative paths begin here */
	const char *what; /* for messages: "route" */
	struct script_problems *problems;
	const char *file; /* the place of the call */
	int line;
};

/* False with err set where a number is out of the option's range, and for one that is known to be.
 */
bool option_check_range(const struct option *option, double value, struct error *err)
    __attribute__((warn_unused_result));
bool option_out_of_range(const struct option *option, double value, struct error *err);

/* Sets what is at slot to what "off" looks like in the records: 0, or NULL for text. */
void option_clear(const struct option *option, void *slot);

/* The name in the table that is nearest, or NULL. */
const char *option_nearest(const struct option *options, const char *name);

/*
 * Reads options from a JSON object, as the API gets them; null is what "off" is in a script.
 * Members that the table does not have are left to the caller. False with err set (invalid) at the
 * first mistake, *field being the option's name; what is set is sound in any case.
 */
bool options_read_json(struct json_object *object, const struct option *options,
    const struct option_target *target, const char **field, struct error *err)
    __attribute__((warn_unused_result));

/* Reads the table at index; every mistake becomes a problem. False where there was one. Raises
 * nothing; what is set is sound in any case. */
bool options_read(
    lua_State *L, int index, const struct option *options, const struct option_target *target);

#endif
