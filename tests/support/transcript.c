#include "tests/support/transcript.h"
#include "proto/status.h"
#include "proto/type.h"
#include "tests/support/packs.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct stage stage;
struct actor *const a = &stage.actors[0], *const b = &stage.actors[1], *const c = &stage.actors[2],
		    *const d = &stage.actors[3];

const struct engine_limits stage_limits = {
	.channels_max = 1000,
	.capacity_max = 1 << 20,
	.value_bytes_max = 1 << 20,
	.buffered_bytes_max = 1 << 26,
	.ops_in_flight_max = 65536,
	.bytes_in_flight_max = 1 << 24,
	.ends_max = 1000,
};

#define INCARNATION 77u
#define VALUES_MAX 5000u

/* ---- answers become text -------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	stage.log_bytes += (size_t)vsnprintf(
		stage.log + stage.log_bytes, sizeof(stage.log) - stage.log_bytes, format, args);
	va_end(args);
	assert_true(stage.log_bytes < sizeof(stage.log));
}

static void note_range(const char *sign, uint64_t first, uint64_t count)
{
	note(" %s%llu", sign, (unsigned long long)first);
	if (count > 1)
		note("..%llu", (unsigned long long)(first + count - 1));
}

static void note_case(uint32_t index)
{
	if (index > 0)
		note(" case %u", index);
}

static void note_done(const struct message *m)
{
	note(" done");
	note_range("", m->seq, m->done.count);
	note_case(m->done.case_index);
}

static void note_fail(const struct message *m)
{
	note(" fail");
	note_range("", m->seq, m->fail.count);
	note(" %s", status_name(m->fail.status));
	note_case(m->fail.case_index);
	snprintf(stage.text, sizeof(stage.text), "%s", m->fail.message);
}

/* The values of one DELIVER are noted as if each had come alone. */
static void note_deliver(const struct message *m, size_t i, const struct value *v, uint32_t attempt)
{
	note(" got %llu #%llu %.*s", (unsigned long long)m->seq,
		(unsigned long long)(m->deliver.delivery + i), (int)v->len, (const char *)v->bytes);
	if (attempt > 1)
		note(" again %u", attempt);
	if (m->deliver.token)
		note(" token %llu", (unsigned long long)(m->deliver.token + i));
	note_case(m->deliver.case_index);
}

static void note_gone(const struct message *m)
{
	note(" gone");
	for (size_t i = 0; i < m->settle.deliveries.count; i++)
		note_range("#", m->settle.deliveries.list[i].first,
			m->settle.deliveries.list[i].count);
}

static void note_opened(const struct message *m)
{
	stage.opened = m->opened.channel;
	note(" opened %llu%s", (unsigned long long)m->seq, m->opened.created ? " created" : "");
}

static void keep_names(const char *name)
{
	size_t at = strlen(stage.names);

	snprintf(stage.names + at, sizeof(stage.names) - at, "%s%s", at ? " " : "", name);
}

static void keep_stats(const struct message *m)
{
	stage.names[0] = '\0';
	stage.more = m->stats.more;
	snprintf(stage.after, sizeof(stage.after), "%s", m->stats.after);
	if (m->stats.count > 0)
		stage.stat = m->stats.channels[0];
	for (size_t i = 0; i < m->stats.count; i++)
		keep_names(m->stats.channels[i].name);
}

static void keep_waiters(const struct message *m)
{
	stage.names[0] = '\0';
	stage.more = m->waiters.more;
	for (size_t i = 0; i < m->waiters.count; i++) {
		const struct wire_waiter *w = &m->waiters.waiters[i];

		keep_names(w->operation);
		for (size_t k = 0; k < w->channel_count; k++)
			keep_names(w->channels[k]);
	}
}

static void answered(struct party *to, const struct message *m, struct value *const *values,
	const uint32_t *attempts, size_t value_count)
{
	const struct actor *p = party_owner(to);

	if (m->kind == MESSAGE_STATS || m->kind == MESSAGE_WAITERS) {
		(m->kind == MESSAGE_STATS ? keep_stats : keep_waiters)(m);
		return;
	}
	for (size_t i = 0; m->kind == MESSAGE_DELIVER && i < value_count; i++) {
		note("%s%c", stage.log_bytes ? "; " : "", p->name);
		note_deliver(m, i, values[i], attempts[i]);
	}
	if (m->kind == MESSAGE_DELIVER)
		return;
	note("%s%c", stage.log_bytes ? "; " : "", p->name);
	if (m->kind == MESSAGE_DONE)
		note_done(m);
	else if (m->kind == MESSAGE_FAIL)
		note_fail(m);
	else if (m->kind == MESSAGE_GONE)
		note_gone(m);
	else if (m->kind == MESSAGE_OPENED)
		note_opened(m);
}

