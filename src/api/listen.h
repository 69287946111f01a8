#ifndef ATHANORE_API_LISTEN_H
#define ATHANORE_API_LISTEN_H

#include "base/error.h"

/*
 * Binds host (a name, an IPv4 or an IPv6 address; brackets are fine) and port
 * (0: any free one) and listens: close-on-exec, non-blocking, at once
 * reusable after a restart. *bound is the port, *loopback whether only this machine can reach it.
 * -1 with err set: conflict where the port is taken.
 */
int api_listen(const char *host, int port, int *bound, bool *loopback, struct error *err)
    __attribute__((warn_unused_result));

#endif
