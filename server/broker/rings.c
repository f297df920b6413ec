/*
 * rings.c - how a connection over a Unix socket goes over to shared memory: asked for by the client,
 * offered with descriptors, begun in each direction by its last frame on the socket; or declined. And
 * how it goes on from there to the larger rings that were offered with them, by its last frame in the first.
 *
 * The reader decides, and leaves to the writer what has its place among the frames that are written:
 * one step at a time, and the client answers each before there is another.
 */
#include "server/broker/connection.h"

#include "chan/status.h"
#include "proto/frame.h"
#include "server/base/memory.h"
#include "server/broker/broker.h"
#include "server/net/stream_ring.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Rings bring descriptors along that both hold, and by which either can hold the other up: the kernel closes
 * what an epoll descriptor watches under a lock of that, and counts what is added to one of ours as ours. So
 * they are for who can stop us anyway: our own user, and root. */
static bool is_trusted(const struct stream_peer *peer)
{
	return peer->kind == STREAM_UNIX && (peer->uid == geteuid() || peer->uid == 0);
}

void connection_grant_rings(struct connection *c, uint64_t features)
{
	struct stream_peer peer;

	if (!(features & FEATURE_RINGS) || !broker_options(c->broker)->rings_max)
		return;
	stream_peer(c->stream, &peer);
	if (is_trusted(&peer))
		c->rings = RINGS_GRANTED;
}

/* Has the writer do that. */
static void leave_to_writer(struct connection *c, enum rings_step step, struct connection **chain)
{
	bool start;

	lock_acquire(&c->lock);
	c->rings_step = step;
	start = connection_claim_writer(c);
	lock_release(&c->lock);
	if (start)
		connection_join_chain(c, chain);
}

/*
 * Settles what becomes of the offer, unless the other of reader and writer has. The reader may only once
 * the writer is at it: before that the client cannot know of any. It may then still be at it, where the
 * client answers what it has not seen: so the writer asks here before it takes back what it cannot offer.
 */
static bool settle_offer(struct connection *c, enum rings_offer how)
{
	bool first;

	lock_acquire(&c->lock);
	first = c->rings_offer == RINGS_OFFER_OPEN && c->rings_step == RINGS_STEP_NONE;
	if (first)
		c->rings_offer = how;
	lock_release(&c->lock);
	return first;
}

/* ---- the reader ------------------------------------------------------------------------------- */

/* Makes them, and counts them. 0, or a status with a sentence in why. */
static int make_rings(struct connection *c, char *why, size_t why_bytes)
{
	int rc;

	if (memory_level() != MEMORY_FREE) {
		snprintf(why, why_bytes, "the broker's memory is near its ceiling (memory_max)");
		return CHAN_ELIMIT;
	}
	rc = broker_take_rings(c->broker, c, why, why_bytes);
	if (rc < 0)
		return rc;
	rc = stream_ring_new(c->stream);
	if (rc == 0)
		return 0;
	broker_give_rings(c->broker, c);
	snprintf(why, why_bytes, "the broker has none: %s", strerror(-rc));
	return CHAN_ELIMIT;
}

int connection_ask_rings(
	struct connection *c, struct connection **chain, char *why, size_t why_bytes)
{
	struct message m = {.kind = MESSAGE_RING_DECLINE, .ring_decline = {.message = why}};

	if (c->rings != RINGS_GRANTED) {
		snprintf(why, why_bytes, "RING_ASK, which was not granted, or a second one");
		return CHAN_EPROTOCOL;
	}
	if (make_rings(c, why, why_bytes) < 0) {
		c->rings = RINGS_OVER;
		return connection_say(c, &m, chain);
	}
	c->rings = RINGS_OFFERED;
	leave_to_writer(c, RINGS_STEP_OFFER, chain);
	return 0;
}

/* Whether the client answers an offer, and the first one that does. */
static bool answers_offer(struct connection *c, const char *what, char *why, size_t why_bytes)
{
	if (c->rings == RINGS_OFFERED && settle_offer(c, RINGS_OFFER_ANSWERED))
		return true;
	snprintf(why, why_bytes, "%s, and no rings were offered", what);
	return false;
}

