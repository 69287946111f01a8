/* Reads logs forward, in pieces, record by record. */
#include "store/runlog_read.h"

#include "base/json.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIECE 32768	/* read at once */
#define MAX_RECORDS 256 /* told at once: short ones grow most by what is put around them */
#define MAX_TYPE 32

static const char corrupt[] = "{\"type\":\"corrupt\"}";

/* Shared by all readers, who are all of one thread; a stream that is idle holds none. */
static char piece[PIECE + 1];

enum filled { FILL_FULL, FILL_EOF, FILL_COLD, FILL_FAILED };

/* Reads up to want bytes into piece; *len is what came. */
static enum filled fill(int fd, int64_t from, size_t want, size_t *len)
{
	int flags = RWF_NOWAIT;

	*len = 0;
	while (*len < want) {
		struct iovec part = {piece + *len, want - *len};
		ssize_t n = preadv2(fd, &part, 1, from + (off_t)*len, flags);

		if (n > 0)
			*len += (size_t)n;
		else if (n == 0)
			return FILL_EOF;
		else if (errno == EOPNOTSUPP && flags != 0)
			flags = 0; /* a file system that cannot say whether it would wait */
		else if (errno == EAGAIN)
			return FILL_COLD;
		else if (errno != EINTR)
			return FILL_FAILED;
	}
	return FILL_FULL;
}

static void tell(
    const struct runlog_sink *sink, const char *type, const char *data, size_t len, int64_t id)
{
	sink->begin(sink->arg, type, id);
	sink->data(sink->arg, data, len);
	sink->end(sink->arg);
}

static void tell_corrupt(const struct runlog_sink *sink, int64_t id)
{
	tell(sink, "corrupt", corrupt, sizeof(corrupt) - 1, id);
}

/* Types are words; anything else would be somebody's text between our lines. */
static bool is_word(const char *text, size_t len)
{
	if (len == 0 || len >= MAX_TYPE)
		return false;
	for (size_t i = 0; i < len; i++)
		if (strchr("abcdefghijklmnopqrstuvwxyz0123456789_-", text[i]) == NULL)
			return false;
	return true;
}

static bool has_control(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < 0x20)
			return true;
	return false;
}

/* line[len] is the newline, and becomes a NUL. */
static void tell_line(const struct runlog_sink *sink, char *line, size_t len, int64_t id)
{
	struct json_object *record;
	const char *type;

	if (len == 0) /* what ends a torn line stands alone where there was none */
		return;
	line[len] = '\0';
	record = has_control(line, len) ? NULL : json_parse(line, len, NULL);
	if (json_object_is_type(record, json_type_object)) {
		type = json_get_string(record, "type");
		tell(sink, type != NULL && is_word(type, strlen(type)) ? type : "message", line,
		    len, id);
	} else {
		tell_corrupt(sink, id);
	}
	json_object_put(record);
}

static void forget_long(struct runlog_reader *reader, int64_t offset)
{
	*reader = (struct runlog_reader){.offset = offset};
}

/* Nothing that was torn off is an object that is closed at its last byte. */
static void look_at(struct runlog_reader *reader, char c, bool first)
{
	if ((unsigned char)c < 0x20 || (first ? c != '{' : reader->depth == 0)) {
		reader->damaged = true;
	} else if (reader->in_string) {
		if (reader->escaped)
			reader->escaped = false;
		else if (c == '\\')
			reader->escaped = true;
		else if (c == '"')
			reader->in_string = false;
	} else if (c == '"') {
		reader->in_string = true;
	} else if (c == '{' || c == '[') {
		reader->depth++;
	} else if (c == '}' || c == ']') {
		reader->depth--;
	}
}

/* Looks for the end of a long record, and at whether it is whole, before any of it is told. */
static enum runlog_result scan_long(
    struct runlog_reader *reader, int fd, bool complete, const struct runlog_sink *sink)
{
	size_t len;
	enum filled filled = fill(fd, reader->offset + reader->scanned, PIECE, &len);
	char *newline = memchr(piece, '\n', len);
	size_t stop = newline != NULL ? (size_t)(newline - piece) : len;

	if (filled == FILL_FAILED)
		return RUNLOG_FAILED;
	for (size_t i = 0; i < stop; i++)
		look_at(reader, piece[i], reader->scanned == 0 && i == 0);
	reader->scanned += (int64_t)stop;
	if (newline == NULL && filled != FILL_EOF)
		return len == 0 ? RUNLOG_COLD : RUNLOG_MORE;
	if (newline == NULL && !complete)
		return RUNLOG_WAIT;
	reader->end = reader->offset + reader->scanned + (newline != NULL);
	if (newline == NULL || reader->damaged || reader->depth > 0) {
		tell_corrupt(sink, reader->end);
		forget_long(reader, reader->end);
	}
	return RUNLOG_MORE;
}

