#include "tests/soak/player.h"
#include "chan/chan.h"
#include "tests/support/dice.h"
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { CASES_MAX = 4, BATCH_MAX = 6, HELD_MAX = 4 };

/* Leases last longer than any fault that is not entered as a doubt. */
#define LEASE_NS INT64_C(20000000000)
#define MS INT64_C(1000000)

/* One in so many steps. Closing is rare: a new channel is empty. */
enum { CLOSE_STEPS = 400, LEAVE_STEPS = 1500 };

struct end {
	uint32_t channel;
	struct chan *chan; /* NULL: not open */
};

/* A value that waits for its confirmation. */
struct held {
	int place;
	struct chan_value value;
};

struct player {
	struct stage *stage;
	struct dice dice;
	uint32_t session;
	struct chan_client *client;
	struct end ends[PLACES];
	struct held held[HELD_MAX];
	int held_count;
};

static uint32_t choose(struct player *p, uint32_t below)
{
	return dice_choose(&p->dice, below);
}

static void enter(struct player *p, struct event e)
{
	e.session = p->session;
	journal_enter(p->stage->journal, e);
}

static uint32_t next(struct player *p, enum journal_counter counter)
{
	return journal_next(p->stage->journal, counter, 1);
}

static void rest_us(uint32_t us)
{
	nanosleep(&(struct timespec){.tv_nsec = us * 1000L}, NULL);
}

/* ---- failures ---- */

/* The session is lost, and what it holds with it. */
static bool is_end_of_session(int status)
{
	return status == CHAN_EUNKNOWN || status == CHAN_EUNREACHABLE ||
	       status == CHAN_ERESTARTED || status == CHAN_ESHUTDOWN;
}

_Noreturn static void unexpected(struct player *p, const char *what)
{
	stage_problem(p->stage, "session %u: %s: %s", p->session, what, chan_error_text());
	_exit(0);
}

/* Enters that an operation failed (e has its number, and of a select's closed case more), and ends
 * the process with the session. */
static void enter_failure(struct player *p, struct event e, int status)
{
	e.kind = EVENT_FAILED;
	e.number = -status;
	switch (status) {
	case CHAN_ETIMEDOUT:
	case CHAN_ECANCELED:
		stage_count(p->stage, TALLY_WITHDRAWN);
		/* fall through */
	case CHAN_ECLOSED:
	case CHAN_EABORTED:
	case CHAN_EWOULDBLOCK:
	case CHAN_EGONE:
		enter(p, e);
		return;
	}
	if (!is_end_of_session(status))
		unexpected(p, "an operation failed");
	enter(p, (struct event){.kind = EVENT_UNKNOWN, .op = e.op});
	stage_count(p->stage, TALLY_UNKNOWN);
}

/* A channel is closed: it is used a little longer, and then replaced. */
static void found_closed(struct player *p, int place)
{
	if (choose(p, 12) == 0)
		stage_renew(p->stage, place, p->ends[place].channel);
}

/* What a failure means beside itself. Who sends to, or closes, a channel that counts its producers
 * may be told that it is closed for him alone. */
static void consequences(struct player *p, int place, int status, bool receives)
{
	if (is_end_of_session(status))
		_exit(0);
	if (status == CHAN_EABORTED ||
		(status == CHAN_ECLOSED && (receives || !places[place].counted)))
		found_closed(p, place);
}

/* The same, of an operation on one place. */
static void op_failed(struct player *p, uint32_t op, int place, int status, bool receives)
{
	enter_failure(p, (struct event){.op = op}, status);
	consequences(p, place, status, receives);
}

/* ---- settling ---- */

/* The broker's word on the confirmation (or return) of a value. */
static void enter_settled(struct player *p, uint32_t value, bool keep, int status)
{
	struct event e = {.kind = EVENT_SETTLED, .value = value};

	if (status == CHAN_EGONE) {
		e.kind = EVENT_GONE;
		stage_count(p->stage, TALLY_TAKEN_BACK);
	} else if (is_end_of_session(status)) {
		e.kind = EVENT_UNKNOWN;
	} else if (status < 0) {
		unexpected(p, "a value could not be settled");
	}
	if (keep)
		enter(p, e);
}

static int keep_values(struct player *p, int place, struct chan_value *values, size_t n)
{
	return (places[place].leased ? chan_ack : chan_confirm)(p->ends[place].chan, values, n);
}

