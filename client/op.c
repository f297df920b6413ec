/*
 * op.c - an operation's life outside the session.
 */
#include "client/op.h"
#include "client/client.h"
#include "client/lease.h"
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* Operations that wait to be used again: as many as a program that has many small ones in flight
 * takes the outcomes of in one go. 350 KiB a client at most. */
#define IDLE_OPS_MAX 1024u

/* Memory of a payload that waits with them: that of one, as most leave when they are started,
 * before the next is made. */
#define SPARE_PAYLOAD_BYTES_MAX (64u * 1024u)

struct word {
	struct word *next;
	char text[];
};

static const char *const words[] = {
#define OP_KIND_WORD(name, word) [OP_##name] = (word),
	OP_KIND_LIST(OP_KIND_WORD)
#undef OP_KIND_WORD
};

/* A number for the calling thread, so that ps and dumps tell the waiting threads of a program
 * apart. */
static uint32_t participant(void)
{
	static uint32_t last;
	static _Thread_local uint32_t mine;

	if (mine == 0)
		mine = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
	return mine;
}

/* One that was used before, or a new one. */
static struct chan_op *take_idle(struct chan_client *c)
{
	struct chan_op *op = c->idle_ops;

	if (!op)
		return calloc(1, sizeof(*op));
	LL_DELETE(c->idle_ops, op);
	c->idle_op_count--;
	*op = (struct chan_op){0};
	return op;
}

static void make_idle(struct chan_op *op)
{
	struct chan_client *c = op->client;

	buf_consume(&op->payload, buf_len(&op->payload));
	op_shed_payload(op);
	buf_fini(&op->payload);
	if (c->idle_op_count == IDLE_OPS_MAX) {
		free(op);
		return;
	}
	LL_PREPEND(c->idle_ops, op);
	c->idle_op_count++;
}

void op_take_payload(struct chan_op *op)
{
	op->payload = op->client->spare_payload;
	op->client->spare_payload = (struct buf){0};
}

void op_shed_payload(struct chan_op *op)
{
	struct buf *spare = &op->client->spare_payload;

	if (buf_len(&op->payload) > 0 || op->payload.size > SPARE_PAYLOAD_BYTES_MAX || spare->bytes)
		return;
	*spare = op->payload;
	op->payload = (struct buf){0};
}

void op_free_idle(struct chan_client *c)
{
	struct chan_op *op, *next;

	LL_FOREACH_SAFE (c->idle_ops, op, next)
		free(op);
	buf_fini(&c->spare_payload);
}

struct chan_op *op_new(
	struct chan_client *c, enum op_kind kind, struct chan *ch, int64_t timeout_ns)
{
	struct chan_op *op = take_idle(c);

	if (!op) {
		error_say(CHAN_ENOMEM, "%s: out of memory", words[kind]);
		return NULL;
	}
	op->kind = kind;
	op->client = c;
	op->chan = ch ? end_ref(ch) : NULL;
	op->refs = 1;
	op->try = timeout_ns == CHAN_TRY;
	op->deadline_ns = op->try ? DEADLINE_NONE : clock_deadline_ns(timeout_ns);
	op->participant = participant();
	op->count = 1;
	op->failed_index = UINT32_MAX;
	op->case_index = UINT32_MAX;
	return op;
}

struct chan_op *op_ref(struct chan_op *op)
{
	op->refs++;
	return op;
}

void op_unref(struct chan_op *op)
{
	struct word *word, *next;
	uint32_t i;

	if (--op->refs > 0)
		return;
	if (op->delivery) {
		session_return(&op->client->session, op->delivery->id);
		delivery_free(op->delivery);
	}
	for (i = 0; i < op->case_count; i++)
		end_unref(op->cases[i].chan);
	LL_FOREACH_SAFE (op->words, word, next)
		free(word);
	end_unref(op->chan);
	failure_fini(&op->failure);
	buf_fini(&op->reply);
	free(op->ranges);
	free(op->cases);
	free(op->wire_cases);
	make_idle(op);
}

bool op_is_internal(const struct chan_op *op)
{
	return op->kind >= OP_STREAM;
}

const char *op_kind_word(enum op_kind kind)
{
	return words[kind];
}

const char *op_word(const struct chan_op *op)
{
	return words[op->kind];
}

const char *op_whom(const struct chan_op *op)
{
	if (op->kind == OP_MAKE)
		return op->m.make.name;
	if (op->kind == OP_OPEN)
		return op->m.open.name;
	if (op->kind == OP_REMOVE || op->kind == OP_STAT)
		return op->m.channel_ref.name;
	return op->chan ? op->chan->name : "";
}

void *op_keep_bytes(struct chan_op *op, size_t n)
{
	struct word *word = malloc(sizeof(*word) + n);

	if (!word)
		return NULL;
	LL_PREPEND(op->words, word);
	return word->text;
}

const char *op_keep(struct chan_op *op, const char *string)
{
	size_t size = strlen(string ? string : "") + 1;
	char *kept = op_keep_bytes(op, size);

	return kept ? memcpy(kept, string ? string : "", size) : NULL;
}

struct chan *op_ordered_end(const struct chan_op *op, uint32_t i)
{
	if (op->kind == OP_SELECT)
		return op->cases[i].direction == CHAN_SEND ? op->cases[i].chan : NULL;
	return op->kind == OP_SEND || op->kind == OP_CLOSE || op->kind == OP_ABORT ? op->chan
										   : NULL;
}

uint32_t op_ordered_ends(const struct chan_op *op)
{
	return op->kind == OP_SELECT ? op->case_count : 1;
}

/* ---- the end ------------------------------------------------------------------------------ */

/* A deadline that the broker kept for an operation that waits here has passed. */
static void timer_rang(struct chan_op *timer)
{
	struct chan_op *op = timer->timed;

	if (!op)
		return;
	timer->timed = NULL;
	op->timer = NULL;
	if (timer->failure.status != CHAN_ETIMEDOUT && timer->failure.status != CHAN_EWOULDBLOCK)
		return; /* the session's end, which ends op as well */
	session_withdraw(&op->client->session, op, timer->failure.status);
}

/* The broker counts the end twice now: for the value that brought it, and for the OPEN. */
static void resolved(struct chan_op *op)
{
	struct chan *ch = op->chan;

	if (op_failed(op)) {
		ch->state = END_DEAD;
		ch->dead_status = op->failure.status;
	} else {
		end_give_up(ch, 1);
	}
	client_wake_any(op->client);
}

static void finish_internal(struct chan_op *op)
{
	if (op->kind == OP_STREAM)
		end_stream_ended(op->chan, op);
	else if (op->kind == OP_RESOLVE)
		resolved(op);
	else if (op->kind == OP_TIMER)
		timer_rang(op);
	op_unref(op);
}

void op_finish(struct chan_op *op)
{
	struct chan_client *c = op->client;
	struct chan_op *timer = op->timer;

	op->state = OP_DONE;
	if (op->kind == OP_EXTEND)
		lease_extended(&c->session, op);
	if (timer) {
		op->timer = NULL;
		timer->timed = NULL;
		session_cancel(&c->session, timer);
	}
	if (op_is_internal(op)) {
		finish_internal(op);
		return;
	}
	if (op->async)
		client_add_completion(c, op);
	else
		DL_APPEND(c->done, op);
	if (op->waiter)
		client_wake(c, op->waiter);
	else if (op->async)
		client_wake_any(c);
}

void op_fail(struct chan_op *op, int status, const char *text)
{
	failure_set(&op->failure, status, text);
	op_finish(op);
}
