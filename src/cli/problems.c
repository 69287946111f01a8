/* Prints what is wrong with a script. */
#include "cli/problems.h"

#include <stdio.h>

void problems_print(const struct script_problems *problems)
{
	for (size_t i = 0; i < problems->count; i++) {
		const struct script_problem *problem = &problems->list[i];

		if (problem->line > 0)
			fprintf(
			    stderr, "%s:%d: %s\n", problem->file, problem->line, problem->message);
		else
			fprintf(stderr, "%s: %s\n", problem->file, problem->message);
	}
	fprintf(
	    stderr, "athanore: %zu problem%s\n", problems->count, problems->count == 1 ? "" : "s");
}
