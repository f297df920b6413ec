#include "tests/torture/conversation.h"

#include <chan/chan.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS INT64_C(1000000)
#define PATIENCE_NS (20000 * MS) /* for what must come; only a daemon that has lost it lets it pass */
#define LARGE_BYTES 200000       /* travels in pieces */

/* The two sides, and their ends. */
struct sides {
	struct talk *t;
	struct chan_client *producer, *consumer;
	struct chan *out, *in; /* of the channel whose values are accounted for */
	struct chan *quiet;    /* the consumer's, of another */
};

__attribute__((format(printf, 2, 3))) static int wrong(struct talk *t, const char *format, ...)
{
	va_list args;
	int n = t->wrong[0] ? 0
			    : snprintf(t->wrong, sizeof(t->wrong), "%s: ", t->step ? t->step : "");

	va_start(args, format);
	if (n > 0)
		vsnprintf(t->wrong + n, sizeof(t->wrong) - (size_t)n, format, args);
	va_end(args);
	return CHAN_EINVAL;
}

/* A failure that a lack of memory or a broken connection explains is passed on; another is wrong. */
static int excuse(struct sides *s, int status)
{
	struct talk *t = s->t;

	switch (status) {
	case CHAN_ENOMEM:
	case CHAN_ELIMIT:
	case CHAN_EUNKNOWN:
	case CHAN_EUNREACHABLE:
		snprintf(t->excuse, sizeof(t->excuse), "%s", chan_error_text());
		return status;
	default:
		return wrong(t, "%s (%s)", chan_error_text(), chan_error_name(status));
	}
}

/* What must be: rc is a call's result and wanted what it is without faults. */
static int must(struct sides *s, int rc, int wanted)
{
	if (rc == wanted)
		return 0;
	return rc < 0 ? excuse(s, rc) : wrong(s->t, "result %d instead of %d", rc, wanted);
}

static const char *channel_name(const struct talk *t, const char *which, char name[64])
{
	snprintf(name, 64, "talk-%d-%s", t->number, which);
	return name;
}

static void value_text(const struct talk *t, int i, char text[64])
{
	snprintf(text, 64, "%d.%d", t->number, i);
}

/* Which of the values it is, or -1. */
static int value_index(const struct talk *t, const struct chan_value *v)
{
	char text[64];

	for (int i = 0; i < TALK_VALUES; i++) {
		value_text(t, i, text);
		if (v->len == strlen(text) && memcmp(v->bytes, text, v->len) == 0)
			return i;
	}
	return -1;
}

/* ---- the steps ---------------------------------------------------------------------------- */

static int greet(struct sides *s)
{
	struct chan_dial_options options = {
		.linger_ns = s->t->resumable ? 0 : -1, .ring_after = s->t->resumable ? 1 : 0};
	int rc = must(s, chan_dial(s->t->url, &options, &s->producer), 0);

	if (rc == 0)
		rc = must(s, chan_dial(s->t->url, &options, &s->consumer), 0);
	s->t->greeted = rc == 0;
	return rc;
}

static int open_ends(struct sides *s)
{
	struct chan_make_options send_only = {.direction = CHAN_SEND};
	struct chan_open_options by_hand = {.end.manual = true};
	char name[64];
	int rc;

	channel_name(s->t, "main", name);
	rc = must(s, chan_make(s->producer, name, CHAN_TYPE_STRING, 8, &send_only, &s->out), 0);
	if (rc == 0)
		rc = must(s, chan_open(s->consumer, name, CHAN_RECV, &by_hand, &s->in), 0);
	channel_name(s->t, "quiet", name);
	if (rc == 0)
		rc = must(s, chan_make(s->consumer, name, CHAN_TYPE_INT, 0, NULL, &s->quiet), 0);
	return rc;
}

/* What a failed send says of the value. */
static enum fate fate_of(int status)
{
	return status == CHAN_EUNKNOWN ? FATE_UNKNOWN : FATE_REFUSED;
}

static int send_one_by_one(struct sides *s)
{
	char text[64];
	int rc = 0;

	for (int i = 0; i < 4 && rc == 0; i++) {
		value_text(s->t, i, text);
		rc = must(s, chan_send_string(s->out, text), 0);
		s->t->fate[i] = rc < 0 ? fate_of(rc) : FATE_SENT;
	}
	return rc;
}

