/* Request targets: splitting, decoding and encoding of paths. */
#include "api/path.h"

#include "api/limits.h"
#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

ssize_t api_path_decode(char *to, const char *from, size_t len)
{
	size_t out = 0;

	for (size_t i = 0; i < len; i++) {
		int high, low;

		if (from[i] != '%') {
			to[out++] = from[i];
			continue;
		}
		if (i + 2 >= len)
			return -1;
		high = hex_digit(from[i + 1]);
		low = hex_digit(from[i + 2]);
		if (high < 0 || low < 0 || (high == 0 && low == 0))
			return -1;
		to[out++] = (char)(high * 16 + low);
		i += 2;
	}
	return (ssize_t)out;
}

static bool is_odd(const char *segment, size_t len)
{
	return len == 0 || (len == 1 && segment[0] == '.') ||
	       (len == 2 && segment[0] == '.' && segment[1] == '.');
}

static bool add_segment(
    struct api_path *path, char **memory, const char *from, size_t len, struct api_problem *problem)
{
	char *to = *memory;
	ssize_t out = api_path_decode(to, from, len);

	if (out < 0 || !str_utf8_valid(to, (size_t)out))
		return api_problem_set(problem, 400, "bad_request",
		    "the path is not well encoded: it must be percent-encoded UTF-8 without NUL");
	to[out] = '\0';
	*memory += out + 1;
	path->odd |= is_odd(to, (size_t)out);
	if (path->count < API_MAX_SEGMENTS)
		path->segments[path->count] = to;
	if (path->count <= API_MAX_SEGMENTS)
		path->count++;
	return true;
}

/* The path of an absolute target, or target itself. */
static const char *skip_authority(const char *target, const char **authority, size_t *authority_len)
{
	*authority = NULL;
	*authority_len = 0;
	if (strncasecmp(target, "http://", 7) != 0)
		return target;
	*authority = target + 7;
	*authority_len = strcspn(*authority, "/?");
	return *authority + *authority_len;
}

static bool is_well_formed(const char *target)
{
	for (; *target != '\0'; target++)
		if ((unsigned char)*target <= 0x20 || *target == 0x7f || *target == '#')
			return false;
	return true;
}

static bool split(struct api_path *path, const char *at, size_t len, struct api_problem *problem)
{
	const char *end = at + len;
	/* Each segment takes its length and a NUL, where a slash stood before it. */
	char *memory = path->memory = xmalloc(len + 1);

	if (len == 1) /* "/" has no segments */
		return true;
	while (at < end) {
		const char *from = at + 1;
		const char *to = memchr(from, '/', (size_t)(end - from));

		if (to == NULL)
			to = end;
		if (!add_segment(path, &memory, from, (size_t)(to - from), problem))
			return false;
		at = to;
	}
	return true;
}

bool api_path_parse(struct api_path *path, const char *target, const char **authority,
    size_t *authority_len, struct api_problem *problem)
{
	const char *at;
	size_t len;

	*path = (struct api_path){0};
	if (strlen(target) > API_MAX_TARGET)
		return api_problem_set(problem, 414, "uri_too_long",
		    "the request's target is longer than %d bytes", API_MAX_TARGET);
	at = skip_authority(target, authority, authority_len);
	if (!is_well_formed(target) || (at == target && *at != '/'))
		return api_problem_set(problem, 400, "bad_request",
		    "the request's target is no path: it must begin with a slash, and white space "
		    "and "
		    "\"#\" must be percent-encoded");
	len = strcspn(at, "?");
	return len == 0 || split(path, at, len, problem);
}

void api_path_clear(struct api_path *path)
{
	free(path->memory);
	*path = (struct api_path){0};
}

static bool is_unreserved(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

void api_path_encode(struct str *out, const char *segment)
{
	for (; *segment != '\0'; segment++) {
		if (is_unreserved((unsigned char)*segment))
			str_putc(out, *segment);
		else
			str_printf(out, "%%%02X", (unsigned char)*segment);
	}
}
