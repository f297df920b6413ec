/*
 * wire_reference.h - what wire_decode and wire_encode have to agree with.
 */
#ifndef TESTS_SUPPORT_WIRE_REFERENCE_H
#define TESTS_SUPPORT_WIRE_REFERENCE_H

#include "proto/arena.h"
#include "proto/wire.h"

/* As wire_decode, into an arena. Of two equal fields that are messages it mixes what is in them. */
int reference_decode(const struct frame *f, struct arena *a, struct message *ret_message);

/* As wire_encode. */
int reference_encode(
	struct buf *out, const struct message *m, uint8_t flags, uint32_t payload_bytes);

#endif
