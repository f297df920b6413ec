/*
 * dice.h - random numbers that a seed repeats.
 */
#ifndef TESTS_SUPPORT_DICE_H
#define TESTS_SUPPORT_DICE_H

#include <stdint.h>

/* A stream of them; any seed will do. */
struct dice {
	uint64_t state;
};

/* One of 0 .. below-1. (splitmix64) */
static inline uint32_t dice_choose(struct dice *d, uint32_t below)
{
	uint64_t z = d->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return ((z ^ (z >> 31)) >> 32) * (uint64_t)below >> 32;
}

#endif
