#include "tests/stress/agent.h"
#include "chan/status.h"
#include "chan/value.h"
#include "proto/limits.h"
#include "proto/type.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

__attribute__((format(printf, 2, 3))) static void problem(struct agent *a, const char *format, ...)
{
	va_list args;

	if (a->stage->problem[0])
		return;
	va_start(args, format);
	vsnprintf(a->stage->problem, sizeof(a->stage->problem), format, args);
	va_end(args);
}

static void enter(struct agent *a, struct event e)
{
	e.session = a->session;
	history_add(&a->stage->history, e);
}

/* ---- asking ---- */

static void write_message(struct agent *a, const struct message *m, const struct buf *payload)
{
	size_t bytes = payload ? buf_len(payload) : 0;

	if (wire_encode(&a->out, m, 0, bytes) < 0 ||
		(bytes && buf_append(&a->out, buf_data(payload), bytes) < 0))
		problem(a, "cannot encode a %s", message_kind_name(m->kind));
}

static void put_value(struct agent *a, struct buf *payload, uint32_t value)
{
	uint8_t bytes[TYPE_INT_BYTES];

	type_put_int(bytes, value);
	if (wire_value_put_prefix(payload, sizeof(bytes), 1, 0) < 0 ||
		buf_append(payload, bytes, sizeof(bytes)) < 0)
		problem(a, "out of memory");
}

/* Takes the next number, for an operation that the history shows if `op`. */
static struct asked *ask(struct agent *a, enum asked_kind kind, uint32_t op, uint32_t channel)
{
	struct asked *asked = &a->asked[a->asked_count++];

	*asked = (struct asked){.kind = kind, .seq = ++a->seq, .op = op, .channel = channel};
	return asked;
}

static void ask_open(struct agent *a, uint32_t channel)
{
	struct asked *asked = ask(a, ASKED_OPEN, 0, channel);
	struct message m = {.seq = asked->seq};

	if (a->stage->channels[channel].id) {
		m.kind = MESSAGE_OPEN;
		m.open.name = a->stage->channels[channel].name;
		m.open.direction = CHAN_BOTH;
	} else {
		m.kind = MESSAGE_MAKE;
		m.make.name = a->stage->channels[channel].name;
		m.make.type = CHAN_TYPE_INT;
		m.make.type_name = "";
		m.make.capacity = a->stage->channels[channel].capacity;
		m.make.direction = CHAN_BOTH;
	}
	write_message(a, &m, NULL);
}

void agent_begin(struct agent *a, struct stage *stage, int fd)
{
	struct message hello = {.kind = MESSAGE_HELLO,
		.hello = &(struct wire_hello){.version_min = PROTOCOL_VERSION,
			.version_max = PROTOCOL_VERSION,
			.mechanism = "",
			.speaker = {.host = "here",
				.program = "stress",
				.group = "",
				.library = "",
				.pid = getpid()}}};

	*a = (struct agent){.stage = stage, .fd = fd, .session = ++stage->sessions};
	write_message(a, &hello, NULL);
	for (uint32_t c = 1; c <= stage->channel_count; c++)
		ask_open(a, c);
}

bool agent_may_ask(const struct agent *a, int values)
{
	int credit = 0;

	for (int i = 0; i < a->asked_count; i++)
		credit += a->asked[i].credit;
	return a->fd >= 0 && a->asked_count < OPS_MAX &&
	       a->held_count + credit + values <= HELD_MAX;
}

void agent_send(struct agent *a, uint32_t channel, int count, struct patience p)
{
	struct message m = {.kind = MESSAGE_SEND, .seq = a->seq + 1};
	struct buf payload = {0};

	m.send.channel = a->stage->channels[channel].id;
	m.send.count = count;
	m.send.try = p.try;
	m.send.timeout_ns = p.timeout_ns;
	for (int i = 0; i < count; i++) {
		struct asked *asked = ask(a, ASKED_SEND, ++a->stage->ops, channel);

		asked->value = ++a->stage->values;
		put_value(a, &payload, asked->value);
		enter(a, (struct event){.kind = EVENT_SEND,
				 .op = asked->op,
				 .channel = channel,
				 .value = asked->value,
				 .number = (uint32_t)i});
	}
	m.send.payload_bytes = buf_len(&payload);
	write_message(a, &m, &payload);
	buf_fini(&payload);
}

