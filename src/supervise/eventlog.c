/* Appends records to events.jsonl, whatever the disk says. */
#include "supervise/eventlog.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "supervise/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define RING_BYTES (1024 * 1024)

struct eventlog {
	int fd;
	uint64_t limit;
	uint64_t written;	  /* bytes of our own records */
	bool full;		  /* the limit was reached: what comes waits for the end */
	bool torn;		  /* the file may end in part of a line of ours */
	bool dirty;		  /* something was written since the file was opened */
	int errnum;		  /* why the last write failed; 0: it did not */
	struct ring *ring;	  /* NULL: nothing waits */
	struct ring_loss dropped; /* out of the ring, and not told in the log yet */
};

/* Whether the next record has to begin with a newline; a file that cannot be read is left alone. */
static bool needs_newline(const struct eventlog *log)
{
	struct stat st;
	char last;

	if (fstat(log->fd, &st) == -1 || st.st_size == 0)
		return false;
	return pread(log->fd, &last, 1, st.st_size - 1) == 1 && last != '\n';
}

static ssize_t append(struct eventlog *log, bool newline, const char *record, size_t len)
{
	struct iovec parts[2] = {{(char[]){'\n'}, 1}, {(void *)(uintptr_t)record, len}};
	ssize_t n;

	do {
		n = newline ? writev(log->fd, parts, 2) : write(log->fd, record, len);
	} while (n == -1 && errno == EINTR);
	if (n > 0) {
		log->written += (uint64_t)n;
		log->dirty = true;
	}
	return n;
}

/*
 * A short write leaves a torn line, and the daemon may append behind it at
 * once: so the whole record is written again on a line of its own. The second
 * try fails where the disk is full.
 */
static bool put(struct eventlog *log, const char *record, size_t len)
{
	for (int try = 0; try < 2; try++) {
		bool newline = log->torn && needs_newline(log);
		ssize_t n = append(log, newline, record, len);

		if (n == (ssize_t)(len + newline)) {
			log->torn = false;
			log->errnum = 0;
			return true;
		}
		log->errnum = n == -1 ? errno : ENOSPC;
		if (n == -1)
			return false;
		log->torn = true;
	}
	return false;
}

static bool put_dropped(struct eventlog *log)
{
	struct str record = {0};
	char time[CLOCK_TEXT_SIZE];
	bool ok;

	if (log->dropped.lines == 0)
		return true;
	record_dropped(&record, clock_format(clock_now_ms(), time), log->dropped.bytes,
	    log->dropped.lines, log->errnum != 0 ? strerror(log->errnum) : NULL);
	ok = put(log, record.data, record.len);
	if (ok)
		log->dropped = (struct ring_loss){0};
	str_free(&record);
	return ok;
}

/* Writes what waits; true where nothing is left waiting. */
static bool flush(struct eventlog *log)
{
	struct str record = {0};
	bool ok = true;

	if (log->ring == NULL)
		return true;
	ok = put_dropped(log);
	while (ok && ring_oldest(log->ring, &record)) {
		ok = put(log, record.data, record.len);
		if (ok)
			ring_pop(log->ring, NULL);
		str_clear(&record);
	}
	str_free(&record);
	if (ok) {
		ring_free(log->ring);
		log->ring = NULL;
	}
	return ok;
}

struct eventlog *eventlog_open(const char *path, uint64_t limit, struct error *err)
{
	int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	struct eventlog *log;

	if (fd == -1) {
		error_set_errno(err, ERROR_UNAVAILABLE, errno, "cannot open the log %s", path);
		return NULL;
	}
	log = xcalloc(1, sizeof(*log));
	log->fd = fd;
	log->limit = limit;
	/* A line that somebody was cut off in is ended, so that it spoils no record of ours. */
	log->torn = needs_newline(log);
	if (log->torn && append(log, false, "\n", 1) == 1)
		log->torn = false;
	log->written = 0;
	return log;
}

void eventlog_free(struct eventlog *log)
{
	if (log == NULL)
		return;
	close(log->fd);
	ring_free(log->ring);
	free(log);
}

void eventlog_write(struct eventlog *log, const char *record, size_t len)
{
	log->full = log->full || log->written + len > log->limit;
	if (!log->full && flush(log) && put(log, record, len))
		return;
	if (log->ring == NULL)
		log->ring = ring_create(RING_BYTES);
	ring_push(log->ring, record, len, &log->dropped);
}

void eventlog_finish(struct eventlog *log)
{
	if (!flush(log)) {
		while (ring_pop(log->ring, &log->dropped))
			continue;
	}
	if (log->dirty && fdatasync(log->fd) == -1 && log->errnum == 0)
		log->errnum = errno;
}

int64_t eventlog_size(const struct eventlog *log)
{
	struct stat st;

	return fstat(log->fd, &st) == 0 ? (int64_t)st.st_size : 0;
}

bool eventlog_lost(const struct eventlog *log, struct ring_loss *loss, const char **error)
{
	if (log->dropped.lines == 0)
		return false;
	*loss = log->dropped;
	*error = strerror(log->errnum);
	return true;
}
