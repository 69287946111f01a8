/* Writes JSON text piece by piece, for records that need no tree. */
#include "base/json_text.h"

#include "base/clock.h"

#include <string.h>

static void put_escape(struct str *out, unsigned char c)
{
	static const char letters[] = {['\b'] = 'b',
	    ['\t'] = 't',
	    ['\n'] = 'n',
	    ['\f'] = 'f',
	    ['\r'] = 'r',
	    ['"'] = '"',
	    ['\\'] = '\\'};

	if (c < sizeof(letters) && letters[c] != 0) {
		char pair[2] = {'\\', letters[c]};

		str_append(out, pair, 2);
		return;
	}
	str_printf(out, "\\u%04x", c);
}

static bool needs_escape(unsigned char c)
{
	return c < 0x20 || c == '"' || c == '\\' || c == 0x7f;
}

void json_text_string_n(struct str *out, const char *text, size_t len)
{
	size_t from = 0;

	str_putc(out, '"');
	for (size_t i = 0; i < len; i++) {
		if (!needs_escape((unsigned char)text[i]))
			continue;
		str_append_utf8(out, text + from, i - from);
		put_escape(out, (unsigned char)text[i]);
		from = i + 1;
	}
	str_append_utf8(out, text + from, len - from);
	str_putc(out, '"');
}

void json_text_string(struct str *out, const char *text)
{
	if (text == NULL)
		str_puts(out, "null");
	else
		json_text_string_n(out, text, strlen(text));
}

void json_text_key(struct str *out, const char *key)
{
	if (out->len > 0 && out->data[out->len - 1] != '{')
		str_putc(out, ',');
	str_putc(out, '"');
	str_puts(out, key);
	str_puts(out, "\":");
}

void json_text_member(struct str *out, const char *key, const char *value)
{
	json_text_key(out, key);
	json_text_string(out, value);
}

void json_text_member_int(struct str *out, const char *key, int64_t value)
{
	json_text_key(out, key);
	str_printf(out, "%lld", (long long)value);
}

void json_text_member_bool(struct str *out, const char *key, bool value)
{
	json_text_key(out, key);
	str_puts(out, value ? "true" : "false");
}

void json_text_member_time(struct str *out, const char *key, int64_t ms)
{
	char text[CLOCK_TEXT_SIZE];

	json_text_member(out, key, ms == 0 ? NULL : clock_format(ms, text));
}
