/* Reads one output pipe of the agent into the log. */
#include "supervise/output.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "supervise/lines.h"
#include "supervise/record.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_LINE (8 * 1024 * 1024)
#define READ_BYTES 65536 /* what a pipe holds */
#define KEEP_BYTES 65536

struct output {
	int fd;
	const char *stream;
	struct eventlog *log;
	struct lines *lines;
	struct str record;
	char time[CLOCK_TEXT_SIZE]; /* of the read that the lines at hand come from */
};

static void on_line(void *arg, const char *line, size_t len, bool truncated)
{
	struct output *output = arg;

	record_output(&output->record, output->time, output->stream, line, len, truncated);
	eventlog_write(output->log, output->record.data, output->record.len);
	if (output->record.cap > KEEP_BYTES)
		str_free(&output->record);
	else
		str_clear(&output->record);
}

struct output *output_create(int fd, const char *stream, struct eventlog *log)
{
	struct output *output = xcalloc(1, sizeof(*output));

	output->fd = fd;
	output->stream = stream;
	output->log = log;
	output->lines = lines_create(MAX_LINE, on_line, output);
	clock_format(clock_now_ms(), output->time);
	return output;
}

int output_fd(const struct output *output)
{
	return output->fd;
}

static void end(struct output *output)
{
	if (output->fd == -1)
		return;
	lines_end(output->lines);
	str_free(&output->record);
	close(output->fd);
	output->fd = -1;
}

bool output_read(struct output *output)
{
	static char buffer[READ_BYTES]; /* one for all pipes: nothing stays in it */
	ssize_t n = read(output->fd, buffer, sizeof(buffer));

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		end(output);
		return false;
	}
	clock_format(clock_now_ms(), output->time);
	lines_feed(output->lines, buffer, (size_t)n);
	return true;
}

void output_free(struct output *output)
{
	if (output == NULL)
		return;
	end(output);
	lines_free(output->lines);
	free(output);
}
