/* Reads the end of a run's log, and appends to it. */
#include "store/runlog.h"

#include "base/alloc.h"
#include "base/fs.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether the file ends in a newline, or is empty. */
static bool ends_clean(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char last;

	return size <= 0 || pread(fd, &last, 1, size - 1) != 1 || last == '\n';
}

bool runlog_append(const char *path, const char *record, size_t len, struct error *err)
{
	int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct str line = {0};
	int rc;

	if (fd == -1)
		return error_set_errno(err, ERROR_UNAVAILABLE, errno, "cannot open %s", path);
	if (!ends_clean(fd))
		str_putc(&line, '\n');
	str_append(&line, record, len);
	str_putc(&line, '\n');
	rc = fs_write_all(fd, line.data, line.len);
	if (rc == -1)
		error_set_errno(err, ERROR_UNAVAILABLE, errno, "cannot write to %s", path);
	close(fd);
	str_free(&line);
	return rc == 0;
}

/* Reads the last max bytes of the file; *from is the offset of the first byte read. */
static bool read_end(const char *path, size_t max, struct str *out, int64_t *from)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	size_t want;

	if (fd == -1)
		return false;
	if (fstat(fd, &st) == -1) {
		close(fd);
		return false;
	}
	want = (size_t)st.st_size < max ? (size_t)st.st_size : max;
	*from = (int64_t)st.st_size - (int64_t)want;
	while (want > 0) {
		ssize_t n = pread(fd, str_reserve(out, want), want, *from + (off_t)out->len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		out->len += (size_t)n;
		want -= (size_t)n;
	}
	close(fd);
	return true;
}

/* The start of the line that ends at `end` (exclusive, at its newline). */
static size_t line_start(const char *data, size_t end)
{
	const char *newline = end == 0 ? NULL : memrchr(data, '\n', end);

	return newline == NULL ? 0 : (size_t)(newline - data) + 1;
}

static struct json_object *parse_record(const char *line, size_t len, int64_t id)
{
	struct json_object *record = json_parse(line, len, NULL);

	if (!json_object_is_type(record, json_type_object)) {
		json_object_put(record);
		record = json_object_new_object();
		json_put_string(record, "type", "corrupt");
	}
	json_put_int(record, "id", id);
	return record;
}

/*
 * Calls fn for the lines of the file's end, the last one first, until it says
 * false. A last line without a newline is being written and is left out, as is a first one that is
 * cut.
 */
static void each_line_back(const char *path, size_t max_bytes,
    bool (*fn)(void *arg, const char *line, size_t len, int64_t id), void *arg)
{
	struct str end = {0};
	int64_t from = 0;
	const char *last;

	if (read_end(path, max_bytes, &end, &from) && end.len > 0 &&
	    (last = memrchr(end.data, '\n', end.len)) != NULL) {
		size_t stop = (size_t)(last - end.data);

		for (;;) {
			size_t start = line_start(end.data, stop);

			if (start == 0 && from > 0)
				break;
			end.data[stop] = '\0'; /* json_parse() wants to see the end */
			if (stop > start &&
			    !fn(arg, end.data + start, stop - start, from + (int64_t)stop + 1))
				break;
			if (start == 0)
				break;
			stop = start - 1;
		}
	}
	str_free(&end);
}

struct tail {
	struct json_object **records; /* newest first */
	size_t count;
	size_t max;
};

static bool tail_line(void *arg, const char *line, size_t len, int64_t id)
{
	struct tail *tail = arg;

	if (tail->count == tail->max)
		return false;
	tail->records = xreallocarray(tail->records, tail->count + 1, sizeof(*tail->records));
	tail->records[tail->count++] = parse_record(line, len, id);
	return true;
}

struct json_object *runlog_tail(const char *path, size_t max, size_t max_bytes)
{
	struct tail tail = {.max = max};
	struct json_object *list = json_object_new_array();

	each_line_back(path, max_bytes, tail_line, &tail);
	while (tail.count > 0)
		json_object_array_add(list, tail.records[--tail.count]);
	free(tail.records);
	return list;
}

struct stderr_tail {
	char **lines; /* newest first */
	size_t count;
	size_t max;
	size_t bytes_left;
};

/* Cuts text to at most max bytes at a character's border. */
static void cut(char *text, size_t max)
{
	size_t len = strlen(text);

	if (len <= max)
		return;
	while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
		max--;
	text[max] = '\0';
}

static bool stderr_line(void *arg, const char *line, size_t len, int64_t id)
{
	struct stderr_tail *tail = arg;
	struct json_object *record;
	const char *text;

	if (tail->count == tail->max || tail->bytes_left == 0)
		return false;
	record = parse_record(line, len, id);
	text = json_get_string(record, "text");
	if (text != NULL && str_equal(json_get_string(record, "stream"), "stderr")) {
		char *copy = xstrdup(text);
		bool fits = strlen(copy) <= tail->bytes_left;

		cut(copy, tail->bytes_left);
		tail->bytes_left = fits ? tail->bytes_left - strlen(copy) : 0;
		tail->lines = xreallocarray(tail->lines, tail->count + 1, sizeof(*tail->lines));
		tail->lines[tail->count++] = copy;
	}
	json_object_put(record);
	return true;
}

void runlog_stderr_tail(const char *path, size_t max_lines, size_t max_bytes, struct str *out)
{
	struct stderr_tail tail = {.max = max_lines, .bytes_left = max_bytes};

	each_line_back(path, 1 << 20, stderr_line, &tail);
	while (tail.count > 0) {
		char *line = tail.lines[--tail.count];

		if (out->len > 0)
			str_putc(out, '\n');
		str_puts(out, line);
		free(line);
	}
	free(tail.lines);
}
