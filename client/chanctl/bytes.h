/*
 * bytes.h - bytes that grow at the end.
 */
#ifndef CHANCTL_BYTES_H
#define CHANCTL_BYTES_H

#include <stddef.h>

/* A zeroed struct is empty. */
struct bytes {
	char *at; /* ours */
	size_t used, size;
};

void bytes_fini(struct bytes *b);

/* Appends; 0 or -ENOMEM, and then nothing is changed. */
int bytes_append(struct bytes *b, const void *bytes, size_t length);
int bytes_append_string(struct bytes *b, const char *string);

#endif
