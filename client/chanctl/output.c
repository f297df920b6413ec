#include "client/chanctl/output.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "client/chanctl/events.h"
#include "client/chanctl/interrupt.h"
#include "client/chanctl/text.h"

void output_init(struct output *out, const struct options *options, const char *channel)
{
	*out = (struct output){.options = options, .channel = channel};
}

void output_fini(struct output *out)
{
	bytes_fini(&out->text);
}

static int append_body(struct output *out, const struct chan_value *value)
{
	if (out->options->json)
		return text_append_json(&out->text, out->channel, value);
	if (out->options->format != NULL)
		return text_append_format(&out->text, out->options->format, out->channel, value);
	return text_append(&out->text, value);
}

static int append_framed(struct output *out, const struct chan_value *value)
{
	size_t start = out->text.used;
	struct framing_marks marks;
	int rc;

	framing_marks(out->options->framing, 0, &marks);
	rc = bytes_append(&out->text, marks.before, marks.before_bytes);
	if (rc == 0)
		rc = append_body(out, value);
	if (rc == 0)
		rc = bytes_append(&out->text, &marks.after, marks.after_bytes);
	if (rc < 0)
		return rc;
	/* The length stands before what had to be made to know it. */
	framing_marks(out->options->framing,
		out->text.used - start - marks.before_bytes - marks.after_bytes, &marks);
	for (size_t i = 0; i < marks.before_bytes; i++)
		out->text.at[start + i] = marks.before[i];
	return 0;
}

bool output_has_room(const struct output *out)
{
	return out->count < OUTPUT_VALUES_MAX && out->text.used < PIPE_BUF;
}

int output_add(struct output *out, const struct chan_value *value)
{
	size_t start = out->text.used;
	int rc = append_framed(out, value);

	if (rc == 0)
		out->ends[out->count++] = out->text.used;
	else
		out->text.used = start;
	return rc;
}

int output_add_text(struct output *out, const char *text, size_t length)
{
	int rc = bytes_append(&out->text, text, length);

	if (rc == 0)
		out->ends[out->count++] = out->text.used;
	return rc;
}

/* Until stdout can be written. False: a signal has come and stdout cannot. */
static bool wait_writable(struct chan_client *client)
{
	bool signalled;

	do {
		signalled = interrupt_signal() != 0;
		if (events_wait(client, STDOUT_FILENO, POLLOUT, signalled ? 0 : EVENTS_FOREVER) &
			EVENT_FD)
			return true;
	} while (!signalled);
	return false;
}

/* What the next write takes: whole values as far as they fit PIPE_BUF, or a part of a large one. */
static size_t next_write_bytes(const struct output *out)
{
	size_t bytes = 0;

	for (size_t i = 0; i < out->count && out->ends[i] <= out->written + PIPE_BUF; i++)
		if (out->ends[i] > out->written)
			bytes = out->ends[i] - out->written;
	return bytes > 0 ? bytes : PIPE_BUF;
}

int output_write(struct output *out, struct chan_client *client)
{
	while (out->written < out->text.used) {
		ssize_t bytes;

		/* A pipe that polls writable has room for PIPE_BUF at least: no write blocks. */
		if (!wait_writable(client))
			return -EINTR;
		bytes = write(STDOUT_FILENO, out->text.at + out->written, next_write_bytes(out));
		if (bytes < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		out->written += bytes > 0 ? (size_t)bytes : 0;
	}
	return 0;
}

size_t output_taken(const struct output *out)
{
	size_t taken = 0;

	while (taken < out->count && out->ends[taken] <= out->written)
		taken++;
	return taken;
}

void output_clear(struct output *out)
{
	out->text.used = out->count = out->written = 0;
}