void ignore_answers(void)
{
	stage.log_bytes = 0;
	stage.log[0] = '\0';
}

void expect_at(const char *file, int line, const char *format, ...)
{
	char text[1 << 14];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	_assert_string_equal(stage.log, text, file, line);
	ignore_answers();
}

void expect_text_at(const char *file, int line, const char *part)
{
	if (strstr(stage.text, part))
		return;
	print_error("'%s' is not in '%s'\n", part, stage.text);
	_fail(file, line);
}

/* ---- the stage --------------------------------------------------------------------------------
 */

void stage_open_with(const struct engine_limits *limits, uint64_t seed)
{
	const struct engine_options options = {
		.limits = *limits, .incarnation = INCARNATION, .seed = seed, .answer = answered};

	memset(&stage, 0, sizeof(stage));
	stage.now_ns = 1000;
	stage.engine = engine_new(&options);
	assert_non_null(stage.engine);
	for (int i = 0; i < PARTIES; i++) {
		struct actor *p = &stage.actors[i];
		char program[] = {(char)('a' + i), '\0'};

		p->name = program[0];
		p->party = engine_party_new(stage.engine, p,
			&(struct wire_speaker){"host", program, "", "test", 10 + (uint64_t)i});
		assert_non_null(p->party);
	}
}

void stage_open(void)
{
	stage_open_with(&stage_limits, 1);
}

void stage_close(void)
{
	engine_free(stage.engine);
	stage.engine = NULL;
}

int stage_setup(void **state)
{
	(void)state;
	stage_open();
	return 0;
}

int stage_teardown(void **state)
{
	(void)state;
	stage_close();
	return 0;
}

static struct value *value_of(const void *bytes, size_t len)
{
	struct value *v = value_new(len);

	assert_non_null(v);
	memcpy(v->bytes, bytes, len);
	return v;
}

static int apply_values(struct actor *p, const struct message *m, struct value **values, size_t n)
{
	int rc = engine_apply(stage.engine, p->party, m, values, n, stage.now_ns);

	engine_check(stage.engine);
	return rc;
}

int apply(struct actor *p, const struct message *m, const char *const *strings, size_t n)
{
	struct value *values[VALUES_MAX];

	assert_true(n <= VALUES_MAX);
	for (size_t i = 0; i < n; i++)
		values[i] = value_of(strings[i], strlen(strings[i]));
	return apply_values(p, m, values, n);
}

static uint64_t ask(struct actor *p, const struct message *m)
{
	assert_int_equal(apply(p, m, NULL, 0), 0);
	return m->seq;
}

void end(struct actor *p)
{
	engine_party_end(stage.engine, p->party, stage.now_ns);
	p->party = NULL;
	engine_check(stage.engine);
}

void absent(struct actor *p)
{
	engine_party_absent(stage.engine, p->party, stage.now_ns);
	engine_check(stage.engine);
}

void present(struct actor *p)
{
	engine_party_present(stage.engine, p->party, stage.now_ns);
	engine_check(stage.engine);
}

void revoke_from(struct actor *p)
{
	engine_party_revoke(stage.engine, p->party, stage.now_ns);
	engine_check(stage.engine);
}

void pass_ns(int64_t ns)
{
	stage.now_ns += ns;
	engine_expire(stage.engine, stage.now_ns);
	engine_check(stage.engine);
}

/* ---- operations ---------------------------------------------------------------------------------
 */

uint64_t make_how(struct actor *p, const char *name, uint32_t type, int64_t capacity,
	bool temporary, uint8_t direction)
{
	return ask(p, &(struct message){
			      .kind = MESSAGE_MAKE,
			      .seq = ++p->seq,
			      .make = {.name = name,
				      .type = type,
				      .type_name = "",
				      .capacity = capacity,
				      .temporary = temporary,
				      .direction = direction},
		      });
}

