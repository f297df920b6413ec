/*
 * engine_model.c - arrays that are searched from end to end, one rule of the contract a few lines.
 *
 * A step tells the model and the engine the same thing. The model predicts the answers as lines of
 * text, the engine's answers become such lines, and after each step both must have the same (in any
 * order, since sessions do not see each other's). To add an operation, add its row in steps[].
 */
#include "tests/support/engine_model.h"
#include "chan/status.h"
#include "chan/value.h"
#include "proto/status.h"
#include "server/broker/engine.h"
#include "tests/support/packs.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARTIES 5
#define CHANNELS 5
#define ITEMS_MAX 4096
#define RECEIVERS_MAX 1024
#define LINES_MAX 8192
#define LINE_BYTES 64

static const int64_t capacities[CHANNELS] = {0, 0, 1, 3, 20};

/* What MAKE says of each beyond its capacity: B and C count their producers, C and D have dead
 * letters. */
#define ATTEMPTS_MAX_TEXT "2"
#define TRIES_MAX 2u
#define NO_DEAD_LETTERS (-1)
static const bool counts_producers[CHANNELS] = {false, true, true, false, false};
static const int dead_letters[CHANNELS] = {NO_DEAD_LETTERS, NO_DEAD_LETTERS, 4, 4, NO_DEAD_LETTERS};

__attribute__((format(printf, 1, 2), noreturn)) static void give_up(const char *format, ...);

#define require(condition)                                                                         \
	do {                                                                                       \
		if (!(condition))                                                                  \
			give_up("%s", #condition);                                                 \
	} while (0)

/* ---- lines: what was answered, what should have been ------------------------------------- */

struct lines {
	char line[LINES_MAX][LINE_BYTES];
	size_t count;
};

static struct lines expected, actual;

__attribute__((format(printf, 2, 3))) static void add(struct lines *l, const char *format, ...)
{
	va_list args;

	require(l->count < LINES_MAX);
	va_start(args, format);
	vsnprintf(l->line[l->count++], LINE_BYTES, format, args);
	va_end(args);
}

static int compare_lines(const void *x, const void *y)
{
	return strcmp(x, y);
}

static void sort(struct lines *l)
{
	qsort(l->line, l->count, LINE_BYTES, compare_lines);
}

/* ---- the run ----------------------------------------------------------------------------- */

struct session {
	int index;
	struct party *party;
	uint64_t seq;
	bool absent; /* its receivers are passed over */
};

enum item_state {
	FREE,
	WAITS,
	BUFFERED,
	OUT,
	LOST, /* out, of a channel that was removed */
	LEASED,
	DELAYED,
};

/* A value that was asked to be sent and is not done with. */
struct item {
	enum item_state state;
	int channel, sender, holder; /* sender -1: it has ended */
	uint64_t seq, turn, delivery;
	uint64_t frame; /* equal in the values of one SEND */
	uint32_t attempt, tries;
	bool owned;        /* by its channel: its send has ended */
	uint64_t lease_ns; /* that it is out with; 0: none */
	int64_t due_ns;    /* while leased or delayed */
	int doom;
	bool try;
	int64_t deadline_ns;
	uint64_t cancels[4];
	int cancel_count;
};

struct receiver {
	bool used, stream, try;
	int channel, party;
	uint64_t seq, turn;
	uint32_t credit, out;
	uint64_t lease_ns;
	int64_t deadline_ns;
};

struct producer {
	bool came, done;
};

static struct run {
	struct engine *engine;
	struct choices *choices;
	const char *replay;
	int64_t now_ns;
	uint64_t turn, step;
	struct session sessions[PARTIES];
	uint64_t channels[CHANNELS];
	int closed[CHANNELS]; /* what its operations fail with; 0: it is open */
	uint64_t tokens[CHANNELS], token_floor; /* of the last lease; 0: there was none */
	uint64_t made_ns[CHANNELS];
	struct producer producers[CHANNELS][PARTIES];
	int came[CHANNELS], done[CHANNELS];       /* producers, those of ended sessions included */
	struct item items[ITEMS_MAX], *items_end; /* behind the last that was ever used */
	struct receiver receivers[RECEIVERS_MAX], *receivers_end;
} run;

#define ITEM_FOREACH(i) for (struct item *i = run.items; i < run.items_end; i++)
#define RECEIVER_FOREACH(r) for (struct receiver *r = run.receivers; r < run.receivers_end; r++)

static void give_up(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "%s step %" PRIu64 ": ", run.replay, run.step);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	abort();
}

