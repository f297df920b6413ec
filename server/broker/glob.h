/*
 * glob.h - patterns over names: `*` stands for any run of bytes (none and `/` included), `?` for
 * one, everything else for itself.
 */
#ifndef BROKER_GLOB_H
#define BROKER_GLOB_H

#include <stdbool.h>

/* Whether the pattern covers the whole text. At most the product of both lengths in steps. */
bool glob_match(const char *pattern, const char *text);

#endif
