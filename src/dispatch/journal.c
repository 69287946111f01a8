/* The journal: what happened to all runs, one record a line, without the agents' output. */
#include "dispatch/state.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json_text.h"
#include "base/log.h"
#include "store/runlog.h"
#include "store/runlog_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Every record begins so, with the time behind it. */
#define HEAD "{\"time\":\""

struct entry {
	char *path;
	struct str record;
};

char *dispatcher_journal_path(struct dispatcher *d)
{
	return fs_join(d->options.state_dir, "events.jsonl");
}

static void write_entry(void *arg)
{
	struct entry *entry = arg;
	struct error err = {0};

	if (!runlog_append(entry->path, entry->record.data, entry->record.len, &err))
		log_warn("%s", err.message);
	error_clear(&err);
	str_free(&entry->record);
	free(entry->path);
	free(entry);
}

static struct entry *entry_create(struct dispatcher *d, const char *type)
{
	struct entry *entry = xcalloc(1, sizeof(*entry));

	entry->path = dispatcher_journal_path(d);
	str_putc(&entry->record, '{');
	json_text_member_time(&entry->record, "time", clock_now_ms());
	json_text_member(&entry->record, "type", type);
	return entry;
}

static void entry_submit(struct dispatcher *d, struct entry *entry, const char *const *fields)
{
	for (; fields != NULL && fields[0] != NULL; fields += 2)
		json_text_member(&entry->record, fields[0], fields[1]);
	str_putc(&entry->record, '}');
	worker_submit(d->worker, &(struct worker_job){.run = write_entry, .arg = entry});
}

void journal_write(struct dispatcher *d, const char *type, const char *const *fields)
{
	entry_submit(d, entry_create(d, type), fields);
}

void journal_run(struct live *live, const char *type, const char *const *fields)
{
	struct entry *entry = entry_create(live->d, type);

	json_text_member(&entry->record, "task_id", live->run->task_id);
	json_text_member(&entry->record, "run_id", live->run->id);
	json_text_member(&entry->record, "queue", live->run->queue_name);
	json_text_member_int(&entry->record, "attempt", live->run->attempt + 1);
	entry_submit(live->d, entry, fields);
}

/* ---- pruning ---- */

struct pruning {
	char *path;
	char before[CLOCK_TEXT_SIZE];
};

/* Whether the record was written before the time; one that is damaged goes with its neighbours. */
static bool is_old(const struct pruning *pruning, const char *line, size_t len)
{
	size_t head = strlen(HEAD), time = strlen(pruning->before);

	return len < head + time || memcmp(line, HEAD, head) != 0 ||
	       memcmp(line + head, pruning->before, time) < 0;
}

/* Where the first record begins that is to be kept. */
static off_t find_kept(const struct pruning *pruning, FILE *file, off_t from)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;

	while ((len = getline(&line, &cap, file)) > 0 && line[len - 1] == '\n' &&
	       is_old(pruning, line, (size_t)len))
		from += (off_t)len;
	free(line);
	return from;
}

/*
 * The beginning of the file becomes a hole: its blocks go back to the disk, and the offsets by
 * which readers know the records stay what they are.
 */
static void run_prune(void *arg)
{
	struct pruning *pruning = arg;
	FILE *file = fopen(pruning->path, "r+e");
	off_t first, kept;

	if (file != NULL) {
		first = (off_t)runlog_first(fileno(file));
		kept = fseeko(file, first, SEEK_SET) == 0 ? find_kept(pruning, file, first) : first;
		if (kept > first && fallocate(fileno(file),
					FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, kept) == -1)
			log_warn("cannot give back old records of %s: %s", pruning->path,
			    strerror(errno));
		fclose(file);
	}
	free(pruning->path);
	free(pruning);
}

void journal_prune(struct dispatcher *d, int64_t before_ms)
{
	struct pruning *pruning = xcalloc(1, sizeof(*pruning));

	pruning->path = dispatcher_journal_path(d);
	clock_format(before_ms, pruning->before);
	worker_submit(d->worker, &(struct worker_job){.run = run_prune, .arg = pruning});
}
