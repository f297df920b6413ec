/*
 * name.c - which names a channel may have.
 */
#include "proto/name.h"
#include "chan/status.h"
#include "proto/limits.h"
#include <stdbool.h>
#include <string.h>

_Static_assert(NAME_BYTES_MAX == 255, "NAME_RULE says so");

/* Not isalnum: the locale has no say in it. */
static bool allowed(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (c && strchr("._-/:", c));
}

int name_check(const char *name, size_t bytes)
{
	if (bytes == 0 || bytes > NAME_BYTES_MAX)
		return CHAN_EINVAL;
	for (size_t i = 0; i < bytes; i++) {
		if (!allowed(name[i]))
			return CHAN_EINVAL;
	}
	return 0;
}
