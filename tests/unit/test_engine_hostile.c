/*
 * test_engine_hostile.c - messages with anything in them: whatever a client can bring past the
 * decoder. Nothing is asserted of the answers but that they come; the engine must stay whole,
 * within its limits, and give everything back at the end.
 *
 *	ENGINE_SEED=7 tests/unit/test_engine_hostile      replays a run
 */
#include "chan/status.h"
#include "chan/value.h"
#include "proto/limits.h"
#include "proto/type.h"
#include "server/base/random.h"
#include "server/broker/engine.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PARTIES 4
#define VALUES_MAX 6
#define STEPS 20000

static struct {
	struct engine *engine;
	struct random random;
	int64_t now_ns;
	struct party *parties[PARTIES];
	uint64_t seq[PARTIES];
} run;

static uint32_t below(uint32_t n)
{
	return random_below(&run.random, n);
}

/* Mostly numbers that mean something here, sometimes any. */
static uint64_t number(void)
{
	static const uint64_t extremes[] = {0, 1, 2, 3, UINT32_MAX, INT64_MAX, UINT64_MAX};

	switch (below(8)) {
	case 0:
		return extremes[below(sizeof(extremes) / sizeof(extremes[0]))];
	case 1:
		return random_u64(&run.random);
	default:
		return below(24);
	}
}

static const char *name(void)
{
	static const char *const names[] = {
		"", "a", "b", "c", "d", "not a name", "\xff", "a/b:c", "chan", "any"};

	return names[below(sizeof(names) / sizeof(names[0]))];
}

static bool rarely(void)
{
	return below(12) == 0;
}

static void fill_reference(struct value *v, uint32_t at)
{
	uint8_t bytes[TYPE_CHAN_BYTES_MAX];
	struct type_chan_ref ref = {
		.incarnation = rarely() ? number() : 7,
		.channel = number(),
		.direction = (uint8_t)(1 + below(3)),
		.name = "",
	};

	type_put_chan(bytes, &ref);
	memcpy(v->bytes + at, bytes, TYPE_CHAN_BYTES_MIN);
}

static struct value *any_value(void)
{
	uint32_t len = below(4) ? below(3) : below(64), reference = below(4);
	struct value *v;

	if (reference < 2)
		len = TYPE_CHAN_BYTES_MIN + reference;
	v = value_new(len);
	assert_non_null(v);
	for (uint32_t i = 0; i < len; i++)
		v->bytes[i] = (uint8_t)(below(2) ? 'x' : below(256));
	if (reference < 2) {
		fill_reference(v, reference);
		if (reference)
			v->bytes[0] = CHAN_TYPE_CHAN;
	}
	return v;
}

static struct wire_case cases[VALUES_MAX];
static struct wire_range ranges[3];
static struct wire_attribute attributes[] = {{"durable", {NULL, 0}},
	{"producers", {(const uint8_t *)"auto", 4}}, {"producers", {(const uint8_t *)"2", 1}}};

static void fill_open(struct message *m)
{
	if (m->kind == MESSAGE_MAKE) {
		m->make.name = name();
		m->make.type = rarely() ? (uint32_t)number() : CHAN_TYPE_BYTES + below(4);
		m->make.type_name = rarely() ? "pkg.T" : "";
		m->make.capacity = rarely() ? (int64_t)number() : below(4);
		m->make.temporary = below(2);
		m->make.direction = rarely() ? (uint32_t)number() : below(4);
		m->make.attributes = &attributes[rarely() ? 0 : 1 + below(2)];
		m->make.attribute_count = below(2);
		return;
	}
	m->open.name = name();
	m->open.channel = number();
	m->open.incarnation = rarely() ? number() : 7;
	m->open.direction = rarely() ? (uint32_t)number() : 1 + below(3);
	m->open.wait_create = below(2);
	m->open.timeout_ns = number();
}

static size_t fill_select(struct message *m)
{
	size_t sends = 0;

	m->select.cases = cases;
	m->select.case_count = below(VALUES_MAX + 1);
	m->select.try = below(2);
	m->select.timeout_ns = number();
	for (size_t i = 0; i < m->select.case_count; i++) {
		cases[i] = (struct wire_case){
			.channel = number(), .direction = rarely() ? below(5) : 1 + below(2)};
		sends += cases[i].direction == CHAN_SEND;
	}
	return sends;
}

static void fill_settle(struct message *m)
{
	m->settle.deliveries = (struct wire_ranges){ranges, below(4)};
	for (int i = 0; i < 3; i++)
		ranges[i] = (struct wire_range){number(), number()};
	if (m->kind == MESSAGE_RETURN && rarely())
		m->settle.delay_ns = 1;
	if (below(2))
		m->seq = 0;
}

