#include "server/base/random.h"
#include "server/base/clock.h"

#include <sys/random.h>

uint64_t random_seed(void)
{
	uint64_t seed;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
		seed = (uint64_t)clock_now_ns(); /* early at boot: good enough for what this is for */
	return seed;
}