static int give_back(struct player *p, struct held *held)
{
	struct chan *end = p->ends[held->place].chan;

	if (!places[held->place].leased)
		return chan_return(end, &held->value, 1);
	return chan_nack(end, &held->value, 1, choose(p, 2) ? 0 : choose(p, 20) * MS);
}

static void settle(struct player *p, int index, bool keep)
{
	struct held held = p->held[index];
	uint32_t value = held.value.i;
	int status;

	p->held[index] = p->held[--p->held_count];
	enter(p, (struct event){.kind = keep ? EVENT_TAKEN : EVENT_RETURNED, .value = value});
	status = keep ? keep_values(p, held.place, &held.value, 1) : give_back(p, &held);
	enter_settled(p, value, keep, status);
	if (is_end_of_session(status))
		_exit(0);
}

/* All that it holds of a place, by one confirmation. */
static void settle_place(struct player *p, int place)
{
	struct chan_value values[HELD_MAX];
	uint32_t numbers[HELD_MAX];
	int count = 0, status;

	for (int i = p->held_count; i-- > 0;) {
		if (p->held[i].place != place)
			continue;
		numbers[count] = p->held[i].value.i;
		values[count++] = p->held[i].value;
		enter(p, (struct event){.kind = EVENT_TAKEN, .value = p->held[i].value.i});
		p->held[i] = p->held[--p->held_count];
	}
	if (count == 0)
		return;
	status = keep_values(p, place, values, count);
	for (int i = 0; i < count; i++) {
		/* Of several that were not all there it is not said which. */
		if (status == CHAN_EGONE && count > 1)
			enter(p, (struct event){.kind = EVENT_UNKNOWN, .value = numbers[i]});
		else
			enter_settled(p, numbers[i], true, status);
	}
	if (is_end_of_session(status))
		_exit(0);
}

/* Where one of several may be gone and the others not, each is settled by itself. */
static void settle_leased(struct player *p, int place)
{
	for (int i = p->held_count; i-- > 0;)
		if (p->held[i].place == place)
			settle(p, i, true);
}

static void settle_all(struct player *p, int place)
{
	(places[place].leased ? settle_leased : settle_place)(p, place);
}

/* A value that comes to who still has it, and has let its lease run out. */
static void forget_lapsed(struct player *p, uint32_t value)
{
	for (int i = p->held_count; i-- > 0;) {
		if (p->held[i].value.i != value)
			continue;
		p->held[i] = p->held[--p->held_count];
		enter(p, (struct event){.kind = EVENT_GONE, .value = value});
	}
}

/* A value has come. */
static void received(struct player *p, uint32_t op, int place, const struct chan_value *v)
{
	forget_lapsed(p, v->i);
	enter(p, (struct event){.kind = EVENT_GOT,
			 .op = op,
			 .channel = p->ends[place].channel,
			 .value = v->i,
			 .number = v->attempt});
	stage_count(p->stage, TALLY_RECEIVED);
	if (v->attempt > 1)
		stage_count(p->stage, TALLY_REDELIVERED);
	if (places[place].automatic)
		return;
	p->held[p->held_count++] = (struct held){.place = place, .value = *v};
	if (p->held_count == HELD_MAX || choose(p, 4) > 0)
		settle(p, p->held_count - 1, choose(p, 6) > 0);
}

/* ---- ends ---- */

static void end_release(struct player *p, int place)
{
	if (p->ends[place].chan)
		settle_all(p, place);
	chan_release(p->ends[place].chan);
	p->ends[place] = (struct end){0};
}

/* The end of the present channel of a place; makes it where nobody has yet. */
static struct chan *end_at(struct player *p, int place)
{
	struct end *e = &p->ends[place];
	uint32_t channel = atomic_load(&p->stage->channels[place]);
	struct chan_make_options options = {
		.end = {.manual = !places[place].automatic && !places[place].leased,
			.credit = places[place].credit,
			.lease_ns = places[place].leased ? LEASE_NS : 0},
		.producers = places[place].counted ? CHAN_PRODUCERS_AUTO : 0};
	char name[CHANNEL_NAME_MAX];
	int status;

	if (e->channel == channel)
		return e->chan;
	end_release(p, place);
	stage_channel_name(p->stage, channel, name);
	status = chan_make(
		p->client, name, CHAN_TYPE_INT, places[place].capacity, &options, &e->chan);
	if (is_end_of_session(status))
		_exit(0);
	if (status < 0)
		unexpected(p, "a channel could not be opened");
	e->channel = channel;
	return e->chan;
}