void agent_recv(
	struct agent *a, uint32_t channel, uint32_t credit, uint64_t lease_ns, struct patience p)
{
	struct asked *asked = ask(a, ASKED_RECV, ++a->stage->ops, channel);
	struct message m = {.kind = MESSAGE_RECV, .seq = asked->seq};

	asked->credit = credit;
	m.recv.channel = a->stage->channels[channel].id;
	asked->lease_ns = lease_ns;
	m.recv.credit = credit;
	m.recv.lease_ns = lease_ns;
	m.recv.try = p.try;
	m.recv.timeout_ns = p.timeout_ns;
	enter(a,
		(struct event){
			.kind = EVENT_RECV, .op = asked->op, .channel = channel, .number = credit});
	write_message(a, &m, NULL);
}

void agent_select(struct agent *a, const struct asked_case *cases, int count, struct patience p)
{
	struct asked *asked = ask(a, ASKED_SELECT, ++a->stage->ops, 0);
	struct wire_case wire_cases[CASES_MAX] = {0};
	struct message m = {.kind = MESSAGE_SELECT, .seq = asked->seq};
	struct buf payload = {0};

	enter(a, (struct event){.kind = EVENT_SELECT, .op = asked->op});
	asked->credit = 1;
	asked->case_count = count;
	for (int i = 0; i < count; i++) {
		struct asked_case *one = &asked->cases[i];
		struct event e = {.kind = EVENT_RECV, .op = asked->op, .channel = cases[i].channel};

		*one = cases[i];
		wire_cases[i].channel = a->stage->channels[one->channel].id;
		wire_cases[i].direction = one->value ? CHAN_SEND : CHAN_RECV;
		if (one->value) {
			e.kind = EVENT_SEND;
			e.value = one->value = ++a->stage->values;
			put_value(a, &payload, one->value);
		} else {
			e.number = 1;
		}
		enter(a, e);
	}
	m.select.cases = wire_cases;
	m.select.case_count = count;
	m.select.payload_bytes = buf_len(&payload);
	m.select.try = p.try;
	m.select.timeout_ns = p.timeout_ns;
	write_message(a, &m, &payload);
	buf_fini(&payload);
}

void agent_close(struct agent *a, uint32_t channel, bool abort)
{
	struct asked *asked = ask(a, ASKED_CLOSE, ++a->stage->ops, channel);
	struct message m = {.kind = MESSAGE_CLOSE, .seq = asked->seq};

	m.close.channel = a->stage->channels[channel].id;
	m.close.reason = "";
	m.close.abort = abort;
	enter(a, (struct event){.kind = abort ? EVENT_ABORT : EVENT_CLOSE,
			 .op = asked->op,
			 .channel = channel});
	write_message(a, &m, NULL);
}

void agent_remove(struct agent *a, uint32_t channel)
{
	struct asked *asked = ask(a, ASKED_REMOVE, 0, channel);
	struct message m = {.kind = MESSAGE_REMOVE, .seq = asked->seq};

	m.channel_ref.name = a->stage->channels[channel].name;
	write_message(a, &m, NULL);
}

void agent_cancel(struct agent *a, int index)
{
	uint64_t target = a->asked[index].seq;
	struct asked *asked = ask(a, ASKED_CANCEL, 0, 0);
	struct message m = {.kind = MESSAGE_CANCEL, .seq = asked->seq};

	m.cancel.target = target;
	write_message(a, &m, NULL);
}

