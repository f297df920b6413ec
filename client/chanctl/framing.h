/*
 * framing.h - how values stand in a stream of bytes, on stdin as on stdout.
 */
#ifndef CHANCTL_FRAMING_H
#define CHANCTL_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum framing {
	FRAMING_NONE,  /* nothing was asked: send takes arguments, recv prints lines */
	FRAMING_LINES, /* each value ends with a newline */
	FRAMING_NULL,  /* each value ends with a zero byte */
	FRAMING_LEN,   /* a 4-byte big-endian length stands before each value */
	FRAMING_RAW,   /* the bytes alone: all of stdin is one value, stdout gets nothing added */
};

/* Bytes of the length that FRAMING_LEN puts before a value. */
#define FRAMING_LEN_BYTES 4

/*
 * Takes the first value off the length bytes at `bytes`. at_end says that no more will follow, so
 * that a last line needs no newline.
 *
 * Returns 1 and the value (it stands in the caller's bytes) and how many bytes to step over;
 * 0 where more bytes are needed, or none are left at the end; -EBADMSG where the stream ends
 * within a frame.
 */
int framing_next(enum framing framing, const char *bytes, size_t length, bool at_end,
	const char **ret_value, size_t *ret_value_bytes, size_t *ret_step_bytes);

/* What stands before and after a value on the way out. */
struct framing_marks {
	char before[FRAMING_LEN_BYTES];
	size_t before_bytes;
	char after;
	size_t after_bytes; /* 0 or 1 */
};

void framing_marks(enum framing framing, size_t value_bytes, struct framing_marks *ret_marks);

#endif