/* ---- what it does ---- */

/* Who holds something back, or waits at the same channel as everybody, does not wait for ever. */
static int64_t choose_timeout_ns(struct player *p)
{
	uint32_t way = choose(p, 16);

	if (way == 0 && p->held_count == 0)
		return CHAN_FOREVER;
	if (way < 5)
		return CHAN_TRY;
	return (1 + choose(p, way < 8 ? 100000 : 4000)) * INT64_C(1000);
}

static uint32_t offer(struct player *p, uint32_t op, uint32_t channel)
{
	uint32_t value = next(p, NEXT_VALUE);

	enter(p, (struct event){.kind = EVENT_SEND, .op = op, .channel = channel, .value = value});
	return value;
}

static void sent(struct player *p, uint32_t op, uint32_t value)
{
	enter(p, (struct event){.kind = EVENT_SENT, .op = op, .value = value});
	stage_count(p->stage, TALLY_SENT);
}

static void do_send(struct player *p)
{
	int place = choose(p, PLACES);
	int count = choose(p, 4) == 0 ? 1 + choose(p, BATCH_MAX) : 1;
	struct chan *end = end_at(p, place);
	uint32_t ops[BATCH_MAX];
	struct chan_value values[BATCH_MAX];
	size_t done = 0;
	int status;

	for (int i = 0; i < count; i++) {
		ops[i] = next(p, NEXT_OP);
		values[i] = chan_value_int(offer(p, ops[i], p->ends[place].channel));
	}
	status = chan_sendv(end, values, count, choose_timeout_ns(p), &done);
	for (int i = 0; i < count; i++) {
		if ((size_t)i < done)
			sent(p, ops[i], values[i].i);
		else
			enter_failure(p, (struct event){.op = ops[i]}, status);
	}
	if (status < 0)
		consequences(p, place, status, false);
}

static uint32_t ask_for_value(struct player *p, int place)
{
	struct event e = {.kind = EVENT_RECV,
		.op = next(p, NEXT_OP),
		.channel = p->ends[place].channel,
		.number = 1};

	enter(p, e);
	return e.op;
}

static void do_recv(struct player *p)
{
	int place = choose(p, PLACES), status;
	struct chan *end = end_at(p, place);
	uint32_t op = ask_for_value(p, place);
	struct chan_value v;

	status = chan_recv_timeout(end, &v, choose_timeout_ns(p));
	if (status > 0)
		received(p, op, place, &v);
	else
		op_failed(p, op, place, status ? status : CHAN_ECLOSED, true);
}

/* An operation that is withdrawn at once, or soon, and may be faster. */
static void do_cancel(struct player *p)
{
	int place = choose(p, PLACES), status;
	struct chan *end = end_at(p, place);
	bool sends = choose(p, 2);
	uint32_t op = sends ? next(p, NEXT_OP) : ask_for_value(p, place);
	struct chan_value v;
	struct chan_completion done;
	struct chan_op *started;

	if (sends) {
		v = chan_value_int(offer(p, op, p->ends[place].channel));
		status = chan_start_send(end, &v, 1, CHAN_FOREVER, NULL, &started);
	} else {
		status = chan_start_recv(end, CHAN_FOREVER, NULL, &started);
	}
	if (status < 0)
		return op_failed(p, op, place, status, !sends);
	if (choose(p, 2))
		rest_us(choose(p, 2000));
	chan_op_cancel(started);
	chan_op_wait(started, &done);
	if (done.status < 0 || done.closed)
		op_failed(p, op, place, done.closed ? CHAN_ECLOSED : done.status, !sends);
	else if (sends)
		sent(p, op, v.i);
	else
		received(p, op, place, &done.value);
}

/* A place where selects may stand. */
static int choose_select_place(struct player *p)
{
	int place = choose(p, PLACES);

	while (places[place].credit > 1 || places[place].counted)
		place = choose(p, PLACES);
	return place;
}

static void select_happened(struct player *p, uint32_t op, int place, struct chan_case *c)
{
	uint32_t value = c->direction == CHAN_SEND ? c->value.i : 0;

	if (c->result == 1 && value)
		return sent(p, op, value);
	if (c->result == 1)
		return received(p, op, place, &c->value);
	enter_failure(p,
		(struct event){.op = op, .channel = p->ends[place].channel, .value = value},
		CHAN_ECLOSED);
	found_closed(p, place);
}