static uint32_t below(uint32_t n)
{
	return run.choices->below(run.choices, n);
}

static bool one_in(uint32_t n)
{
	return below(n) == 0;
}

static struct item *item_of(int sender, uint64_t seq)
{
	ITEM_FOREACH (i)
		if (i->state != FREE && i->sender == sender && i->seq == seq)
			return i;
	return NULL;
}

/* A value says whose it is, so that whoever sees it can find its item. */
static struct item *item_of_value(const struct value *v)
{
	int sender;
	uint64_t seq;

	require(sscanf((const char *)v->bytes, "%d.%" SCNu64, &sender, &seq) == 2);
	ITEM_FOREACH (i)
		if (i->state != FREE && i->seq == seq &&
			(i->sender == sender || i->sender == -1 - sender))
			return i;
	return NULL;
}

static void add_gone(int p, const struct wire_range *range)
{
	for (uint64_t k = 0; k < range->count; k++)
		add(&actual, "%d gone %" PRIu64, p, range->first + k);
}

static void answered(struct party *to, const struct message *m, struct value *const *values,
	const uint32_t *attempts, size_t n)
{
	int p = ((struct session *)party_owner(to))->index;

	switch (m->kind) {
	case MESSAGE_DONE:
		for (uint32_t i = 0; i < m->done.count; i++)
			add(&actual, "%d done %" PRIu64, p, m->seq + i);
		break;
	case MESSAGE_FAIL:
		for (uint32_t i = 0; i < m->fail.count; i++)
			add(&actual, "%d fail %" PRIu64 " %s", p, m->seq + i,
				status_name(m->fail.status));
		break;
	case MESSAGE_DELIVER:
		require(n == m->deliver.count);
		for (size_t i = 0; i < n; i++) {
			struct item *item = item_of_value(values[i]);

			if (item)
				item->delivery = m->deliver.delivery + i;
			add(&actual, "%d got %" PRIu64 " %s x%u t%" PRIu64, p, m->seq,
				values[i]->bytes, attempts[i],
				m->deliver.token ? m->deliver.token + i : 0);
		}
		break;
	case MESSAGE_GONE:
		for (size_t i = 0; i < m->settle.deliveries.count; i++)
			add_gone(p, &m->settle.deliveries.list[i]);
		break;
	default:
		break;
	}
}

/* ---- the model --------------------------------------------------------------------------- */

static void name_item(const struct item *i, char name[32])
{
	snprintf(name, 32, "%d.%" PRIu64, i->sender < 0 ? -1 - i->sender : i->sender, i->seq);
}

static void item_done(struct item *i)
{
	if (i->sender >= 0)
		add(&expected, "%d done %" PRIu64, i->sender, i->seq);
}

static void item_cancels(struct item *i)
{
	for (int k = 0; k < i->cancel_count && i->sender >= 0; k++)
		add(&expected, "%d done %" PRIu64, i->sender, i->cancels[k]);
	i->cancel_count = 0;
}

static void item_fail(struct item *i, int status)
{
	if (i->sender >= 0)
		add(&expected, "%d fail %" PRIu64 " %s", i->sender, i->seq, status_name(status));
	item_cancels(i);
	i->state = FREE;
}

static void receiver_fail(struct receiver *r, int status)
{
	add(&expected, "%d fail %" PRIu64 " %s", r->party, r->seq, status_name(status));
	r->used = false;
}

/* Waits for a value of the same SEND that is out and its sender's still. */
static bool is_behind(const struct item *i)
{
	ITEM_FOREACH (other)
		if (i->state == WAITS && other->state == OUT && !other->owned &&
			other->frame == i->frame)
			return true;
	return false;
}

