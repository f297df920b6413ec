/*
 * engine_account.c - keeps account of what was asked, answered, delivered and taken.
 *
 * To add an operation, add its step to steps[].
 */
#include "tests/support/engine_account.h"
#include "chan/status.h"
#include "chan/value.h"
#include "server/broker/engine.h"
#include "tests/support/failing_malloc.h"
#include "tests/support/packs.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARTIES 4
#define CHANNELS 6
#define VALUES_MAX (ENGINE_ACCOUNT_STEPS_MAX * 4)
#define OPERATIONS_MAX (ENGINE_ACCOUNT_STEPS_MAX * 4)
#define OUT_MAX 4096
#define CASES_MAX 4

static const int64_t capacities[CHANNELS] = {0, 0, 0, 1, 2, 8};

enum kind { NONE, SEND, RECV, SELECT, OTHER };

/* By session and sequence number. */
struct account {
	enum kind kind;
	uint32_t answers; /* DONE, FAIL, and the DELIVER of a select */
	bool lost;        /* its session has ended before it was answered */
	bool done;
	uint32_t done_case;
	uint32_t value[CASES_MAX]; /* of each send case; VALUES_MAX: none */
	uint32_t cases;
};

struct value_account {
	int channel, party;
	uint64_t seq;
	uint32_t taken;
	bool selected;  /* of a select: its order among the party's sends is free */
	uint32_t frame; /* the first value of its SEND */
	uint64_t last_of_frame; /* number of that value of it that came last; kept in the first */
};

struct out {
	int party;
	uint64_t delivery;
	uint32_t value;
};

struct session {
	int index;
	struct party *party; /* NULL: no memory for it, yet */
	uint64_t seq;
};

static struct {
	struct engine *engine;
	struct choices *choices;
	const char *replay;
	int64_t now_ns;
	struct session sessions[PARTIES];
	uint64_t channels[CHANNELS];
	struct account operations[PARTIES][OPERATIONS_MAX];
	struct value_account values[VALUES_MAX];
	uint32_t value_count;
	struct out out[OUT_MAX];
	size_t out_count;
	uint64_t last_seq[CHANNELS][PARTIES]; /* of the value, or of the SEND, that came last */
	bool failing;                         /* allocations fail now and then */
} run;

static uint32_t below(uint32_t n)
{
	return run.choices->below(run.choices, n);
}

__attribute__((noreturn)) static void give_up(const char *broken)
{
	fprintf(stderr, "%s: %s\n", run.replay, broken);
	abort();
}

