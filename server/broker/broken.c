/*
 * broken.c - the broken rule that the environment chooses. Only builds that ask for that refer to it,
 * so that no other links it.
 */
#include "server/broker/broken.h"

#include <stdlib.h>

enum broken_rule BROKEN_environment;

__attribute__((constructor)) static void choose(void)
{
	const char *number = getenv("CHAND_BROKEN_RULE");

	if (number)
		BROKEN_environment = (enum broken_rule)atoi(number);
}
