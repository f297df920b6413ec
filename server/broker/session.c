#include "server/broker/session.h"

#include "chan/status.h"
#include "chan/value.h"
#include "proto/endian.h"
#include "proto/limits.h"
#include "proto/status.h"
#include "server/base/clock.h"
#include "server/base/memory.h"
#include "server/broker/broker.h"
#include "server/broker/connection.h"
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* What may stand before a value beside its prefix: an envelope's length and the envelope. */
#define ENVELOPE_BYTES_MAX 4096u

/* A SEND or SELECT whose payload arrives in pieces. */
struct assembly {
	struct list link;
	struct message m;        /* its cases are the assembly's own copy */
	struct wire_case *cases; /* NULL when refused */
	uint64_t total;          /* bytes announced */
	uint64_t received;
	struct buf payload; /* empty when refused */
	bool refused;       /* answered already: what still comes, to the last piece, is ignored */
	int64_t began_ns;
};

/* Of the sessions of this run of the broker. The number in the id finds the session; that who names
 * it may have it shows by what is random. */
static int set_id(struct session *s)
{
	static _Atomic uint64_t last_number;

	if (getrandom(s->id, sizeof(s->id), 0) != sizeof(s->id) ||
		getrandom(s->secret, sizeof(s->secret), 0) != sizeof(s->secret))
		return -EAGAIN;
	put_be64(s->id, atomic_fetch_add(&last_number, 1) + 1);
	return 0;
}

/* What the session needs to outlive its connection, as long as the client wants and may. */
static int grant_linger(struct session *s, struct connection *c, uint64_t linger_ms)
{
	const struct broker_options *options = broker_options(s->broker);
	uint64_t max_ms = (uint64_t)(options->session_linger_max_ns / NS_PER_MS);

	s->linger_ns = (int64_t)(linger_ms < max_ms ? linger_ms : max_ms) * NS_PER_MS;
	if (s->linger_ns == 0)
		return 0;
	c->outgoing = outgoing_new((uint32_t)options->unseen_bytes_max);
	return c->outgoing ? 0 : CHAN_ENOMEM;
}

struct session *session_new(
	struct broker *broker, struct connection *connection, uint64_t linger_ms)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->broker = broker;
	if (set_id(s) < 0 || grant_linger(s, connection, linger_ms) < 0) {
		free(s);
		return NULL;
	}
	s->epoch = 1;
	s->connection = connection_ref(connection);
	list_init(&s->link);
	list_init(&s->touched);
	return s;
}

static struct assemblies *assemblies_new(void)
{
	struct assemblies *all = malloc(sizeof(*all));

	if (!all)
		return NULL;
	*all = (struct assemblies){0};
	list_init(&all->list);
	return all;
}

static void assembly_free(struct session *s, struct assembly *a)
{
	if (!a->refused)
		s->assemblies->bytes -= a->total;
	s->assemblies->count--;
	list_remove(&a->link);
	buf_fini(&a->payload);
	free(a->cases);
	free(a);
}

static void assemblies_free(struct session *s)
{
	struct assembly *a, *next;

	if (!s->assemblies)
		return;
	LIST_FOREACH_SAFE (a, next, &s->assemblies->list, link)
		assembly_free(s, a);
	free(s->assemblies);
}

void session_free(struct session *s)
{
	assemblies_free(s);
	list_remove(&s->link);
	list_remove(&s->touched);
	outbox_free(s->answers);
	outgoing_free(s->outgoing);
	if (s->connection)
		connection_unref(s->connection);
	free(s);
}

/* ---- what a frame asks -------------------------------------------------------------------- */

/* How many sequence numbers an operation uses up. */
static uint64_t numbers_used(const struct message *m)
{
	switch (m->kind) {
	case MESSAGE_SEND:
		return m->send.count;
	case MESSAGE_GRANT: /* its number is that of the receive */
		return 0;
	case MESSAGE_TAKEN:
	case MESSAGE_ACK:
	case MESSAGE_NACK:
	case MESSAGE_EXTEND:
	case MESSAGE_RETURN: /* without a number they want no answer */
		return m->seq != 0;
	default:
		return 1;
	}
}

