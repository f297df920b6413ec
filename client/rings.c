#include "client/rings.h"
#include "client/client.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

int rings_init(struct rings *r, int ring_after)
{
	const char *said = getenv(RINGS_AFTER_VARIABLE);
	char *end;
	long after;

	r->after = ring_after;
	if (ring_after || !said || !*said)
		return 0;
	errno = 0;
	after = strtol(said, &end, 10);
	if (*end || errno || after < INT_MIN || after > INT_MAX)
		return error_say(CHAN_EINVAL,
			"dial: $" RINGS_AFTER_VARIABLE " is '%.80s': it wants a number of calls on the "
			"socket, or a negative one for never",
			said);
	r->after = (int)after;
	return 0;
}

static bool are_wanted(const struct chan_client *c)
{
	return c->rings.after >= 0 && c->urls.list[c->url_at].scheme == URL_UNIX;
}

uint64_t rings_features(const struct chan_client *c)
{
	return are_wanted(c) ? FEATURE_RINGS : 0;
}

void rings_connected(struct chan_client *c, uint64_t features)
{
	struct rings *r = &c->rings;

	r->state = RINGS_NONE;
	r->read = false;
	r->calls = 0;
	r->since_ns = clock_now_ns();
	if (are_wanted(c) && (features & FEATURE_RINGS) && stream_expect_rings(&c->stream) == 0)
		r->state = RINGS_GRANTED;
}

/* ---- asking ------------------------------------------------------------------------------- */

/* Counts a call: whether so many were made by now. Those that were spread over a longer time count no
 * more. */
static bool is_busy(struct rings *r, int calls)
{
	int64_t now_ns, since_ns = r->since_ns;

	if (++r->calls < (r->after ? r->after : calls))
		return false;
	if (r->after)
		return true;
	now_ns = clock_now_ns();
	r->calls = 0;
	r->since_ns = now_ns;
	return now_ns - since_ns <= RINGS_AFTER_NS;
}

static void ask(struct chan_client *c)
{
	struct message m = {.kind = MESSAGE_RING_ASK};

	if (session_put(&c->session, &m) == 0)
		c->rings.state = RINGS_ASKED;
}

/* Where they cannot be used all stays as it is, for good. */
static void enlarge(struct chan_client *c)
{
	struct rings *r = &c->rings;

	r->larger_from_bytes = 0;
	if (stream_take_larger_rings(&c->stream) < 0)
		return;
	r->read = false;
	r->state = RINGS_BEGINNING;
}

static bool counts_for_larger(const struct rings *r, size_t bytes)
{
	return r->state == RINGS_BEGUN && r->read && r->larger_from_bytes &&
	       bytes >= r->larger_from_bytes;
}

void rings_count_call(struct chan_client *c, size_t bytes)
{
	struct rings *r = &c->rings;

	if (r->state == RINGS_GRANTED && is_busy(r, RINGS_AFTER_CALLS))
		ask(c);
	else if (counts_for_larger(r, bytes) && is_busy(r, RINGS_LARGER_AFTER_CALLS))
		enlarge(c);
}

/* ---- what the broker says ----------------------------------------------------------------- */

int rings_offered(struct chan_client *c, uint32_t ring_bytes, uint32_t larger_ring_bytes)
{
	struct message no = {.kind = MESSAGE_RING_DECLINE,
		.ring_decline = {.message = "the descriptors did not come, or cannot be used"}};

	if (c->rings.state != RINGS_ASKED)
		return CHAN_EPROTOCOL;
	if (stream_take_rings(&c->stream, ring_bytes, larger_ring_bytes) == 0) {
		c->rings.state = RINGS_BEGINNING;
		c->rings.larger_from_bytes = larger_ring_bytes > ring_bytes ? ring_bytes / 2 : 0;
		c->rings.calls = 0;
		c->rings.since_ns = clock_now_ns();
		return 0;
	}
	c->rings.state = RINGS_OVER;
	return session_put(&c->session, &no);
}

/* What is read next comes by the ring: that the socket was drained says nothing of it. */
int rings_begun(struct chan_client *c)
{
	bool said = c->rings.state == RINGS_LEAVING || c->rings.state == RINGS_BEGUN;

	if (!said || c->rings.read)
		return CHAN_EPROTOCOL;
	c->rings.read = true;
	c->drained = false;
	stream_begin_ring_reading(&c->stream);
	return 0;
}

int rings_declined(struct chan_client *c)
{
	if (c->rings.state != RINGS_ASKED)
		return CHAN_EPROTOCOL;
	c->rings.state = RINGS_OVER;
	stream_forgo_rings(&c->stream);
	return 0;
}

/* ---- going over --------------------------------------------------------------------------- */

bool rings_are_beginning(const struct chan_client *c)
{
	return c->rings.state == RINGS_BEGINNING;
}

void rings_say_begin(struct chan_client *c)
{
	struct message begin = {.kind = MESSAGE_RING_BEGIN};

	if (wire_encode(&c->leaving, &begin, 0, 0) < 0)
		c->session.doomed = CHAN_ENOMEM;
	else
		c->rings.state = RINGS_LEAVING;
}

void rings_wrote(struct chan_client *c)
{
	if (c->rings.state != RINGS_LEAVING)
		return;
	c->rings.state = RINGS_BEGUN;
	stream_begin_ring_writing(&c->stream);
}
