/* The laws of a channel, each over unbuffered and buffered ones, on one processor and on four. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "server/channel/hchan.h"
#include "tests/support/goroutine_test.h"
#include "tests/support/waitgroup.h"

static const size_t capacities[] = {0, 1, 2, 7, 100};

/* Runs law(capacity) for every capacity. */
static void for_each_capacity(void (*law)(size_t capacity))
{
	for (size_t i = 0; i < sizeof(capacities) / sizeof(*capacities); i++)
		law(capacities[i]);
}

/* Waits until that many stand in the queue. */
static void await_waiters(struct hchan *c, struct wait_queue *q, unsigned int n)
{
	unsigned int length;

	do {
		go_yield();
		golock_acquire_here(&c->lock);
		length = wait_queue_length(q);
		golock_release(&c->lock);
	} while (length < n);
}

/* Actors. */

static void send_range(struct hchan *c, int from, int to)
{
	for (int i = from; i < to; i++)
		hchan_send(c, &i);
}

static void send_range_and_close(struct hchan *c, int from, int to)
{
	send_range(c, from, to);
	hchan_close(c);
}

static void pass_on(struct hchan *in, struct hchan *out)
{
	int v;

	hchan_recv(in, &v);
	hchan_send(out, &v);
}

static void expect_closed(struct hchan *c, struct waitgroup *done)
{
	int v = 7;

	expect(!hchan_recv(c, &v));
	expect(v == 0);
	waitgroup_done(done);
}

/* Laws. */

/* A try does what can happen at once; what would wait it leaves, without a trace. */
static void law_try(size_t capacity)
{
	struct hchan *c = hchan_make(int, capacity);
	int v = 7;

	expect(hchan_try_recv(c, &v) == -EAGAIN && v == 7);
	for (int i = 0; i < (int)capacity; i++)
		expect(hchan_try_send(c, &i));
	expect(!hchan_try_send(c, &v));
	expect(hchan_len(c) == capacity && hchan_cap(c) == capacity);
	for (int i = 0; i < (int)capacity; i++)
		expect(hchan_try_recv(c, &v) == 1 && v == i);
	expect(hchan_try_recv(c, &v) == -EAGAIN);
	expect(wait_queue_length(&c->sendq) == 0 && wait_queue_length(&c->recvq) == 0);
	hchan_check(c);
	hchan_unref(c);
}

/* A try to receive meets a sender that waits: the oldest value comes out, the sender's goes in. */
static void law_try_recv_meets_sender(size_t capacity)
{
	struct hchan *c = hchan_make(int, capacity);
	int v;

	go(send_range, c, 0, (int)capacity + 1);
	await_waiters(c, &c->sendq, 1);
	expect(hchan_len(c) == capacity);
	for (int i = 0; i <= (int)capacity; i++)
		expect(hchan_try_recv(c, &v) == 1 && v == i);
	expect(hchan_try_recv(c, &v) == -EAGAIN);
	hchan_unref(c);
}

/* A try to send meets a receiver that waits: the value never rests in the buffer. */
static void law_try_send_meets_receiver(size_t capacity)
{
	struct hchan *c = hchan_make(int, capacity), *result = hchan_make(int, 0);
	int v;

	go(pass_on, c, result);
	await_waiters(c, &c->recvq, 1);
	expect(hchan_try_send(c, &(int){42}));
	expect(hchan_len(c) == 0);
	expect(hchan_recv(result, &v) && v == 42);
	hchan_unref(c);
	hchan_unref(result);
}

/* Values leave in the order they were sent, and range ends with the last. */
static void law_fifo(size_t capacity)
{
	struct hchan *c = hchan_make(int, capacity);
	int v, next = 0;

	go(send_range_and_close, c, 0, 1000);
	hchan_range (c, v)
		expect(v == next++);
	expect(next == 1000);
	expect(v == 0);
	hchan_unref(c);
}

/* Waiting senders are served in the order they came, after what is buffered. */
static void law_senders_in_order(size_t capacity)
{
	struct hchan *c = hchan_make(int, capacity);
	int v;

	send_range(c, 0, (int)capacity);
	for (int i = 0; i < 5; i++) {
		go(send_range, c, (int)capacity + i, (int)capacity + i + 1);
		await_waiters(c, &c->sendq, (unsigned int)i + 1);
	}
	for (int i = 0; i < (int)capacity + 5; i++)
		expect(hchan_recv(c, &v) && v == i);
	hchan_unref(c);
}

static void receive_into(struct hchan *c, int *slot, struct waitgroup *done)
{
	hchan_recv(c, slot);
	waitgroup_done(done);
}