/* The type of a record of which only the beginning is at hand. */
static const char *find_type(size_t len, char type[MAX_TYPE])
{
	static const char key[] = "\"type\":\"";
	const char *at = memmem(piece, len < 256 ? len : 256, key, sizeof(key) - 1);
	size_t word;

	if (at == NULL)
		return "message";
	at += sizeof(key) - 1;
	word = strcspn(at, "\"");
	if (!is_word(at, word))
		return "message";
	memcpy(type, at, word);
	type[word] = '\0';
	return type;
}

static enum runlog_result tell_long(
    struct runlog_reader *reader, int fd, const struct runlog_sink *sink)
{
	int64_t left = reader->end - 1 - reader->offset - reader->told;
	char type[MAX_TYPE];
	size_t len;
	enum filled filled =
	    fill(fd, reader->offset + reader->told, left < PIECE ? (size_t)left : PIECE, &len);

	if (len == 0 && filled == FILL_COLD)
		return RUNLOG_COLD;
	if (len == 0) {
		errno = filled == FILL_EOF ? EIO : errno; /* somebody has cut the file */
		return RUNLOG_FAILED;
	}
	piece[len] = '\0';
	if (reader->told == 0)
		sink->begin(sink->arg, find_type(len, type), reader->end);
	sink->data(sink->arg, piece, len);
	reader->told += (int64_t)len;
	if ((int64_t)len == left) {
		sink->end(sink->arg);
		forget_long(reader, reader->end);
	}
	return RUNLOG_MORE;
}

/* Tells the whole lines in piece; returns how many bytes they take. */
static size_t tell_lines(struct runlog_reader *reader, size_t len, const struct runlog_sink *sink)
{
	size_t at = 0;

	for (int i = 0; i < MAX_RECORDS; i++) {
		char *newline = memchr(piece + at, '\n', len - at);
		size_t stop;

		if (newline == NULL)
			break;
		stop = (size_t)(newline - piece);
		tell_line(sink, piece + at, stop - at, reader->offset + (int64_t)stop + 1);
		at = stop + 1;
	}
	reader->offset += (int64_t)at;
	return at;
}

enum runlog_result runlog_read(
    struct runlog_reader *reader, int fd, bool complete, const struct runlog_sink *sink)
{
	enum filled filled;
	size_t len, used;

	if (reader->end != 0)
		return tell_long(reader, fd, sink);
	if (reader->scanned != 0)
		return scan_long(reader, fd, complete, sink);
	filled = fill(fd, reader->offset, PIECE, &len);
	if (filled == FILL_FAILED)
		return RUNLOG_FAILED;
	used = tell_lines(reader, len, sink);
	if (used > 0 && (filled != FILL_EOF || memchr(piece + used, '\n', len - used) != NULL))
		return RUNLOG_MORE;
	if (filled == FILL_FULL)
		return scan_long(reader, fd, complete, sink);
	if (filled == FILL_COLD)
		return RUNLOG_COLD;
	if (!complete)
		return RUNLOG_WAIT;
	if (len > used) { /* the last record was torn, and nobody will end it */
		reader->offset += (int64_t)(len - used);
		tell_corrupt(sink, reader->offset);
	}
	return RUNLOG_END;
}

int64_t runlog_size(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? (int64_t)st.st_size : 0;
}

/* Before the first record that is kept there may be a hole, which reads as zeros. */
bool runlog_is_border(int fd, int64_t offset)
{
	char before;

	return offset == 0 || offset == runlog_size(fd) ||
	       (pread(fd, &before, 1, offset - 1) == 1 && (before == '\n' || before == '\0'));
}

int64_t runlog_first(int fd)
{
	off_t at = lseek(fd, 0, SEEK_DATA);
	size_t zeros, len;

	if (at == -1 && errno == ENXIO) /* all of it is a hole */
		return runlog_size(fd);
	if (at == -1) /* a file system without holes */
		at = 0;
	/* A block that was given back in part is still there, with zeros. */
	for (;; at += (off_t)zeros) {
		ssize_t n = pread(fd, piece, PIECE, at);

		len = n > 0 ? (size_t)n : 0;
		for (zeros = 0; zeros < len && piece[zeros] == '\0'; zeros++)
			continue;
		if (len == 0 || zeros < len)
			return (int64_t)at + (int64_t)zeros;
	}
}
