/*
 * random.h - fast pseudo-random numbers from a seed; not for secrets.
 *
 * The same seed gives the same numbers everywhere. A generator belongs to one thread at a time.
 */
#ifndef CHAND_BASE_RANDOM_H
#define CHAND_BASE_RANDOM_H

#include <stdint.h>

struct random {
	uint64_t state;
};

static inline void random_init(struct random *r, uint64_t seed)
{
	r->state = seed;
}

/* 64 bits: a Weyl sequence, mixed (splitmix64's constants). */
static inline uint64_t random_u64(struct random *r)
{
	uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Uniform below `n` but for a bias under n / 2^32; n > 0. */
static inline uint32_t random_below(struct random *r, uint32_t n)
{
	return (uint32_t)((random_u64(r) >> 32) * n >> 32);
}

/* A seed from the kernel. */
uint64_t random_seed(void);

#endif