/* Waiting receivers are served in the order they came. */
static void law_receivers_in_order(size_t capacity)
{
	struct waitgroup done = WAITGROUP_INIT;
	struct hchan *c = hchan_make(int, capacity);
	int slots[5];

	waitgroup_add(&done, 5);
	for (int i = 0; i < 5; i++) {
		go(receive_into, c, &slots[i], &done);
		await_waiters(c, &c->recvq, (unsigned int)i + 1);
	}
	send_range(c, 10, 15);
	waitgroup_wait(&done);
	for (int i = 0; i < 5; i++)
		expect(slots[i] == 10 + i);
	hchan_unref(c);
}

static void send_and_note(struct hchan *c, atomic_int *ended)
{
	hchan_send(c, &(int){1});
	atomic_store(ended, 1);
}

/* A send that finds no room ends only with the receive that makes some. */
static void law_send_waits(size_t capacity)
{
	struct hchan *c = hchan_make(int, capacity);
	atomic_int ended = 0;
	int v;

	send_range(c, 0, (int)capacity);
	go(send_and_note, c, &ended);
	await_waiters(c, &c->sendq, 1);
	for (int i = 0; i < 10; i++)
		go_yield();
	expect(!atomic_load(&ended));
	hchan_recv(c, &v);
	while (!atomic_load(&ended))
		go_yield();
	hchan_unref(c);
}

/* After a close what is buffered still comes, then zero and false for ever. */
static void law_close_then_drain(size_t capacity)
{
	struct hchan *c = hchan_make(int, capacity);
	int v;

	send_range(c, 1, (int)capacity + 1);
	hchan_close(c);
	expect(hchan_len(c) == capacity);
	for (int i = 0; i < (int)capacity; i++)
		expect(hchan_recv(c, &v) && v == i + 1);
	for (int i = 0; i < 3; i++) {
		v = 7;
		expect(!hchan_recv(c, &v) && v == 0);
		v = 7;
		expect(hchan_try_recv(c, &v) == 0 && v == 0);
	}
	expect(!hchan_recv(c, NULL));
	hchan_check(c);
	hchan_unref(c);
}

/* A close wakes every receiver that waits. */
static void law_close_wakes_all(size_t capacity)
{
	struct waitgroup done = WAITGROUP_INIT;
	struct hchan *c = hchan_make(int, capacity);

	waitgroup_add(&done, 100);
	for (int i = 0; i < 100; i++)
		go(expect_closed, c, &done);
	await_waiters(c, &c->recvq, 100);
	hchan_close(c);
	waitgroup_wait(&done);
	hchan_check(c);
	hchan_unref(c);
}

static void note_turn(struct hchan *c, int *turns, int *ret_turn, struct waitgroup *done)
{
	hchan_recv(c, NULL);
	*ret_turn = (*turns)++;
	waitgroup_done(done);
}

/* Those that a close wakes run in the order they came, on one processor: an even number of them or
 * an odd one. (Of more than go into its ring the global queue's have their turn now and then.) */
static void close_wakes_in_order(void)
{
	static const int counts[] = {1, 2, 3, 8, 101};
	static int turn[101];

	for (size_t k = 0; k < sizeof(counts) / sizeof(*counts); k++) {
		struct waitgroup done = WAITGROUP_INIT;
		struct hchan *c = hchan_make(int, 0);
		int turns = 0;

		waitgroup_add(&done, counts[k]);
		for (int i = 0; i < counts[k]; i++) {
			go(note_turn, c, &turns, &turn[i], &done);
			await_waiters(c, &c->recvq, (unsigned int)i + 1);
		}
		hchan_close(c);
		waitgroup_wait(&done);
		for (int i = 0; i < counts[k]; i++)
			expect(turn[i] == i);
		hchan_unref(c);
	}
}

struct tally {
	struct hchan *c;
	struct waitgroup producers, consumers;
	atomic_long received;
	atomic_long sum;
};

enum { PRODUCERS = 8, CONSUMERS = 5, EACH = 500 };

static void produce(struct tally *t, int producer)
{
	send_range(t->c, producer * EACH, (producer + 1) * EACH);
	waitgroup_done(&t->producers);
}

/* What one consumer sees of one producer comes in that producer's order. */
static void consume(struct tally *t)
{
	int v, last[PRODUCERS];

	memset(last, -1, sizeof(last));
	hchan_range (t->c, v) {
		expect(v > last[v / EACH]);
		last[v / EACH] = v;
		atomic_fetch_add(&t->received, 1);
		atomic_fetch_add(&t->sum, v);
	}
	waitgroup_done(&t->consumers);
}