static struct item *first_item(int channel, enum item_state state)
{
	struct item *first = NULL;

	ITEM_FOREACH (i)
		if (i->state == state && i->channel == channel &&
			(!first || i->turn < first->turn) && !is_behind(i))
			first = i;
	return first;
}

static struct receiver *first_receiver(int channel)
{
	struct receiver *first = NULL;

	RECEIVER_FOREACH (r)
		if (r->used && r->channel == channel && r->credit > 0 &&
			!run.sessions[r->party].absent && (!first || r->turn < first->turn))
			first = r;
	return first;
}

/* Values in the channel, as STAT would say. */
static uint32_t length(int channel)
{
	uint32_t n = 0;

	ITEM_FOREACH (i)
		n += i->channel == channel && i->owned && i->state != FREE && i->state != LEASED &&
		     i->state != LOST;
	return n;
}

/* The first begins where those of all removed channels ended, and not before the channel was made. */
static uint64_t next_token(int ch)
{
	if (!run.tokens[ch])
		run.tokens[ch] =
			run.token_floor > run.made_ns[ch] ? run.token_floor : run.made_ns[ch];
	return ++run.tokens[ch];
}

static void deliver(struct item *i, struct receiver *r)
{
	uint64_t token = r->lease_ns ? next_token(i->channel) : 0;
	char name[32];

	name_item(i, name);
	add(&expected, "%d got %" PRIu64 " %s x%u t%" PRIu64, r->party, r->seq, name, i->attempt,
		token);
	i->state = OUT;
	i->lease_ns = r->lease_ns;
	i->holder = r->party;
	r->turn = run.turn++;
	if (--r->credit == 0 && !r->stream)
		r->used = false;
}

static void accept(struct item *i)
{
	i->owned = true;
	i->turn = run.turn++;
	item_done(i);
}

static void match_values(int ch)
{
	struct item *i;
	struct receiver *r;

	while (length(ch) < capacities[ch] && (i = first_item(ch, WAITS))) {
		i->state = BUFFERED;
		accept(i);
	}
	while ((i = first_item(ch, BUFFERED)) && (r = first_receiver(ch)))
		deliver(i, r);
	while (!capacities[ch] && length(ch) == 0 && (i = first_item(ch, WAITS)) &&
		(r = first_receiver(ch)))
		deliver(i, r);
}

static bool drained(int ch)
{
	return !first_item(ch, BUFFERED) && !first_item(ch, OUT) && !first_item(ch, LEASED) &&
	       !first_item(ch, DELAYED);
}

static bool is_done(int ch, int party)
{
	return party >= 0 && run.producers[ch][party].done;
}

static void match(int ch)
{
	ITEM_FOREACH (i) {
		if (i->state != WAITS || i->channel != ch || is_behind(i))
			continue;
		if (i->doom)
			item_fail(i, i->doom);
		else if (run.closed[ch])
			item_fail(i, run.closed[ch]);
		else if (is_done(ch, i->sender))
			item_fail(i, CHAN_ECLOSED);
	}
	match_values(ch);
	if (!run.closed[ch] || !drained(ch))
		return;
	RECEIVER_FOREACH (r)
		if (r->used && r->channel == ch)
			receiver_fail(r, run.closed[ch]);
}

/* Whatever can happen happens; then what was only tried fails. */
static void model_step(void)
{
	for (int ch = 0; ch < CHANNELS; ch++)
		match(ch);
	ITEM_FOREACH (i)
		if (i->state == WAITS && i->try && !is_behind(i))
			item_fail(i, CHAN_EWOULDBLOCK);
	RECEIVER_FOREACH (r)
		if (r->used && r->try)
			receiver_fail(r, CHAN_EWOULDBLOCK);
}

static bool is_out(const struct item *i)
{
	return i->state == OUT || i->state == LOST;
}

/* What becomes of it depends on a receiver, who has it or one before it. */
static bool is_spoken_for(const struct item *i)
{
	return (i->state == OUT && !i->owned) || is_behind(i);
}

static void item_gone(const struct item *i)
{
	add(&expected, "%d gone %" PRIu64, i->holder, i->delivery);
}