/* What is asked, and what the history sees of it. */
static const struct settling {
	enum asked_kind asked;
	enum message_kind message;
	enum event_kind event;
} confirm = {ASKED_TAKE, MESSAGE_TAKEN, EVENT_TAKEN},
  give_back = {ASKED_RETURN, MESSAGE_RETURN, EVENT_RETURNED},
  take_leased = {ASKED_LEASE, MESSAGE_TAKEN, EVENT_LEASED},
  acknowledge = {ASKED_ACK, MESSAGE_ACK, EVENT_TAKEN},
  give_leased_back = {ASKED_NACK, MESSAGE_NACK, EVENT_RETURNED};

static const struct settling *choose_settling(const struct held *held, bool back)
{
	if (held->leased)
		return back ? &give_leased_back : &acknowledge;
	if (back)
		return &give_back;
	return held->lease_ns ? &take_leased : &confirm;
}

void agent_settle(struct agent *a, int index, bool back)
{
	struct held *held = &a->held[index];
	const struct settling *s = choose_settling(held, back);
	struct asked *asked = ask(a, s->asked, 0, 0);
	struct wire_range range = {.first = held->delivery, .count = 1};
	struct message m = {.kind = s->message, .seq = asked->seq};

	held->settling = true;
	asked->value = held->value;
	m.settle.deliveries = (struct wire_ranges){.list = &range, .count = 1};
	enter(a, (struct event){.kind = s->event,
			 .value = held->value,
			 .number = s->event == EVENT_LEASED && held->lease_ns < LEASE_LONG_NS});
	write_message(a, &m, NULL);
}

/* ---- being answered ---- */

static struct asked *asked_find(struct agent *a, uint64_t seq)
{
	for (int i = 0; i < a->asked_count; i++)
		if (a->asked[i].seq == seq)
			return &a->asked[i];
	problem(a, "session %u was answered %llu, which it has not asked or which has ended",
		a->session, (unsigned long long)seq);
	return NULL;
}

static void asked_end(struct agent *a, struct asked *asked)
{
	*asked = a->asked[--a->asked_count];
}

static struct held *held_find(struct agent *a, uint32_t value)
{
	for (int i = 0; i < a->held_count; i++)
		if (a->held[i].value == value && a->held[i].settling)
			return &a->held[i];
	return NULL;
}

static void held_end(struct agent *a, uint32_t value)
{
	struct held *held = held_find(a, value);

	if (held)
		*held = a->held[--a->held_count];
}

/* It is taken, and its lease runs. */
static void held_leased(struct agent *a, uint32_t value)
{
	struct held *held = held_find(a, value);

	if (!held)
		return;
	held->settling = false;
	held->leased = true;
}

static void done_one(struct agent *a, struct asked *asked, uint32_t case_index)
{
	struct event e = {.op = asked->op, .value = asked->value};

	switch (asked->kind) {
	case ASKED_SELECT:
		if (case_index >= (uint32_t)asked->case_count || !asked->cases[case_index].value)
			return problem(
				a, "a select was done by a case that is no send: %u", case_index);
		e.value = asked->cases[case_index].value;
		/* fall through */
	case ASKED_SEND:
		e.kind = EVENT_SENT;
		break;
	case ASKED_CLOSE:
		e.kind = EVENT_CLOSED;
		break;
	case ASKED_LEASE:
		held_leased(a, asked->value);
		return;
	case ASKED_TAKE:
	case ASKED_ACK:
		e.kind = EVENT_SETTLED;
		held_end(a, asked->value);
		break;
	case ASKED_RETURN:
	case ASKED_NACK:
		held_end(a, asked->value);
		return;
	case ASKED_REMOVE:
	case ASKED_CANCEL:
		return;
	default:
		return problem(a, "a receive was answered DONE");
	}
	enter(a, e);
}

static void on_done(struct agent *a, const struct message *m, const struct frame *f)
{
	(void)f;
	for (uint32_t i = 0; i < (m->done.count ? m->done.count : 1); i++) {
		struct asked *asked = asked_find(a, m->seq + i);

		if (!asked)
			return;
		done_one(a, asked, m->done.case_index);
		asked_end(a, asked);
	}
}

