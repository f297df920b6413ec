/*
 * reader.h - values from stdin, without ever blocking where poll(2) was asked first.
 *
 * reader_fill reads once and is called when the descriptor is readable; reader_next gives the
 * values that are at hand. One buffer holds what was read; a value stands in it until the next
 * call of either function.
 */
#ifndef CHANCTL_READER_H
#define CHANCTL_READER_H

#include "client/chanctl/framing.h"

struct reader {
	int fd;
	enum framing framing;
	size_t value_bytes_max; /* a longer value ends the reading: memory stays bounded */
	char *buffer;           /* ours */
	size_t size;            /* of buffer */
	size_t start, end;      /* what was read and not yet taken: [start, end) */
	bool at_end;            /* the descriptor has no more */
	bool drained;           /* nothing is left to take either */
};

/* value_bytes_max is without a bound until it is set: what a broker would refuse need not be read
 * whole. */
void reader_init(struct reader *r, int fd, enum framing framing);
void reader_fini(struct reader *r);

/* Reads once, which blocks unless the descriptor is readable. Returns 0, also at the end;
 * -errno where read failed, -EMSGSIZE where a value is longer than value_bytes_max. */
int reader_fill(struct reader *r);

/* Takes the next value. Returns 1 and the value; 0 where reader_fill must come first, or where
 * r->drained says that there are no more; -EBADMSG where the input ends within a frame,
 * -EMSGSIZE where the value is longer than value_bytes_max. */
int reader_next(struct reader *r, const char **ret_value, size_t *ret_value_bytes);

#endif
