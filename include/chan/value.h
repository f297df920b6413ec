/*
 * chan/value.h - element types, and values as they stand in memory.
 */
#ifndef CHAN_VALUE_H
#define CHAN_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The type of a channel's elements. The numbers travel in the protocol. The encoding of a value
 * follows from its channel's type alone:
 *
 *   int     8 bytes, big-endian two's complement
 *   float   8 bytes, big-endian IEEE 754 binary64
 *   bool    1 byte, 0 or 1
 *   string  valid UTF-8, any length, no terminator; NUL allowed
 *   bytes   any bytes
 *   any     1 byte with the number of the type it carries (not any), then that type's encoding
 *   signal  no bytes
 *   chan    a reference to a channel, see proto/PROTOCOL.md: 8 bytes broker incarnation,
 *           8 bytes channel id, 1 byte direction, then the name (empty where unnamed)
 */
#define CHAN_TYPE_LIST(X)                                                                          \
	X(INT, 1, "int")                                                                           \
	X(FLOAT, 2, "float")                                                                       \
	X(BOOL, 3, "bool")                                                                         \
	X(STRING, 4, "string")                                                                     \
	X(BYTES, 5, "bytes")                                                                       \
	X(ANY, 6, "any")                                                                           \
	X(SIGNAL, 7, "signal")                                                                     \
	X(CHAN, 8, "chan")

enum chan_type {
#define CHAN_TYPE_CONSTANT(name, number, word) CHAN_TYPE_##name = (number),
	CHAN_TYPE_LIST(CHAN_TYPE_CONSTANT)
#undef CHAN_TYPE_CONSTANT
};

/* What an opened end may do, as Go's chan<- T and <-chan T. Bits; the numbers travel. */
enum chan_direction {
	CHAN_SEND = 1,
	CHAN_RECV = 2,
	CHAN_BOTH = 3,
};

#endif