/* Sequence numbers rise in the order in which operations begin. */
static int check_seq(struct session *s, const struct message *m, char *why, size_t why_bytes)
{
	uint64_t n = numbers_used(m);

	if (n == 0 && m->kind != MESSAGE_SEND)
		return 0;
	if (m->kind == MESSAGE_SEND && (n == 0 || n > BATCH_VALUES_MAX)) {
		snprintf(why, why_bytes, "a SEND carries 1 to %u values, this one says %" PRIu64,
			BATCH_VALUES_MAX, n);
		return CHAN_EPROTOCOL;
	}
	if (m->seq <= s->last_seq || m->seq > UINT64_MAX - n) {
		snprintf(why, why_bytes,
			"%s has number %" PRIu64 " after %" PRIu64 ": sequence numbers must rise",
			message_kind_name(m->kind), m->seq, s->last_seq);
		return CHAN_EPROTOCOL;
	}
	s->last_seq = m->seq + n - 1;
	return 0;
}

static uint32_t values_expected(const struct message *m)
{
	uint32_t n = 0;

	if (m->kind == MESSAGE_SEND)
		return m->send.count;
	if (m->kind == MESSAGE_SELECT)
		for (size_t i = 0; i < m->select.case_count; i++)
			n += m->select.cases[i].direction == CHAN_SEND;
	return n;
}

static uint64_t payload_announced(const struct message *m)
{
	switch (m->kind) {
	case MESSAGE_SEND:
		return m->send.payload_bytes;
	case MESSAGE_SELECT:
		return m->select.payload_bytes;
	default:
		return 0;
	}
}

/* Makes the batch's last operation a FAIL of what it asked. */
static void refuse(struct batch *b, uint64_t seq, uint32_t count, int status, const char *text)
{
	struct batch_op *op = &b->ops[b->count - 1];

	op->what = BATCH_ANSWER;
	op->m = (struct message){.kind = MESSAGE_FAIL, .seq = seq};
	op->m.fail.count = count;
	op->m.fail.status = status;
	op->m.fail.message = text;
	op->m.fail.closed_by = op->m.fail.reason = op->m.fail.redirect_url = "";
}

/* Takes the next values of the payload, as a pack of the batch's last operation; or one with an
 * envelope, which is not kept, since its operation will be refused. How many; 0 at the end. */
static int add_pack(struct batch *b, const uint8_t **at, size_t *left, bool *enveloped)
{
	const uint8_t *payload = *at;
	uint32_t lens[VALUE_PACK_COUNT];
	struct wire_value v;
	int rc, n = wire_values_next(at, left, lens, VALUE_PACK_COUNT, VALUE_PACK_BYTES);

	if (n == 0) {
		n = wire_value_next(at, left, &v);
		*enveloped = *enveloped || n > 0;
		return n;
	}
	rc = n < 0 ? n : batch_add_values(b, payload, (size_t)(*at - payload), lens, (uint32_t)n);
	return rc < 0 ? rc : n;
}

/* Takes the values of the batch's last operation from its whole payload. */
static int add_values(struct batch *b, const uint8_t *at, size_t left, char *why, size_t why_bytes)
{
	const struct message *m = &b->ops[b->count - 1].m;
	uint32_t expected = values_expected(m), n = 0;
	bool enveloped = false;
	int rc = 0;

	while (left > 0 && n <= expected && (rc = add_pack(b, &at, &left, &enveloped)) > 0)
		n += (uint32_t)rc;
	if (rc == CHAN_ENOMEM)
		return rc;
	if (rc < 0 || n != expected) {
		snprintf(why, why_bytes,
			"the payload of %s %" PRIu64 " is not the %" PRIu32
			" values that it announces",
			message_kind_name(m->kind), m->seq, expected);
		return CHAN_EPROTOCOL;
	}
	if (enveloped)
		refuse(b, m->seq, (uint32_t)numbers_used(m), CHAN_ENOTSUP,
			"an envelope (headers, trace id, time) on a value that is sent is not "
			"supported yet");
	return 0;
}