static bool is_closed(const struct message *fail)
{
	return fail->fail.status == CHAN_ECLOSED || fail->fail.status == CHAN_EABORTED;
}

static void fail_one(struct agent *a, struct asked *asked, const struct message *m)
{
	struct event e = {.kind = EVENT_FAILED, .op = asked->op, .number = -m->fail.status};

	/* Its time was up before; GONE has told of it. */
	if (m->fail.status == CHAN_EGONE && (asked->kind == ASKED_ACK || asked->kind == ASKED_NACK))
		return;
	if (!asked->op)
		return problem(a, "an operation that cannot fail did (%d): %s", m->fail.status,
			m->fail.message);
	if (asked->kind == ASKED_SELECT && is_closed(m)) {
		if (m->fail.case_index >= (uint32_t)asked->case_count)
			return problem(a, "a select failed by a case that it has not");
		e.channel = asked->cases[m->fail.case_index].channel;
		e.value = asked->cases[m->fail.case_index].value;
	}
	if (asked->kind == ASKED_RECV && is_closed(m))
		a->stage->channels[asked->channel].drained = true;
	switch (m->fail.status) {
	case CHAN_ECLOSED:
	case CHAN_EABORTED:
	case CHAN_EWOULDBLOCK:
	case CHAN_ETIMEDOUT:
	case CHAN_ECANCELED:
		enter(a, e);
		return;
	default:
		problem(a, "an operation failed (%d): %s", m->fail.status, m->fail.message);
	}
}

static void on_fail(struct agent *a, const struct message *m, const struct frame *f)
{
	(void)f;
	for (uint32_t i = 0; i < (m->fail.count ? m->fail.count : 1); i++) {
		struct asked *asked = asked_find(a, m->seq + i);

		if (!asked)
			return;
		fail_one(a, asked, m);
		asked_end(a, asked);
	}
}

static void deliver_one(
	struct agent *a, const struct message *m, uint64_t delivery, const struct wire_value *value)
{
	struct asked *asked = asked_find(a, m->seq);
	uint32_t channel = 0;

	if (!asked)
		return;
	for (uint32_t c = 1; c <= a->stage->channel_count; c++)
		if (a->stage->channels[c].id == m->deliver.channel)
			channel = c;
	if (value->len != TYPE_INT_BYTES || a->held_count == HELD_MAX || asked->credit == 0)
		return problem(a, "session %u was delivered what it has not asked for", a->session);
	a->held[a->held_count++] = (struct held){.delivery = delivery,
		.value = type_get_int(value->bytes),
		.lease_ns = asked->lease_ns};
	enter(a, (struct event){.kind = EVENT_GOT,
			 .op = asked->op,
			 .channel = channel,
			 .value = type_get_int(value->bytes),
			 .number = value->attempt});
	if (--asked->credit == 0)
		asked_end(a, asked);
}

static void on_deliver(struct agent *a, const struct message *m, const struct frame *f)
{
	const uint8_t *at = f->payload;
	size_t left = f->payload_bytes;
	struct wire_value value;

	for (uint32_t i = 0; i < m->deliver.count; i++) {
		if (wire_value_next(&at, &left, &value) != 1)
			return problem(a, "a DELIVER carries fewer values than it says");
		deliver_one(a, m, m->deliver.delivery + i, &value);
	}
}

static void on_opened(struct agent *a, const struct message *m, const struct frame *f)
{
	struct asked *asked = asked_find(a, m->seq);

	(void)f;
	if (!asked)
		return;
	if (asked->kind != ASKED_OPEN)
		return problem(a, "OPENED answers what was no open");
	a->stage->channels[asked->channel].id = m->opened.channel;
	asked_end(a, asked);
}

static bool is_acknowledging(const struct agent *a, uint32_t value)
{
	for (int i = 0; i < a->asked_count; i++)
		if (a->asked[i].kind == ASKED_ACK && a->asked[i].value == value)
			return true;
	return false;
}

