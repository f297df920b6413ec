/*
 * resend.c - what is kept for a resume.
 */
#include "client/resend.h"
#include "chan/status.h"
#include "proto/endian.h"

/* A frame's length field counts what follows it. */
#define LENGTH_BYTES 4u

static size_t frame_bytes(const uint8_t *frame)
{
	return LENGTH_BYTES + get_be32(frame);
}

void resend_fini(struct resend *r)
{
	buf_fini(&r->frames);
}

bool resend_has_room(const struct resend *r)
{
	return !r->keeps || buf_len(&r->frames) < r->bytes_max;
}

/* The first frames of out that fit, at least one where nothing is kept. */
static int take_some(struct resend *r, struct buf *out)
{
	size_t room = r->bytes_max - buf_len(&r->frames), n = 0, frames = 0, bytes;
	int rc;

	for (; n < buf_len(out); n += bytes, frames++) {
		bytes = frame_bytes(buf_data(out) + n);
		if (bytes > room - n && (frames > 0 || buf_len(&r->frames) > 0))
			break;
		if (bytes > room - n) {
			n = bytes;
			frames = 1;
			break;
		}
	}
	rc = buf_append(&r->frames, buf_data(out), n);
	if (rc < 0)
		return rc;
	buf_consume(out, n);
	r->taken += frames;
	return 0;
}

/* Where nothing is kept the two change places, and nothing is copied. */
int resend_take(struct resend *r, struct buf *out, uint64_t total)
{
	struct buf emptied = r->frames;
	int rc = 0;

	if (buf_len(out) == 0 || !resend_has_room(r))
		return 0;
	if (r->keeps && buf_len(out) > r->bytes_max - buf_len(&r->frames))
		return take_some(r, out);
	if (buf_len(&r->frames) == 0) {
		r->frames = *out;
		*out = emptied;
	} else {
		rc = buf_append(&r->frames, buf_data(out), buf_len(out));
		if (rc == 0)
			buf_consume(out, buf_len(out));
	}
	if (rc == 0)
		r->taken = total;
	return rc;
}

size_t resend_unwritten(const struct resend *r, const uint8_t **ret_bytes)
{
	size_t n = buf_len(&r->frames) - r->written;

	*ret_bytes = n > 0 ? buf_data(&r->frames) + r->written : NULL;
	return n;
}

void resend_wrote(struct resend *r, size_t n)
{
	if (r->keeps)
		r->written += n;
	else
		buf_consume(&r->frames, n);
}

int resend_see(struct resend *r, uint64_t frames)
{
	if (!r->keeps)
		return 0;
	if (frames > r->taken)
		return CHAN_EPROTOCOL;
	if (frames > r->seen)
		r->seen = frames;
	return 0;
}

/* What a broker says to have and was not written to it stays. */
void resend_trim(struct resend *r)
{
	size_t n = 0, bytes;

	while (r->gone < r->seen && n < r->written) {
		bytes = frame_bytes(buf_data(&r->frames) + n);
		if (bytes > r->written - n)
			break;
		n += bytes;
		r->gone++;
	}
	buf_consume(&r->frames, n);
	r->written -= n;
}

int resend_rewind(struct resend *r, uint64_t frames)
{
	if (frames < r->seen || resend_see(r, frames) < 0)
		return CHAN_EPROTOCOL;
	r->written = buf_len(&r->frames);
	resend_trim(r);
	r->written = 0;
	return 0;
}
