/*
 * look.c - looking around: stat, list, ps, ping.
 *
 * The answers are decoded by the thread that asked, outside the lock, from a copy of their frame.
 */
#include "client/client.h"
#include "proto/limits.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An answer, decoded; freed by reply_fini. */
struct reply {
	struct buf frame;
	struct wire_scratch *scratch;
	struct message m;
};

static void reply_fini(struct reply *r)
{
	buf_fini(&r->frame);
	wire_scratch_free(r->scratch);
}

static int reply_decode(struct reply *r, enum message_kind kind, const char *asked)
{
	struct frame f;
	int rc;

	r->scratch = wire_scratch_new();
	if (!r->scratch)
		return error_say(CHAN_ENOMEM, "%s: out of memory", asked);
	if (frame_parse(buf_data(&r->frame), buf_len(&r->frame), &f) <= 0)
		return error_say(CHAN_EPROTOCOL, "%s: the answer cannot be read", asked);
	rc = wire_decode(&f, r->scratch, &r->m);
	if (rc == 0 && r->m.kind != kind)
		rc = CHAN_EPROTOCOL;
	return rc < 0 ? error_say(rc, "%s: the answer cannot be read", asked) : 0;
}

/* Asks, and decodes the answer of that kind. *r is to be reply_fini'd in every case. */
static int ask(struct chan_client *c, enum op_kind kind, const struct message *m, struct reply *r)
{
	const char *word = "";
	struct chan_op *op;
	int rc;

	memset(r, 0, sizeof(*r));
	client_lock(c);
	op = op_new(c, kind, NULL, CHAN_FOREVER);
	if (op) {
		word = op_word(op);
		op->m = *m;
		client_submit(op);
		client_wait_op(c, op);
		r->frame = op->reply;
		op->reply = (struct buf){0};
		rc = client_run(c, op, NULL);
	} else {
		rc = CHAN_ENOMEM;
	}
	client_unlock(c);
	if (rc < 0)
		return rc;
	return reply_decode(r, kind == OP_PS ? MESSAGE_WAITERS : MESSAGE_STATS, word);
}

/* What is too long is cut between characters, so that it stays UTF-8. */
static void copy_text(char *to, size_t size, const char *from)
{
	size_t n = strnlen(from, size);

	if (n == size)
		for (n--; n > 0 && (from[n] & 0xc0) == 0x80; n--)
			;
	memcpy(to, from, n);
	to[n] = '\0';
}

/* One that is not known is passed over: a later broker may have more. */
static void copy_attribute(struct chan_stat *to, const struct wire_attribute *a)
{
	char value[NAME_BYTES_MAX + 1];

	snprintf(value, sizeof(value), "%.*s", (int)a->value.len, (const char *)a->value.bytes);
	if (strcmp(a->name, "producers") == 0)
		to->producers = strcmp(value, "auto") == 0 ? CHAN_PRODUCERS_AUTO
							   : (int)strtol(value, NULL, 10);
	else if (strcmp(a->name, "attempts_max") == 0)
		to->attempts_max = (uint32_t)strtoul(value, NULL, 10);
	else if (strcmp(a->name, "dead_letter") == 0)
		copy_text(to->dead_letter, sizeof(to->dead_letter), value);
	else if (strcmp(a->name, "permits") == 0)
		to->permits = (uint32_t)strtoul(value, NULL, 10);
}

static void copy_stat(struct chan_stat *to, const struct wire_channel_stat *from)
{
	size_t i;

	memset(to, 0, sizeof(*to));
	copy_text(to->name, sizeof(to->name), from->name);
	to->id = from->channel;
	to->type = (enum chan_type)from->type;
	to->capacity = from->capacity;
	to->length = from->length;
	to->closed = from->closed;
	to->temporary = from->temporary;
	to->senders_waiting = from->senders_waiting;
	to->receivers_waiting = from->receivers_waiting;
	to->in_flight = from->in_flight;
	to->sent = from->sent;
	to->received = from->received;
	to->redelivered = from->redelivered;
	to->bytes_buffered = from->bytes_buffered;
	to->ends_open = from->ends_open;
	to->made_unix_ns = from->made_unix_ns;
	to->closed_unix_ns = from->closed_unix_ns;
	copy_text(to->closed_by, sizeof(to->closed_by), from->closed_by);
	copy_text(to->reason, sizeof(to->reason), from->reason);
	to->leased = from->leased;
	to->delayed = from->delayed;
	to->aborted = from->aborted;
	to->producers_open = from->producers;
	to->dead_lettered = from->dead_lettered;
	to->dead_letter_failures = from->dead_letter_failures;
	copy_text(to->dead_letter_problem, sizeof(to->dead_letter_problem),
		from->dead_letter_problem);
	for (i = 0; i < from->attribute_count; i++)
		copy_attribute(to, &from->attributes[i]);
}