/* A lease is over. What was given back meanwhile was entered as that. */
static void held_gone(struct agent *a, struct held *held)
{
	if (!held->leased || held->lease_ns >= LEASE_LONG_NS)
		return problem(a, "a delivery of session %u, which lives, is gone", a->session);
	if (!held->settling || is_acknowledging(a, held->value))
		enter(a, (struct event){.kind = EVENT_GONE, .value = held->value});
	*held = a->held[--a->held_count];
}

static void on_gone(struct agent *a, const struct message *m, const struct frame *f)
{
	(void)f;
	for (size_t r = 0; r < m->settle.deliveries.count; r++)
		for (int i = a->held_count; i-- > 0;)
			if (a->held[i].delivery - m->settle.deliveries.list[r].first <
				m->settle.deliveries.list[r].count)
				held_gone(a, &a->held[i]);
}

static void on_goaway(struct agent *a, const struct message *m, const struct frame *f)
{
	(void)f;
	problem(a, "the broker ended session %u (%u): %s", a->session, m->goaway.status,
		m->goaway.message);
}

static void on_nothing(struct agent *a, const struct message *m, const struct frame *f)
{
	(void)a;
	(void)m;
	(void)f;
}

static void (*const on_message[])(struct agent *, const struct message *, const struct frame *) = {
	[MESSAGE_WELCOME] = on_nothing,
	[MESSAGE_PONG] = on_nothing,
	[MESSAGE_OPENED] = on_opened,
	[MESSAGE_DONE] = on_done,
	[MESSAGE_FAIL] = on_fail,
	[MESSAGE_DELIVER] = on_deliver,
	[MESSAGE_GONE] = on_gone,
	[MESSAGE_GOAWAY] = on_goaway,
};

static void on_frame(struct agent *a, const struct frame *f)
{
	struct message m;

	wire_scratch_reset(a->stage->scratch);
	if (wire_decode(f, a->stage->scratch, &m) < 0)
		return problem(a, "a frame of kind %d cannot be decoded", f->kind);
	if (f->kind >= sizeof(on_message) / sizeof(on_message[0]) || !on_message[f->kind])
		return problem(a, "a %s was not asked for", message_kind_name(f->kind));
	a->stage->frames_read++;
	on_message[f->kind](a, &m, f);
}

/* ---- the socket ---- */

void agent_flush(struct agent *a)
{
	while (a->fd >= 0 && buf_len(&a->out) > 0) {
		ssize_t n = send(
			a->fd, buf_data(&a->out), buf_len(&a->out), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			return problem(
				a, "session %u cannot write: %s", a->session, strerror(errno));
		buf_consume(&a->out, n);
	}
}

static void parse_frames(struct agent *a)
{
	struct frame f;
	long n;

	while ((n = frame_parse(buf_data(&a->in), buf_len(&a->in), &f)) > 0) {
		on_frame(a, &f);
		buf_consume(&a->in, n);
	}
	if (n < 0)
		problem(a, "session %u was written no frame", a->session);
}

void agent_read(struct agent *a)
{
	while (a->fd >= 0 && !a->stage->problem[0]) {
		ssize_t n;

		if (buf_reserve(&a->in, 65536) < 0)
			return problem(a, "out of memory");
		n = recv(a->fd, a->in.bytes + a->in.end, 65536, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			return problem(a, "session %u lost its broker: %s", a->session,
				n ? strerror(errno) : "end of stream");
		a->in.end += n;
		parse_frames(a);
	}
}

void agent_drop(struct agent *a, bool flush)
{
	enter(a, (struct event){.kind = EVENT_LOST});
	if (flush)
		agent_flush(a);
	agent_fini(a);
}

void agent_fini(struct agent *a)
{
	if (a->fd >= 0)
		close(a->fd);
	buf_fini(&a->in);
	buf_fini(&a->out);
	a->fd = -1;
	a->asked_count = a->held_count = 0;
}
