#ifndef ATHANORE_CLI_CLI_H
#define ATHANORE_CLI_CLI_H

#include <stdbool.h>

/* The command line. */
struct cli_options {
	const char *script;    /* as given */
	const char *command;   /* "check", or NULL: run the daemon */
	const char *host;      /* NULL: the script's */
	int port;	       /* -1: the script's */
	const char *state_dir; /* NULL: the script's */
	int log_level;	       /* -1: the script's */
	bool once;
};

/*
 * Reads the command line. True where the program is to go on; otherwise *status is what to exit
 * with: help and version were printed, or what is wrong was said on stderr.
 */
bool cli_parse(int argc, char **argv, struct cli_options *options, int *status);

/* `athanore check routes.lua`: loads the script and says what is wrong. The exit status. */
int cli_check(const char *path);

#endif
