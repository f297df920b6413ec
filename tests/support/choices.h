/*
 * choices.h - where a random run takes its choices from: a seed, or the bytes of a fuzzer.
 */
#ifndef TESTS_SUPPORT_CHOICES_H
#define TESTS_SUPPORT_CHOICES_H

#include "server/base/random.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct choices {
	/* 0 to n - 1; n > 0 */
	uint32_t (*below)(struct choices *c, uint32_t n);

	struct random random; /* of a seed */
	const uint8_t *bytes; /* of a fuzzer: what is left */
	size_t bytes_left;
};

static inline uint32_t choices_by_seed(struct choices *c, uint32_t n)
{
	return random_below(&c->random, n);
}

/* A byte a choice where one is enough, so that changing a byte changes one choice. */
static inline uint32_t choices_by_bytes(struct choices *c, uint32_t n)
{
	uint32_t x = 0;

	for (uint64_t reach = 1; reach < n && c->bytes_left > 0; reach <<= 8) {
		x = x << 8 | *c->bytes++;
		c->bytes_left--;
	}
	return x % n;
}

static inline struct choices choices_of_seed(uint64_t seed)
{
	struct choices c = {.below = choices_by_seed};

	random_init(&c.random, seed);
	return c;
}

static inline struct choices choices_of_bytes(const uint8_t *bytes, size_t n)
{
	return (struct choices){.below = choices_by_bytes, .bytes = bytes, .bytes_left = n};
}

#endif