/* To its place, at once or later. */
static void come_back(struct item *i, uint64_t delay_ns)
{
	i->attempt++;
	i->state = delay_ns ? DELAYED : BUFFERED;
	i->due_ns = run.now_ns + (int64_t)delay_ns;
}

/* A lease ends, and not by ACK. */
static void model_lease_fails(struct item *i, uint64_t delay_ns)
{
	int to = dead_letters[i->channel];

	i->tries++;
	if (to == NO_DEAD_LETTERS || i->tries < TRIES_MAX || run.closed[to]) {
		come_back(i, delay_ns);
		return;
	}
	i->channel = to;
	i->tries = 0;
	i->turn = run.turn++;
	come_back(i, 0);
}

static void model_taken(struct item *i)
{
	if (!i->owned)
		accept(i);
	item_cancels(i);
	i->state = i->lease_ns ? LEASED : FREE;
	i->due_ns = run.now_ns + (int64_t)i->lease_ns;
}

static void model_settle(struct item *i, bool taken, uint64_t delay_ns)
{
	if (i->state == LOST) {
		i->state = FREE;
	} else if (taken) {
		model_taken(i);
	} else if (i->owned) {
		come_back(i, delay_ns);
	} else if (i->sender < 0 || i->doom) {
		item_fail(i, i->doom);
	} else {
		i->state = WAITS;
		i->attempt++;
	}
}

/* ---- steps of the run: each tells the model and the engine ------------------------------- */

static struct session *any_session(void)
{
	return &run.sessions[below(PARTIES)];
}

static void apply(struct session *s, const struct message *m, struct value **values, size_t n)
{
	require(engine_apply(run.engine, s->party, m, values, n, run.now_ns) == 0);
}

static int64_t random_timeout(bool try)
{
	return !try && one_in(3) ? 1 + below(20) : 0;
}

static void model_send(struct session *s, int ch, uint64_t seq, uint64_t frame, bool try,
	int64_t timeout_ns)
{
	struct item *i = run.items;

	while (i < run.items_end && i->state != FREE)
		i++;
	require(i < run.items + ITEMS_MAX);
	if (i == run.items_end)
		run.items_end++;
	*i = (struct item){.state = WAITS,
		.channel = ch,
		.sender = s->index,
		.seq = seq,
		.frame = frame,
		.turn = run.turn++,
		.attempt = 1,
		.try = try,
		.deadline_ns = timeout_ns ? run.now_ns + timeout_ns : INT64_MAX};
}

static struct value *make_value(const struct session *s, uint64_t seq)
{
	char text[32];
	size_t len = (size_t)snprintf(text, sizeof(text), "%d.%" PRIu64, s->index, seq) + 1;
	struct value *v = value_new(len);

	require(v);
	memcpy(v->bytes, text, len);
	return v;
}

static void step_send(void)
{
	struct session *s = any_session();
	int ch = (int)below(CHANNELS);
	uint32_t n = one_in(4) ? 1 + below(4) : 1;
	bool try = one_in(4);
	int64_t timeout_ns = random_timeout(try);
	uint64_t frame = run.turn;
	struct value *values[4];
	struct message m = {
		.kind = MESSAGE_SEND,
		.seq = s->seq + 1,
		.send = {.channel = run.channels[ch],
			.count = n,
			.try = try,
			.timeout_ns = (uint64_t)timeout_ns},
	};

	for (uint32_t i = 0; i < n; i++) {
		values[i] = make_value(s, ++s->seq);
		model_send(s, ch, s->seq, frame, try, timeout_ns);
	}
	if (s->seq % 2)
		pack_values(values, n);
	apply(s, &m, values, n);
}