uint64_t make_attributes(struct actor *p, const char *name, int64_t capacity, uint8_t direction,
	const char *attributes)
{
	char text[512], *rest = text, *word, *value;
	struct wire_attribute list[8];
	size_t n = 0;

	snprintf(text, sizeof(text), "%s", attributes);
	while ((word = strsep(&rest, " "))) {
		value = word;
		strsep(&value, "=");
		assert_true(n < 8 && value);
		list[n++] = (struct wire_attribute){word, {(const uint8_t *)value, strlen(value)}};
	}
	return ask(p, &(struct message){
			      .kind = MESSAGE_MAKE,
			      .seq = ++p->seq,
			      .make = {.name = name,
				      .type = CHAN_TYPE_STRING,
				      .type_name = "",
				      .capacity = capacity,
				      .attributes = list,
				      .attribute_count = n,
				      .direction = direction},
		      });
}

static uint64_t open_message(
	struct actor *p, const char *name, uint8_t direction, bool wait, uint64_t timeout_ns)
{
	return ask(p, &(struct message){
			      .kind = MESSAGE_OPEN,
			      .seq = ++p->seq,
			      .open = {.name = name,
				      .direction = direction,
				      .wait_create = wait,
				      .timeout_ns = timeout_ns},
		      });
}

uint64_t open_end(struct actor *p, const char *name, uint8_t direction)
{
	return open_message(p, name, direction, false, 0);
}

uint64_t open_wait(struct actor *p, const char *name, uint64_t timeout_ns)
{
	return open_message(p, name, CHAN_BOTH, true, timeout_ns);
}

/* Operations of a test are numbered from 1: those that set the stage are numbered high above. */
uint64_t make_typed(const char *name, enum chan_type type, int64_t capacity)
{
	for (int i = 0; i < PARTIES; i++) {
		struct actor *p = &stage.actors[i];
		uint64_t seq = p->seq;

		if (!p->party)
			continue;
		p->seq = (UINT64_C(1) << 40) + stage.opened;
		make_how(p, name, type, capacity, false, CHAN_BOTH);
		p->seq = seq;
	}
	ignore_answers();
	return stage.opened;
}

uint64_t make_channel(const char *name, int64_t capacity)
{
	return make_typed(name, CHAN_TYPE_STRING, capacity);
}

uint64_t release(struct actor *p, uint64_t channel)
{
	return ask(p,
		&(struct message){
			.kind = MESSAGE_RELEASE, .seq = ++p->seq, .release = {.channel = channel}});
}

static uint64_t send_values(
	struct actor *p, uint64_t channel, struct value **values, uint32_t n, struct how how)
{
	struct message m = {
		.kind = MESSAGE_SEND,
		.seq = p->seq + 1,
		.send = {.channel = channel,
			.count = n,
			.try = how.try,
			.timeout_ns = how.timeout_ns},
	};

	p->seq += n;
	assert_int_equal(apply_values(p, &m, values, n), 0);
	return m.seq;
}

uint64_t send_bytes(struct actor *p, uint64_t channel, const void *bytes, size_t len)
{
	struct value *v = value_of(bytes, len);

	return send_values(p, channel, &v, 1, (struct how){0});
}

uint64_t send_how(struct actor *p, uint64_t channel, const char *value, struct how how)
{
	struct value *v = value_of(value, strlen(value));

	return send_values(p, channel, &v, 1, how);
}

uint64_t send(struct actor *p, uint64_t channel, const char *value)
{
	return send_how(p, channel, value, (struct how){0});
}

uint64_t send_many(struct actor *p, uint64_t channel, const char *words, struct how how)
{
	struct value *values[VALUES_MAX];
	uint32_t n = 0;

	while (*words) {
		size_t len = strcspn(words, " ");

		values[n++] = value_of(words, len);
		words += len + strspn(words + len, " ");
	}
	pack_values(values, n);
	return send_values(p, channel, values, n, how);
}

uint64_t recv_how(struct actor *p, uint64_t channel, struct how how)
{
	return ask(p, &(struct message){
			      .kind = MESSAGE_RECV,
			      .seq = ++p->seq,
			      .recv = {.channel = channel,
				      .credit = how.credit,
				      .stream = how.stream,
				      .try = how.try,
				      .timeout_ns = how.timeout_ns,
				      .lease_ns = how.lease_ns},
		      });
}

uint64_t recv(struct actor *p, uint64_t channel)
{
	return recv_how(p, channel, (struct how){0});
}

void grant(struct actor *p, uint64_t seq, uint32_t credit)
{
	ask(p, &(struct message){.kind = MESSAGE_GRANT, .seq = seq, .grant = {.credit = credit}});
}

static void settle(
	struct actor *p, enum message_kind kind, uint64_t seq, struct wire_range range, uint64_t ns)
{
	bool extends = kind == MESSAGE_EXTEND;

