#include "server/broker/engine.h"
#include "chan/status.h"
#include "server/base/panic.h"
#include "server/broker/collect.h"
#include "server/broker/state.h"
#include <stdlib.h>

/* ---- the operations, a row each ------------------------------------------------------------- */

static const struct operation_row {
	int (*apply)(struct call *c);
	bool settles; /* goes on while the broker shuts down */
} rows[] = {
	[MESSAGE_MAKE] = {op_make, false},
	[MESSAGE_OPEN] = {op_open, false},
	[MESSAGE_RELEASE] = {op_release, false},
	[MESSAGE_SEND] = {op_send, false},
	[MESSAGE_RECV] = {op_recv, false},
	[MESSAGE_GRANT] = {op_grant, false},
	[MESSAGE_TAKEN] = {op_taken, true},
	[MESSAGE_RETURN] = {op_return, true},
	[MESSAGE_ACK] = {op_lease, true},
	[MESSAGE_NACK] = {op_lease, true},
	[MESSAGE_EXTEND] = {op_lease, true},
	[MESSAGE_SELECT] = {op_select, false},
	[MESSAGE_CANCEL] = {op_cancel, false},
	[MESSAGE_CLOSE] = {op_close, false},
	[MESSAGE_REMOVE] = {op_remove, false},
	[MESSAGE_STAT] = {op_stat, false},
	[MESSAGE_LIST] = {op_list, false},
	[MESSAGE_PS] = {op_ps, false},
};

static const struct operation_row *row_of(enum message_kind kind)
{
	if ((size_t)kind >= sizeof(rows) / sizeof(rows[0]) || !rows[kind].apply)
		return NULL;
	return &rows[kind];
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
	return row->apply(c);
}

int engine_apply(struct engine *e, struct party *p, const struct message *m,
	struct value *const *values, size_t value_count, int64_t now_ns)
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
	engine_step(e);
}

int64_t engine_deadline_ns(const struct engine *e)
{
	const struct operation *op = first_to_expire(e);

	return op ? op->deadline_ns : DEADLINE_NEVER;
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
	quota_table_init(&e->accounts, options->seed);
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

uint64_t engine_values_buffered(const struct engine *e)
{
	return e->values_buffered;
}

/* ---- values
 * -------------------------------------------------------------------------------------- */

void engine_hold_value(
	struct engine *e, struct quota_account *account, uint32_t type, struct value *v)
{
	e->bytes += value_cost(v);
	v->account = account;
	quota_add_bytes(account, value_cost(v));
	if (type_may_refer(type))
		reference_carry(e, type, v, +1);
}

void engine_drop_value(struct engine *e, uint32_t type, struct value *v)
{
	e->bytes -= value_cost(v);
	quota_drop_bytes(&e->accounts, v->account, value_cost(v));
	if (type_may_refer(type))
		reference_carry(e, type, v, -1);
	value_unref(v);
}
