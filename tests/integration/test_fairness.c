/*
 * test_fairness.c - among 64 equal clients of a saturated channel the one that comes off worst gets
 * at least half of what the best gets. Values are counted, never time.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chan/chan.h"
#include "tests/support/daemon.h"

enum { EQUALS = 64, BATCH_MAX = 32 };

/* Values in all: of each equal one enough that how they begin does not count, nor for how long the kernel
 * lets some of them stand still on a loaded machine. */
enum { VALUES_OF_EACH = 512, VALUES_IN_ALL = EQUALS * VALUES_OF_EACH };

static struct test_daemon d;

struct fairness {
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

/* By the socket, all the time: who is over rings already is served faster than who is not yet, so clients
 * are no equals while they go over one after another. */
static void open_party(struct party *p, enum chan_direction direction, uint32_t credit)
{
	const struct chan_dial_options dial = {.ring_after = -1};
	struct chan_open_options options = {.end = {.credit = credit}};
	struct chan_client *client;

	if (chan_dial(d.url, &dial, &client) < 0 ||
		chan_open(client, "fair", direction, &options, &p->ch) < 0)
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

static void assert_fair(const struct party *parties)
{
	int64_t least = INT64_MAX, most = 0;

	for (int i = 0; i < EQUALS; i++) {
		if (parties[i].values < least)
			least = parties[i].values;
		if (parties[i].values > most)
			most = parties[i].values;
	}
	print_message("%lld to %lld values\n", (long long)least, (long long)most);
	if (least * 2 < most)
		fail_msg("from %lld to %lld values", (long long)least, (long long)most);
}

static struct chan *make_channel(const struct fairness *f)
{
	struct chan_make_options options = {
		.temporary = true, .end = {.credit = f->capacity ? 64 : 0}};
	struct chan_client *client;
	struct chan *ch = NULL;

	if (chan_dial(d.url, NULL, &client) < 0 ||
		chan_make(client, "fair", CHAN_TYPE_INT, f->capacity, &options, &ch) < 0)
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

/* What had room before all waited is not counted. */
static void count_producers(struct chan *ch, const struct fairness *f, struct party *producers)
{
	int64_t number;

	for (int64_t i = -f->capacity; i < VALUES_IN_ALL; i++) {
		assert_int_equal(chan_recv_int(ch, &number), 1);
		if (i >= 0)
			producers[number].values++;
	}
}

/* 64 producers, all of which always have something to send, and one who receives. */
static void compare_producers(const struct fairness *f)
{
	struct chan *ch = make_channel(f);
	struct party producers[EQUALS];
	pthread_barrier_t start;

	pthread_barrier_init(&start, NULL, EQUALS + 1);
	start_parties(producers, EQUALS, f, &start, produce);
	pthread_barrier_wait(&start);
	await_equals(ch, true);
	count_producers(ch, f, producers);
	assert_int_equal(chan_close(ch, NULL), 0);
	end_parties(producers, EQUALS, CHAN_ECLOSED);
	assert_fair(producers);
	pthread_barrier_destroy(&start);
	chan_hangup(chan_client_of(ch));
}

/* 64 consumers, all of which always want something, and one who sends. */
static void compare_consumers(const struct fairness *f)
{
	struct chan *ch = make_channel(f);
	struct party consumers[EQUALS];
	struct chan_value values[BATCH_MAX];
	pthread_barrier_t start;

	for (size_t i = 0; i < f->batch; i++)
		values[i] = chan_value_int(0);
	pthread_barrier_init(&start, NULL, EQUALS + 1);
	start_parties(consumers, EQUALS, f, &start, consume);
	pthread_barrier_wait(&start);
	await_equals(ch, false);
	for (size_t sent = 0; sent < VALUES_IN_ALL; sent += f->batch)
		assert_int_equal(chan_sendv(ch, values, f->batch, CHAN_FOREVER, NULL), 0);
	assert_int_equal(chan_close(ch, NULL), 0);
	end_parties(consumers, EQUALS, 0);
	assert_fair(consumers);
	pthread_barrier_destroy(&start);
	chan_hangup(chan_client_of(ch));
}

static void test_producers_of_a_buffered_channel(void **state)
{
	(void)state;
	compare_producers(&(struct fairness){.capacity = 16, .batch = 1});
	compare_producers(&(struct fairness){.capacity = 4096, .batch = 16});
	compare_producers(&(struct fairness){.capacity = 64, .batch = BATCH_MAX});
}

static void test_producers_of_an_unbuffered_channel(void **state)
{
	(void)state;
	compare_producers(&(struct fairness){.capacity = 0, .batch = 1});
}

static void test_consumers_of_a_buffered_channel(void **state)
{
	(void)state;
	compare_consumers(&(struct fairness){.capacity = 64, .batch = BATCH_MAX});
	compare_consumers(&(struct fairness){.capacity = 64, .batch = BATCH_MAX, .credit = 4});
	compare_consumers(&(struct fairness){.capacity = 1024, .batch = BATCH_MAX, .credit = 16});
}

static void test_consumers_of_an_unbuffered_channel(void **state)
{
	(void)state;
	compare_consumers(&(struct fairness){.capacity = 0, .batch = 1});
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
	};

	test_time_limit();
	return cmocka_run_group_tests(tests, setup, teardown);
}