static void do_select(struct player *p)
{
	struct chan_case cases[CASES_MAX] = {0};
	int where[CASES_MAX], count = 1 + choose(p, CASES_MAX), index;
	uint32_t op = next(p, NEXT_OP);

	/* Ends first: opening one may end the process. */
	for (int i = 0; i < count; i++) {
		where[i] = choose_select_place(p);
		end_at(p, where[i]);
	}
	enter(p, (struct event){.kind = EVENT_SELECT, .op = op});
	for (int i = 0; i < count; i++) {
		uint32_t channel = p->ends[where[i]].channel;

		cases[i].chan = p->ends[where[i]].chan;
		cases[i].direction = choose(p, 2) ? CHAN_SEND : CHAN_RECV;
		if (cases[i].direction == CHAN_SEND)
			cases[i].value = chan_value_int(offer(p, op, channel));
		else
			enter(p, (struct event){.kind = EVENT_RECV,
					 .op = op,
					 .channel = channel,
					 .number = 1});
	}
	stage_count(p->stage, TALLY_SELECTS);
	index = chan_select(p->client, cases, count, choose_timeout_ns(p));
	for (int i = 0; i < count && index == CHAN_ECLOSED; i++)
		if (cases[i].result == CHAN_ECLOSED)
			index = i;
	if (index >= 0)
		return select_happened(p, op, where[index], &cases[index]);
	enter_failure(p, (struct event){.op = op}, index);
	if (is_end_of_session(index))
		_exit(0);
}

static void do_settle(struct player *p)
{
	if (p->held_count > 0)
		settle_all(p, p->held[choose(p, p->held_count)].place);
}

/* Wants a lease to last longer, or lets it run out: some time later the value is acknowledged, and
 * may be somebody else's by then. */
static void do_extend(struct player *p)
{
	struct held *held = p->held_count > 0 ? &p->held[choose(p, p->held_count)] : NULL;
	bool lapses = choose(p, 2);
	int status;

	if (!held || !places[held->place].leased)
		return;
	if (lapses)
		enter(p, (struct event){.kind = EVENT_LEASED, .value = held->value.i, .number = 1});
	status = chan_extend(p->ends[held->place].chan, &held->value, 1,
		lapses ? (1 + choose(p, 10)) * MS : LEASE_NS);
	if (is_end_of_session(status))
		_exit(0);
	if (status < 0 && status != CHAN_EGONE)
		unexpected(p, "a lease could not be extended");
}

static void do_close(struct player *p)
{
	int place = choose(p, PLACES), status;
	struct chan *end;
	uint32_t op;

	if (choose(p, CLOSE_STEPS / 10) > 0)
		return;
	end = end_at(p, place);
	op = next(p, NEXT_OP);
	enter(p, (struct event){.kind = EVENT_CLOSE, .op = op, .channel = p->ends[place].channel});
	status = chan_close(end, NULL);
	if (status < 0)
		return op_failed(p, op, place, status, false);
	enter(p, (struct event){.kind = EVENT_CLOSED, .op = op});
	stage_count(p->stage, TALLY_CLOSES);
}

static void do_rest(struct player *p)
{
	rest_us(choose(p, 5000));
}

static void (*const actions[])(struct player *) = {
	do_send,
	do_send,
	do_send,
	do_recv,
	do_recv,
	do_recv,
	do_select,
	do_select,
	do_cancel,
	do_settle,
	do_extend,
	do_close,
	do_rest,
};

/* ---- */

static void dial(struct player *p, const struct player_options *o)
{
	struct chan_dial_options options = {.program = "player", .linger_ns = o->linger_ns};

	while (chan_dial(o->url, &options, &p->client) < 0) {
		if (atomic_load(&p->stage->stopping))
			_exit(0);
		rest_us(20000);
	}
}

/* Ends in order: what it has fetched and not seen goes back. Half of the time it leaves what it
 * holds to the broker. */
static void leave(struct player *p)
{
	if (choose(p, 2))
		for (int i = 0; i < PLACES; i++)
			end_release(p, i);
	enter(p, (struct event){.kind = EVENT_LOST});
	chan_hangup(p->client);
}

void player_run(struct stage *s, const struct player_options *o)
{
	struct player p = {.stage = s, .session = o->session, .dice = {o->seed}};

	dial(&p, o);
	while (!atomic_load(&s->stopping) && choose(&p, LEAVE_STEPS) > 0)
		actions[choose(&p, sizeof(actions) / sizeof(actions[0]))](&p);
	leave(&p);
	_exit(0);
}
