/* Makes sure that a run is started once. */
#include "supervise/claim.h"

#include "base/fs.h"
#include "base/json_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void put_started(struct str *out, int64_t started_at, pid_t agent, const char *cgroup)
{
	str_putc(out, '{');
	json_text_member_int(out, "pid", getpid());
	json_text_member_time(out, "time", started_at);
	if (agent != 0)
		json_text_member_int(out, "agent_pid", agent);
	if (cgroup != NULL)
		json_text_member(out, "cgroup", cgroup);
	str_puts(out, "}\n");
}

static bool create_started(const char *path, int64_t started_at, struct error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct str text = {0};
	bool ok;

	if (fd == -1 && errno == EEXIST)
		return error_set(
		    err, ERROR_CONFLICT, "%s is there: the run was started before", path);
	if (fd == -1)
		return error_set_errno(err, ERROR_UNAVAILABLE, errno, "cannot create %s", path);
	put_started(&text, started_at, 0, NULL);
	ok = fs_write_all(fd, text.data, text.len) == 0;
	if (!ok) {
		error_set_errno(err, ERROR_UNAVAILABLE, errno, "cannot write %s", path);
		unlink(path);
	}
	close(fd);
	str_free(&text);
	return ok;
}

bool claim_take(const char *dir, int64_t started_at, struct error *err)
{
	char *started = fs_join(dir, "started");
	char *lock = fs_join(dir, "lock");
	pid_t holder;
	bool ok = false;

	/* Asked before the lock is taken too, because taking it writes our pid into it. */
	if (access(started, F_OK) == 0)
		error_set(err, ERROR_CONFLICT, "%s is there: the run was started before", started);
	else if (fs_lock(lock, &holder, err) != -1)
		ok = create_started(started, started_at, err);
	free(started);
	free(lock);
	return ok;
}

bool claim_complete(
    const char *dir, int64_t started_at, pid_t agent, const char *cgroup, struct error *err)
{
	char *path = fs_join(dir, "started");
	struct str text = {0};
	bool ok;

	put_started(&text, started_at, agent, cgroup);
	ok = fs_write_atomic(path, text.data, text.len, 0600, false, err);
	str_free(&text);
	free(path);
	return ok;
}

void claim_withdraw(const char *dir)
{
	char *path = fs_join(dir, "started");

	unlink(path);
	free(path);
}
