/*
 * name.h - which names a channel may have.
 */
#ifndef PROTO_NAME_H
#define PROTO_NAME_H

#include <stddef.h>

/* 0, or CHAN_EINVAL: not 1 to NAME_BYTES_MAX bytes of A-Z a-z 0-9 . _ - / : */
int name_check(const char *name, size_t bytes);

/* The rule in words, for an error. */
#define NAME_RULE "a name has 1 to 255 bytes of A-Z a-z 0-9 . _ - / :"

#endif
