/* Watches the bytes of a request for what evhttp lets through and should not. */
#include "api/wire.h"

#include <string.h>

static const char chunked_header[] = "transfer-encoding";

void api_wire_start(struct api_wire *wire)
{
	*wire = (struct api_wire){.state = WIRE_HEAD, .first_line = true};
}

static void blame(struct api_wire *wire, const char *fault)
{
	if (wire->fault == NULL)
		wire->fault = fault;
}

/* A line of the head or the trailer is complete. */
static void end_line(struct api_wire *wire)
{
	if (wire->line_len == 0) {
		wire->state =
		    wire->state == WIRE_HEAD && wire->chunked ? WIRE_CHUNK_SIZE : WIRE_REST;
		return;
	}
	/* Whether the coding is really "chunked" is evhttp's to say; anything else is refused
	 * later. */
	if (wire->state == WIRE_HEAD && wire->line_len >= sizeof(wire->name) &&
	    memcmp(wire->name, chunked_header, sizeof(chunked_header) - 1) == 0 &&
	    wire->name[sizeof(chunked_header) - 1] == ':')
		wire->chunked = true;
	wire->line_len = 0;
	wire->first_line = false;
}

static void line_byte(struct api_wire *wire, unsigned char c)
{
	if (wire->line_len == 0 && !wire->first_line && (c == ' ' || c == '\t'))
		blame(wire, "a header line begins with white space");
	if (wire->line_len < sizeof(wire->name))
		wire->name[wire->line_len] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
	wire->line_len++;
}

/* True where c ended a line. */
static bool text_byte(struct api_wire *wire, unsigned char c)
{
	bool after_return = wire->carriage_return;

	wire->carriage_return = c == '\r';
	if (c == '\n') {
		if (!after_return)
			blame(wire, "a line ends in a bare line feed");
		return true;
	}
	if (after_return)
		blame(wire, "a carriage return stands inside of a line");
	if (c == '\0')
		blame(wire, "a NUL stands in the request's head");
	else if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7f)
		blame(wire, "a control character stands in the request's head");
	return false;
}

static int hex_digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void size_byte(struct api_wire *wire, unsigned char c)
{
	int digit = hex_digit(c);

	if (text_byte(wire, c)) {
		if (wire->chunk_digits == 0)
			blame(wire, "a chunk has no size");
		wire->state = wire->chunk_left == 0 ? WIRE_TRAILER : WIRE_CHUNK_DATA;
		wire->chunk_digits = 0;
		wire->line_len = 0;
		return;
	}
	if (c == '\r')
		return;
	if (digit < 0 || wire->chunk_digits == 15) {
		blame(wire, "the size of a chunk is no hexadecimal number, or has an extension");
		return;
	}
	wire->chunk_left = wire->chunk_left * 16 + (uint64_t)digit;
	wire->chunk_digits++;
}

/* Skips a chunk's data; returns how many bytes of len it took. */
static size_t skip_data(struct api_wire *wire, size_t len)
{
	size_t n = wire->chunk_left < len ? (size_t)wire->chunk_left : len;

	wire->chunk_left -= n;
	if (wire->chunk_left == 0) {
		wire->state = WIRE_CHUNK_END;
		wire->carriage_return = false;
	}
	return n;
}

static void chunk_end_byte(struct api_wire *wire, unsigned char c)
{
	if (c == '\r' && !wire->carriage_return) {
		wire->carriage_return = true;
		return;
	}
	if (c != '\n' || !wire->carriage_return)
		blame(wire, "a chunk is longer than its size says");
	wire->carriage_return = false;
	wire->state = WIRE_CHUNK_SIZE;
}

static void head_byte(struct api_wire *wire, unsigned char c)
{
	if (wire->state == WIRE_HEAD)
		wire->head_len++;
	if (text_byte(wire, c))
		end_line(wire);
	else if (c != '\r')
		line_byte(wire, c);
}

void api_wire_feed(struct api_wire *wire, const char *data, size_t len)
{
	for (size_t i = 0; i < len && wire->state != WIRE_REST;) {
		unsigned char c = (unsigned char)data[i];

		switch (wire->state) {
		case WIRE_CHUNK_DATA:
			i += skip_data(wire, len - i);
			continue;
		case WIRE_CHUNK_SIZE:
			size_byte(wire, c);
			break;
		case WIRE_CHUNK_END:
			chunk_end_byte(wire, c);
			break;
		default:
			head_byte(wire, c);
			break;
		}
		i++;
	}
}