/* ---- payloads in pieces ------------------------------------------------------------------- */

#define MEMORY_REFUSAL                                                                             \
	"the broker's memory is near its ceiling (memory_max), and payloads in pieces are "        \
	"refused; "                                                                                \
	"try again later"

/* Whether bounds let the payload in: 0, or the status and sentence to refuse it with. */
static int check_bounds(struct session *s, struct batch *b, const struct message *m, uint64_t total,
	const char **ret_text)
{
	const struct engine_limits *limits = &broker_options(s->broker)->limits;
	uint64_t values = values_expected(m);

	if (total > values * ((uint64_t)limits->value_bytes_max + VALUE_PREFIX_BYTES +
				     ENVELOPE_BYTES_MAX)) {
		*ret_text = batch_printf(b,
			"the payload of %" PRIu64 " bytes holds a value over the limit of %" PRIu32
			" bytes (value_bytes_max); send it in parts",
			total, limits->value_bytes_max);
		return CHAN_ETOOLARGE;
	}
	if (s->assemblies->bytes + total >
		limits->bytes_in_flight_max + VALUE_PREFIX_BYTES + ENVELOPE_BYTES_MAX) {
		*ret_text = batch_printf(b,
			"%" PRIu64 " bytes are arriving in pieces and %" PRIu64
			" more would exceed the session's limit of %" PRIu64
			" (bytes_in_flight_max); wait for answers",
			s->assemblies->bytes, total, limits->bytes_in_flight_max);
		return CHAN_ELIMIT;
	}
	if (memory_level() != MEMORY_FREE) {
		*ret_text = MEMORY_REFUSAL;
		return CHAN_ELIMIT;
	}
	return 0;
}

static int copy_cases(struct assembly *a)
{
	size_t n = a->m.kind == MESSAGE_SELECT ? a->m.select.case_count : 0;

	if (n == 0)
		return 0;
	a->cases = malloc(n * sizeof(*a->cases));
	if (!a->cases)
		return CHAN_ENOMEM;
	memcpy(a->cases, a->m.select.cases, n * sizeof(*a->cases));
	a->m.select.cases = a->cases;
	return 0;
}

/* Whether the payload that the frame begins may go on in others: 0, or why the connection ends. */
static int check_assembly(struct session *s, const struct message *m, const struct frame *f,
	char *why, size_t why_bytes)
{
	if ((m->kind != MESSAGE_SEND && m->kind != MESSAGE_SELECT) ||
		f->payload_bytes > payload_announced(m) ||
		(m->kind == MESSAGE_SEND && m->send.count != 1)) {
		snprintf(why, why_bytes,
			"%s %" PRIu64 " cannot go on in pieces: only one value's SEND or "
			"a SELECT can, with no more bytes than it announces",
			message_kind_name(m->kind), m->seq);
		return CHAN_EPROTOCOL;
	}
	if (s->assemblies && s->assemblies->count == ASSEMBLIES_MAX) {
		snprintf(why, why_bytes, "more than %u payloads are arriving in pieces at once",
			ASSEMBLIES_MAX);
		return CHAN_ELIMIT;
	}
	return 0;
}

/* One of which nothing is kept yet: to be refused, unless it is found to be within bounds. NULL: there is
 * no memory. */
static struct assembly *assembly_new(
	struct session *s, const struct message *m, const struct frame *f)
{
	struct assembly *a;

	if (!s->assemblies && !(s->assemblies = assemblies_new()))
		return NULL;
	a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	*a = (struct assembly){.m = *m,
		.total = payload_announced(m),
		.received = f->payload_bytes,
		.refused = true,
		.began_ns = clock_now_ns()};
	list_push_back(&s->assemblies->list, &a->link);
	s->assemblies->count++;
	return a;
}

