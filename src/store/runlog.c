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

/* What is read at once. */
#define WINDOW ((int64_t)65536)

/* Of a longer line only this much is shown, lest a few of them fill the memory. */
#define LONGEST_LINE ((int64_t)65536)

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

/* The part of a log that is looked at, going backward. */
struct window {
	int fd;
	int64_t from; /* offset of data's first byte */
	size_t len;
	char data[WINDOW + 1];
};

static bool read_at(int fd, char *data, size_t len, int64_t from)
{
	size_t have = 0;

	while (have < len) {
		ssize_t n = pread(fd, data + have, len - have, (off_t)(from + (int64_t)have));

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		have += (size_t)n;
	}
	return true;
}

/* The offset of the last newline before pos; -1 where there is none, or the file cannot be read. */
static int64_t newline_before(struct window *window, int64_t pos)
{
	while (pos > 0) {
		const char *newline;

		if (pos <= window->from || pos > window->from + (int64_t)window->len) {
			window->len = pos < WINDOW ? (size_t)pos : WINDOW;
			window->from = pos - (int64_t)window->len;
			if (!read_at(window->fd, window->data, window->len, window->from)) {
				window->len = 0;
				return -1;
			}
		}
		newline = memrchr(window->data, '\n', (size_t)(pos - window->from));
		if (newline != NULL)
			return window->from + (newline - window->data);
		pos = window->from;
	}
	return -1;
}

/* Where the last string that begins in the text can be cut: not within a character, nor within an
 * escape. 0: the text does not end within a string. */
static size_t cut_point(const char *text, size_t len)
{
	bool in_string = false;
	size_t at = 0;

	while (at < len) {
		size_t n = 1;

		if (text[at] == '"')
			in_string = !in_string;
		else if (in_string && text[at] == '\\')
			n = at + 1 < len && text[at + 1] == 'u' ? 6 : 2;
		else if ((unsigned char)text[at] >= 0xc0)
			n = str_utf8_length((const unsigned char *)text + at, len - at);
		if (n == 0 || at + n > len)
			break;
		at += n;
	}
	return in_string ? at : 0;
}

/* Reads a line, of a long one so much as is shown: the string that is cut ends its record. */
static bool read_line(struct window *window, int64_t start, int64_t stop, struct str *line)
{
	bool is_long = stop - start > LONGEST_LINE;
	size_t len = is_long ? LONGEST_LINE : (size_t)(stop - start);

	line->len = 0;
	if (start >= window->from && stop <= window->from + (int64_t)window->len)
		str_append(line, window->data + (start - window->from), len);
	else if (read_at(window->fd, str_reserve(line, len), len, start))
		line->len = len;
	else
		return false;
	if (is_long) {
		size_t at = cut_point(line->data, line->len);

		line->len = at > 0 ? at : line->len;
		str_puts(line, "\",\"truncated\":true}");
	}
	str_putc(line, '\0'); /* json_parse() wants to see the end */
	line->len--;
	return true;
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
 * Calls fn for the lines of the file's end, the last one first, until it says false or they
 * have max_bytes together. A last line without a newline is being written and is left out.
 */
static void each_line_back(const char *path, size_t max_bytes,
    bool (*fn)(void *arg, const char *line, size_t len, int64_t id), void *arg)
{
	struct window *window = xcalloc(1, sizeof(*window));
	struct str line = {0};
	struct stat st;
	int64_t start, stop;

	window->fd = open(path, O_RDONLY | O_CLOEXEC);
	stop = window->fd == -1 || fstat(window->fd, &st) == -1
		   ? -1
		   : newline_before(window, (int64_t)st.st_size);
	for (; stop >= 0; stop = start - 1) {
		start = newline_before(window, stop) + 1;
		if (stop == start)
			continue;
		if (!read_line(window, start, stop, &line) || line.len >= max_bytes)
			break;
		max_bytes -= line.len + 1;
		if (!fn(arg, line.data, line.len, stop + 1))
			break;
	}
	if (window->fd != -1)
		close(window->fd);
	str_free(&line);
	free(window);
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