#define require(condition)                                                                         \
	do {                                                                                       \
		if (!(condition))                                                                  \
			give_up(#condition);                                                       \
	} while (0)

/* ---- answers ----------------------------------------------------------------------------- */

static struct account *account_of(const struct session *s, uint64_t seq)
{
	require(seq < OPERATIONS_MAX);
	return &run.operations[s->index][seq];
}

/* The values of a SEND come in order, and those of a party's SENDs behind each other; but without a
 * buffer another SEND may go on while a value of one is out. */
static void require_order(const struct value_account *value)
{
	struct value_account *first = &run.values[value->frame];
	uint64_t *last = &run.last_seq[value->channel][value->party];

	require(first->last_of_frame < value->seq);
	first->last_of_frame = value->seq;
	if (capacities[value->channel] == 0 && value != first)
		return;
	require(*last < value->seq);
	*last = value->seq;
}

static void delivered(struct session *s, uint64_t delivery, const struct value *v, uint32_t attempt)
{
	uint32_t index;
	struct value_account *value;

	memcpy(&index, v->bytes, sizeof(index));
	value = &run.values[index];
	require(run.out_count < OUT_MAX);
	run.out[run.out_count++] = (struct out){s->index, delivery, index};
	require(value->taken == 0);
	if (attempt == 1 && !value->selected)
		require_order(value);
}

static void answered(struct party *to, const struct message *m, struct value *const *values,
	const uint32_t *attempts, size_t n)
{
	struct session *s = party_owner(to);
	uint32_t count = m->kind == MESSAGE_DONE ? m->done.count : 1;

	if (m->kind == MESSAGE_OPENED)
		run.channels[m->opened.name[0] - 'A'] = m->opened.channel;
	if (m->kind == MESSAGE_FAIL)
		count = m->fail.count;
	for (size_t i = 0; m->kind == MESSAGE_DELIVER && i < n; i++)
		delivered(s, m->deliver.delivery + i, values[i], attempts[i]);
	if (m->kind == MESSAGE_GONE)
		return;
	for (uint32_t i = 0; i < count; i++) {
		struct account *a = account_of(s, m->seq + i);

		if (m->kind == MESSAGE_DELIVER && a->kind == RECV)
			continue;
		a->answers++;
		a->done = m->kind == MESSAGE_DONE;
		a->done_case = a->done ? m->done.case_index : 0;
	}
}

/* ---- steps ------------------------------------------------------------------------------- */

static void apply(struct session *s, const struct message *m, struct value **values, size_t n)
{
	int rc;

	if (run.failing && below(3) == 0)
		mallocs_left = (int)below(5);
	rc = engine_apply(run.engine, s->party, m, values, n, run.now_ns);
	mallocs_left = -1;
	require(rc == 0);
}

static struct account *next_operation(struct session *s, enum kind kind)
{
	struct account *a = account_of(s, ++s->seq);

	a->kind = kind;
	a->cases = 0;
	return a;
}

static struct value *next_value(struct session *s, struct account *a, int channel, bool selected)
{
	struct value *v = value_new(sizeof(uint32_t));
	uint32_t index = run.value_count++;

	require(v);
	require(index < VALUES_MAX);
	memcpy(v->bytes, &index, sizeof(index));
	run.values[index] = (struct value_account){
		.channel = channel, .party = s->index, .seq = s->seq, .selected = selected};
	a->value[a->cases++] = index;
	return v;
}

static uint64_t any_timeout(void)
{
	return below(3) == 0 ? 1 + below(30) : 0;
}

static void step_send(struct session *s)
{
	int ch = (int)below(CHANNELS);
	uint32_t n = 1 + (below(3) == 0 ? below(3) : 0);
	struct value *values[4];
	struct message m = {
		.kind = MESSAGE_SEND,
		.seq = s->seq + 1,
		.send = {.channel = run.channels[ch],
			.count = n,
			.try = below(4) == 0,
			.timeout_ns = any_timeout()},
	};

	for (uint32_t i = 0; i < n; i++) {
		values[i] = next_value(s, next_operation(s, SEND), ch, false);
		run.values[run.value_count - 1].frame = run.value_count - 1 - i;
	}
	if (s->seq % 2)
		pack_values(values, n);
	apply(s, &m, values, n);
}

static void step_recv(struct session *s)
{
	int ch = (int)below(CHANNELS);
	struct message m = {
		.kind = MESSAGE_RECV,
		.recv = {.channel = run.channels[ch],
			.credit = capacities[ch] ? 1 + below(3) : 1,
			.timeout_ns = any_timeout()},
	};

	next_operation(s, RECV);
	m.seq = s->seq;
	m.recv.try = below(4) == 0;
	apply(s, &m, NULL, 0);
}

static void step_select(struct session *s)
{
	struct wire_case cases[CASES_MAX];
	struct value *values[CASES_MAX];
	struct account *a = next_operation(s, SELECT);
	uint32_t n = below(CASES_MAX + 1), sends = 0;
	struct message m = {
		.kind = MESSAGE_SELECT,
		.seq = s->seq,
		.select = {.cases = cases,
			.case_count = n,
			.try = below(4) == 0,
			.timeout_ns = any_timeout()},
	};

	for (uint32_t i = 0; i < n; i++) {
		int ch = (int)below(CHANNELS);
		bool sending = below(2);

		cases[i] = (struct wire_case){
			.channel = run.channels[ch], .direction = sending ? CHAN_SEND : CHAN_RECV};
		if (sending)
			values[sends++] = next_value(s, a, ch, true);
		else
			a->value[a->cases++] = VALUES_MAX;
	}
	apply(s, &m, values, sends);
}

static void settle(size_t i, bool taken)
{
	struct out o = run.out[i];
	struct wire_range range = {o.delivery, 1};

	run.out[i] = run.out[--run.out_count];
	run.values[o.value].taken += taken;
	apply(&run.sessions[o.party],
		&(struct message){.kind = taken ? MESSAGE_TAKEN : MESSAGE_RETURN,
			.settle = {.deliveries = {&range, 1}}},
		NULL, 0);
}

static void step_settle(struct session *s)
{
	(void)s;
	if (run.out_count > 0)
		settle(below((uint32_t)run.out_count), below(4) != 0);
}

static void step_cancel(struct session *s)
{
	uint64_t target = s->seq > 20 ? s->seq - below(20) : 1;

	next_operation(s, OTHER);
	apply(s, &(struct message){.kind = MESSAGE_CANCEL, .seq = s->seq, .cancel = {target}}, NULL,
		0);
}

static void step_time(struct session *s)
{
	(void)s;
	run.now_ns += below(10);
	engine_expire(run.engine, run.now_ns);
}

static void start_session(struct session *s)
{
	s->party = engine_party_new(
		run.engine, s, &(struct wire_speaker){"host", "test", "", "test", 1});
	require(s->party);
	for (int ch = 0; ch < CHANNELS; ch++) {
		char name[] = {(char)('A' + ch), '\0'};
		struct message m = {.kind = MESSAGE_MAKE,
			.make = {.name = name,
				.type = CHAN_TYPE_BYTES,
				.type_name = "",
				.capacity = capacities[ch],
				.direction = CHAN_BOTH}};

		next_operation(s, OTHER);
		m.seq = s->seq;
		require(engine_apply(run.engine, s->party, &m, NULL, 0, run.now_ns) == 0);
	}
}

static void end_session(struct session *s)
{
	for (size_t i = run.out_count; i-- > 0;)
		if (run.out[i].party == s->index)
			run.out[i] = run.out[--run.out_count];
	for (uint64_t seq = 1; seq <= s->seq; seq++) {
		struct account *a = account_of(s, seq);

		a->lost |= a->answers == 0;
	}
	engine_party_end(run.engine, s->party, run.now_ns);
}

static void step_end(struct session *s)
{
	if (below(20) != 0)
		return;
	end_session(s);
	start_session(s);
}

static void (*const steps[])(struct session *) = {step_send, step_send, step_recv, step_recv,
	step_recv, step_select, step_select, step_settle, step_settle, step_settle, step_settle,
	step_settle, step_cancel, step_time, step_end};

/* ---- the end ----------------------------------------------------------------------------- */

/* Whoever waits gets an answer: everything that is out is taken, channels are closed and emptied.
 */
static void wind_up(void)
{
	struct session *s = &run.sessions[0];

	run.failing = false;
	for (int ch = 0; ch < CHANNELS; ch++) {
		next_operation(s, OTHER);
		apply(s,
			&(struct message){.kind = MESSAGE_CLOSE,
				.seq = s->seq,
				.close = {.channel = run.channels[ch], .reason = ""}},
			NULL, 0);
	}
	for (bool busy = true; busy;) {
		while (run.out_count > 0)
			settle(run.out_count - 1, true);
		for (int ch = 0; ch < CHANNELS; ch++) {
			next_operation(s, RECV);
			apply(s,
				&(struct message){.kind = MESSAGE_RECV,
					.seq = s->seq,
					.recv = {.channel = run.channels[ch], .try = true}},
				NULL, 0);
		}
		busy = run.out_count > 0;
	}
	for (int p = 0; p < PARTIES; p++)
		for (uint64_t seq = 1, last = run.sessions[p].seq; seq <= last; seq++)
			if (run.operations[p][seq].kind == SELECT &&
				!run.operations[p][seq].answers) {
				s = &run.sessions[p];
				next_operation(s, OTHER);
				apply(s,
					&(struct message){.kind = MESSAGE_CANCEL,
						.seq = s->seq,
						.cancel = {seq}},
					NULL, 0);
			}
}

static void hold_to_account(const struct account *a)
{
	uint32_t taken = 0;

	if (a->kind == SEND || a->kind == SELECT || a->kind == OTHER)
		require(a->answers == (a->lost ? 0 : 1));
	for (uint32_t i = 0; i < a->cases; i++)
		if (a->value[i] != VALUES_MAX)
			taken += run.values[a->value[i]].taken;
	require(taken <= 1);
	if (a->lost)
		return;
	require(taken == (a->done && a->kind != OTHER ? 1 : 0));
	if (a->done && a->kind == SELECT)
		require(run.values[a->value[a->done_case]].taken == 1);
}

/* Forgets what the run before has used. */
static void clear(void)
{
	for (int p = 0; p < PARTIES; p++)
		memset(run.operations[p], 0,
			(run.sessions[p].seq + 1) * sizeof(run.operations[p][0]));
	memset(run.last_seq, 0, sizeof(run.last_seq));
	run.out_count = run.value_count = 0;
	run.failing = false;
	run.now_ns = 0;
}

void engine_account_start(struct choices *choices, uint64_t seed, const char *replay, bool failing)
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
		.answer = answered,
	};

	clear();
	run.choices = choices;
	run.replay = replay;
	run.engine = engine_new(&options);
	require(run.engine);
	for (int p = 0; p < PARTIES; p++) {
		run.sessions[p].index = p;
		run.sessions[p].seq = 0;
		start_session(&run.sessions[p]);
	}
	run.failing = failing;
}

void engine_account_step(void)
{
	steps[below(sizeof(steps) / sizeof(steps[0]))](&run.sessions[below(PARTIES)]);
	engine_check(run.engine);
}

void engine_account_stop(void)
{
	wind_up();
	for (int p = 0; p < PARTIES; p++)
		for (uint64_t seq = 1; seq <= run.sessions[p].seq; seq++)
			hold_to_account(&run.operations[p][seq]);
	require(engine_values_buffered(run.engine) == 0);
	require(engine_deliveries_out(run.engine) == 0);
	engine_free(run.engine);
}
