/*
 * test_fairness.c - among 64 equal clients of a saturated channel none comes off worse than others,
 * whether they reach the daemon by sockets, by rings, or some by these and some by those. Values are
 * counted, never time.
 *
 * What is the daemon's to see to is exact: as long as all 64 wait, each is served as often as any other.
 * So that is compared in rounds, each of which begins when all wait. Without rounds it depends on who
 * comes back to wait in time: where clients were slower than the channel, some got twice what others did
 * on two processors, and all the same on one (so it is thought to be where the kernel lets them run; it
 * was not traced). There nobody may starve.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "chan/chan.h"
#include "tests/support/daemon.h"

enum { EQUALS = 64, BATCH_MAX = 32 };

/* In each every equal is served once: a batch of a producer, a value of a consumer. */
enum { ROUNDS = 32 };

/* Without rounds, of each equal: enough that it does not count how they begin, nor for how long the
 * kernel lets some of them stand still on a loaded machine. */
enum { VALUES_OF_EACH = 512 };

/* Who gets less than so much of what the best gets starves. */
enum { STARVING_PART = 8 };

static struct test_daemon d;

/* How the equals reach the daemon. */
enum ways {
	BY_SOCKETS,
	BY_RINGS,
	BY_BOTH, /* every second one by rings */
};

struct fairness {
	enum ways ways;
	int64_t capacity;
	uint32_t credit; /* of a consumer */
	size_t batch;    /* values that a producer sends at a time */
};

/* One of those that are compared: a thread with a connection of its own. */
struct party {
	const struct fairness *fairness;
	pthread_barrier_t *start;
	pthread_t thread;
	struct chan *ch;
	int64_t number; /* what a producer sends */
	int64_t values; /* what a consumer received, or was received of a producer */
	int status;     /* why it ended; CHAN_ECLOSED for a producer, 0 for a consumer */
};

static bool is_over_rings(const struct fairness *f, int64_t number)
{
	return f->ways == BY_RINGS || (f->ways == BY_BOTH && number % 2);
}

/* Calls until both directions have gone over: one after the offer has come answers it, and the next is
 * answered by the ring. */
