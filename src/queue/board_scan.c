/* Reads JSON as positions in its text, strictly. */
#include "queue/board_scan.h"

#include "base/json.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EACH_BYTE 0x0101010101010101u
#define EACH_HIGH 0x8080808080808080u

static const char a_value[] = "a value (a string, number, list, object, true, false or null)";

void board_scan_init(struct board_scan *scan, const char *text, size_t len)
{
	*scan = (struct board_scan){.start = text, .at = text, .end = text + len};
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		scan->at += 3;
}

bool board_scan_fail(struct board_scan *scan, const char *expected)
{
	scan->expected = expected;
	return false;
}

static inline bool is_at(const struct board_scan *scan, char c)
{
	return scan->at < scan->end && *scan->at == c;
}

static inline bool is_digit_at(const struct board_scan *scan)
{
	return scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9';
}

struct span board_scan_space(struct board_scan *scan)
{
	const char *from = scan->at;

	while (scan->at < scan->end &&
	       (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t'))
		scan->at++;
	return (struct span){from, (size_t)(scan->at - from)};
}

/* Moves past bytes that mean themselves, eight at a time; may stop early, never late. */
static inline const char *skip_plain(const char *at, const char *end)
{
	while (end - at >= 8) {
		uint64_t w, quote, slash;

		memcpy(&w, at, 8);
		quote = w ^ (EACH_BYTE * '"');
		slash = w ^ (EACH_BYTE * '\\');
		if ((((w - EACH_BYTE * 0x20) | (quote - EACH_BYTE) | (slash - EACH_BYTE) | w) &
			EACH_HIGH) != 0)
			break;
		at += 8;
	}
	return at;
}

static bool scan_escape(struct board_scan *scan)
{
	scan->at++;
	if (scan->at >= scan->end || strchr("\"\\/bfnrtu", *scan->at) == NULL || *scan->at == '\0')
		return board_scan_fail(scan, "one of \" \\ / b f n r t u after a backslash");
	if (*scan->at++ != 'u')
		return true;
	for (int i = 0; i < 4; i++, scan->at++) {
		if (scan->at >= scan->end || *scan->at == '\0' ||
		    strchr("0123456789abcdefABCDEF", *scan->at) == NULL)
			return board_scan_fail(scan, "four hexadecimal digits after \\u");
	}
	return true;
}

static inline bool scan_string(struct board_scan *scan)
{
	scan->at++;
	for (;;) {
		unsigned char c;
		size_t n;

		scan->at = skip_plain(scan->at, scan->end);
		if (scan->at >= scan->end)
			return board_scan_fail(scan, "the end of a string");
		c = (unsigned char)*scan->at;
		if (c == '"') {
			scan->at++;
			return true;
		}
		if (c == '\\') {
			if (!scan_escape(scan))
				return false;
		} else if (c < 0x20) {
			return board_scan_fail(
			    scan, "no control character in a string (\\n for a new line)");
		} else if (c < 0x80) {
			scan->at++;
		} else {
			n = str_utf8_length(
			    (const unsigned char *)scan->at, (size_t)(scan->end - scan->at));
			if (n == 0)
				return board_scan_fail(scan, "valid UTF-8");
			scan->at += n;
		}
	}
}

static bool scan_digits(struct board_scan *scan)
{
	if (!is_digit_at(scan))
		return board_scan_fail(scan, "a digit");
	while (is_digit_at(scan))
		scan->at++;
	return true;
}

static bool scan_number(struct board_scan *scan)
{
	if (is_at(scan, '-'))
		scan->at++;
	if (is_at(scan, '0')) {
		scan->at++;
		if (is_digit_at(scan))
			return board_scan_fail(scan, "no digit after a leading 0");
	} else if (!scan_digits(scan)) {
		return false;
	}
	if (is_at(scan, '.')) {
		scan->at++;
		if (!scan_digits(scan))
			return false;
	}
	if (!is_at(scan, 'e') && !is_at(scan, 'E'))
		return true;
	scan->at++;
	if (is_at(scan, '+') || is_at(scan, '-'))
		scan->at++;
	return scan_digits(scan);
}

static bool scan_word(struct board_scan *scan, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0)
		return board_scan_fail(scan, a_value);
	scan->at += len;
	return true;
}

static bool skip_items(struct board_scan *scan, char bracket)
{
	struct board_scan_items items;
	struct span ignored;
	int more;

	if (!board_scan_open(scan, bracket, &items, "a list or an object"))
		return false;
	while ((more = board_scan_next(scan, &items)) == 1) {
		if (bracket == '{' && !board_scan_key(scan, &ignored, &ignored))
			return false;
		if (!board_scan_value(scan, &ignored))
			return false;
	}
	return more == 0;
}

static bool skip_value(struct board_scan *scan)
{
	if (scan->at >= scan->end)
		return board_scan_fail(scan, a_value);
	switch (*scan->at) {
	case '"':
		return scan_string(scan);
	case '{':
	case '[':
		return skip_items(scan, *scan->at);
	case 't':
		return scan_word(scan, "true");
	case 'f':
		return scan_word(scan, "false");
	case 'n':
		return scan_word(scan, "null");
	case '-':
		return scan_number(scan);
	default:
		return is_digit_at(scan) ? scan_number(scan) : board_scan_fail(scan, a_value);
	}
}

bool board_scan_value(struct board_scan *scan, struct span *value)
{
	const char *from = scan->at;
	bool ok = skip_value(scan);

	*value = (struct span){from, (size_t)(scan->at - from)};
	return ok;
}

bool board_scan_string(struct board_scan *scan, struct span *text)
{
	const char *from = scan->at;

	if (!is_at(scan, '"'))
		return board_scan_fail(scan, "a string in double quotes");
	if (!scan_string(scan))
		return false;
	*text = (struct span){from, (size_t)(scan->at - from)};
	return true;
}

bool board_scan_open(
    struct board_scan *scan, char bracket, struct board_scan_items *items, const char *what)
{
	*items = (struct board_scan_items){.close = bracket == '{' ? '}' : ']'};
	if (!is_at(scan, bracket))
		return board_scan_fail(scan, what);
	if (scan->depth >= JSON_MAX_DEPTH)
		return board_scan_fail(scan, "no nesting deeper than 64 lists and objects");
	scan->depth++;
	scan->at++;
	return true;
}

int board_scan_next(struct board_scan *scan, struct board_scan_items *items)
{
	bool first = !items->begun;

	items->begun = true;
	items->after = board_scan_space(scan);
	if (is_at(scan, items->close)) {
		scan->at++;
		scan->depth--;
		return 0;
	}
	if (first) {
		items->before = items->after;
		return 1;
	}
	if (!is_at(scan, ',')) {
		board_scan_fail(scan, items->close == '}' ? "',' or '}'" : "',' or ']'");
		return -1;
	}
	scan->at++;
	items->before = board_scan_space(scan);
	return 1;
}

bool board_scan_key(struct board_scan *scan, struct span *key, struct span *colon)
{
	const char *from;

	if (!is_at(scan, '"'))
		return board_scan_fail(scan, "a key in double quotes");
	if (!board_scan_string(scan, key))
		return false;
	from = scan->at;
	board_scan_space(scan);
	if (!is_at(scan, ':'))
		return board_scan_fail(scan, "':' after the key");
	scan->at++;
	board_scan_space(scan);
	*colon = (struct span){from, (size_t)(scan->at - from)};
	return true;
}

bool board_scan_end(struct board_scan *scan)
{
	board_scan_space(scan);
	return scan->at == scan->end || board_scan_fail(scan, "nothing more after the closing '}'");
}

void board_scan_position(
    const struct board_scan *scan, const char *at, size_t *line, size_t *column)
{
	*line = 1;
	*column = 1;
	for (const char *p = scan->start; p < at; p++) {
		if (*p == '\n') {
			(*line)++;
			*column = 1;
		} else if (((unsigned char)*p & 0xc0) != 0x80) {
			(*column)++; /* a character, not a byte: what editors show */
		}
	}
}

bool board_scan_error(const struct board_scan *scan, struct error *err)
{
	size_t line, column;

	board_scan_position(scan, scan->at, &line, &column);
	return error_set(err, ERROR_INVALID, "line %zu, column %zu: expected %s%s", line, column,
	    scan->expected, scan->at == scan->end ? ", but the file ends here" : "");
}

static unsigned hex4(const char *at)
{
	char digits[5] = {at[0], at[1], at[2], at[3], '\0'};

	return (unsigned)strtoul(digits, NULL, 16);
}

static void put_utf8(struct str *out, unsigned c)
{
	if (c < 0x80) {
		str_putc(out, (char)c);
	} else if (c < 0x800) {
		str_putc(out, (char)(0xc0 | c >> 6));
		str_putc(out, (char)(0x80 | (c & 0x3f)));
	} else {
		if (c < 0x10000) {
			str_putc(out, (char)(0xe0 | c >> 12));
		} else {
			str_putc(out, (char)(0xf0 | c >> 18));
			str_putc(out, (char)(0x80 | (c >> 12 & 0x3f)));
		}
		str_putc(out, (char)(0x80 | (c >> 6 & 0x3f)));
		str_putc(out, (char)(0x80 | (c & 0x3f)));
	}
}

/* at stands behind "\u"; returns behind what was read. */
static const char *decode_unicode(const char *at, const char *end, struct str *out)
{
	unsigned c = hex4(at);

	at += 4;
	if (c >= 0xd800 && c <= 0xdbff && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
		unsigned low = hex4(at + 2);

		if (low >= 0xdc00 && low <= 0xdfff) {
			put_utf8(out, 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00));
			return at + 6;
		}
	}
	put_utf8(out, c >= 0xd800 && c <= 0xdfff ? 0xfffd : c);
	return at;
}