/* Of several, those behind the first failure may have been accepted for want of memory. */
static int send_together(struct sides *s)
{
	struct chan_value values[4];
	char texts[4][64];
	size_t sent;
	int rc;

	for (int i = 0; i < 4; i++) {
		value_text(s->t, 4 + i, texts[i]);
		values[i] = chan_value_string(texts[i], strlen(texts[i]));
	}
	rc = must(s, chan_sendv(s->out, values, 4, PATIENCE_NS, &sent), 0);
	for (size_t i = 0; i < 4; i++)
		s->t->fate[4 + i] = i < sent ? FATE_SENT : FATE_UNKNOWN;
	return rc;
}

static int count_channel(const struct chan_stat *stat, void *arg)
{
	(void)stat;
	++*(int *)arg;
	return 0;
}

static int count_waiter(const struct chan_waiter *waiter, void *arg)
{
	(void)waiter;
	++*(int *)arg;
	return 0;
}

static int look_around(struct sides *s)
{
	struct chan_stat stat;
	int channels = 0, waiters = 0, rc;
	char name[64];

	rc = must(s, chan_stat(s->producer, channel_name(s->t, "main", name), &stat), 0);
	if (rc == 0 && stat.length != 8)
		return wrong(s->t, "%d values of 8", (int)stat.length);
	if (rc == 0)
		rc = must(s, chan_list(s->consumer, "talk-", count_channel, &channels), 0);
	if (rc == 0 && channels < 2)
		return wrong(s->t, "%d channels of 2", channels);
	if (rc == 0)
		rc = must(s, chan_ps(s->consumer, count_waiter, &waiters), 0);
	return rc < 0 ? rc : must(s, chan_ping(s->producer, NULL), 0);
}

/* Confirms a value; without an answer it is not known whether that was heard. */
static int confirm(struct sides *s, struct chan_value *v)
{
	int i = value_index(s->t, v), rc;

	if (i < 0)
		return wrong(s->t, "a value that nobody sent");
	rc = must(s, chan_confirm(s->in, v, 1), 0);
	if (rc < 0)
		s->t->unclear[i]++;
	else
		s->t->confirmed[i]++;
	return rc;
}

static int receive(struct sides *s, struct chan_value *v)
{
	return must(s, chan_recv_timeout(s->in, v, PATIENCE_NS), 1);
}

static int receive_by_hand(struct sides *s)
{
	struct chan_value v = chan_value_signal();
	int rc = 0, again;

	for (int i = 0; i < 2 && rc == 0; i++) {
		rc = receive(s, &v);
		if (rc == 0)
			rc = confirm(s, &v);
		chan_value_clear(&v);
	}
	if (rc < 0 || (rc = receive(s, &v)) < 0)
		return rc;
	again = value_index(s->t, &v);
	rc = must(s, chan_return(s->in, &v, 1), 0);
	chan_value_clear(&v);
	if (rc < 0 || (rc = receive(s, &v)) < 0)
		return rc;
	if (value_index(s->t, &v) != again || v.attempt < 2)
		rc = wrong(s->t, "what was returned did not come again, marked");
	else
		rc = confirm(s, &v);
	chan_value_clear(&v);
	return rc;
}

static int pass_large(struct sides *s)
{
	static uint8_t bytes[LARGE_BYTES];
	struct chan *out = NULL, *in = NULL;
	void *got = NULL;
	size_t len = 0;
	char name[64];
	int rc;

	memset(bytes, s->t->number, sizeof(bytes));
	channel_name(s->t, "large", name);
	rc = must(s, chan_make(s->producer, name, CHAN_TYPE_BYTES, 1, NULL, &out), 0);
	if (rc == 0)
		rc = must(s, chan_open(s->consumer, name, CHAN_RECV, NULL, &in), 0);
	if (rc == 0)
		rc = must(s, chan_send_bytes(out, bytes, sizeof(bytes)), 0);
	if (rc == 0)
		rc = must(s, chan_recv_bytes(in, &got, &len), 1);
	if (rc == 0 && (len != sizeof(bytes) || memcmp(got, bytes, len) != 0))
		rc = wrong(s->t, "the large value is another");
	free(got);
	chan_release(out);
	chan_release(in);
	return rc;
}

/* Receives what the producer's send brings, unless that has failed: then what it failed with. */
static int meet(struct sides *s, struct chan_completion *sent)
{
	struct chan_value v = chan_value_signal();
	int rc;

	do {
		rc = chan_recv_timeout(s->quiet, &v, 50 * MS);
		if (rc == CHAN_ETIMEDOUT &&
			chan_wait_completion(s->producer, sent, CHAN_TRY) == 1)
			return must(s, sent->status, 0);
	} while (rc == CHAN_ETIMEDOUT);
	rc = must(s, rc, 1);
	return rc == 0 && v.i != 7 ? wrong(s->t, "received %d", (int)v.i) : rc;
}

