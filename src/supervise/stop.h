#ifndef ATHANORE_SUPERVISE_STOP_H
#define ATHANORE_SUPERVISE_STOP_H

#include <stddef.h>

/*
 * Why the daemon wants the run to end: the member "reason" of the JSON object
 * in stop.json. Both return text that the caller frees, or NULL where there is
 * no such member, or no such file, or it is no string of 1 to 100 bytes.
 */
char *stop_reason(const char *path);
char *stop_reason_parse(const char *text, size_t len);

#endif
