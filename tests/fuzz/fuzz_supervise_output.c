/* Any bytes, in any pieces, become records that are valid JSON and say what came. */
#include "base/alloc.h"
#include "base/json.h"
#include "supervise/lines.h"
#include "supervise/record.h"
#include "supervise/ring.h"
#include "supervise/stop.h"

#include <stdlib.h>
#include <string.h>

#define MAX_LINE 64
#define RING_BYTES 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sink {
	struct ring *ring;
	struct ring_loss loss;
	size_t lines;
};

static void check(bool ok, const char *what)
{
	if (!ok)
		fatal("%s", what);
}

static void on_line(void *arg, const char *line, size_t len, bool truncated)
{
	struct sink *sink = arg;
	struct str record = {0}, expected = {0};
	struct json_object *json, *text;

	check(len <= MAX_LINE, "a line is too long");
	check(memchr(line, '\n', len) == NULL, "a newline in a line");
	record_output(&record, "T", "stdout", line, len, truncated);
	check(memchr(record.data, '\n', record.len) == record.data + record.len - 1, "two lines");
	json = json_parse(record.data, record.len, NULL);
	check(json != NULL, "a record is no JSON");
	text = json_object_object_get(json, "text");
	str_puts(&expected, "");
	str_append_utf8(&expected, line, len);
	check((size_t)json_object_get_string_len(text) == expected.len &&
		  memcmp(json_object_get_string(text), expected.data, expected.len) == 0,
	    "a record says something else");
	ring_push(sink->ring, record.data, record.len, &sink->loss);
	sink->lines++;
	json_object_put(json);
	str_free(&record);
	str_free(&expected);
}

/* The first byte says how large the pieces are. */
static void feed(struct lines *lines, const uint8_t *data, size_t size)
{
	size_t step = size > 0 ? data[0] % 97 + 1u : 1;

	for (size_t at = 1; at < size; at += step)
		lines_feed(lines, (const char *)data + at, size - at < step ? size - at : step);
	lines_end(lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sink sink = {.ring = ring_create(RING_BYTES)};
	struct lines *lines = lines_create(MAX_LINE, on_line, &sink);
	size_t kept = 0;

	feed(lines, data, size);
	while (ring_pop(sink.ring, NULL))
		kept++;
	check(kept + sink.loss.lines == sink.lines, "the ring miscounts");
	lines_free(lines);
	ring_free(sink.ring);
	free(stop_reason_parse((const char *)data, size));
	return 0;
}
