/* The supervisor's command line. */
#include "supervise/settings.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SECONDS 1e9 /* thirty years: beyond it arithmetic on deadlines loses its sense */

enum kind { TEXT, SECONDS, BYTES };

/* getopt's value of an option is its place in this table plus FIRST_OPTION. */
static const struct {
	const char *name;
	enum kind kind;
	size_t offset;
} table[] = {
    {"dir", TEXT, offsetof(struct settings, dir)},
    {"cwd", TEXT, offsetof(struct settings, cwd)},
    {"timeout", SECONDS, offsetof(struct settings, timeout)},
    {"grace", SECONDS, offsetof(struct settings, grace)},
    {"stall", SECONDS, offsetof(struct settings, stall)},
    {"give-up", SECONDS, offsetof(struct settings, give_up)},
    {"max-log", BYTES, offsetof(struct settings, max_log)},
};

#define COUNT (sizeof(table) / sizeof(table[0]))
#define FIRST_OPTION 256

static const char help[] =
    "usage: athanore-supervise --dir RUN_DIR [options] -- command [argument ...]\n"
    "\n"
    "Runs one agent for athanore, which starts it; it is not meant to be run by hand.\n"
    "\n"
    "  --dir RUN_DIR     the folder of the run\n"
    "  --cwd DIR         the working directory of the agent\n"
    "  --timeout S       end the agent after S seconds (0: never)\n"
    "  --stall S         end the agent after S seconds without output (0: never)\n"
    "  --grace S         seconds from TERM to KILL (5)\n"
    "  --give-up S       seconds from KILL until what cannot be killed is reported (30)\n"
    "  --max-log BYTES   size of events.jsonl from which on output is dropped (268435456)\n"
    "  --help, --version\n"
    "\n"
    "Environment: with ATHANORE_NO_CGROUP=1 the agent gets no cgroup of its own.\n"
    "Exit status: 0 exit.json was written, 2 wrong usage, 3 the run was started before,\n"
    "4 the run could not be set up or its end not be recorded.\n";

const char *settings_help(void)
{
	return help;
}

static bool parse_seconds(const char *text, double *value)
{
	char *end;

	errno = 0;
	*value = strtod(text, &end);
	return end != text && *end == '\0' && isfinite(*value) && *value >= 0 &&
	       *value <= MAX_SECONDS;
}

static bool parse_bytes(const char *text, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 &&
	       *value <= INT64_MAX;
}

static bool set_option(struct settings *settings, size_t i, const char *text, struct error *err)
{
	char *member = (char *)settings + table[i].offset;

	switch (table[i].kind) {
	case TEXT:
		*(const char **)(void *)member = text;
		return text[0] != '\0' ||
		       error_set(err, ERROR_INVALID, "--%s is empty", table[i].name);
	case SECONDS:
		return parse_seconds(text, (double *)(void *)member) ||
		       error_set(err, ERROR_INVALID, "--%s wants a number of seconds, not '%s'",
			   table[i].name, text);
	case BYTES:
		return parse_bytes(text, (uint64_t *)(void *)member) ||
		       error_set(err, ERROR_INVALID, "--%s wants a number of bytes, not '%s'",
			   table[i].name, text);
	}
	return false;
}

static void long_options(struct option options[COUNT + 3])
{
	memset(options, 0, (COUNT + 3) * sizeof(options[0]));
	for (size_t i = 0; i < COUNT; i++)
		options[i] =
		    (struct option){table[i].name, required_argument, NULL, FIRST_OPTION + (int)i};
	options[COUNT] = (struct option){"help", no_argument, NULL, 'h'};
	options[COUNT + 1] = (struct option){"version", no_argument, NULL, 'v'};
}

static enum settings_result parse_options(
    struct settings *settings, int argc, char **argv, struct error *err)
{
	struct option options[COUNT + 3];
	int c;

	long_options(options);
	opterr = 0;
	/* '+': the agent's own options are not ours. */
	while ((c = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (c == 'h')
			return SETTINGS_HELP;
		if (c == 'v')
			return SETTINGS_VERSION;
		if (c < FIRST_OPTION) {
			error_set(err, ERROR_INVALID, "'%s' is no option, or its value is missing",
			    argv[optind - 1]);
			return SETTINGS_INVALID;
		}
		if (!set_option(settings, (size_t)(c - FIRST_OPTION), optarg, err))
			return SETTINGS_INVALID;
	}
	return SETTINGS_OK;
}

enum settings_result settings_parse(
    struct settings *settings, int argc, char **argv, struct error *err)
{
	enum settings_result result;

	*settings = (struct settings){.grace = 5, .give_up = 30, .max_log = 268435456};
	result = parse_options(settings, argc, argv, err);
	if (result != SETTINGS_OK)
		return result;
	settings->argv = argv + optind;
	if (settings->dir == NULL)
		error_set(err, ERROR_INVALID, "--dir is missing");
	else if (optind >= argc || argv[optind][0] == '\0')
		error_set(err, ERROR_INVALID, "the command is missing: put it behind --");
	else
		return SETTINGS_OK;
	return SETTINGS_INVALID;
}
