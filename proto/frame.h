/*
 * frame.h - frames in bytes, parsed in place.
 *
 *   u32 length          of everything after this field, big-endian
 *   u8  kind            enum message_kind
 *   u8  flags           FRAME_MORE
 *   u16 header_bytes    of the protobuf message that follows
 *   header              header_bytes long
 *   payload             the rest: values, see wire.h
 *
 * Owns no memory and does no I/O: the daemon, the client, the fuzzer and the guard-page test
 * share it.
 */
#ifndef PROTO_FRAME_H
#define PROTO_FRAME_H

#include <stddef.h>
#include <stdint.h>

/* The payload goes on in PIECE frames; the last of them comes without this flag. */
#define FRAME_MORE 0x01u

struct frame {
	uint8_t kind;
	uint8_t flags;
	uint16_t header_bytes;
	uint32_t payload_bytes;
	const uint8_t *header; /* both point into the bytes that were parsed */
	const uint8_t *payload;
};

/*
 * Parses the frame at the start of bytes. Returns the bytes it takes; 0 when it is not complete
 * yet; CHAN_EPROTOCOL when no continuation can make it a frame (a length that is too small or
 * over the limits of limits.h, unknown flags), as early as the prefix shows it.
 */
long frame_parse(const uint8_t *bytes, size_t available, struct frame *ret_frame);

/* Says in a sentence why frame_parse refused these bytes, for the GOAWAY and the log. */
void frame_explain(const uint8_t *bytes, size_t available, char *text, size_t text_size);

/* Writes the prefix of a frame whose header and payload will follow. */
void frame_put_prefix(uint8_t prefix[8], uint8_t kind, uint8_t flags, uint16_t header_bytes,
	uint32_t payload_bytes);

#endif
