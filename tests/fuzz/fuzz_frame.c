/*
 * fuzz_frame.c - frames and messages: whatever comes is refused with a reason, or survives being
 * written and read again unchanged.
 *
 * Input: frames one after another, as from a socket.
 */
#include "chan/status.h"
#include "proto/limits.h"
#include "proto/wire.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/wire_reference.h"
#include <string.h>

/* What decoding may take from memory for one header, see wire.c; the lists of answers included. */
#define SCRATCH_BYTES_MAX (4u * 1024u * 1024u)

static struct wire_scratch *scratch;

/* Appends the message as a frame. False: its header became too large, as what was left out of it
 * is said when we write it. */
static bool encode(const struct message *m, const struct frame *f, struct buf *out)
{
	int rc = wire_encode(out, m, f->flags, f->payload_bytes);

	fuzz_require(
		rc == 0 || (rc == CHAN_ETOOLARGE && f->header_bytes > FRAME_HEADER_BYTES_MAX / 2));
	if (rc == 0)
		fuzz_require(buf_append(out, f->payload, f->payload_bytes) == 0);
	return rc == 0;
}

static void decode_again(const struct buf *bytes, struct frame *ret_frame, struct message *ret)
{
	long n = frame_parse(buf_data(bytes), buf_len(bytes), ret_frame);

	fuzz_require(n > 0 && (size_t)n == buf_len(bytes));
	fuzz_require(wire_decode(ret_frame, scratch, ret) == 0);
}

/* What we write is read as what it was, so written again it has the same bytes. */
static void check_round_trip(const struct message *m, const struct frame *f)
{
	struct buf once = {0}, twice = {0};
	struct frame g;
	struct message n;

	if (encode(m, f, &once)) {
		decode_again(&once, &g, &n);
		fuzz_require(n.kind == m->kind && n.seq == m->seq && g.flags == f->flags);
		fuzz_require(encode(&n, &g, &twice));
		fuzz_require(buf_len(&once) == buf_len(&twice));
		fuzz_require(memcmp(buf_data(&once), buf_data(&twice), buf_len(&once)) == 0);
	}
	buf_fini(&once);
	buf_fini(&twice);
}

/*
 * protobuf-c reads the header as we do, and writes what it read as we do. But of messages that come
 * twice in one field, which no one writes, it mixes what is in them: such frames are of those kinds
 * in which there are any, and are only read.
 */
static void check_reference(const struct frame *f, int rc, const struct message *m)
{
	bool mixes = f->kind == MESSAGE_HELLO || f->kind == MESSAGE_WELCOME ||
		     f->kind == MESSAGE_WAITERS;
	struct buf ours = {0}, theirs = {0};
	struct message n;
	struct arena a;

	arena_init(&a, NULL, 0);
	fuzz_require(reference_decode(f, &a, &n) == rc);
	if (rc == 0 && !mixes && wire_encode(&ours, m, f->flags, f->payload_bytes) == 0) {
		fuzz_require(reference_encode(&theirs, &n, f->flags, f->payload_bytes) == 0);
		fuzz_require(buf_len(&ours) == buf_len(&theirs));
		fuzz_require(!memcmp(buf_data(&ours), buf_data(&theirs), buf_len(&ours)));
	}
	buf_fini(&ours);
	buf_fini(&theirs);
	arena_reset(&a);
}

static void check_header(const struct frame *f)
{
	char why[TEXT_BYTES_MAX] = "";
	struct message m;
	int rc;

	wire_scratch_reset(scratch);
	rc = wire_decode(f, scratch, &m);
	fuzz_require(wire_scratch_used(scratch) <= SCRATCH_BYTES_MAX);
	check_reference(f, rc, &m);
	if (rc == 0) {
		check_round_trip(&m, f);
		return;
	}
	fuzz_require(rc == CHAN_EPROTOCOL);
	wire_explain(f, why, sizeof(why));
	fuzz_require(*why);
}

/* Values lie within the payload, one behind the other, and end where it ends or is wrong. */
static void check_payload(const struct frame *f)
{
	const uint8_t *at = f->payload, *before = at;
	size_t left = f->payload_bytes;
	struct wire_value v;
	int rc;

	while ((rc = wire_value_next(&at, &left, &v)) > 0) {
		fuzz_require(v.bytes >= before && v.bytes + v.len == at &&
			     at + left == f->payload + f->payload_bytes);
		fuzz_require(v.attempt >= 1);
		if (!v.enveloped)
			fuzz_require(wire_value_bytes(v.len, 1, 0) == (size_t)(at - before));
		before = at;
	}
	fuzz_require(rc == CHAN_EPROTOCOL || left == 0);
}

/* Runs of values without envelope are what those values are one after another. */
static void check_runs(const struct frame *f)
{
	const uint8_t *at = f->payload, *one = at;
	size_t left = f->payload_bytes, left_of_one = left;
	uint32_t lens[4];
	struct wire_value v;
	int n;

	while ((n = wire_values_next(&at, &left, lens, 4, 64)) > 0) {
		for (int i = 0; i < n; i++) {
			fuzz_require(wire_value_next(&one, &left_of_one, &v) == 1);
			fuzz_require(v.len == lens[i] && !v.enveloped);
		}
		fuzz_require(one == at && left_of_one == left);
	}
	if (n < 0)
		while ((n = wire_value_next(&one, &left_of_one, &v)) > 0)
			fuzz_require(!v.enveloped);
	else if (left > 0)
		fuzz_require(at[0] != 0);
	fuzz_require(n == 0 || n == CHAN_EPROTOCOL);
}

/* What is refused is so from its first wrong byte on, and for a reason. */
static void check_refused(const uint8_t *bytes, size_t n)
{
	char why[TEXT_BYTES_MAX] = "";
	struct frame f;
	size_t first = 0;

	while (first < n && frame_parse(bytes, first, &f) == 0)
		first++;
	fuzz_require(first <= FRAME_PREFIX_BYTES);
	for (; first <= FRAME_PREFIX_BYTES && first <= n; first++)
		fuzz_require(frame_parse(bytes, first, &f) == CHAN_EPROTOCOL);
	frame_explain(bytes, n, why, sizeof(why));
	fuzz_require(*why && !strstr(why, "nothing is wrong"));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct frame f;
	long taken;

	scratch = wire_scratch_new();
	fuzz_require(scratch);
	while ((taken = frame_parse(bytes, n, &f)) > 0) {
		check_header(&f);
		check_payload(&f);
		check_runs(&f);
		bytes += taken;
		n -= (size_t)taken;
	}
	if (taken < 0)
		check_refused(bytes, n);
	wire_scratch_free(scratch);
	return 0;
}