static void step_recv(void)
{
	struct session *s = any_session();
	int ch = (int)below(CHANNELS);
	bool try = one_in(4), stream = !try && one_in(4);
	int64_t timeout_ns = random_timeout(try);
	uint32_t credit = capacities[ch] && one_in(2) ? 1 + below(5) : 1;
	uint64_t lease_ns = one_in(3) ? 1 + below(60) : 0;
	struct receiver *r = run.receivers;

	while (r < run.receivers_end && r->used)
		r++;
	require(r < run.receivers + RECEIVERS_MAX);
	if (r == run.receivers_end)
		run.receivers_end++;
	*r = (struct receiver){.used = true,
		.stream = stream,
		.try = try,
		.channel = ch,
		.party = s->index,
		.seq = ++s->seq,
		.turn = run.turn++,
		.credit = credit,
		.lease_ns = lease_ns,
		.deadline_ns = timeout_ns ? run.now_ns + timeout_ns : INT64_MAX};
	apply(s,
		&(struct message){.kind = MESSAGE_RECV,
			.seq = s->seq,
			.recv = {.channel = run.channels[ch],
				.credit = credit,
				.stream = stream,
				.try = try,
				.timeout_ns = (uint64_t)timeout_ns,
				.lease_ns = lease_ns}},
		NULL, 0);
}

/* To a stream that has used its credit up; its own deliveries are bounded far above this. */
static void step_grant(void)
{
	uint32_t n = (uint32_t)(run.receivers_end - run.receivers), start = below(n + 1);

	for (uint32_t k = 0; k < n; k++) {
		struct receiver *r = &run.receivers[(start + k) % n];

		if (!r->used || !r->stream || !capacities[r->channel])
			continue;
		if (r->credit == 0)
			r->turn = run.turn++;
		r->credit += 2;
		apply(&run.sessions[r->party],
			&(struct message){.kind = MESSAGE_GRANT, .seq = r->seq, .grant = {2}}, NULL,
			0);
		return;
	}
}

static uint64_t random_delay(void)
{
	return one_in(3) ? 1 + below(40) : 0;
}

static void settle(const struct item *i, enum message_kind kind, uint64_t ns)
{
	struct wire_range range = {i->delivery, 1};
	bool extends = kind == MESSAGE_EXTEND;

	apply(&run.sessions[i->holder],
		&(struct message){.kind = kind,
			.settle = {.deliveries = {&range, 1},
				.delay_ns = extends ? 0 : ns,
				.lease_ns = extends ? ns : 0}},
		NULL, 0);
}

static void step_settle(void)
{
	uint32_t n = (uint32_t)(run.items_end - run.items), start = below(n + 1);
	bool taken = !one_in(4);
	uint64_t delay_ns = taken ? 0 : random_delay();

	for (uint32_t k = 0; k < n; k++) {
		struct item *i = &run.items[(start + k) % n], was;

		if (!is_out(i))
			continue;
		if (i->state == LOST)
			item_gone(i);
		was = *i;
		model_settle(i, taken, delay_ns);
		settle(&was, taken ? MESSAGE_TAKEN : MESSAGE_RETURN, delay_ns);
		return;
	}
}

/* Of a leased value; what is out is not one yet. */
static void step_lease(void)
{
	static const enum message_kind kinds[] = {MESSAGE_ACK, MESSAGE_NACK, MESSAGE_EXTEND};
	uint32_t n = (uint32_t)(run.items_end - run.items), start = below(n + 1);
	enum message_kind kind = kinds[below(3)];
	uint64_t ns = kind == MESSAGE_EXTEND ? 1 + below(60) : random_delay();

	for (uint32_t k = 0; k < n; k++) {
		struct item *i = &run.items[(start + k) % n], was;

		if (i->state != LEASED && i->state != OUT)
			continue;
		was = *i;
		if (i->state == OUT)
			item_gone(i);
		else if (kind == MESSAGE_ACK)
			i->state = FREE;
		else if (kind == MESSAGE_NACK)
			model_lease_fails(i, ns);
		else
			i->due_ns = run.now_ns + (int64_t)ns;
		settle(&was, kind, ns);
		return;
	}
}

static void model_cancel(struct session *s, uint64_t target)
{
	struct item *i = item_of(s->index, target);

	if (i && i->state == OUT && !i->owned) {
		if (i->cancel_count == 4)
			return;
		i->cancels[i->cancel_count++] = s->seq;
		if (!i->doom)
			i->doom = CHAN_ECANCELED;
		return;
	}
	if (i && i->state == WAITS)
		item_fail(i, CHAN_ECANCELED);
	RECEIVER_FOREACH (r)
		if (r->used && r->party == s->index && r->seq == target)
			receiver_fail(r, CHAN_ECANCELED);
	add(&expected, "%d done %" PRIu64, s->index, s->seq);
}

