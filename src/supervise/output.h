#ifndef ATHANORE_SUPERVISE_OUTPUT_H
#define ATHANORE_SUPERVISE_OUTPUT_H

#include "supervise/eventlog.h"

/* One of the agent's output pipes, whose lines become records. */
struct output;

/* Takes over fd; stream ("stdout", "stderr") and log outlive it. */
struct output *output_create(int fd, const char *stream, struct eventlog *log);

/* The descriptor to poll for reading; -1 once the pipe has ended. */
int output_fd(const struct output *output);

/* Reads what is there, up to a fair share; true where anything came. */
bool output_read(struct output *output);

/* Writes what stands behind the last newline, and closes the pipe. NULL is fine. */
void output_free(struct output *output);

#endif
