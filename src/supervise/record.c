/* The text of the supervisor's records in events.jsonl. */
#include "supervise/record.h"

#include "base/json_text.h"

static void begin(struct str *out, const char *time, const char *type)
{
	str_putc(out, '{');
	json_text_member(out, "time", time);
	json_text_member(out, "type", type);
}

void record_output(struct str *out, const char *time, const char *stream, const char *text,
    size_t len, bool truncated)
{
	begin(out, time, "output");
	json_text_member(out, "stream", stream);
	json_text_key(out, "text");
	json_text_string_n(out, text, len);
	if (truncated)
		json_text_member_bool(out, "truncated", true);
	str_puts(out, "}\n");
}

void record_dropped(
    struct str *out, const char *time, uint64_t bytes, uint64_t lines, const char *error)
{
	begin(out, time, "dropped");
	json_text_member_int(out, "bytes", (int64_t)bytes);
	json_text_member_int(out, "lines", (int64_t)lines);
	if (error != NULL)
		json_text_member(out, "error", error);
	str_puts(out, "}\n");
}
