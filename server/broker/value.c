#include "server/broker/value.h"
#include "proto/endian.h"
#include <stdlib.h>
#include <string.h>

/* Room for so many values and so many bytes, prefixes among them. */
static struct value_pack *pack_new(uint32_t count, size_t bytes)
{
	struct value_pack *p = malloc(sizeof(*p) + count * sizeof(struct value) + bytes);

	if (!p)
		return NULL;
	p->refs = count;
	p->held = 0;
	return p;
}

struct value *value_new(size_t len)
{
	struct value_pack *p;
	uint8_t *prefix;

	if (len > UINT32_MAX)
		return NULL;
	p = pack_new(1, VALUE_PREFIX_BYTES + len);
	if (!p)
		return NULL;
	prefix = (uint8_t *)(p->values + 1);
	prefix[0] = 0;
	put_be32(prefix + 1, (uint32_t)len);
	p->values[0] = (struct value){prefix + VALUE_PREFIX_BYTES, (uint32_t)len, 0, 1};
	return p->values;
}

struct value *value_pack_new(
	const uint8_t *payload, size_t bytes, const uint32_t *lens, uint32_t count)
{
	struct value_pack *p = pack_new(count, bytes);
	uint8_t *at;

	if (!p)
		return NULL;
	at = memcpy(p->values + count, payload, bytes);
	for (uint32_t i = 0; i < count; i++) {
		at += VALUE_PREFIX_BYTES;
		p->values[i] = (struct value){at, lens[i], (uint16_t)i, (uint16_t)count};
		at += lens[i];
	}
	return p->values;
}

struct value *value_ref(struct value *v)
{
	__atomic_add_fetch(&value_pack(v)->refs, 1, __ATOMIC_RELAXED);
	return v;
}

void value_unref_run(struct value *v, uint32_t n)
{
	struct value_pack *p = value_pack(v);

	/* Release, so that the last holder's free comes after everybody's reads; acquire, so that
	 * the one who frees has seen them. Whoever holds all that are left needs no subtraction. */
	if (__atomic_load_n(&p->refs, __ATOMIC_ACQUIRE) == n ||
		__atomic_sub_fetch(&p->refs, n, __ATOMIC_ACQ_REL) == 0)
		free(p);
}

void value_unref(struct value *v)
{
	if (v)
		value_unref_run(v, 1);
}
