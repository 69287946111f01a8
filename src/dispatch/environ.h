#ifndef ATHANORE_DISPATCH_ENVIRON_H
#define ATHANORE_DISPATCH_ENVIRON_H

#include "model/run.h"

/*
 * The agent's environment: the daemon's less its secrets, then what the route sets, then the
 * ATHANORE_* variables. token may be NULL. A NULL-terminated list, owned by the caller.
 */
char **environ_make(const struct run *run, const char *api_url, const char *token);

#endif
