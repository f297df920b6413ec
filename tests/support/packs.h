/* packs.h - values of a test as they come from a connection: several small ones in one pack. */
#ifndef TESTS_SUPPORT_PACKS_H
#define TESTS_SUPPORT_PACKS_H

#include "server/broker/value.h"
#include <stdlib.h>
#include <string.h>

/* Makes n values neighbours of one pack, if one holds them. */
static inline void pack_values(struct value **values, size_t n)
{
	uint8_t payload[VALUE_PACK_BYTES] = {0};
	uint32_t lens[VALUE_PACK_COUNT] = {0};
	size_t bytes = 0;
	struct value *pack;

	for (size_t i = 0; i < n; i++) {
		size_t more = value_run_bytes(values[i], 1);

		if (n > VALUE_PACK_COUNT || more > sizeof(payload) - bytes)
			return;
		memcpy(payload + bytes, value_run(values[i]), more);
		bytes += more;
		lens[i] = values[i]->len;
	}
	pack = value_pack_new(payload, bytes, lens, (uint32_t)n);
	if (!pack)
		abort();
	for (size_t i = 0; i < n; i++) {
		value_unref(values[i]);
		values[i] = pack + i;
	}
}

#endif
