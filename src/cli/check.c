/* `athanore check`: loads a script and says what is wrong with it. */
#include "cli/cli.h"

#include "cli/problems.h"
#include "loop/loop.h"
#include "script/script.h"

#include <stdio.h>
#include <stdlib.h>

int cli_check(const char *path)
{
	struct script_problems problems = {0};
	struct loop *loop = loop_create();
	struct script *script = script_load(loop, path, &problems);
	int status = script != NULL ? EXIT_SUCCESS : EXIT_FAILURE;

	if (script != NULL) {
		size_t routes = script_config(script)->route_count;

		printf("%s: ok, %zu route%s\n", path, routes, routes == 1 ? "" : "s");
	} else {
		problems_print(&problems);
	}
	script_unref(script);
	script_problems_free(&problems);
	loop_free(loop);
	return status;
}