/* Of many producers and consumers: nothing is lost, nothing comes twice. */
static void law_nothing_lost(size_t capacity)
{
	struct tally t = {
		.c = hchan_make(int, capacity),
		.producers = WAITGROUP_INIT,
		.consumers = WAITGROUP_INIT,
	};
	long n = PRODUCERS * EACH;

	waitgroup_add(&t.producers, PRODUCERS);
	waitgroup_add(&t.consumers, CONSUMERS);
	for (int i = 0; i < CONSUMERS; i++)
		go(consume, &t);
	for (int i = 0; i < PRODUCERS; i++)
		go(produce, &t, i);
	waitgroup_wait(&t.producers);
	hchan_close(t.c);
	waitgroup_wait(&t.consumers);
	expect(t.received == n);
	expect(t.sum == n * (n - 1) / 2);
	hchan_check(t.c);
	hchan_unref(t.c);
}

struct block {
	char bytes[300];
};

static void send_blocks(struct hchan *c, int n)
{
	struct block b;

	for (int i = 0; i < n; i++) {
		memset(b.bytes, i, sizeof(b.bytes));
		hchan_send(c, &b);
	}
}

/* A value of any size arrives whole, and is the receiver's own copy. */
static void law_any_size(size_t capacity)
{
	struct hchan *c = hchan_make(struct block, capacity);
	struct block got, want;

	go(send_blocks, c, 50);
	for (int i = 0; i < 50; i++) {
		hchan_recv(c, &got);
		memset(want.bytes, i, sizeof(want.bytes));
		expect(!memcmp(&got, &want, sizeof(got)));
	}
	hchan_unref(c);
}

static void send_signals(struct hchan *c, int n)
{
	for (int i = 0; i < n; i++)
		hchan_send(c, NULL);
	hchan_close(c);
}

/* Values of no size are counted as any others. */
static void law_zero_size(size_t capacity)
{
	struct hchan *c = hchan_make(struct {}, capacity);
	int n = 0;

	for (size_t i = 0; i < capacity; i++)
		expect(hchan_try_send(c, NULL));
	expect(!hchan_try_send(c, NULL));
	for (size_t i = 0; i < capacity; i++)
		expect(hchan_try_recv(c, NULL) == 1);
	go(send_signals, c, 500);
	while (hchan_recv(c, NULL))
		n++;
	expect(n == 500);
	hchan_unref(c);
}

static int dropped;

static void drop_pointer(void *value)
{
	int *p = *(int **)value;

	dropped += *p;
	free(p);
}

/* The last reference drops exactly what is still buffered. */
static void law_drop(size_t capacity)
{
	struct hchan *c = hchan_new(sizeof(int *), capacity, drop_pointer);
	int *p, want = 0;

	for (size_t i = 0; i < capacity; i++) {
		p = malloc(sizeof(*p));
		*p = 1 << (i % 10);
		want += *p;
		hchan_send(c, &p);
	}
	if (capacity > 1) { /* so that the ring is not at its beginning */
		hchan_recv(c, &p);
		hchan_send(c, &p);
	}
	hchan_close(c);
	dropped = 0;
	hchan_ref(c);
	hchan_unref(c);
	expect(dropped == 0);
	hchan_unref(c);
	expect(dropped == want);
}

static void send_last(struct hchan *c, struct waitgroup *done)
{
	hchan_send(c, &(int){1});
	waitgroup_done(done);
}

/* Whoever got the last value may free the channel, however far the sender's call is. */
static void law_freed_by_receiver(size_t capacity)
{
	struct waitgroup done = WAITGROUP_INIT;
	int v;

	waitgroup_add(&done, 300);
	for (int i = 0; i < 300; i++) {
		struct hchan *c = hchan_make(int, capacity);

		go(send_last, c, &done);
		hchan_recv(c, &v);
		hchan_unref(c);
	}
	waitgroup_wait(&done);
}

static void nil_channel(void)
{
	int v = 7;

	expect(hchan_len(NULL) == 0 && hchan_cap(NULL) == 0);
	expect(!hchan_try_send(NULL, &v));
	expect(hchan_try_recv(NULL, &v) == -EAGAIN && v == 7);
	hchan_unref(NULL);
}

static void sizes_that_overflow(void)
{
	expect(!hchan_new(SIZE_MAX / 2, 3, NULL));
	expect(!hchan_new(1, SIZE_MAX, NULL));
	expect(!hchan_new(1, SIZE_MAX / 2, NULL));
}

