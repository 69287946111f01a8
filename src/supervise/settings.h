#ifndef ATHANORE_SUPERVISE_SETTINGS_H
#define ATHANORE_SUPERVISE_SETTINGS_H

#include "base/error.h"

#include <stdint.h>

/* What the command line asks for. Strings are borrowed from it. */
struct settings {
	const char *dir;  /* the run's folder */
	const char *cwd;  /* the agent's working directory; NULL: ours */
	char **argv;	  /* the agent's command; at least one element */
	double timeout;	  /* seconds; 0: none */
	double grace;	  /* seconds from TERM to KILL */
	double stall;	  /* seconds without output; 0: none */
	double give_up;	  /* seconds from KILL until what is left is reported as surviving */
	uint64_t max_log; /* bytes of our own records in events.jsonl */
};

enum settings_result { SETTINGS_OK, SETTINGS_HELP, SETTINGS_VERSION, SETTINGS_INVALID };

/* Fills settings from the command line; err says what is wrong with it where it is invalid. */
enum settings_result settings_parse(
    struct settings *settings, int argc, char **argv, struct error *err);

/* The text of --help, a whole number of lines. */
const char *settings_help(void);

#endif