/* Whether the client, which is in the first rings, may go on to the larger ones: the writer has taken its step
 * to the first ones, which the client waits for, so that the next step does not take its place. */
static bool may_go_on(struct connection *c, char *why, size_t why_bytes)
{
	bool may;

	lock_acquire(&c->lock);
	may = c->rings_step == RINGS_STEP_NONE;
	lock_release(&c->lock);
	if (!may)
		snprintf(why, why_bytes, "RING_BEGIN for larger rings before the broker's for the first");
	return may;
}

static bool may_begin(struct connection *c, char *why, size_t why_bytes)
{
	return c->rings == RINGS_BEGUN ? may_go_on(c, why, why_bytes)
				       : answers_offer(c, "RING_BEGIN", why, why_bytes);
}

int connection_begin_rings(
	struct connection *c, bool last, struct connection **chain, char *why, size_t why_bytes)
{
	int rc;

	if (!may_begin(c, why, why_bytes))
		return CHAN_EPROTOCOL;
	if (!last) {
		snprintf(why, why_bytes, "something behind RING_BEGIN");
		return CHAN_EPROTOCOL;
	}
	rc = stream_ring_begin_reading(c->stream);
	if (rc < 0) {
		snprintf(why, why_bytes, "RING_BEGIN, and %s",
			rc == -EPROTO
				? "there are no larger rings"
				: "the memory is not sealed by F_SEAL_FUTURE_WRITE, or not whole");
		return CHAN_EPROTOCOL;
	}
	c->rings = RINGS_BEGUN;
	leave_to_writer(c, RINGS_STEP_BEGIN, chain);
	return 0;
}

int connection_drop_rings(
	struct connection *c, struct connection **chain, char *why, size_t why_bytes)
{
	if (!answers_offer(c, "RING_DECLINE", why, why_bytes))
		return CHAN_EPROTOCOL;
	c->rings = RINGS_OVER;
	leave_to_writer(c, RINGS_STEP_DROP, chain);
	return 0;
}

/* ---- the writer ------------------------------------------------------------------------------- */

/* A frame without fields, which takes no memory. */
static int say_only(struct connection *c, enum message_kind kind)
{
	uint8_t frame[FRAME_PREFIX_BYTES];
	struct iovec iov = {frame, sizeof(frame)};

	frame_put_prefix(frame, (uint8_t)kind, 0, 0, 0);
	return stream_write_all(c->stream, &iov, 1, broker_options(c->broker)->stall_ns);
}

static int drop(struct connection *c)
{
	stream_ring_drop(c->stream);
	broker_give_rings(c->broker, c);
	return 0;
}

/* There is no offer after all. The reader is told before the client, who answers nothing then. If it has
 * answered already, that decides: RING_DECLINE has them dropped by the next step, and RING_BEGIN is a
 * breach, since it cannot have sealed what it was not given. */
static int withhold(struct connection *c)
{
	if (!settle_offer(c, RINGS_OFFER_WITHHELD))
		return 0;
	drop(c);
	return say_only(c, MESSAGE_RING_DECLINE);
}

static int offer(struct connection *c)
{
	struct message m = {.kind = MESSAGE_RING_OFFER,
		.ring_offer = {.ring_bytes = STREAM_RING_BYTES,
			.larger_ring_bytes = STREAM_LARGER_RING_BYTES}};
	struct buf frame = {0};
	int rc = -ETOOMANYREFS;

	if (wire_encode(&frame, &m, 0, 0) == 0)
		rc = stream_ring_offer(c->stream, buf_data(&frame), buf_len(&frame),
			broker_options(c->broker)->stall_ns);
	buf_fini(&frame);
	return rc == -ETOOMANYREFS ? withhold(c) : rc;
}

static int begin(struct connection *c)
{
	int rc = say_only(c, MESSAGE_RING_BEGIN);

	if (rc == 0)
		stream_ring_begin_writing(c->stream);
	return rc;
}

int connection_take_rings_step(struct connection *c, enum rings_step step)
{
	static int (*const steps[])(struct connection *) = {
		[RINGS_STEP_OFFER] = offer,
		[RINGS_STEP_BEGIN] = begin,
		[RINGS_STEP_DROP] = drop,
	};

	return steps[step](c);
}
