#include "server/broker/engine.h"
#include "chan/status.h"
#include "server/base/panic.h"
#include "server/broker/collect.h"
#include "server/broker/lease.h"
#include "server/broker/state.h"
#include <stdlib.h>

/* ---- the operations, a row each ------------------------------------------------------------- */

/* What an operation makes the engine hold: a record, or a value or channel that stays behind. */
enum growth { GROWS = 1, GROWS_MUCH };

static const struct operation_row {
	int (*apply)(struct call *c);
	bool settles;  /* goes on while the broker shuts down */
	uint8_t grows; /* enum growth */
} rows[] = {
	[MESSAGE_MAKE] = {op_make, false, GROWS_MUCH},
	[MESSAGE_OPEN] = {op_open, false, GROWS},
	[MESSAGE_RELEASE] = {op_release, false, 0},
	[MESSAGE_SEND] = {op_send, false, GROWS_MUCH},
	[MESSAGE_RECV] = {op_recv, false, GROWS},
	[MESSAGE_GRANT] = {op_grant, false, 0},
	[MESSAGE_TAKEN] = {op_taken, true, 0},
	[MESSAGE_RETURN] = {op_return, true, 0},
	[MESSAGE_ACK] = {op_ack, true, 0},
	[MESSAGE_NACK] = {op_nack, true, 0},
	[MESSAGE_EXTEND] = {op_extend, true, 0},
	[MESSAGE_SELECT] = {op_select, false, GROWS},
	[MESSAGE_CANCEL] = {op_cancel, false, 0},
	[MESSAGE_CLOSE] = {op_close, false, 0},
	[MESSAGE_REMOVE] = {op_remove, false, 0},
	[MESSAGE_STAT] = {op_stat, false, 0},
	[MESSAGE_LIST] = {op_list, false, 0},
	[MESSAGE_PS] = {op_ps, false, 0},
};

static const struct operation_row *row_of(enum message_kind kind)
{
	if ((size_t)kind >= sizeof(rows) / sizeof(rows[0]) || !rows[kind].apply)
		return NULL;
	return &rows[kind];
}

/* What a party may hold, by level, and have more: while memory is tight, more than anybody needs
 * who is served in turn; while it is scarce, enough to be served at all. Less where parties are so
 * many that together they would exceed what is spare. */
static const uint32_t share_bytes_max[] = {
	[MEMORY_TIGHT] = 64 * 1024, [MEMORY_SCARCE] = 4 * 1024, [MEMORY_FULL] = 4 * 1024};

/* About what a record costs, and a channel or an end. */
#define RECORD_BYTES 256u

void engine_set_memory(struct engine *e, enum memory_level level, uint64_t spare_bytes)
{
	uint64_t share = level == MEMORY_FREE ? 0 : spare_bytes / (e->party_count + 1);

	e->memory = (uint8_t)level;
	e->memory_share = share < share_bytes_max[level] ? share : share_bytes_max[level];
}

/* What values are there already of those that a SEND adds to. */
static uint64_t bytes_there(const struct call *c)
{
	struct end *end;

	if (c->message->kind != MESSAGE_SEND)
		return 0;
	end = party_end_of(c->party, c->message->send.channel);
	return end ? end->channel->bytes_buffered +
			       channel_length(end->channel) * VALUE_OVERHEAD_BYTES
		   : 0;
}

/* What the party holds of that kind, and the operation would add to. */
static uint64_t bytes_held(const struct call *c)
{
	const struct party *p = c->party;
	bool opens = c->message->kind == MESSAGE_MAKE || c->message->kind == MESSAGE_OPEN;
	uint64_t records = p->ops_in_flight + (opens ? p->ends.live : 0);
	uint64_t bytes = records * RECORD_BYTES + p->bytes_in_flight + bytes_there(c);

	for (uint32_t i = 0; i < c->value_count; i++)
		bytes += c->values[i]->len;
	return bytes;
}

/* Whether there is memory for it: 0, or it was answered. */
static int check_memory(struct call *c, const struct operation_row *row)
{
	bool stays = row->grows == GROWS_MUCH || c->value_count > 0;
	uint8_t level = c->engine->memory;

	if (!row->grows ||
		(!(stays && level == MEMORY_FULL) && bytes_held(c) <= c->engine->memory_share))
		return 0;
	return answer_fail(call_asked(c), CHAN_ELIMIT,
		"%s: the broker's memory is near its ceiling (memory_max)%s; receive what is "
		"buffered, or try again later",
		message_kind_name(c->message->kind),
		level == MEMORY_FULL ? "" : ", and this session holds much of it");
}

static int apply(struct call *c)
{
	const struct operation_row *row = row_of(c->message->kind);

	if (!row)
		return CHAN_EPROTOCOL;
	if (c->engine->shutting_down && !row->settles) {
		answer_fail(call_asked(c), CHAN_ESHUTDOWN, "%s: the broker is shutting down",
			message_kind_name(c->message->kind));
		return 0;
	}
	if (c->engine->memory != MEMORY_FREE && check_memory(c, row) < 0)
		return 0;
	return row->apply(c);
}

int engine_apply(struct engine *e, struct party *p, const struct message *m, struct value **values,
	size_t value_count, int64_t now_ns)
{
	struct call c = {.engine = e,
		.party = p,
		.message = m,
		.values = values,
		.value_count = (uint32_t)value_count};
	int rc;

	e->now_ns = now_ns;
	rc = apply(&c);
	for (uint32_t i = c.consumed; i < c.value_count; i++)
		value_unref(values[i]);
	engine_step(e);
	return rc;
}

