#include "server/broker/value.h"
#include <stdlib.h>

struct value *value_new(size_t len)
{
	struct value *v;

	if (len > UINT32_MAX)
		return NULL;
	v = malloc(sizeof(*v) + len);
	if (!v)
		return NULL;
	v->refs = 1;
	v->len = (uint32_t)len;
	return v;
}

struct value *value_ref(struct value *v)
{
	__atomic_add_fetch(&v->refs, 1, __ATOMIC_RELAXED);
	return v;
}

void value_unref(struct value *v)
{
	/* Release, so that the last holder's free comes after everybody's reads; acquire, so that
	 * the one who frees has seen them. */
	if (v && __atomic_sub_fetch(&v->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(v);
}
