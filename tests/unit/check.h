#ifndef ATHANORE_TESTS_UNIT_CHECK_H
#define ATHANORE_TESTS_UNIT_CHECK_H

/* What every unit test wants: cmocka with what it needs, and a temporary folder. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"

#include <stdlib.h>
#include <unistd.h>

/* A cmocka setup that makes a temporary folder; *state becomes its path. */
static inline int make_temp_dir(void **state)
{
	const char *base = getenv("TMPDIR");
	char *path = xasprintf("%s/athanore-unit-XXXXXX", base == NULL ? "/tmp" : base);

	*state = mkdtemp(path);
	return *state == NULL ? -1 : 0;
}

static inline int remove_temp_dir(void **state)
{
	bool ok = fs_remove_tree(*state, NULL);

	free(*state);
	return ok ? 0 : -1;
}

#define in_temp_dir(test) cmocka_unit_test_setup_teardown(test, make_temp_dir, remove_temp_dir)

#endif