static void step_cancel(void)
{
	struct session *s = any_session();
	uint64_t target = s->seq > 30 ? s->seq - below(30) : 1;
	struct item *i = item_of(s->index, target);

	if (i && i->cancel_count == 4)
		return;
	s->seq++;
	model_cancel(s, target);
	apply(s, &(struct message){.kind = MESSAGE_CANCEL, .seq = s->seq, .cancel = {target}}, NULL,
		0);
}

/* Which of two leases or delays ends first: by time, then by channel (they are not numbered in the
 * order of their names once one was made anew), then by place in it. */
static bool ends_before(const struct item *x, const struct item *y)
{
	if (x->due_ns != y->due_ns)
		return x->due_ns < y->due_ns;
	if (x->channel != y->channel)
		return run.channels[x->channel] < run.channels[y->channel];
	return x->turn < y->turn;
}

/* In that order dead letters arrive. */
static void model_expire(void)
{
	struct item *first;

	do {
		first = NULL;
		ITEM_FOREACH (i) {
			if ((i->state != LEASED && i->state != DELAYED) || i->due_ns > run.now_ns)
				continue;
			if (!first || ends_before(i, first))
				first = i;
		}
		if (first && first->state == LEASED) {
			item_gone(first);
			model_lease_fails(first, 0);
		} else if (first) {
			first->state = BUFFERED;
		}
	} while (first);
}

static void step_time(void)
{
	run.now_ns += below(15);
	ITEM_FOREACH (i) {
		if (i->state == FREE || i->deadline_ns > run.now_ns)
			continue;
		if (i->state == WAITS && !is_behind(i))
			item_fail(i, CHAN_ETIMEDOUT);
		else if (is_spoken_for(i) && !i->doom)
			i->doom = CHAN_ETIMEDOUT;
	}
	RECEIVER_FOREACH (r)
		if (r->used && r->deadline_ns <= run.now_ns)
			receiver_fail(r, CHAN_ETIMEDOUT);
	model_expire();
	engine_expire(run.engine, run.now_ns);
}

static struct wire_attribute attribute(const char *name, const char *value)
{
	return (struct wire_attribute){name, {(const uint8_t *)value, strlen(value)}};
}

static void model_open(int p, int ch)
{
	struct producer *one = &run.producers[ch][p];

	if (!counts_producers[ch] || run.closed[ch] || one->came)
		return;
	one->came = true;
	run.came[ch]++;
}

static void open_channel(struct session *s, int ch)
{
	char name[] = {(char)('A' + ch), '\0'}, dead[] = {(char)('A' + dead_letters[ch]), '\0'};
	struct wire_attribute attributes[3];
	size_t n = 0;

	if (counts_producers[ch])
		attributes[n++] = attribute("producers", "auto");
	if (dead_letters[ch] != NO_DEAD_LETTERS) {
		attributes[n++] = attribute("dead_letter", dead);
		attributes[n++] = attribute("attempts_max", ATTEMPTS_MAX_TEXT);
	}
	apply(s,
		&(struct message){.kind = MESSAGE_MAKE,
			.seq = ++s->seq,
			.make = {.name = name,
				.type = CHAN_TYPE_BYTES,
				.type_name = "",
				.capacity = capacities[ch],
				.attributes = attributes,
				.attribute_count = n,
				.direction = CHAN_BOTH}},
		NULL, 0);
	model_open(s->index, ch);
}

static void start_session(struct session *s)
{
	s->party = engine_party_new(
		run.engine, s, &(struct wire_speaker){"host", "test", "", "test", 1});
	require(s->party);
	s->absent = false;
	for (int ch = 0; ch < CHANNELS; ch++)
		open_channel(s, ch);
}

#define ALL_SENDERS (-1)

