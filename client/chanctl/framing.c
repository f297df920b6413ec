#include "client/chanctl/framing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static int next_terminated(char terminator, const char *bytes, size_t length, bool at_end,
	const char **ret_value, size_t *ret_value_bytes, size_t *ret_step_bytes)
{
	const char *end = length > 0 ? memchr(bytes, terminator, length) : NULL;

	if (end == NULL && (!at_end || length == 0))
		return 0;
	*ret_value = bytes;
	*ret_value_bytes = end != NULL ? (size_t)(end - bytes) : length;
	*ret_step_bytes = *ret_value_bytes + (end != NULL);
	return 1;
}

static int next_counted(const char *bytes, size_t length, bool at_end, const char **ret_value,
	size_t *ret_value_bytes, size_t *ret_step_bytes)
{
	uint32_t value_bytes;

	if (at_end && length == 0)
		return 0;
	if (length < FRAMING_LEN_BYTES)
		return at_end ? -EBADMSG : 0;
	memcpy(&value_bytes, bytes, sizeof(value_bytes));
	value_bytes = ntohl(value_bytes);
	if (length - FRAMING_LEN_BYTES < value_bytes)
		return at_end ? -EBADMSG : 0;
	*ret_value = bytes + FRAMING_LEN_BYTES;
	*ret_value_bytes = value_bytes;
	*ret_step_bytes = FRAMING_LEN_BYTES + (size_t)value_bytes;
	return 1;
}

int framing_next(enum framing framing, const char *bytes, size_t length, bool at_end,
	const char **ret_value, size_t *ret_value_bytes, size_t *ret_step_bytes)
{
	switch (framing) {
	case FRAMING_LEN:
		return next_counted(
			bytes, length, at_end, ret_value, ret_value_bytes, ret_step_bytes);
	case FRAMING_RAW:
		if (!at_end)
			return 0;
		*ret_value = bytes;
		*ret_value_bytes = *ret_step_bytes = length;
		return 1;
	default:
		return next_terminated(framing == FRAMING_NULL ? '\0' : '\n', bytes, length, at_end,
			ret_value, ret_value_bytes, ret_step_bytes);
	}
}

void framing_marks(enum framing framing, size_t value_bytes, struct framing_marks *ret_marks)
{
	uint32_t length = htonl((uint32_t)value_bytes);

	*ret_marks = (struct framing_marks){0};
	if (framing == FRAMING_LEN) {
		memcpy(ret_marks->before, &length, sizeof(length));
		ret_marks->before_bytes = sizeof(length);
	} else if (framing != FRAMING_RAW) {
		ret_marks->after = framing == FRAMING_NULL ? '\0' : '\n';
		ret_marks->after_bytes = 1;
	}
}
