/* The newest records in memory, the oldest giving way. */
#include "supervise/ring.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

struct ring {
	size_t limit;
	char *data; /* NULL until the first push */
	size_t cap; /* limit, or the size of a single larger record */
	size_t head;
	size_t len;
};

struct ring *ring_create(size_t limit)
{
	struct ring *ring = xcalloc(1, sizeof(*ring));

	ring->limit = limit;
	return ring;
}

void ring_free(struct ring *ring)
{
	if (ring == NULL)
		return;
	free(ring->data);
	free(ring);
}

/* How many bytes from offset at (counted from the head) lie in one piece. */
static size_t piece(const struct ring *ring, size_t at, size_t len)
{
	size_t to_end = ring->cap - (ring->head + at) % ring->cap;

	return len < to_end ? len : to_end;
}

static char *place(const struct ring *ring, size_t at)
{
	return ring->data + (ring->head + at) % ring->cap;
}

static size_t oldest_length(const struct ring *ring)
{
	size_t first, rest;
	const char *newline;

	if (ring->len == 0)
		return 0;
	first = piece(ring, 0, ring->len);
	newline = memchr(place(ring, 0), '\n', first);
	if (newline != NULL)
		return (size_t)(newline - place(ring, 0)) + 1;
	rest = ring->len - first;
	newline = rest > 0 ? memchr(ring->data, '\n', rest) : NULL;
	if (newline == NULL)
		fatal("ring: a record without its newline");
	return first + (size_t)(newline - ring->data) + 1;
}

bool ring_pop(struct ring *ring, struct ring_loss *loss)
{
	size_t len = oldest_length(ring);

	if (len == 0)
		return false;
	if (loss != NULL) {
		loss->bytes += len;
		loss->lines++;
	}
	ring->head = (ring->head + len) % ring->cap;
	ring->len -= len;
	return true;
}

/* Makes room for len bytes: a record that is larger than the limit has the ring for itself. */
static void make_room(struct ring *ring, size_t len, struct ring_loss *loss)
{
	size_t cap = len > ring->limit ? len : ring->limit;

	while (ring->len > 0 && ring->len + len > ring->limit)
		ring_pop(ring, loss);
	if (ring->len > 0 || ring->cap == cap)
		return;
	free(ring->data);
	ring->data = xmalloc(cap);
	ring->cap = cap;
	ring->head = 0;
}

void ring_push(struct ring *ring, const char *record, size_t len, struct ring_loss *loss)
{
	size_t first;

	if (len == 0 || record[len - 1] != '\n')
		fatal("ring: a record without its newline");
	make_room(ring, len, loss);
	first = piece(ring, ring->len, len);
	memcpy(place(ring, ring->len), record, first);
	memcpy(ring->data, record + first, len - first);
	ring->len += len;
}

bool ring_oldest(const struct ring *ring, struct str *out)
{
	size_t len = oldest_length(ring);
	size_t first;

	if (len == 0)
		return false;
	first = piece(ring, 0, len);
	str_append(out, place(ring, 0), first);
	str_append(out, ring->data, len - first);
	return true;
}