/* Values of senders that are out, and those behind: their receivers decide. */
static void doom(int ch, int sender, int status)
{
	ITEM_FOREACH (i)
		if (is_spoken_for(i) && i->channel == ch && !i->doom &&
			(sender == ALL_SENDERS || i->sender == sender))
			i->doom = status;
}

static void model_close(int ch, int status, int sender)
{
	run.closed[ch] = status;
	doom(ch, sender, status);
}

/* By the numbers of its deliveries: so dead letters arrive. */
static void model_end_leases(int p)
{
	struct item *first;

	do {
		first = NULL;
		ITEM_FOREACH (i)
			if (i->state == LEASED && i->holder == p &&
				(!first || i->delivery < first->delivery))
				first = i;
		if (first)
			model_lease_fails(first, 0);
	} while (first);
}

static void model_end(int p)
{
	ITEM_FOREACH (i) {
		if (i->state == FREE)
			continue;
		if (i->sender == p) {
			if (i->state == WAITS)
				i->state = FREE;
			i->sender = -1 - p;
		}
	}
	RECEIVER_FOREACH (r)
		r->used = r->used && r->party != p;
	ITEM_FOREACH (i)
		if (is_out(i) && i->holder == p)
			model_settle(i, false, 0);
	model_end_leases(p);
	for (int ch = 0; ch < CHANNELS; ch++) {
		if (run.producers[ch][p].came && !run.producers[ch][p].done && !run.closed[ch])
			model_close(ch, CHAN_EABORTED, ALL_SENDERS);
		run.producers[ch][p] = (struct producer){0};
	}
}

/* Sequence numbers go on across its next session, so that values stay distinct. */
static void step_end(void)
{
	struct session *s = any_session();

	model_end(s->index);
	engine_party_end(run.engine, s->party, run.now_ns);
	model_step();
	start_session(s);
}

static void step_revoke(void)
{
	struct session *s = any_session();

	ITEM_FOREACH (i) {
		if (!is_out(i) || i->holder != s->index)
			continue;
		item_gone(i);
		model_settle(i, false, 0);
	}
	engine_party_revoke(run.engine, s->party, run.now_ns);
}

/* Its connection is lost, or is back. */
static void step_absent(void)
{
	struct session *s = any_session();

	s->absent = !s->absent;
	if (s->absent)
		engine_party_absent(run.engine, s->party, run.now_ns);
	else
		engine_party_present(run.engine, s->party, run.now_ns);
}

/* A producer's CLOSE. */
static void model_done(int ch, int p)
{
	run.producers[ch][p].done = true;
	if (++run.done[ch] == run.came[ch])
		model_close(ch, CHAN_ECLOSED, ALL_SENDERS);
	else
		doom(ch, p, CHAN_ECLOSED);
}

static void step_close(void)
{
	struct session *s = any_session();
	int ch = (int)below(CHANNELS);
	struct producer *one = &run.producers[ch][s->index];
	bool abort = one_in(4);
	int status = run.closed[ch] ? run.closed[ch] : one->done && !abort ? CHAN_ECLOSED : 0;

	s->seq++;
	if (status)
		add(&expected, "%d fail %" PRIu64 " %s", s->index, s->seq, status_name(status));
	else
		add(&expected, "%d done %" PRIu64, s->index, s->seq);
	if (!status && abort)
		model_close(ch, CHAN_EABORTED, ALL_SENDERS);
	else if (!status && !counts_producers[ch])
		model_close(ch, CHAN_ECLOSED, ALL_SENDERS);
	else if (!status)
		model_done(ch, s->index);
	apply(s,
		&(struct message){.kind = MESSAGE_CLOSE,
			.seq = s->seq,
			.close = {.channel = run.channels[ch], .reason = "", .abort = abort}},
		NULL, 0);
}

/* What becomes of a value whose channel was removed. */
static void model_remove(struct item *i)
{
	bool out = i->state == OUT;

	if (i->state == LEASED)
		item_gone(i);
	if (i->owned)
		i->state = FREE;
	else
		item_fail(i, CHAN_EREMOVED);
	if (out)
		i->state = LOST;
}