/* By name, or by id where name is "". */
static int stat_of(struct chan_client *c, const char *name, uint64_t id, struct chan_stat *ret_stat)
{
	struct message m = {.kind = MESSAGE_STAT};
	struct reply r;
	int rc;

	m.channel_ref.name = name;
	m.channel_ref.channel = id;
	rc = ask(c, OP_STAT, &m, &r);
	if (rc == 0 && r.m.stats.count != 1)
		rc = error_say(CHAN_EPROTOCOL, "stat: the answer cannot be read");
	if (rc == 0)
		copy_stat(ret_stat, &r.m.stats.channels[0]);
	reply_fini(&r);
	return rc;
}

int chan_stat(struct chan_client *c, const char *name, struct chan_stat *ret_stat)
{
	if (!name || !*name)
		return error_say(CHAN_EINVAL, "stat: no name");
	return stat_of(c, name, 0, ret_stat);
}

int64_t chan_len(struct chan *ch)
{
	struct chan_stat stat;
	int rc = stat_of(ch->client, "", ch->id, &stat);

	return rc < 0 ? rc : (int64_t)stat.length;
}

int chan_list(struct chan_client *c, const char *prefix,
	int (*each)(const struct chan_stat *stat, void *arg), void *arg)
{
	struct message m = {.kind = MESSAGE_LIST};
	char after[NAME_BYTES_MAX + 1] = "";
	struct chan_stat stat;
	struct reply r;
	bool more = true;
	size_t i;
	int rc = 0;

	m.list.prefix = prefix ? prefix : "";
	m.list.after = after;
	while (rc == 0 && more) {
		rc = ask(c, OP_LIST, &m, &r);
		more = rc == 0 && r.m.stats.more && strcmp(r.m.stats.after, after) > 0;
		if (more)
			copy_text(after, sizeof(after), r.m.stats.after);
		for (i = 0; rc == 0 && i < r.m.stats.count; i++) {
			copy_stat(&stat, &r.m.stats.channels[i]);
			rc = each(&stat, arg);
		}
		reply_fini(&r);
	}
	return rc;
}

static void fill_waiter(struct chan_waiter *to, const struct wire_waiter *from)
{
	*to = (struct chan_waiter){
		.id = from->id,
		.host = from->speaker.host,
		.program = from->speaker.program,
		.group = from->speaker.group,
		.pid = from->speaker.pid,
		.participant = from->participant,
		.operation = from->operation,
		.channels = from->channels,
		.channel_count = from->channel_count,
		.waiting_ns = (int64_t)from->waiting_ns,
		.remaining_ns = from->remaining_ns ? (int64_t)from->remaining_ns : CHAN_FOREVER,
	};
}

int chan_ps(
	struct chan_client *c, int (*each)(const struct chan_waiter *waiter, void *arg), void *arg)
{
	struct message m = {.kind = MESSAGE_PS};
	struct chan_waiter waiter;
	struct reply r;
	bool more = true;
	size_t i;
	int rc = 0;

	while (rc == 0 && more) {
		rc = ask(c, OP_PS, &m, &r);
		more = rc == 0 && r.m.waiters.more && r.m.waiters.after > m.ps.after;
		m.ps.after = rc == 0 ? r.m.waiters.after : 0;
		for (i = 0; rc == 0 && i < r.m.waiters.count; i++) {
			fill_waiter(&waiter, &r.m.waiters.waiters[i]);
			rc = each(&waiter, arg);
		}
		reply_fini(&r);
	}
	return rc;
}

int chan_ping(struct chan_client *c, int64_t *ret_rtt_ns)
{
	struct chan_op *op;
	int64_t asked_ns = clock_now_ns();
	int rc = CHAN_ENOMEM;

	client_lock(c);
	op = op_new(c, OP_PING, NULL, CHAN_FOREVER);
	if (op) {
		client_submit(op);
		rc = client_run(c, op, NULL);
	}
	client_unlock(c);
	if (rc == 0 && ret_rtt_ns)
		*ret_rtt_ns = clock_now_ns() - asked_ns;
	return rc;
}
