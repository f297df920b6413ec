/*
 * value.h - values' bytes: a few small ones, or a large one, in a piece of memory that is shared by
 * reference count.
 *
 * Made by the goroutine that reads a connection, held by the engine while the value waits or is
 * out for delivery, and by an outbox until it is written. The bytes never change once made, so
 * only the count is atomic.
 *
 * Values of one SEND that are small come in one *pack*, side by side as they stood in its payload: so
 * a piece of memory, a copy and a count serve a hundred of them, and neighbours leave by one copy
 * too. A value of a pack is a value like any other; it keeps its neighbours in memory, so the engine
 * counts a pack whole for as long as it holds any of it (engine_hold_value).
 */
#ifndef BROKER_VALUE_H
#define BROKER_VALUE_H

#include "proto/limits.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct quota_account;

struct value {
	uint8_t *bytes; /* in its pack, behind the prefix that it has in a payload (wire.h) */
	uint32_t len;
	uint16_t index, count; /* in its pack; of all that are there */
};

/* Of one pack, together with their prefixes. More would bring little: memory for it is asked for
 * once in two hundred values of 16 bytes. One value alone may be larger. */
#define VALUE_PACK_BYTES 4096u
#define VALUE_PACK_COUNT 256u

struct value_pack {
	uint32_t refs; /* atomic; of all its values together */
	uint32_t held; /* the engine's: how often it holds values of it */
	struct quota_account *account; /* the engine's: whose they are, while it holds any */
	struct value values[];         /* and their bytes behind them */
};

/* A value with room for len bytes, to be filled before it is shared; one reference, the caller's.
 * NULL: out of memory. */
struct value *value_new(size_t len);

/* Copies count values without envelope as they stand in a payload, where they take so many bytes and
 * have lengths lens: the first of them, the others follow it in memory; a reference for each. NULL:
 * out of memory. */
struct value *value_pack_new(
	const uint8_t *payload, size_t bytes, const uint32_t *lens, uint32_t count);

static inline struct value_pack *value_pack(const struct value *v)
{
	return (struct value_pack *)((char *)(v - v->index) - offsetof(struct value_pack, values));
}

/* Whether b comes behind a in one pack. */
static inline bool value_follows(const struct value *a, const struct value *b)
{
	return b == a + 1;
}

/* What n values of one pack, from v on, take in a payload, where they stand side by side. */
static inline const uint8_t *value_run(const struct value *v)
{
	return v->bytes - VALUE_PREFIX_BYTES;
}

static inline size_t value_run_bytes(const struct value *v, uint32_t n)
{
	return (size_t)(v[n - 1].bytes + v[n - 1].len - value_run(v));
}

/* The bytes of these values themselves. */
static inline size_t value_run_len(const struct value *v, uint32_t n)
{
	return value_run_bytes(v, n) - (size_t)n * VALUE_PREFIX_BYTES;
}

/* What a value keeps in memory together with its neighbours. */
static inline size_t value_pack_bytes(const struct value *v)
{
	return v->count * sizeof(*v) + value_run_bytes(v - v->index, v->count);
}

struct value *value_ref(struct value *v);
void value_unref(struct value *v);                 /* NULL is fine */
void value_unref_run(struct value *v, uint32_t n); /* a reference to each of n of one pack */

#endif