struct asked call_asked(const struct call *c)
{
	const struct message *m = c->message;

	return (struct asked){c->party, m->seq, m->kind == MESSAGE_SEND ? m->send.count : 1, 0};
}

/* ---- steps ------------------------------------------------------------------------------------
 */

static struct operation *first_to_expire(const struct engine *e)
{
	return e->deadlines ? list_entry(e->deadlines, struct operation, deadline_node) : NULL;
}

static void expire_until(struct engine *e, int64_t ns)
{
	struct operation *op;

	while ((op = first_to_expire(e)) && op->deadline_ns <= ns)
		operation_expire(e, op);
}

static void pump_all(struct engine *e)
{
	struct channel *ch;

	while ((ch = e->dirty)) {
		e->dirty = ch->next_dirty;
		if (!e->dirty)
			e->dirty_end = &e->dirty;
		ch->touched = false;
		channel_pump(e, ch);
		channel_unref(ch);
	}
}

#ifdef CHAND_DEBUG
/* As often as the work of checking stays in proportion to the work that is done. */
static void check_now_and_then(struct engine *e)
{
	if (e->steps_unchecked++ * 16 < e->operations.live + e->channels.live)
		return;
	e->steps_unchecked = 0;
	engine_check(e);
}
#endif

/* What still stands when nothing moves any more, and only tried, would have to wait. */
void engine_step(struct engine *e)
{
	do {
		pump_all(e);
		expire_until(e, DEADLINE_TRY);
		engine_collect_if_due(e);
	} while (e->dirty);
#ifdef CHAND_DEBUG
	check_now_and_then(e);
#endif
}

void engine_expire(struct engine *e, int64_t now_ns)
{
	e->now_ns = now_ns;
	expire_until(e, now_ns);
	leases_expire(e, now_ns);
	engine_step(e);
}

int64_t engine_deadline_ns(const struct engine *e)
{
	const struct operation *op = first_to_expire(e);
	int64_t lease_ns = leases_deadline_ns(e);

	return op && op->deadline_ns < lease_ns ? op->deadline_ns : lease_ns;
}

/* ---- life --------------------------------------------------------------------------------------
 */

struct engine *engine_new(const struct engine_options *options)
{
	struct engine *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->options = *options;
	random_init(&e->random, options->seed);
	quota_table_init(&e->accounts);
	e->dirty_end = &e->dirty;
	list_init(&e->parties);
	e->next_channel = e->next_operation = e->next_ticket = 1;
	return e;
}

static void answer_nobody(struct party *to, const struct message *m, struct value *const *values,
	const uint32_t *attempts, size_t value_count)
{
	(void)to;
	(void)m;
	(void)values;
	(void)attempts;
	(void)value_count;
}

void engine_free(struct engine *e)
{
	const struct seqmap_entry *entry;

	if (!e)
		return;
	e->options.answer = answer_nobody;
	while (!list_empty(&e->parties))
		engine_party_end(e, list_entry(e->parties.next, struct party, link), e->now_ns);
	while ((entry = seqmap_from(&e->channels, 0)))
		channel_remove(e, entry->ptr);
	pump_all(e);
	seqmap_fini(&e->channels);
	seqmap_fini(&e->operations);
	delivery_pool_fini(&e->deliveries);
	traffic_pool_fini(&e->traffic);
	quota_table_fini(&e->accounts);
	access_unref(e->access);
	free(e);
}

void engine_shutdown(struct engine *e, int64_t now_ns)
{
	const struct seqmap_entry *entry;
	uint64_t key;

	e->now_ns = now_ns;
	e->shutting_down = true;
	for (key = 0; (entry = seqmap_from(&e->operations, key));) {
		key = entry->key + 1;
		operation_withdraw(e, entry->ptr, CHAN_ESHUTDOWN, 0);
	}
	engine_step(e);
}

uint64_t engine_deliveries_out(const struct engine *e)
{
	return e->deliveries_out;
}

uint64_t engine_waiting(const struct engine *e)
{
	return e->operations.live;
}

uint64_t engine_values_buffered(const struct engine *e)
{
	return e->values_buffered;
}

/* ---- values
 * -------------------------------------------------------------------------------------- */

void engine_hold_run(struct engine *e, struct quota_account *account, uint32_t type,
	struct value *v, uint32_t n)
{
	struct value_pack *pack = value_pack(v);

	if (pack->held == 0) {
		e->bytes += pack_cost(pack);
		pack->account = account;
		quota_add_bytes(account, pack_cost(pack));
	}
	pack->held += n;
	for (uint32_t i = 0; type_may_refer(type) && i < n; i++)
		reference_carry(e, type, v + i, +1);
}

void engine_hold_value(
	struct engine *e, struct quota_account *account, uint32_t type, struct value *v)
{
	engine_hold_run(e, account, type, v, 1);
}

void engine_drop_run(struct engine *e, uint32_t type, struct value *v, uint32_t n)
{
	struct value_pack *pack = value_pack(v);

	pack->held -= n;
	if (pack->held == 0) {
		e->bytes -= pack_cost(pack);
		quota_drop_bytes(&e->accounts, pack->account, pack_cost(pack));
	}
	for (uint32_t i = 0; type_may_refer(type) && i < n; i++)
		reference_carry(e, type, v + i, -1);
	value_unref_run(v, n);
}

void engine_drop_value(struct engine *e, uint32_t type, struct value *v)
{
	engine_drop_run(e, type, v, 1);
}
