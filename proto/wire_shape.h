/*
 * wire_shape.h - which field of a message in chand.proto is which field of struct message.
 *
 * Private to wire.c, which moves fields by this table in both directions, wire_value.c, and the
 * tests. To add a field of chand.proto, add its row in wire_shape.c; to add a kind, add a shape.
 */
#ifndef PROTO_WIRE_SHAPE_H
#define PROTO_WIRE_SHAPE_H

#include "proto/arena.h"
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a field on the wire becomes that of a struct. In this order: numbers come first, and those
 * that are looked at once more when all have come (finish_field) stand together. */
enum how {
	SCALAR, /* the same integer */
	BOOL,
	SEQ,    /* u64 that must not be 0 */
	COUNT,  /* u32 where 0 counts as 1 */
	STATUS, /* u32 number <-> negative int */
	TEXT,
	SUB, /* one message within */
	BYTES,
	TEXTS, /* repeated string <-> pointer and count */
	LIST,  /* repeated message <-> pointer and count */

	LAST_NUMBER = STATUS,
	FIRST_TO_FINISH = SEQ,
	LAST_TO_FINISH = SUB,
};

struct shape;

struct field {
	uint8_t how;
	uint8_t bytes;               /* in our struct, but for SUB, TEXTS and LIST */
	uint16_t plain, plain_count; /* offsets in it */
	uint16_t pb, pb_count;       /* offsets in protobuf-c's, for the tests */
	const struct shape *of;      /* of SUB and LIST */
};

struct shape {
	const ProtobufCMessageDescriptor *descriptor;
	const struct field *fields; /* the one of number n is fields[n - 1] */
	uint8_t field_count;
	uint8_t count_number; /* of the COUNT; 0: there is none */
	bool numbers_only;    /* of all fields, below 16 and none a STATUS; a SEQ is the first */
	bool apart;           /* the fields are in a struct that message.apart points to */
	size_t plain_bytes;   /* of an element of a LIST, and of one that is apart */
};

/* The shape of a kind's header, or NULL when there is no such kind. */
const struct shape *wire_shape_of(int kind);

/* protobuf-c's allocator that takes from an arena, which must outlive its use. */
ProtobufCAllocator wire_allocator(struct arena *a);

#endif
