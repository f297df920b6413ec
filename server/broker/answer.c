#include "server/broker/answer.h"
#include "chan/status.h"
#include "proto/limits.h"
#include "server/broker/broken.h"
#include "server/broker/producers.h"
#include "server/broker/state.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistr.h>

void text_mend(char *text)
{
	const uint8_t *bad;

	while ((bad = u8_check((uint8_t *)text, strlen(text))))
		text[bad - (uint8_t *)text] = '?';
}

static void answer(struct party *p, const struct message *m)
{
	p->engine->options.answer(p, m, NULL, NULL, 0);
}

void answer_done(struct party *p, uint64_t seq, uint32_t count, uint32_t case_index)
{
	struct message m;

	m.kind = MESSAGE_DONE;
	m.seq = seq;
	m.done.count = count;
	m.done.case_index = case_index;
	answer(p, &m);
}

void answer_opened(
	struct party *p, uint64_t seq, const struct channel *ch, uint8_t direction, bool created)
{
	answer(p, &(struct message){
			  .kind = MESSAGE_OPENED,
			  .seq = seq,
			  .opened = {.channel = ch->id,
				  .name = ch->name,
				  .type = ch->type,
				  .capacity = ch->capacity,
				  .direction = direction,
				  .created = created,
				  .epoch = CHANNEL_EPOCH},
		  });
}

void answer_gone(struct party *p, const struct wire_range *ranges, size_t count)
{
	answer(p, &(struct message){
			  .kind = MESSAGE_GONE,
			  .settle = {.deliveries = {ranges, count}},
		  });
}

void gather_gone(
	struct party *p, struct wire_range *ranges, size_t *count, uint64_t first, uint64_t n)
{
	struct wire_range *last = *count > 0 ? &ranges[*count - 1] : NULL;

	if (last && last->first + last->count == first) {
		last->count += n;
		return;
	}
	if (*count == GONE_RANGES_MAX) {
		answer_gone(p, ranges, *count);
		*count = 0;
	}
	ranges[(*count)++] = (struct wire_range){first, n};
}

static void fail(struct asked a, int status, const char *text, const struct closing *closing)
{
	struct message m = {
		.kind = MESSAGE_FAIL,
		.seq = a.seq,
		.fail = {.count = a.count ? a.count : 1,
			.status = status,
			.message = text,
			.case_index = a.case_index,
			.closed_by = closing ? closing->by : "",
			.closed_unix_ns = closing ? closing->unix_ns : 0,
			.reason = closing ? closing->reason : "",
			.redirect_url = ""},
	};

	if (a.party && a.seq) /* without a number, no answer is wanted (TAKEN, RETURN) */
		answer(a.party, &m);
}

int answer_fail(struct asked a, int status, const char *format, ...)
{
	char text[TEXT_BYTES_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	text_mend(text);
	fail(a, status, text, NULL);
	return status;
}

int answer_closed(struct asked a, const char *verb, const struct channel *ch)
{
	char label[CHANNEL_LABEL_MAX], text[TEXT_BYTES_MAX];
	const struct closing *c = ch->closing;
	int status = c ? channel_closed_status(ch) : CHAN_ECLOSED;

	if (!c)
		return answer_fail(a, status,
			"%s %s: this session has closed it for itself; %u of its producers go on",
			verb, channel_label(ch, label), producers_open(ch));
	snprintf(text, sizeof(text), "%s %s: the channel was %s by %s%s%.512s", verb,
		channel_label(ch, label), c->aborted ? "aborted" : "closed", c->by,
		c->reason[0] ? ", reason: " : "", c->reason);
	text_mend(text);
	if (BROKEN(abort_as_close))
		status = CHAN_ECLOSED;
	fail(a, status, text, c);
	return status;
}

static const char *operation_verb(const struct operation *op, uint8_t direction)
{
	if (op->kind == OP_OPEN)
		return "open";
	if (op->kind == OP_SELECT)
		return direction == CHAN_SEND ? "select, send to" : "select, receive from";
	return direction == CHAN_SEND ? "send to" : "receive from";
}

static const char *would_block(const struct operation *op)
{
	if (op->kind == OP_SELECT)
		return "no case is ready";
	if (op->kind == OP_RECV)
		return "no value is there now; wait with a deadline, or try again later";
	return op->waiters[0].channel->capacity
		       ? "there is no room; wait with a deadline, or try again later"
		       : "no receiver waits now; wait with a deadline, or try again later";
}

static const char *failure(const struct operation *op, int status)
{
	switch (status) {
	case CHAN_EWOULDBLOCK:
		return would_block(op);
	case CHAN_ETIMEDOUT:
		return "the deadline passed; nothing has happened";
	case CHAN_ECANCELED:
		return "it was withdrawn; nothing has happened";
	case CHAN_EREMOVED:
		return "the channel was removed while the operation waited";
	case CHAN_EABORTED:
		return "the last session that held the other side has ended";
	case CHAN_ESHUTDOWN:
		return "the broker is shutting down; try again once it is back";
	case CHAN_EPERM:
		return "the rules of the broker's configuration were replaced, and do not allow it";
	case CHAN_ELIMIT:
		return "a limit of the session is reached (ends of channels, leases), or the value "
		       "hands over a channel that has all its producers";
	default:
		return "the broker is out of memory; try again later";
	}
}

/* Whether the status is about one case of a select, and not about all of it. */
static bool of_one_case(int status)
{
	return status == CHAN_ECLOSED || status == CHAN_EREMOVED || status == CHAN_EABORTED ||
	       status == CHAN_ELIMIT || status == CHAN_ENOMEM;
}

void answer_operation_failed(struct operation *op, struct asked a, int status)
{
	const struct waiter *w = &op->waiters[a.case_index];
	char label[CHANNEL_LABEL_MAX];

	if (!a.party)
		return;
	if (op->kind == OP_SELECT && !of_one_case(status))
		answer_fail(
			a, status, "select of %u cases: %s", op->waiter_count, failure(op, status));
	else if (op->kind == OP_OPEN)
		answer_fail(a, status, "open '%s': %s", awaited_name(op), failure(op, status));
	else if (status == CHAN_ECLOSED && w->channel->closing && w->channel->closing->aborted)
		/* Its value was out when its session closed, and came back when all was aborted. */
		answer_fail(a, status,
			"%s %s: this session had closed it for itself before it was aborted",
			operation_verb(op, w->direction), channel_label(w->channel, label));
	else if (status == CHAN_ECLOSED || (status == CHAN_EABORTED && w->channel->closing))
		answer_closed(a, operation_verb(op, w->direction), w->channel);
	else
		answer_fail(a, status, "%s %s: %s", operation_verb(op, w->direction),
			channel_label(w->channel, label), failure(op, status));
}
