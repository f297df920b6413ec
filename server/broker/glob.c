#include "server/broker/glob.h"

#include <stddef.h>

/* Only the last star needs to be tried again: what stood before it has been found as early as it
 * could be, and a later place would leave less for the rest. */
bool glob_match(const char *pattern, const char *text)
{
	const char *behind_star = NULL, *retry = NULL;

	while (*text) {
		if (*pattern == '*') {
			behind_star = ++pattern;
			retry = text;
		} else if (*pattern == '?' || *pattern == *text) {
			pattern++;
			text++;
		} else if (behind_star) {
			pattern = behind_star;
			text = ++retry;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}
