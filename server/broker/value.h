/*
 * value.h - one value's bytes, shared by reference count.
 *
 * Made by the goroutine that reads a connection, held by the engine while the value waits or is
 * out for delivery, and by an outbox until it is written. The bytes never change once made, so
 * only the count is atomic.
 */
#ifndef BROKER_VALUE_H
#define BROKER_VALUE_H

#include <stddef.h>
#include <stdint.h>

struct quota_account;

struct value {
	uint32_t refs; /* atomic */
	uint32_t len;
	struct quota_account *account; /* the engine's: whose it is, while the engine holds it */
	uint8_t bytes[];
};

/* A value with room for len bytes, to be filled before it is shared; one reference, the caller's.
 * NULL: out of memory. */
struct value *value_new(size_t len);

struct value *value_ref(struct value *v);
void value_unref(struct value *v); /* NULL is fine */

#endif
