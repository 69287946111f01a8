/* What options in Lua and options in JSON have in common: ranges, "off", and names. */
#include "base/str.h"
#include "script/options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No table of options is longer. */
#define MAX_OPTIONS 60

bool option_out_of_range(const struct option *option, double value, struct error *err)
{
	char got[40];

	if (isfinite(value))
		snprintf(got, sizeof(got), "%.15g", value);
	else
		snprintf(got, sizeof(got), "%s", isnan(value) ? "NaN" : "infinity");
	if (isfinite(value) && value > option->max)
		return error_set(err, ERROR_INVALID, "%s must be at most %.15g, got %s",
		    option->name, option->max, got);
	return error_set(err, ERROR_INVALID, "%s must be %s %.15g, got %s", option->name,
	    (option->flags & OPTION_POSITIVE) != 0 ? "above" : "at least", option->min, got);
}

bool option_check_range(const struct option *option, double value, struct error *err)
{
	bool above_min =
	    (option->flags & OPTION_POSITIVE) != 0 ? value > option->min : value >= option->min;

	return (isfinite(value) && value <= option->max && above_min) ||
	       option_out_of_range(option, value, err);
}

void option_clear(const struct option *option, void *slot)
{
	char **text = slot;

	if (option->type == OPTION_TEXT || option->type == OPTION_PATH) {
		free(*text);
		*text = NULL;
	} else if (option->type == OPTION_WHOLE) {
		memset(slot, 0, sizeof(int));
	} else {
		memset(slot, 0, sizeof(double));
	}
}

const char *option_nearest(const struct option *options, const char *name)
{
	const char *names[MAX_OPTIONS + 1] = {NULL};

	for (size_t n = 0; n < MAX_OPTIONS && options[n].name != NULL; n++)
		names[n] = options[n].name;
	return str_nearest(name, names);
}