void board_scan_decode(struct span string, struct str *out)
{
	static const char plain[256] = {
	    ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t'};
	const char *at = string.data + 1;
	const char *end = string.data + string.len - 1;

	str_append(out, "", 0); /* an empty string is one, too */
	while (at < end) {
		const char *slash = memchr(at, '\\', (size_t)(end - at));

		str_append(out, at, (size_t)((slash != NULL ? slash : end) - at));
		if (slash == NULL)
			break;
		at = slash + 2;
		if (slash[1] == 'u')
			at = decode_unicode(at, end, out);
		else
			str_putc(out, plain[(unsigned char)slash[1]]
					  ? plain[(unsigned char)slash[1]]
					  : slash[1]);
	}
}

bool board_scan_means(struct span string, const char *text)
{
	size_t len = strlen(text);
	struct str decoded = {0};
	bool same;

	if (memchr(string.data, '\\', string.len) == NULL)
		return string.len == len + 2 && memcmp(string.data + 1, text, len) == 0;
	board_scan_decode(string, &decoded);
	same = decoded.len == len && memcmp(decoded.data, text, len) == 0;
	str_free(&decoded);
	return same;
}

bool board_scan_is_integer(struct span number)
{
	for (size_t i = 0; i < number.len; i++)
		if ((number.data[i] < '0' || number.data[i] > '9') &&
		    (i > 0 || number.data[i] != '-'))
			return false;
	return number.len > 0;
}

bool board_scan_is_too_big(struct span number)
{
	bool negative = number.data[0] == '-';
	char digits[24];

	if (!board_scan_is_integer(number))
		return false;
	if (number.len >= sizeof(digits))
		return true;
	memcpy(digits, number.data, number.len);
	digits[number.len] = '\0';
	errno = 0;
	if (negative)
		(void)strtoll(digits, NULL, 10);
	else
		(void)strtoull(digits, NULL, 10);
	return errno == ERANGE;
}
