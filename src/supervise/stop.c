/* Reads the reason out of stop.json. */
#include "supervise/stop.h"

#include "base/alloc.h"
#include "base/fs.h"

#include <stdlib.h>
#include <string.h>

#define MAX_FILE 65536
#define MAX_REASON 100

/* What is left of the text; every step moves at forward, never past end. */
struct scan {
	const char *at;
	const char *end;
};

static char next(struct scan *scan)
{
	while (scan->at < scan->end && memchr(" \t\r\n", *scan->at, 4) != NULL)
		scan->at++;
	return scan->at < scan->end ? *scan->at : '\0';
}

static bool take(struct scan *scan, char c)
{
	if (next(scan) != c || scan->at == scan->end)
		return false;
	scan->at++;
	return true;
}

/* Takes a string and gives its inside, escapes and all. */
static bool take_string(struct scan *scan, const char **text, size_t *len)
{
	if (!take(scan, '"'))
		return false;
	*text = scan->at;
	while (scan->at < scan->end && *scan->at != '"')
		scan->at += *scan->at == '\\' && scan->end - scan->at > 1 ? 2 : 1;
	*len = (size_t)(scan->at - *text);
	return take(scan, '"');
}

/* Passes over any value; brackets are counted, not matched. */
static bool skip_value(struct scan *scan)
{
	int depth = 0;
	const char *text;
	size_t len;

	for (;;) {
		char c = next(scan);

		if (c == '\0')
			return false;
		if (depth == 0 && (c == ',' || c == '}'))
			return true;
		if (c == '"') {
			if (!take_string(scan, &text, &len))
				return false;
			continue;
		}
		if (c == '{' || c == '[')
			depth++;
		if (c == '}' || c == ']')
			depth--;
		if (depth < 0)
			return false;
		scan->at++;
	}
}

/* A reason is a word or a short phrase: one that needs escapes is none. */
static char *reason_of(struct scan *scan)
{
	const char *text;
	size_t len;

	if (next(scan) != '"' || !take_string(scan, &text, &len))
		return NULL;
	if (len == 0 || len > MAX_REASON || memchr(text, '\\', len) != NULL)
		return NULL;
	return xmemdup0(text, len);
}

char *stop_reason_parse(const char *text, size_t len)
{
	struct scan scan = {text, text + len};
	const char *key;
	size_t key_len;

	if (!take(&scan, '{'))
		return NULL;
	while (take_string(&scan, &key, &key_len) && take(&scan, ':')) {
		if (key_len == strlen("reason") && memcmp(key, "reason", key_len) == 0)
			return reason_of(&scan);
		if (!skip_value(&scan) || !take(&scan, ','))
			break;
	}
	return NULL;
}

char *stop_reason(const char *path)
{
	struct str text = {0};
	char *reason = NULL;

	if (fs_read(path, &text, MAX_FILE, NULL))
		reason = stop_reason_parse(text.data, text.len);
	str_free(&text);
	return reason;
}