/* The batch's last operation begins a payload that is to go on: takes it out of the batch, or
 * makes it its refusal. */
static int begin_assembly(
	struct session *s, struct batch *b, const struct frame *f, char *why, size_t why_bytes)
{
	struct message *m = &b->ops[b->count - 1].m;
	struct assembly *a;
	const char *text;
	int rc;

	rc = check_assembly(s, m, f, why, why_bytes);
	if (rc < 0)
		return rc;
	a = assembly_new(s, m, f);
	if (!a)
		return CHAN_ENOMEM;
	rc = check_bounds(s, b, m, a->total, &text);
	if (rc < 0) {
		refuse(b, m->seq, (uint32_t)numbers_used(m), rc, text);
		return 0;
	}
	rc = copy_cases(a);
	if (rc == 0)
		rc = buf_append(&a->payload, f->payload, f->payload_bytes);
	if (rc < 0)
		return rc;
	a->refused = false;
	s->assemblies->bytes += a->total;
	batch_drop_last(b);
	return 0;
}

/* All pieces are here: the operation has arrived. Its deadline runs since its first frame. */
static int end_assembly(
	struct session *s, struct batch *b, struct assembly *a, char *why, size_t why_bytes)
{
	uint64_t *timeout_ns, waited_ns = (uint64_t)(clock_now_ns() - a->began_ns);
	struct batch_op *op;
	int rc = CHAN_ENOMEM;

	op = batch_add(b);
	if (!op)
		goto out;
	op->m = a->m;
	timeout_ns = op->m.kind == MESSAGE_SEND ? &op->m.send.timeout_ns : &op->m.select.timeout_ns;
	if (*timeout_ns)
		*timeout_ns = *timeout_ns > waited_ns ? *timeout_ns - waited_ns : 1;
	if (a->cases) {
		op->m.select.cases =
			batch_keep(b, a->cases, a->m.select.case_count * sizeof(*a->cases));
		if (!op->m.select.cases)
			goto out_drop;
	}
	rc = add_values(
		b, a->payload.bytes + a->payload.start, buf_len(&a->payload), why, why_bytes);
out_drop:
	if (rc < 0)
		batch_drop_last(b);
out:
	assembly_free(s, a);
	return rc;
}

static struct assembly *find_assembly(struct session *s, uint64_t id)
{
	struct assembly *a;

	if (!s->assemblies)
		return NULL;
	LIST_FOREACH (a, &s->assemblies->list, link)
		if (a->m.seq == id)
			return a;
	return NULL;
}

/* What is there of it goes, and what is still to come is ignored. */
static void empty_assembly(struct session *s, struct assembly *a)
{
	a->refused = true;
	s->assemblies->bytes -= a->total;
	buf_fini(&a->payload);
	free(a->cases);
	a->cases = NULL;
}

/* There is no memory for the rest of it. */
static int give_assembly_up(struct session *s, struct batch *b, struct assembly *a)
{
	if (!batch_add(b))
		return CHAN_ENOMEM;
	empty_assembly(s, a);
	refuse(b, a->m.seq, (uint32_t)numbers_used(&a->m), CHAN_ELIMIT, MEMORY_REFUSAL);
	return 0;
}

static int take_piece(struct session *s, struct batch *b, const struct frame *f, uint64_t id,
	char *why, size_t why_bytes)
{
	struct assembly *a = find_assembly(s, id);
	bool more = f->flags & FRAME_MORE;
	int rc;

	if (!a) {
		snprintf(why, why_bytes, "PIECE of %" PRIu64 ", whose payload is not to go on", id);
		return CHAN_EPROTOCOL;
	}
	if (a->refused) {
		if (!more)
			assembly_free(s, a);
		return 0;
	}
	a->received += f->payload_bytes;
	if (a->received > a->total || (!more && a->received != a->total)) {
		snprintf(why, why_bytes,
			"the pieces of %" PRIu64 " have %" PRIu64 " bytes, announced were %" PRIu64,
			id, a->received, a->total);
		return CHAN_EPROTOCOL;
	}
	if (more && memory_level() >= MEMORY_SCARCE)
		return give_assembly_up(s, b, a);
	rc = buf_append(&a->payload, f->payload, f->payload_bytes);
	if (rc < 0)
		return rc;
	return more ? 0 : end_assembly(s, b, a, why, why_bytes);
}

