#include "client/chanctl/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES ((size_t)8192)

void bytes_fini(struct bytes *b)
{
	free(b->at);
	*b = (struct bytes){0};
}

int bytes_append(struct bytes *b, const void *bytes, size_t length)
{
	size_t size = b->size > 0 ? b->size : FIRST_BYTES;
	char *at;

	while (size - b->used < length)
		size *= 2;
	if (size != b->size) {
		at = realloc(b->at, size);
		if (at == NULL)
			return -ENOMEM;
		b->at = at;
		b->size = size;
	}
	if (length > 0)
		memcpy(b->at + b->used, bytes, length);
	b->used += length;
	return 0;
}

int bytes_append_string(struct bytes *b, const char *string)
{
	return bytes_append(b, string, strlen(string));
}
