#include "client/chanctl/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One read: many small values for one system call. */
#define READ_BYTES ((size_t)64 * 1024)

void reader_init(struct reader *r, int fd, enum framing framing)
{
	*r = (struct reader){.fd = fd, .framing = framing, .value_bytes_max = SIZE_MAX / 2};
}

void reader_fini(struct reader *r)
{
	free(r->buffer);
}

/* Makes room for one more read behind what is left, which moves to the front first. */
static int make_room(struct reader *r)
{
	size_t left = r->end - r->start, size = r->size;
	char *buffer;

	if (left > 0 && r->start > 0)
		memmove(r->buffer, r->buffer + r->start, left);
	r->start = 0;
	r->end = left;
	if (size - left >= READ_BYTES)
		return 0;
	size = size > 0 ? 2 * size : 2 * READ_BYTES;
	buffer = realloc(r->buffer, size);
	if (buffer == NULL)
		return -ENOMEM;
	r->buffer = buffer;
	r->size = size;
	return 0;
}

int reader_fill(struct reader *r)
{
	ssize_t bytes;
	int rc;

	if (r->end - r->start > r->value_bytes_max + FRAMING_LEN_BYTES)
		return -EMSGSIZE;
	rc = make_room(r);
	if (rc < 0)
		return rc;
	bytes = read(r->fd, r->buffer + r->end, READ_BYTES);
	if (bytes < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	r->at_end = bytes == 0;
	r->end += (size_t)bytes;
	return 0;
}

int reader_next(struct reader *r, const char **ret_value, size_t *ret_value_bytes)
{
	size_t step = 0;
	int rc;

	if (r->drained || r->buffer == NULL)
		return 0;
	rc = framing_next(r->framing, r->buffer + r->start, r->end - r->start, r->at_end, ret_value,
		ret_value_bytes, &step);
	/* All of stdin is one value, also when it is empty: there is no second. */
	r->drained = r->at_end && (rc == 0 || r->framing == FRAMING_RAW);
	r->start += step;
	if (rc > 0 && *ret_value_bytes > r->value_bytes_max)
		return -EMSGSIZE;
	return rc;
}