static int rendezvous(struct sides *s)
{
	struct chan_value seven = chan_value_int(7);
	struct chan_completion sent = {.status = 1};
	struct chan *out = NULL;
	struct chan_op *op;
	char name[64];
	int rc;

	channel_name(s->t, "quiet", name);
	rc = must(s, chan_open(s->producer, name, CHAN_SEND, NULL, &out), 0);
	if (rc == 0)
		rc = must(s, chan_start_send(out, &seven, 1, CHAN_FOREVER, NULL, &op), 0);
	if (rc < 0)
		goto out;
	chan_events(s->producer); /* sends off what was started */
	rc = meet(s, &sent);
	if (rc == 0) /* a receiver whose connection broke has not been heard to confirm */
		rc = must(s, chan_ping(s->consumer, NULL), 0);
	if (sent.status == 1) {
		if (rc < 0)
			chan_op_cancel(op);
		chan_op_wait(op, &sent);
	}
	if (rc == 0)
		rc = must(s, sent.status, 0);
out:
	chan_release(out);
	return rc;
}

static int select_one(struct sides *s)
{
	struct chan_case cases[2];
	char text[64];
	int rc;

	value_text(s->t, 8, text);
	cases[0] = (struct chan_case){.chan = s->out,
		.direction = CHAN_SEND,
		.value = chan_value_string(text, strlen(text))};
	cases[1] = (struct chan_case){.direction = CHAN_RECV};
	rc = must(s, chan_select(s->producer, cases, 2, PATIENCE_NS), 0);
	s->t->fate[8] = rc < 0 ? fate_of(rc) : FATE_SENT;
	return rc;
}

static int give_up_waiting(struct sides *s)
{
	struct chan_completion done = {0};
	struct chan_value v;
	struct chan_op *op;
	int rc;

	rc = must(s, chan_recv_timeout(s->quiet, &v, MS), CHAN_ETIMEDOUT);
	if (rc == 0)
		rc = must(s, chan_try_recv(s->quiet, &v), CHAN_EWOULDBLOCK);
	if (rc == 0)
		rc = must(s, chan_start_recv(s->quiet, CHAN_FOREVER, NULL, &op), 0);
	if (rc < 0)
		return rc;
	chan_op_cancel(op);
	chan_op_wait(op, &done);
	return must(s, done.status, CHAN_ECANCELED);
}

/* A question that carries the channel for its answer. */
static int ask_and_reply(struct sides *s)
{
	struct chan *questions = NULL, *heard = NULL, *reply = NULL, *answers = NULL;
	int64_t n = 0;
	char name[64];
	int rc;

	channel_name(s->t, "questions", name);
	rc = must(s, chan_make(s->producer, name, CHAN_TYPE_CHAN, 1, NULL, &questions), 0);
	if (rc == 0)
		rc = must(s, chan_open(s->consumer, name, CHAN_RECV, NULL, &heard), 0);
	if (rc == 0)
		rc = must(s, chan_make(s->producer, NULL, CHAN_TYPE_INT, 1, NULL, &reply), 0);
	if (rc == 0)
		rc = must(s, chan_send_chan(questions, reply), 0);
	if (rc == 0)
		rc = must(s, chan_recv_chan(heard, &answers), 1);
	if (rc == 0)
		rc = must(s, chan_send_int(answers, 42), 0);
	if (rc == 0)
		rc = must(s, chan_recv_int(reply, &n), 1);
	if (rc == 0 && n != 42)
		rc = wrong(s->t, "answered %d", (int)n);
	chan_release(questions);
	chan_release(heard);
	chan_release(reply);
	chan_release(answers);
	return rc;
}

/* Taken under a lease, given back, taken again and finished with. */
static int lease(struct sides *s)
{
	struct chan_open_options leased = {.end.lease_ns = PATIENCE_NS};
	struct chan *out = NULL, *in = NULL;
	struct chan_value v = chan_value_signal();
	uint64_t token = 0;
	char name[64];
	int rc;

	channel_name(s->t, "leased", name);
	rc = must(s, chan_make(s->producer, name, CHAN_TYPE_INT, 1, NULL, &out), 0);
	if (rc == 0)
		rc = must(s, chan_open(s->consumer, name, CHAN_RECV, &leased, &in), 0);
	if (rc == 0)
		rc = must(s, chan_send_int(out, 5), 0);
	if (rc == 0)
		rc = must(s, chan_recv(in, &v), 1);
	token = v.token;
	if (rc == 0)
		rc = must(s, chan_extend(in, &v, 1, PATIENCE_NS), 0);
	if (rc == 0)
		rc = must(s, chan_nack(in, &v, 1, 0), 0);
	chan_value_clear(&v);
	if (rc == 0)
		rc = must(s, chan_recv(in, &v), 1);
	if (rc == 0 && (v.i != 5 || v.attempt != 2 || v.token <= token))
		rc = wrong(s->t, "what was given back came again as another");
	if (rc == 0)
		rc = must(s, chan_ack(in, &v, 1), 0);
	chan_value_clear(&v);
	chan_release(out);
	chan_release(in);
	return rc;
}

