/*
 * threads.c - a round played by threads through libchan, several of them on one connection.
 *
 * In the history a thread is a session: it does one thing after another. What it asks is
 * entered before the call, what it is told after it, under one lock; so the order of the history
 * is as certain as with one observer. Values are confirmed by hand, because a confirmation has to be
 * entered before it is written.
 */
#include "chan/chan.h"
#include "tests/stress/play.h"
#include <err.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 10, CLIENTS = 4, CHANNELS = 3, STEPS = 150, CASES = 3 };

static struct shared {
	pthread_mutex_t lock; /* guards all of this but what threads have for their own */
	struct history history;
	uint32_t ops, values;
	char problem[256];
	struct thread {
		uint32_t session;
		struct dice dice;
		struct chan_client *client;
		struct chan *ends[CHANNELS + 1]; /* from 1, as in the history */
	} threads[THREADS];
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint32_t choose(struct thread *t, uint32_t below)
{
	return dice_choose(&t->dice, below);
}

static void enter(struct thread *t, struct event e)
{
	e.session = t->session;
	pthread_mutex_lock(&shared.lock);
	history_add(&shared.history, e);
	pthread_mutex_unlock(&shared.lock);
}

static uint32_t next(uint32_t *counter)
{
	return __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

static bool going_on(void)
{
	bool on;

	pthread_mutex_lock(&shared.lock);
	on = shared.problem[0] == '\0';
	pthread_mutex_unlock(&shared.lock);
	return on;
}

/* Enters an operation's failure; any but the usual is a problem. */
static void enter_failure(struct thread *t, struct event e, int status)
{
	e.kind = EVENT_FAILED;
	e.number = -status;
	switch (status) {
	case CHAN_ECLOSED:
	case CHAN_EWOULDBLOCK:
	case CHAN_ETIMEDOUT:
	case CHAN_ECANCELED:
		return enter(t, e);
	}
	pthread_mutex_lock(&shared.lock);
	if (!shared.problem[0])
		snprintf(shared.problem, sizeof(shared.problem), "%s", chan_error_text());
	pthread_mutex_unlock(&shared.lock);
}

static int64_t choose_timeout_ns(struct thread *t)
{
	return choose(t, 3) == 0 ? CHAN_TRY : (1 + choose(t, 20000)) * INT64_C(1000);
}

/* A value has come: it is kept or given back. */
static void settle(struct thread *t, uint32_t op, uint32_t channel, struct chan_value *v)
{
	struct event e = {.kind = EVENT_GOT,
		.op = op,
		.channel = channel,
		.value = v->i,
		.number = v->attempt};
	bool keep = choose(t, 5) > 0;
	int rc;

	enter(t, e);
	enter(t, (struct event){.kind = keep ? EVENT_TAKEN : EVENT_RETURNED, .value = e.value});
	rc = (keep ? chan_confirm : chan_return)(t->ends[channel], v, 1);
	if (rc < 0)
		enter_failure(t, (struct event){.value = e.value}, rc);
	else if (keep)
		enter(t, (struct event){.kind = EVENT_SETTLED, .value = e.value});
}

static void do_send(struct thread *t)
{
	struct event e = {.kind = EVENT_SEND,
		.op = next(&shared.ops),
		.channel = 1 + choose(t, CHANNELS),
		.value = next(&shared.values)};
	struct chan_value v = chan_value_int(e.value);
	int rc;

	enter(t, e);
	rc = chan_send_timeout(t->ends[e.channel], &v, choose_timeout_ns(t));
	if (rc < 0)
		enter_failure(t, (struct event){.op = e.op}, rc);
	else
		enter(t, (struct event){.kind = EVENT_SENT, .op = e.op, .value = e.value});
}

static void receive(struct thread *t, uint32_t channel, int64_t timeout_ns)
{
	struct event e = {.kind = EVENT_RECV, .op = next(&shared.ops), .channel = channel, .number = 1};
	struct chan_value v;
	int rc;

	enter(t, e);
	rc = chan_recv_timeout(t->ends[channel], &v, timeout_ns);
	if (rc > 0)
		settle(t, e.op, channel, &v);
	else
		enter_failure(t, (struct event){.op = e.op}, rc ? rc : CHAN_ECLOSED);
}

static void do_recv(struct thread *t)
{
	receive(t, 1 + choose(t, CHANNELS), choose_timeout_ns(t));
}

/* A receive that is withdrawn at once, and may be faster. */
static void do_cancel(struct thread *t)
{
	struct event e = {.kind = EVENT_RECV,
		.op = next(&shared.ops),
		.channel = 1 + choose(t, CHANNELS),
		.number = 1};
	struct chan_completion done;
	struct chan_op *op;

	enter(t, e);
	if (chan_start_recv(t->ends[e.channel], CHAN_FOREVER, NULL, &op) < 0)
		return enter_failure(t, e, CHAN_ENOMEM);
	chan_op_cancel(op);
	chan_op_wait(op, &done);
	if (done.status < 0 || done.closed)
		enter_failure(t, (struct event){.op = e.op}, done.closed ? CHAN_ECLOSED : done.status);
	else
		settle(t, e.op, e.channel, &done.value);
}

static void enter_choice(struct thread *t, uint32_t op, const uint32_t *channels,
	struct chan_case *one, int index)
{
	uint32_t value = one->direction == CHAN_SEND ? one->value.i : 0;

	if (one->result != 1)
		enter_failure(t,
			(struct event){.op = op, .channel = channels[index], .value = value},
			CHAN_ECLOSED);
	else if (value)
		enter(t, (struct event){.kind = EVENT_SENT, .op = op, .value = value});
	else
		settle(t, op, channels[index], &one->value);
}

static void do_select(struct thread *t)
{
	struct chan_case cases[CASES] = {0};
	uint32_t channels[CASES], op = next(&shared.ops);
	int index;

	enter(t, (struct event){.kind = EVENT_SELECT, .op = op});
	for (int i = 0; i < CASES; i++) {
		struct event e = {.kind = EVENT_RECV, .op = op, .number = 1};

		e.channel = channels[i] = 1 + choose(t, CHANNELS);
		cases[i].chan = t->ends[channels[i]];
		cases[i].direction = choose(t, 2) ? CHAN_SEND : CHAN_RECV;
		if (cases[i].direction == CHAN_SEND) {
			e.kind = EVENT_SEND;
			e.number = 0;
			e.value = next(&shared.values);
			cases[i].value = chan_value_int(e.value);
		}
		enter(t, e);
	}
	index = chan_select(t->client, cases, CASES, choose_timeout_ns(t));
	for (int i = 0; i < CASES && index == CHAN_ECLOSED; i++)
		if (cases[i].result == CHAN_ECLOSED)
			index = i;
	if (index < 0)
		enter_failure(t, (struct event){.op = op}, index);
	else
		enter_choice(t, op, channels, &cases[index], index);
}

static void close_channel(struct thread *t, uint32_t channel)
{
	struct event e = {.kind = EVENT_CLOSE, .op = next(&shared.ops), .channel = channel};
	int rc;

	enter(t, e);
	rc = chan_close(t->ends[channel], NULL);
	if (rc < 0)
		enter_failure(t, (struct event){.op = e.op}, rc);
	else
		enter(t, (struct event){.kind = EVENT_CLOSED, .op = e.op});
}

static void do_close(struct thread *t)
{
	if (choose(t, 40) == 0)
		close_channel(t, 1 + choose(t, CHANNELS));
}

static void (*const actions[])(struct thread *) = {
	do_send, do_send, do_send, do_recv, do_recv, do_recv, do_select, do_select, do_cancel, do_close,
};

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	for (int step = 0; step < STEPS && going_on(); step++)
		actions[choose(t, sizeof(actions) / sizeof(actions[0]))](t);
	return NULL;
}

/* ---- */

static void must(int rc)
{
	if (rc < 0)
		errx(1, "%s", chan_error_text());
}

static void channel_name(char name[64], uint64_t seed, uint32_t channel)
{
	snprintf(name, 64, "threads-%d-%llx-%u", (int)getpid(), (unsigned long long)seed, channel);
}

static void thread_init(struct thread *t, int index, struct chan_client *client, uint64_t seed)
{
	static const int64_t capacities[CHANNELS + 1] = {0, 0, 1, 3};
	struct chan_make_options options = {.end = {.manual = true}};
	char name[64];

	*t = (struct thread){.session = index + 1, .dice = {seed * 1000 + index}, .client = client};
	for (uint32_t c = 1; c <= CHANNELS; c++) {
		channel_name(name, seed, c);
		must(chan_make(client, name, CHAN_TYPE_INT, capacities[c], &options, &t->ends[c]));
		if (index == 0)
			enter(t, (struct event){
					 .kind = EVENT_CHANNEL, .channel = c, .number = capacities[c]});
	}
}

static void drain(struct thread *t)
{
	for (uint32_t c = 1; c <= CHANNELS && going_on(); c++) {
		bool closed = false;

		close_channel(t, c);
		while (!closed && going_on()) {
			const struct event *last;

			receive(t, c, CHAN_FOREVER);
			last = &shared.history.events[shared.history.count - 1];
			closed = last->kind == EVENT_FAILED;
		}
	}
	enter(t, (struct event){.kind = EVENT_END});
}

static void dial(struct chan_client *clients[CLIENTS], const char *const urls[2])
{
	struct chan_dial_options rings = {.ring_after = 1};

	for (int i = 0; i < CLIENTS; i++)
		must(chan_dial(urls[i % 2], i % 4 < 2 ? &rings : NULL, &clients[i]));
}

static void run_threads(void)
{
	pthread_t running[THREADS];

	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&running[i], NULL, thread_main, &shared.threads[i]) != 0)
			errx(1, "no thread");
	for (int i = 0; i < THREADS; i++)
		pthread_join(running[i], NULL);
}

static void remove_channels(struct chan_client *client, uint64_t seed)
{
	char name[64];

	for (uint32_t c = 1; c <= CHANNELS; c++) {
		channel_name(name, seed, c);
		must(chan_remove(client, name));
	}
}

bool threads_play(const char *const urls[2], uint64_t seed, size_t *events)
{
	struct chan_client *clients[CLIENTS];
	bool good;

	shared.ops = shared.values = 0;
	shared.problem[0] = '\0';
	dial(clients, urls);
	for (int i = 0; i < THREADS; i++)
		thread_init(&shared.threads[i], i, clients[i % CLIENTS], seed);
	run_threads();
	drain(&shared.threads[0]);
	good = round_judge(&shared.history, shared.problem, seed);
	*events += shared.history.count;
	for (int i = 0; i < THREADS; i++)
		for (uint32_t c = 1; c <= CHANNELS; c++)
			chan_release(shared.threads[i].ends[c]);
	remove_channels(clients[0], seed);
	for (int i = 0; i < CLIENTS; i++)
		chan_hangup(clients[i]);
	history_fini(&shared.history);
	return good;
}
