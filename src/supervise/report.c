/* Writes exit.json into space that was reserved beforehand. */
#include "supervise/report.h"

#include "base/alloc.h"
#include "base/fs.h"
#include "base/json_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* An error of MAX_ERROR bytes may grow sixfold by escapes; the rest is small. */
#define RESERVED 16384
#define MAX_ERROR 2000

struct report {
	char *dir;
	char *path;
	char *tmp;
	int fd;
	bool written;
};

/* A file system that cannot reserve has to be lived with; a full one has not. */
static bool reserve(int fd)
{
	int rc = posix_fallocate(fd, 0, RESERVED);

	errno = rc;
	return rc == 0 || rc == EOPNOTSUPP || rc == EINVAL || rc == ENOSYS;
}

struct report *report_reserve(const char *dir, struct error *err)
{
	struct report *report = xcalloc(1, sizeof(*report));

	report->dir = xstrdup(dir);
	report->path = fs_join(dir, "exit.json");
	report->tmp = fs_join(dir, "exit.json.tmp");
	report->fd = open(report->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (report->fd != -1 && reserve(report->fd))
		return report;
	error_set_errno(err, ERROR_UNAVAILABLE, errno, "cannot reserve space for %s", report->path);
	report_free(report);
	return NULL;
}

void report_free(struct report *report)
{
	if (report == NULL)
		return;
	if (report->fd != -1) {
		close(report->fd);
		if (!report->written)
			unlink(report->tmp);
	}
	free(report->dir);
	free(report->path);
	free(report->tmp);
	free(report);
}

static void put_status(struct str *out, const struct outcome *outcome)
{
	int status = outcome->wait_status;

	json_text_key(out, "exit_code");
	if (outcome->exited && WIFEXITED(status))
		str_printf(out, "%d", WEXITSTATUS(status));
	else
		str_puts(out, "null");
	json_text_key(out, "signal");
	if (outcome->exited && WIFSIGNALED(status))
		str_printf(out, "%d", WTERMSIG(status));
	else
		str_puts(out, "null");
}

static void put_survivors(struct str *out, const struct outcome *outcome)
{
	json_text_key(out, "survivors");
	for (size_t i = 0; i < outcome->survivor_count; i++)
		str_printf(out, "%c%ld", i == 0 ? '[' : ',', (long)outcome->survivors[i]);
	str_putc(out, ']');
}

static void put_usage(struct str *out, const struct rusage *usage)
{
	json_text_key(out, "rusage");
	str_printf(out, "{\"user_seconds\":%lld.%06ld,\"system_seconds\":%lld.%06ld,",
	    (long long)usage->ru_utime.tv_sec, (long)usage->ru_utime.tv_usec,
	    (long long)usage->ru_stime.tv_sec, (long)usage->ru_stime.tv_usec);
	str_printf(out, "\"max_rss_kb\":%ld}", usage->ru_maxrss);
}

static void put_outcome(struct str *out, const struct outcome *outcome)
{
	str_putc(out, '{');
	put_status(out, outcome);
	json_text_member(out, "reason", outcome->reason);
	if (outcome->error != NULL) {
		json_text_key(out, "error");
		json_text_string_n(out, outcome->error, strnlen(outcome->error, MAX_ERROR));
	}
	json_text_member_int(out, "log_size", outcome->log_size);
	json_text_member_time(out, "started_at", outcome->started_at);
	json_text_member_time(out, "ended_at", outcome->ended_at);
	if (outcome->survivor_count > 0)
		put_survivors(out, outcome);
	if (outcome->lost_error != NULL) {
		json_text_key(out, "lost");
		str_putc(out, '{');
		json_text_member_int(out, "bytes", (int64_t)outcome->lost.bytes);
		json_text_member_int(out, "lines", (int64_t)outcome->lost.lines);
		json_text_member(out, "error", outcome->lost_error);
		str_putc(out, '}');
	}
	put_usage(out, &outcome->usage);
	str_puts(out, "}\n");
}

/* The rename has to survive a power cut too: the daemon acts on it. */
static int sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd == -1 ? -1 : fsync(fd);

	if (fd != -1)
		close(fd);
	return rc;
}

bool report_write(struct report *report, const struct outcome *outcome, struct error *err)
{
	struct str text = {0};

	put_outcome(&text, outcome);
	report->written = fs_write_all(report->fd, text.data, text.len) == 0 &&
			  ftruncate(report->fd, (off_t)text.len) == 0 && fsync(report->fd) == 0 &&
			  rename(report->tmp, report->path) == 0;
	str_free(&text);
	if (!report->written)
		return error_set_errno(
		    err, ERROR_UNAVAILABLE, errno, "cannot write %s", report->path);
	/* It stands; that it may be gone after a power cut is no reason to call it missing. */
	if (sync_dir(report->dir) == -1)
		fprintf(stderr, "athanore-supervise: cannot sync %s\n", report->dir);
	return true;
}