/* A CANCEL whose target has not arrived whole: the target ends here, and the engine, which does not
 * know it, answers the CANCEL. */
static int cancel_assembly(struct session *s, struct batch *b, uint64_t target)
{
	struct assembly *a = find_assembly(s, target);
	struct batch_op op;

	if (!a || a->refused)
		return 0;
	empty_assembly(s, a);
	op = b->ops[b->count - 1];
	refuse(b, target, (uint32_t)numbers_used(&a->m), CHAN_ECANCELED,
		"the operation was withdrawn before all of it had arrived");
	if (!batch_add(b))
		return CHAN_ENOMEM;
	b->ops[b->count - 1] = op;
	return 0;
}

/* ---- frames ------------------------------------------------------------------------------- */

static int take_operation(
	struct session *s, struct batch *b, const struct frame *f, char *why, size_t why_bytes)
{
	const struct message *m = &b->ops[b->count - 1].m;
	int rc;

	rc = check_seq(s, m, why, why_bytes);
	if (rc < 0)
		return rc;
	if (f->flags & FRAME_MORE)
		return begin_assembly(s, b, f, why, why_bytes);
	if (m->kind == MESSAGE_CANCEL)
		return cancel_assembly(s, b, m->cancel.target);
	if (payload_announced(m) != f->payload_bytes) {
		snprintf(why, why_bytes,
			"%s %" PRIu64 " announces %" PRIu64 " bytes of payload and has %" PRIu32,
			message_kind_name(m->kind), m->seq, payload_announced(m), f->payload_bytes);
		return CHAN_EPROTOCOL;
	}
	return add_values(b, f->payload, f->payload_bytes, why, why_bytes);
}

int session_frame(
	struct session *s, struct batch *b, const struct frame *f, char *why, size_t why_bytes)
{
	struct batch_op *op = batch_add(b);
	int rc;

	if (!op)
		return CHAN_ENOMEM;
	rc = wire_decode(f, b->scratch, &op->m);
	if (rc == CHAN_EPROTOCOL)
		wire_explain(f, why, why_bytes);
	if (rc == 0 && op->m.kind == MESSAGE_PIECE) {
		uint64_t id = op->m.seq;

		batch_drop_last(b);
		return take_piece(s, b, f, id, why, why_bytes);
	}
	if (rc == 0)
		rc = take_operation(s, b, f, why, why_bytes);
	if (rc < 0)
		batch_drop_last(b);
	return rc;
}

/* A refusal in as few words as it can have: one to each of many small operations would be most of
 * what a session makes the broker hold. */
static struct message in_short(const struct message *fail)
{
	struct message m = *fail;

	m.fail.message = status_text(m.fail.status);
	m.fail.closed_by = m.fail.reason = "";
	return m;
}

void session_answer(struct session *s, const struct message *m, struct value *const *values,
	const uint32_t *attempts, size_t value_count)
{
	struct message brief;

	if (!s->answers)
		s->answers = outbox_new();
	if (s->answers && m->kind == MESSAGE_FAIL && s->answers->bytes > WORDY_ANSWERS_BYTES_MAX) {
		brief = in_short(m);
		m = &brief;
	}
	if (!s->answers || outbox_add(s->answers, m, values, attempts, value_count) < 0)
		s->failed = true;
	ride_note_answer(&s->ride, m);
	broker_touch(s->broker, s);
}