static void go_over(struct chan_client *client, int rings)
{
	for (int i = 0; process_rings(getpid()) == rings; i++) {
		assert_true(i < 100);
		assert_int_equal(chan_ping(client, NULL), 0);
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(chan_ping(client, NULL), 0);
}

/* Who goes over does so before it counts: those that have are served faster than those that are about
 * to, so clients are no equals meanwhile. */
static struct chan_client *dial(bool over_rings)
{
	const struct chan_dial_options options = {.ring_after = over_rings ? 1 : -1};
	int rings = process_rings(getpid());
	struct chan_client *client;

	if (chan_dial(d.url, &options, &client) < 0)
		fail_msg("%s", chan_error_text());
	if (over_rings)
		go_over(client, rings);
	return client;
}

static void open_party(struct party *p, enum chan_direction direction, uint32_t credit)
{
	struct chan_open_options options = {.end = {.credit = credit}};
	struct chan_client *client = dial(is_over_rings(p->fairness, p->number));

	if (chan_open(client, "fair", direction, &options, &p->ch) < 0)
		fail_msg("%s", chan_error_text());
}

static void *produce(void *arg)
{
	struct chan_value values[BATCH_MAX];
	struct party *p = arg;

	for (size_t i = 0; i < p->fairness->batch; i++)
		values[i] = chan_value_int(p->number);
	pthread_barrier_wait(p->start);
	while (p->status == 0)
		p->status = chan_sendv(p->ch, values, p->fairness->batch, CHAN_FOREVER, NULL);
	return NULL;
}

static void *consume(void *arg)
{
	struct party *p = arg;
	int64_t number;

	pthread_barrier_wait(p->start);
	while ((p->status = chan_recv_int(p->ch, &number)) > 0)
		p->values++;
	return NULL;
}

static void start_parties(struct party *parties, int n, const struct fairness *f,
	pthread_barrier_t *start, void *(*run)(void *))
{
	bool sends = run == produce;

	for (int i = 0; i < n; i++) {
		parties[i] = (struct party){.fairness = f, .start = start, .number = i};
		open_party(&parties[i], sends ? CHAN_SEND : CHAN_RECV, sends ? 0 : f->credit);
		assert_int_equal(pthread_create(&parties[i].thread, NULL, run, &parties[i]), 0);
	}
}

static void end_parties(struct party *parties, int n, int status)
{
	for (int i = 0; i < n; i++) {
		pthread_join(parties[i].thread, NULL);
		assert_int_equal(parties[i].status, status);
		chan_hangup(chan_client_of(parties[i].ch));
	}
}

struct extremes {
	int64_t least, most;
};

static struct extremes extremes_of(const struct party *parties)
{
	struct extremes e = {INT64_MAX, 0};

	for (int i = 0; i < EQUALS; i++) {
		if (parties[i].values < e.least)
			e.least = parties[i].values;
		if (parties[i].values > e.most)
			e.most = parties[i].values;
	}
	print_message("%lld to %lld values\n", (long long)e.least, (long long)e.most);
	return e;
}

static struct chan *make_channel(const struct fairness *f)
{
	struct chan_make_options options = {
		.temporary = true, .end = {.credit = f->capacity ? 64 : 0}};
	struct chan_client *client = dial(f->ways != BY_SOCKETS);
	struct chan *ch = NULL;

	if (chan_make(client, "fair", CHAN_TYPE_INT, f->capacity, &options, &ch) < 0)
		fail_msg("%s", chan_error_text());
	return ch;
}

/* Waits until each of them waits in the broker: before, who is served is the kernel's choice, as it
 * starts their threads. */
static void await_equals(struct chan *ch, bool send)
{
	struct chan_stat stat = {.senders_waiting = 0};

	while ((send ? stat.senders_waiting : stat.receivers_waiting) < EQUALS)
		assert_int_equal(chan_stat(chan_client_of(ch), "fair", &stat), 0);
}

/* ---- producers ------------------------------------------------------------------------------ */

/* Receives so many, and counts whose they are, or not. */
static void receive(struct chan *ch, int64_t n, struct party *producers)
{
	int64_t number;

	for (int64_t i = 0; i < n; i++) {
		assert_int_equal(chan_recv_int(ch, &number), 1);
		if (producers)
			producers[number].values++;
	}
}

static void receive_in_rounds(struct chan *ch, const struct fairness *f, struct party *producers)
{
	const int64_t values = EQUALS * (int64_t)f->batch;
	const int64_t before = (f->capacity + values - 1) / values;

	for (int64_t i = -before; i < ROUNDS; i++) {
		await_equals(ch, true);
		receive(ch, values, i < 0 ? NULL : producers);
	}
}

/* 64 producers, all of which always have something to send, and one who receives: in rounds, or all the
 * time. What had room before all waited is not counted. */
static struct extremes compare_producers(const struct fairness *f, bool rounds)
{
	struct chan *ch = make_channel(f);
	struct party producers[EQUALS];
	pthread_barrier_t start;

	pthread_barrier_init(&start, NULL, EQUALS + 1);
	start_parties(producers, EQUALS, f, &start, produce);
	pthread_barrier_wait(&start);
	await_equals(ch, true);
	if (rounds) {
		receive_in_rounds(ch, f, producers);
	} else {
		receive(ch, f->capacity, NULL);
		receive(ch, EQUALS * VALUES_OF_EACH, producers);
	}
	assert_int_equal(chan_close(ch, NULL), 0);
	end_parties(producers, EQUALS, CHAN_ECLOSED);
	pthread_barrier_destroy(&start);
	chan_hangup(chan_client_of(ch));
	return extremes_of(producers);
}

/* Of a round's values the first are of batches that were let in before, and its last batches leave with
 * the next: a batch at either end. */
static void expect_equal_producers(struct fairness f)
{
	struct extremes e;

	for (f.ways = BY_SOCKETS; f.ways <= BY_BOTH; f.ways++) {
		e = compare_producers(&f, true);
		assert_true(e.most - e.least <= 2 * (int64_t)f.batch);
	}
}

/* ---- consumers ------------------------------------------------------------------------------ */

/* Sends so many, a multiple of the batch. */
static void send_all(struct chan *ch, int64_t n, size_t batch)
{
	struct chan_value values[BATCH_MAX];

	for (size_t i = 0; i < batch; i++)
		values[i] = chan_value_int(0);
	for (int64_t sent = 0; sent < n; sent += (int64_t)batch)
		assert_int_equal(chan_sendv(ch, values, batch, CHAN_FOREVER, NULL), 0);
}

/* 64 consumers, all of which always want something, and one who sends: in rounds, or all the time. */
static struct extremes compare_consumers(const struct fairness *f, bool rounds)
{
	struct chan *ch = make_channel(f);
	struct party consumers[EQUALS];
	pthread_barrier_t start;

	pthread_barrier_init(&start, NULL, EQUALS + 1);
	start_parties(consumers, EQUALS, f, &start, consume);
	pthread_barrier_wait(&start);
	await_equals(ch, false);
	for (int i = 0; rounds && i < ROUNDS; i++) {
		await_equals(ch, false);
		send_all(ch, EQUALS, f->batch);
	}
	if (!rounds)
		send_all(ch, EQUALS * VALUES_OF_EACH, f->batch);
	assert_int_equal(chan_close(ch, NULL), 0);
	end_parties(consumers, EQUALS, 0);
	pthread_barrier_destroy(&start);
	chan_hangup(chan_client_of(ch));
	return extremes_of(consumers);
}

static void expect_equal_consumers(struct fairness f)
{
	struct extremes e;

	for (f.ways = BY_SOCKETS; f.ways <= BY_BOTH; f.ways++) {
		e = compare_consumers(&f, true);
		assert_int_equal(e.least, e.most);
	}
}

/* ---- the tests ------------------------------------------------------------------------------ */

static void test_producers_of_a_buffered_channel(void **state)
{
	(void)state;
	expect_equal_producers((struct fairness){.capacity = 16, .batch = 1});
	expect_equal_producers((struct fairness){.capacity = 4096, .batch = 16});
	expect_equal_producers((struct fairness){.capacity = 64, .batch = BATCH_MAX});
}

static void test_producers_of_an_unbuffered_channel(void **state)
{
	(void)state;
	expect_equal_producers((struct fairness){.capacity = 0, .batch = 1});
}

static void test_consumers_of_a_buffered_channel(void **state)
{
	(void)state;
	expect_equal_consumers((struct fairness){.capacity = 64, .batch = BATCH_MAX});
	expect_equal_consumers((struct fairness){.capacity = 64, .batch = BATCH_MAX, .credit = 4});
	expect_equal_consumers(
		(struct fairness){.capacity = 1024, .batch = BATCH_MAX, .credit = 16});
}

static void test_consumers_of_an_unbuffered_channel(void **state)
{
	(void)state;
	expect_equal_consumers((struct fairness){.capacity = 0, .batch = 1});
}

static void test_nobody_starves(void **state)
{
	const struct fairness producers = {.capacity = 16, .batch = 1};
	const struct fairness consumers = {.capacity = 64, .batch = BATCH_MAX, .credit = 4};
	struct extremes e;

	(void)state;
	for (enum ways ways = BY_SOCKETS; ways <= BY_BOTH; ways++) {
		struct fairness f = producers;

		f.ways = ways;
		e = compare_producers(&f, false);
		assert_true(e.least * STARVING_PART >= e.most);
		f = consumers;
		f.ways = ways;
		e = compare_consumers(&f, false);
		assert_true(e.least * STARVING_PART >= e.most);
	}
}

static int setup(void **state)
{
	(void)state;
	daemon_start(&d, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	daemon_stop(&d);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_producers_of_a_buffered_channel),
		cmocka_unit_test(test_producers_of_an_unbuffered_channel),
		cmocka_unit_test(test_consumers_of_a_buffered_channel),
		cmocka_unit_test(test_consumers_of_an_unbuffered_channel),
		cmocka_unit_test(test_nobody_starves),
	};

	test_time_limit();
	return cmocka_run_group_tests(tests, setup, teardown);
}
