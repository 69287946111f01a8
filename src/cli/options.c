/* Reads the command line. */
#include "cli/cli.h"

#include "base/log.h"
#include "base/str.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define EXIT_USAGE 2

enum { OPT_HOST = 256, OPT_STATE_DIR, OPT_LOG_LEVEL, OPT_LOG_FORMAT, OPT_ONCE };

static const struct option long_options[] = {
    {"port", required_argument, NULL, 'p'},
    {"host", required_argument, NULL, OPT_HOST},
    {"state-dir", required_argument, NULL, OPT_STATE_DIR},
    {"log-level", required_argument, NULL, OPT_LOG_LEVEL},
    {"log-format", required_argument, NULL, OPT_LOG_FORMAT},
    {"once", no_argument, NULL, OPT_ONCE},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static const char usage[] =
    "Usage: athanore [options] routes.lua\n"
    "       athanore check routes.lua\n"
    "\n"
    "Polls the queues that routes.lua names and runs an agent on each ready task.\n"
    "\n"
    "  -p, --port PORT        port of the HTTP API; 0 picks one and keeps it\n"
    "      --host HOST        address that the HTTP API listens on\n"
    "      --state-dir DIR    where runs are kept (default: .athanore/NAME beside NAME.lua)\n"
    "      --log-level LEVEL  debug, info, warn or error\n"
    "      --log-format FMT   text or json\n"
    "      --once             run until nothing is ready and nothing runs, then exit\n"
    "  -V, --version          print the version\n"
    "  -h, --help             print this\n"
    "\n"
    "Commands:\n"
    "  check routes.lua       load the script, say what is wrong with it, and exit\n";

static bool complain(int *status, const char *what, const char *value)
{
	fprintf(stderr, "athanore: %s%s%s\nTry 'athanore --help'.\n", what,
	    value != NULL ? " " : "", value != NULL ? value : "");
	*status = EXIT_USAGE;
	return false;
}

static bool parse_port(const char *text, int *port)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || value < 0 || value > 65535)
		return false;
	*port = (int)value;
	return true;
}

static bool parse_option(int opt, struct cli_options *options, int *status)
{
	enum log_level level;
	enum log_format format;

	switch (opt) {
	case 'p':
		return parse_port(optarg, &options->port) ||
		       complain(status, "--port wants a number from 0 to 65535, not", optarg);
	case OPT_HOST:
		options->host = optarg;
		return true;
	case OPT_STATE_DIR:
		options->state_dir = optarg;
		return true;
	case OPT_LOG_LEVEL:
		if (!log_level_parse(optarg, &level))
			return complain(
			    status, "--log-level wants debug, info, warn or error, not", optarg);
		options->log_level = (int)level;
		return true;
	case OPT_LOG_FORMAT:
		if (!log_format_parse(optarg, &format))
			return complain(status, "--log-format wants text or json, not", optarg);
		log_set_format(format);
		return true;
	case OPT_ONCE:
		options->once = true;
		return true;
	case 'V':
		printf("athanore %s\n", ATHANORE_VERSION);
		*status = EXIT_SUCCESS;
		return false;
	case 'h':
		fputs(usage, stdout);
		*status = EXIT_SUCCESS;
		return false;
	default:
		fputs("Try 'athanore --help'.\n", stderr);
		*status = EXIT_USAGE;
		return false;
	}
}

bool cli_parse(int argc, char **argv, struct cli_options *options, int *status)
{
	int opt;

	*options = (struct cli_options){.port = -1, .log_level = -1};
	while ((opt = getopt_long(argc, argv, "p:Vh", long_options, NULL)) != -1)
		if (!parse_option(opt, options, status))
			return false;
	if (optind < argc && str_equal(argv[optind], "check"))
		options->command = argv[optind++];
	if (optind == argc)
		return complain(status, "which script? Say: athanore routes.lua", NULL);
	options->script = argv[optind++];
	if (optind < argc)
		return complain(status, "one script at a time; what is", argv[optind]);
	return true;
}