static void close_again(void)
{
	struct hchan *c = hchan_make(int, 1);

	hchan_close(c);
	hchan_close(c);
}

static void close_nil(void)
{
	hchan_close(NULL);
}

static void send_after_close(void)
{
	struct hchan *c = hchan_make(int, 1);

	hchan_close(c);
	hchan_send(c, &(int){1});
}

static void try_send_after_close(void)
{
	struct hchan *c = hchan_make(int, 1);

	hchan_close(c);
	hchan_try_send(c, &(int){1});
}

static void close_under_sender(void)
{
	struct hchan *c = hchan_make(int, 0);

	go(send_range, c, 0, 1);
	await_waiters(c, &c->sendq, 1);
	hchan_close(c);
	hchan_recv(NULL, NULL);
}

static void send_alone(void)
{
	hchan_send(hchan_make(int, 0), &(int){1});
}

static void recv_alone(void)
{
	hchan_recv(hchan_make(int, 0), NULL);
}

static void recv_nil(void)
{
	hchan_recv(NULL, NULL);
}

/* cmocka's side. */

#define LAW_TEST(law)                                                                              \
	static void run_##law(void)                                                                \
	{                                                                                          \
		for_each_capacity(law);                                                            \
	}                                                                                          \
	static void test_##law(void **state)                                                       \
	{                                                                                          \
		(void)state;                                                                       \
		run_everywhere(run_##law);                                                         \
	}

LAW_TEST(law_try)
LAW_TEST(law_try_recv_meets_sender)
LAW_TEST(law_try_send_meets_receiver)
LAW_TEST(law_fifo)
LAW_TEST(law_senders_in_order)
LAW_TEST(law_receivers_in_order)
LAW_TEST(law_send_waits)
LAW_TEST(law_close_then_drain)
LAW_TEST(law_close_wakes_all)
LAW_TEST(law_nothing_lost)
LAW_TEST(law_any_size)
LAW_TEST(law_zero_size)
LAW_TEST(law_drop)
LAW_TEST(law_freed_by_receiver)

static void test_close_wakes_in_order(void **state)
{
	(void)state;
	run_on(1, 0, close_wakes_in_order);
}

static void test_nil_channel(void **state)
{
	(void)state;
	run_everywhere(nil_channel);
	run_everywhere(sizes_that_overflow);
}

static void test_misuse_ends_the_program(void **state)
{
	(void)state;
	run_dies(close_again, 2, "panic: close of closed channel\n\ngoroutine 1 [running]:\n");
	run_dies(close_nil, 2, "panic: close of nil channel\n\ngoroutine 1 [running]:\n");
	run_dies(send_after_close, 2, "panic: send on closed channel\n\ngoroutine 1 [running]:\n");
	run_dies(try_send_after_close, 2,
		"panic: send on closed channel\n\ngoroutine 1 [running]:\n");
	run_dies(close_under_sender, 2, "panic: send on closed channel\n\ngoroutine ");
}

#define DEADLOCK "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 "

static void test_deadlock_is_reported(void **state)
{
	(void)state;
	run_dies(send_alone, 2, DEADLOCK "[chan send]:\n");
	run_dies(recv_alone, 2, DEADLOCK "[chan receive]:\n");
	run_dies(recv_nil, 2, DEADLOCK "[chan receive (nil chan)]:\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First, as they fork: ThreadSanitizer wants no threads before that. */
		cmocka_unit_test(test_misuse_ends_the_program),
		cmocka_unit_test(test_deadlock_is_reported),
		cmocka_unit_test(test_law_try),
		cmocka_unit_test(test_law_try_recv_meets_sender),
		cmocka_unit_test(test_law_try_send_meets_receiver),
		cmocka_unit_test(test_law_fifo),
		cmocka_unit_test(test_law_senders_in_order),
		cmocka_unit_test(test_law_receivers_in_order),
		cmocka_unit_test(test_law_send_waits),
		cmocka_unit_test(test_law_close_then_drain),
		cmocka_unit_test(test_law_close_wakes_all),
		cmocka_unit_test(test_close_wakes_in_order),
		cmocka_unit_test(test_law_nothing_lost),
		cmocka_unit_test(test_law_any_size),
		cmocka_unit_test(test_law_zero_size),
		cmocka_unit_test(test_law_drop),
		cmocka_unit_test(test_law_freed_by_receiver),
		cmocka_unit_test(test_nil_channel),
	};

	return cmocka_run_group_tests_name("hchan", tests, NULL, NULL);
}
