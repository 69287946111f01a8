/* The command line. */
#include "check.h"

#include "base/log.h"
#include "base/str.h"
#include "cli/cli.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define MAX_ARGS 8

static struct cli_options options;
static int status;
static char said[4096]; /* on stdout and stderr */

/* Parses words (ended by NULL) with what it prints kept in `said`. */
static bool parse(const char *const *words)
{
	char *argv[MAX_ARGS + 2] = {"athanore"};
	int argc = 1, fd = memfd_create("said", MFD_CLOEXEC);
	int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	int err = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	ssize_t n;
	bool ok;

	for (; words[argc - 1] != NULL; argc++)
		argv[argc] = (char *)words[argc - 1];
	optind = 0; /* getopt starts anew */
	status = -1;
	fflush(NULL);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	ok = cli_parse(argc, argv, &options, &status);
	fflush(NULL);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	close(out);
	close(err);
	n = pread(fd, said, sizeof(said) - 1, 0);
	said[n > 0 ? n : 0] = '\0';
	close(fd);
	return ok;
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

static void test_plain(void **state)
{
	(void)state;
	assert_true(PARSE("routes.lua"));
	assert_string_equal(options.script, "routes.lua");
	assert_null(options.command);
	assert_null(options.host);
	assert_null(options.state_dir);
	assert_int_equal(options.port, -1);
	assert_int_equal(options.log_level, -1);
	assert_false(options.once);
	assert_string_equal(said, "");
}

static void test_all(void **state)
{
	(void)state;
	assert_true(PARSE(
	    "--port=0", "--host", "::1", "--once", "--log-level=warn", "my.lua", "--state-dir=/s"));
	assert_int_equal(options.port, 0);
	assert_string_equal(options.host, "::1");
	assert_string_equal(options.state_dir, "/s");
	assert_int_equal(options.log_level, LOG_WARN);
	assert_true(options.once);
	assert_string_equal(options.script, "my.lua");
	assert_true(PARSE("-p", "65535", "my.lua"));
	assert_int_equal(options.port, 65535);
}

static void test_check(void **state)
{
	(void)state;
	assert_true(PARSE("check", "routes.lua"));
	assert_string_equal(options.command, "check");
	assert_string_equal(options.script, "routes.lua");
	/* A script may be called so, where its name says that it is a file. */
	assert_true(PARSE("./check"));
	assert_null(options.command);
	assert_string_equal(options.script, "./check");
}

static void assert_says(const char *text, int exit_status)
{
	assert_int_equal(status, exit_status);
	if (strstr(said, text) == NULL)
		fail_msg("\"%s\" is not in: %s", text, said);
}

static void test_information(void **state)
{
	(void)state;
	assert_false(PARSE("--version"));
	assert_says("athanore " ATHANORE_VERSION "\n", 0);
	assert_false(PARSE("-h"));
	assert_says("Usage: athanore [options] routes.lua", 0);
}

static void test_ports(void **state)
{
	static const char *const bad[] = {"-1", "65536", "80x", "", "x", "99999999999999999999"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_false(PARSE("--port", bad[i], "routes.lua"));
		assert_says("--port wants a number from 0 to 65535, not", 2);
	}
}

static void test_wrong(void **state)
{
	(void)state;
	assert_false(parse((const char *const[]){NULL}));
	assert_says("which script? Say: athanore routes.lua", 2);
	assert_false(PARSE("check"));
	assert_says("which script?", 2);
	assert_false(PARSE("a.lua", "b.lua"));
	assert_says("one script at a time; what is b.lua", 2);
	assert_false(PARSE("--log-level=loud", "a.lua"));
	assert_says("--log-level wants debug, info, warn or error, not loud", 2);
	assert_false(PARSE("--log-format=xml", "a.lua"));
	assert_says("--log-format wants text or json, not xml", 2);
	assert_false(PARSE("--frobnicate", "a.lua"));
	assert_says("--frobnicate", 2);
	assert_says("Try 'athanore --help'.", 2);
	assert_false(PARSE("a.lua", "--port"));
	assert_says("Try 'athanore --help'.", 2);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain),
	    cmocka_unit_test(test_all),
	    cmocka_unit_test(test_check),
	    cmocka_unit_test(test_information),
	    cmocka_unit_test(test_ports),
	    cmocka_unit_test(test_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
