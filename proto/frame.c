/*
 * frame.c - frames in bytes, parsed in place.
 *
 * The prefix is judged field by field as its bytes arrive, so that what can never become a frame
 * is refused before a byte of it is waited for. frame_parse and frame_explain share that judgement.
 */
#include "proto/frame.h"
#include "chan/status.h"
#include "proto/endian.h"
#include "proto/limits.h"
#include <stdbool.h>
#include <stdio.h>

/* Where the fields of the prefix lie. */
enum { LENGTH_AT = 0, KIND_AT = 4, FLAGS_AT = 5, HEADER_BYTES_AT = 6 };

/* What the length field counts beyond header and payload: the rest of the prefix. */
#define LENGTH_MIN (FRAME_PREFIX_BYTES - KIND_AT)
#define LENGTH_MAX (FRAME_BYTES_MAX - KIND_AT)

enum verdict {
	FRAME_FINE, /* as far as it can be seen */
	FRAME_TOO_SHORT,
	FRAME_TOO_LONG,
	FRAME_BAD_FLAGS,
	FRAME_HEADER_TOO_LARGE,
	FRAME_HEADER_OVERRUN,
	FRAME_PAYLOAD_TOO_LARGE,
};

static enum verdict judge_prefix(const uint8_t *bytes, size_t available)
{
	uint32_t length, header_bytes;

	if (available < KIND_AT)
		return FRAME_FINE;
	length = get_be32(bytes + LENGTH_AT);
	if (length < LENGTH_MIN)
		return FRAME_TOO_SHORT;
	if (length > LENGTH_MAX)
		return FRAME_TOO_LONG;
	if (available > FLAGS_AT && (bytes[FLAGS_AT] & ~FRAME_MORE))
		return FRAME_BAD_FLAGS;
	if (available < FRAME_PREFIX_BYTES)
		return FRAME_FINE;
	header_bytes = get_be16(bytes + HEADER_BYTES_AT);
	if (header_bytes > FRAME_HEADER_BYTES_MAX)
		return FRAME_HEADER_TOO_LARGE;
	if (header_bytes > length - LENGTH_MIN)
		return FRAME_HEADER_OVERRUN;
	if (length - LENGTH_MIN - header_bytes > FRAME_PAYLOAD_BYTES_MAX)
		return FRAME_PAYLOAD_TOO_LARGE;
	return FRAME_FINE;
}

long frame_parse(const uint8_t *bytes, size_t available, struct frame *ret_frame)
{
	uint32_t length;
	uint16_t header_bytes;

	if (judge_prefix(bytes, available) != FRAME_FINE)
		return CHAN_EPROTOCOL;
	if (available < FRAME_PREFIX_BYTES)
		return 0;
	length = get_be32(bytes + LENGTH_AT);
	if (available - KIND_AT < length)
		return 0;
	header_bytes = get_be16(bytes + HEADER_BYTES_AT);
	*ret_frame = (struct frame){
		.kind = bytes[KIND_AT],
		.flags = bytes[FLAGS_AT],
		.header_bytes = header_bytes,
		.payload_bytes = length - LENGTH_MIN - header_bytes,
		.header = bytes + FRAME_PREFIX_BYTES,
		.payload = bytes + FRAME_PREFIX_BYTES + header_bytes,
	};
	return (long)length + KIND_AT;
}

void frame_explain(const uint8_t *bytes, size_t available, char *text, size_t text_size)
{
	uint32_t length = available < KIND_AT ? 0 : get_be32(bytes + LENGTH_AT);
	uint32_t header_bytes =
		available < FRAME_PREFIX_BYTES ? 0 : get_be16(bytes + HEADER_BYTES_AT);

	switch (judge_prefix(bytes, available)) {
	case FRAME_FINE:
		snprintf(text, text_size, "nothing is wrong with the frame");
		break;
	case FRAME_TOO_SHORT:
		snprintf(text, text_size, "a frame's length is at least %u, not %u", LENGTH_MIN,
			length);
		break;
	case FRAME_TOO_LONG:
		snprintf(text, text_size, "a frame's length is at most %u, not %u", LENGTH_MAX,
			length);
		break;
	case FRAME_BAD_FLAGS:
		snprintf(text, text_size, "a frame's flags are 0 or %u, not %u", FRAME_MORE,
			bytes[FLAGS_AT]);
		break;
	case FRAME_HEADER_TOO_LARGE:
		snprintf(text, text_size, "a frame's header has at most %u bytes, not %u",
			FRAME_HEADER_BYTES_MAX, header_bytes);
		break;
	case FRAME_HEADER_OVERRUN:
		snprintf(text, text_size, "a header of %u bytes does not fit a frame of length %u",
			header_bytes, length);
		break;
	case FRAME_PAYLOAD_TOO_LARGE:
		snprintf(text, text_size, "a frame's payload has at most %u bytes, not %u",
			FRAME_PAYLOAD_BYTES_MAX, length - LENGTH_MIN - header_bytes);
		break;
	}
}

void frame_put_prefix(uint8_t prefix[8], uint8_t kind, uint8_t flags, uint16_t header_bytes,
	uint32_t payload_bytes)
{
	put_be32(prefix + LENGTH_AT, LENGTH_MIN + header_bytes + payload_bytes);
	prefix[KIND_AT] = kind;
	prefix[FLAGS_AT] = flags;
	put_be16(prefix + HEADER_BYTES_AT, header_bytes);
}