static int end_stream(struct sides *s)
{
	int64_t n;
	int rc = must(s, chan_close(s->quiet, "enough"), 0);

	if (rc == 0)
		rc = must(s, chan_recv_int(s->quiet, &n), 0);
	return rc < 0 ? rc : must(s, chan_send_int(s->quiet, 1), CHAN_ECLOSED);
}

static const struct {
	const char *name;
	int (*take)(struct sides *s);
} steps[] = {
	{"dialling", greet},
	{"making and opening", open_ends},
	{"sending one by one", send_one_by_one},
	{"sending several", send_together},
	{"looking around", look_around},
	{"receiving by hand", receive_by_hand},
	{"passing a large value", pass_large},
	{"a rendezvous", rendezvous},
	{"selecting", select_one},
	{"giving up waiting", give_up_waiting},
	{"asking with a channel for the reply", ask_and_reply},
	{"leasing", lease},
	{"closing", end_stream},
};

void talk_hold(struct talk *t)
{
	struct sides s = {.t = t};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && t->status == 0; i++) {
		t->step = steps[i].name;
		t->status = steps[i].take(&s);
	}
	chan_hangup(s.producer);
	chan_hangup(s.consumer);
}

/* ---- the account -------------------------------------------------------------------------- */

static const char *const fate_names[] = {"never sent", "refused", "of unknown fate", "sent"};

/* Takes what is left in the channel; what was out has to come back first. */
static void find_left(struct sides *s)
{
	struct chan_value v;
	struct chan_stat stat;
	char name[64];
	int i;

	channel_name(s->t, "main", name);
	do {
		if (must(s, chan_stat(s->producer, name, &stat), 0) < 0)
			return;
	} while (stat.in_flight > 0);
	while (chan_try_recv(s->in, &v) == 1) {
		i = value_index(s->t, &v);
		if (i < 0)
			wrong(s->t, "a value is left that nobody sent");
		else
			s->t->left[i]++;
		chan_value_clear(&v);
	}
}

static void check_value(struct talk *t, int i)
{
	int sure = t->confirmed[i] + t->left[i];

	if (sure + t->unclear[i] > 1 && !(sure == 1 && t->unclear[i] == 1))
		wrong(t, "value %d came %d times", i, sure + t->unclear[i]);
	else if (t->confirmed[i] && t->left[i])
		wrong(t, "value %d was confirmed and is still there", i);
	else if (t->fate[i] == FATE_SENT && sure + t->unclear[i] == 0)
		wrong(t, "value %d was sent and is gone", i);
	else if (t->fate[i] <= FATE_REFUSED && sure + t->unclear[i] > 0)
		wrong(t, "value %d was %s, and yet it came", i, fate_names[t->fate[i]]);
}

void talk_account(struct talk *t)
{
	static const char *const channels[] = {"main", "quiet", "large", "questions", "leased"};
	struct sides s = {.t = t};
	char name[64];
	int rc;

	t->step = "the account";
	if (must(&s, chan_dial(t->url, NULL, &s.producer), 0) < 0) {
		wrong(t, "nobody answers: %s", chan_error_text());
		return;
	}
	rc = chan_open(s.producer, channel_name(t, "main", name), CHAN_RECV, NULL, &s.in);
	if (rc == 0)
		find_left(&s);
	else if (rc != CHAN_ENOCHANNEL)
		wrong(t, "%s", chan_error_text());
	for (int i = 0; i < TALK_VALUES; i++)
		check_value(t, i);
	for (size_t i = 0; i < sizeof(channels) / sizeof(channels[0]); i++) {
		rc = chan_remove(s.producer, channel_name(t, channels[i], name));
		if (rc < 0 && rc != CHAN_ENOCHANNEL)
			wrong(t, "%s", chan_error_text());
	}
	chan_hangup(s.producer);
}