	ask(p, &(struct message){.kind = kind,
		       .seq = seq,
		       .settle = {.deliveries = {&range, 1},
			       .delay_ns = extends ? 0 : ns,
			       .lease_ns = extends ? ns : 0}});
}

uint64_t settle_asked(struct actor *p, int kind, uint64_t first, uint64_t count, uint64_t ns)
{
	settle(p, (enum message_kind)kind, ++p->seq, (struct wire_range){first, count}, ns);
	return p->seq;
}

void taken_range(struct actor *p, uint64_t first, uint64_t count)
{
	settle(p, MESSAGE_TAKEN, 0, (struct wire_range){first, count}, 0);
}

uint64_t taken_asked(struct actor *p, uint64_t first, uint64_t count)
{
	return settle_asked(p, MESSAGE_TAKEN, first, count, 0);
}

void taken(struct actor *p, uint64_t delivery)
{
	taken_range(p, delivery, 1);
}

void give_back_later(struct actor *p, uint64_t delivery, uint64_t delay_ns)
{
	settle(p, MESSAGE_RETURN, 0, (struct wire_range){delivery, 1}, delay_ns);
}

void give_back(struct actor *p, uint64_t delivery)
{
	give_back_later(p, delivery, 0);
}

void ack(struct actor *p, uint64_t delivery)
{
	settle(p, MESSAGE_ACK, 0, (struct wire_range){delivery, 1}, 0);
}

void nack(struct actor *p, uint64_t delivery, uint64_t delay_ns)
{
	settle(p, MESSAGE_NACK, 0, (struct wire_range){delivery, 1}, delay_ns);
}

void extend(struct actor *p, uint64_t delivery, uint64_t lease_ns)
{
	settle(p, MESSAGE_EXTEND, 0, (struct wire_range){delivery, 1}, lease_ns);
}

uint64_t cancel(struct actor *p, uint64_t target)
{
	return ask(
		p, &(struct message){.kind = MESSAGE_CANCEL, .seq = ++p->seq, .cancel = {target}});
}

static uint64_t close_how(struct actor *p, uint64_t channel, const char *reason, bool abort)
{
	return ask(p, &(struct message){.kind = MESSAGE_CLOSE,
			      .seq = ++p->seq,
			      .close = {.channel = channel, .reason = reason, .abort = abort}});
}

uint64_t close_channel(struct actor *p, uint64_t channel)
{
	return close_how(p, channel, "", false);
}

uint64_t close_why(struct actor *p, uint64_t channel, const char *reason)
{
	return close_how(p, channel, reason, false);
}

uint64_t abort_channel(struct actor *p, uint64_t channel, const char *reason)
{
	return close_how(p, channel, reason, true);
}

uint64_t remove_channel(struct actor *p, const char *name)
{
	return ask(
		p, &(struct message){
			   .kind = MESSAGE_REMOVE, .seq = ++p->seq, .channel_ref = {.name = name}});
}

const struct wire_channel_stat *stat_channel(struct actor *p, uint64_t channel)
{
	ask(p, &(struct message){.kind = MESSAGE_STAT,
		       .seq = (UINT64_C(1) << 50) + stage.log_bytes,
		       .channel_ref = {.name = "", .channel = channel}});
	return &stage.stat;
}

uint64_t select_cases(struct actor *p, struct how how, const struct pick *picks, size_t n)
{
	struct wire_case cases[VALUES_MAX];
	const char *values[VALUES_MAX];
	size_t sends = 0;
	struct message m = {
		.kind = MESSAGE_SELECT,
		.seq = ++p->seq,
		.select = {.cases = cases,
			.case_count = n,
			.try = how.try,
			.timeout_ns = how.timeout_ns},
	};

	for (size_t i = 0; i < n; i++) {
		cases[i] = (struct wire_case){
			.channel = picks[i].channel,
			.direction = picks[i].value ? CHAN_SEND : CHAN_RECV,
			.lease_ns = picks[i].value ? 0 : how.lease_ns,
		};
		if (picks[i].value)
			values[sends++] = picks[i].value;
	}
	assert_int_equal(apply(p, &m, values, sends), 0);
	return m.seq;
}

size_t reference(uint8_t bytes[300], uint64_t channel, uint8_t direction)
{
	return type_put_chan(bytes, &(struct type_chan_ref){.incarnation = INCARNATION,
					    .channel = channel,
					    .direction = direction,
					    .name = ""});
}