/* How many values the message wants. */
static size_t fill(struct message *m)
{
	switch (m->kind) {
	case MESSAGE_MAKE:
	case MESSAGE_OPEN:
		fill_open(m);
		return 0;
	case MESSAGE_SEND:
		m->send.channel = number();
		m->send.count = 1 + below(VALUES_MAX);
		m->send.try = below(2);
		m->send.timeout_ns = number();
		m->send.epoch = rarely();
		m->send.type = rarely() ? (uint32_t)number() : 0;
		return m->send.count;
	case MESSAGE_RECV:
		m->recv.channel = number();
		m->recv.credit = (uint32_t)number();
		m->recv.stream = below(2);
		m->recv.try = below(4) == 0;
		m->recv.timeout_ns = number();
		m->recv.lease_ns = rarely();
		return 0;
	case MESSAGE_TAKEN:
	case MESSAGE_RETURN:
		fill_settle(m);
		return 0;
	case MESSAGE_SELECT:
		return fill_select(m);
	case MESSAGE_CLOSE:
		m->close.channel = number();
		m->close.reason = name();
		return 0;
	case MESSAGE_REMOVE:
	case MESSAGE_STAT:
		m->channel_ref.name = name();
		m->channel_ref.channel = number();
		return 0;
	case MESSAGE_LIST:
		m->list.prefix = name();
		m->list.after = name();
		m->list.count_max = (uint32_t)number();
		return 0;
	case MESSAGE_GRANT:
		m->seq = run.seq[0] > 30 ? run.seq[0] - below(30) : 1;
		m->grant.credit = (uint32_t)number();
		return 0;
	case MESSAGE_RELEASE:
		m->release.channel = number();
		return 0;
	case MESSAGE_PS:
		m->ps.after = number();
		m->ps.count_max = (uint32_t)number();
		return 0;
	default: /* CANCEL */
		m->cancel.target = number();
		return 0;
	}
}

static const enum message_kind kinds[] = {MESSAGE_MAKE, MESSAGE_OPEN, MESSAGE_OPEN, MESSAGE_RELEASE,
	MESSAGE_SEND, MESSAGE_SEND, MESSAGE_SEND, MESSAGE_SEND, MESSAGE_RECV, MESSAGE_RECV,
	MESSAGE_RECV, MESSAGE_GRANT, MESSAGE_TAKEN, MESSAGE_TAKEN, MESSAGE_RETURN, MESSAGE_SELECT,
	MESSAGE_SELECT, MESSAGE_CANCEL, MESSAGE_CLOSE, MESSAGE_REMOVE, MESSAGE_STAT, MESSAGE_LIST,
	MESSAGE_PS};

static void step(void)
{
	uint32_t p = below(PARTIES);
	struct value *values[VALUES_MAX];
	struct message m;
	size_t n;

	memset(&m, 0, sizeof(m));
	m.kind = kinds[below(sizeof(kinds) / sizeof(kinds[0]))];
	m.seq = run.seq[p] + 1;
	n = fill(&m);
	run.seq[p] += VALUES_MAX;
	if (n > 0 && rarely())
		n--; /* not what the message says */
	for (size_t i = 0; i < n; i++)
		values[i] = any_value();
	engine_apply(run.engine, run.parties[p], &m, values, n, run.now_ns);
}

static void answered(struct party *to, const struct message *m, struct value *const *values,
	const uint32_t *attempts, size_t n)
{
	(void)attempts;
	assert_non_null(to);
	assert_in_range(m->kind, MESSAGE_WELCOME, MESSAGE_GOAWAY);
	assert_true(m->seq || m->kind == MESSAGE_GONE);
	if (m->kind == MESSAGE_FAIL)
		assert_true(m->fail.status < 0 && m->fail.message[0] &&
			    strlen(m->fail.message) < TEXT_BYTES_MAX);
	for (size_t i = 0; i < n; i++)
		assert_true(value_pack(values[i])->refs > 0);
}

static void new_party(uint32_t p)
{
	run.parties[p] = engine_party_new(
		run.engine, NULL, &(struct wire_speaker){"host", "test", "", "test", 1});
	assert_non_null(run.parties[p]);
}

static void play(uint64_t seed)
{
	const struct engine_options options = {
		.limits = {.channels_max = 12,
			.capacity_max = 1000,
			.value_bytes_max = 40,
			.buffered_bytes_max = 4000,
			.ops_in_flight_max = 30,
			.bytes_in_flight_max = 300,
			.ends_max = 5},
		.incarnation = 7,
		.seed = seed,
		.answer = answered,
	};

	memset(&run, 0, sizeof(run));
	random_init(&run.random, seed);
	run.engine = engine_new(&options);
	assert_non_null(run.engine);
	for (uint32_t p = 0; p < PARTIES; p++)
		new_party(p);
	for (int i = 0; i < STEPS; i++) {
		uint32_t p = below(PARTIES);

		step();
		if (below(50) == 0)
			engine_expire(run.engine, run.now_ns += below(20));
		if (below(300) == 0)
			engine_party_revoke(run.engine, run.parties[p], run.now_ns);
		if (below(400) == 0) {
			engine_party_end(run.engine, run.parties[p], run.now_ns);
			new_party(p);
		}
		engine_check(run.engine);
		assert_in_range(engine_values_buffered(run.engine), 0, 4000 / 64);
	}
	engine_shutdown(run.engine, run.now_ns);
	engine_check(run.engine);
	for (int i = 0; i < 1000; i++)
		step();
	engine_free(run.engine);
}

static void the_engine_stays_whole_whatever_it_is_told(void **state)
{
	const char *seed = getenv("ENGINE_SEED");

	(void)state;
	if (seed) {
		play(strtoull(seed, NULL, 10));
		return;
	}
	for (uint64_t k = 1; k <= 6; k++) {
		print_message("# seed %" PRIu64 "\n", k);
		play(k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_engine_stays_whole_whatever_it_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