/* A new channel of the name knows nothing of the old one, but goes on with its tokens. */
static void model_forget(int ch)
{
	run.came[ch] = run.done[ch] = 0;
	memset(run.producers[ch], 0, sizeof(run.producers[ch]));
	if (run.token_floor < run.tokens[ch])
		run.token_floor = run.tokens[ch];
	run.tokens[ch] = 0;
	run.made_ns[ch] = (uint64_t)run.now_ns;
}

/* A closed channel makes place for a new one. */
static void step_remove(void)
{
	struct session *s = any_session();
	int ch = (int)below(CHANNELS);
	char name[] = {(char)('A' + ch), '\0'};

	if (!run.closed[ch])
		return;
	add(&expected, "%d done %" PRIu64, s->index, ++s->seq);
	ITEM_FOREACH (i) {
		if (i->state != FREE && i->state != LOST && i->channel == ch)
			model_remove(i);
	}
	RECEIVER_FOREACH (r)
		if (r->used && r->channel == ch)
			receiver_fail(r, CHAN_EREMOVED);
	apply(s,
		&(struct message){
			.kind = MESSAGE_REMOVE, .seq = s->seq, .channel_ref = {.name = name}},
		NULL, 0);
	run.closed[ch] = 0;
	run.channels[ch] = 0;
	model_forget(ch);
	for (int p = 0; p < PARTIES; p++)
		open_channel(&run.sessions[p], ch);
}

static const struct {
	void (*step)(void);
	uint32_t weight; /* how often, in proportion */
} steps[] = {
	{step_send, 30},
	{step_recv, 30},
	{step_settle, 40},
	{step_lease, 12},
	{step_grant, 8},
	{step_cancel, 10},
	{step_time, 6},
	{step_end, 1},
	{step_revoke, 1},
	{step_absent, 4},
	{step_close, 1},
	{step_remove, 1},
};

#define STEP_KINDS (sizeof(steps) / sizeof(steps[0]))

static void any_step(void)
{
	uint32_t total = 0, at = 0, pick;

	for (size_t i = 0; i < STEP_KINDS; i++)
		total += steps[i].weight;
	pick = below(total);
	while (pick >= steps[at].weight)
		pick -= steps[at++].weight;
	steps[at].step();
}

/* ---- holding both against each other ----------------------------------------------------- */

/* Channel ids come with OPENED. */
static void note_opened(struct party *to, const struct message *m, struct value *const *values,
	const uint32_t *attempts, size_t n)
{
	if (m->kind == MESSAGE_OPENED)
		run.channels[m->opened.name[0] - 'A'] = m->opened.channel;
	else
		answered(to, m, values, attempts, n);
}

static void compare(void)
{
	sort(&expected);
	sort(&actual);
	for (size_t i = 0; i < expected.count || i < actual.count; i++) {
		const char *want = i < expected.count ? expected.line[i] : "nothing";
		const char *have = i < actual.count ? actual.line[i] : "nothing";

		if (strcmp(want, have) != 0)
			give_up("expected %s, was answered %s", want, have);
	}
	expected.count = actual.count = 0;
	engine_check(run.engine);
}

void engine_model_start(struct choices *choices, uint64_t seed, const char *replay)
{
	const struct engine_options options = {
		.limits = {.channels_max = 100,
			.capacity_max = 1000,
			.value_bytes_max = 1000,
			.buffered_bytes_max = 1 << 30,
			.ops_in_flight_max = 1 << 20,
			.bytes_in_flight_max = 1 << 30,
			.ends_max = 1 << 20},
		.seed = seed,
		.answer = note_opened,
	};

	memset(&run, 0, offsetof(struct run, items));
	run.items_end = run.items;
	run.receivers_end = run.receivers;
	run.choices = choices;
	run.replay = replay;
	run.engine = engine_new(&options);
	require(run.engine);
	for (int p = 0; p < PARTIES; p++) {
		run.sessions[p].index = p;
		start_session(&run.sessions[p]);
	}
}

void engine_model_step(void)
{
	any_step();
	model_step();
	compare();
	run.step++;
}

void engine_model_stop(void)
{
	engine_free(run.engine);
}
