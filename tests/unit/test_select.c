/* The laws of select, on one processor and on four. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "server/channel/select.h"
#include "tests/support/goroutine_test.h"
#include "tests/support/waitgroup.h"

static unsigned int waiters(struct hchan *c)
{
	unsigned int n;

	golock_acquire_here(&c->lock);
	n = wait_queue_length(&c->sendq) + wait_queue_length(&c->recvq);
	golock_release(&c->lock);
	return n;
}

static void await_waiters(struct hchan *c, unsigned int n)
{
	while (waiters(c) < n)
		go_yield();
}

/* Actors. */

static void send_range(struct hchan *c, int from, int to)
{
	for (int i = from; i < to; i++)
		hchan_send(c, &i);
}

static void close_when_waited_for(struct hchan *c, struct hchan *finished)
{
	await_waiters(c, 1);
	hchan_close(c);
	hchan_send(finished, NULL);
}

/* Laws. */

/* Default is answered if no case can happen, and only then. */
static void law_default(void)
{
	struct hchan *a = hchan_make(int, 1), *b = hchan_make(int, 0);
	int x = 7, y = 7;
	struct select_case cases[] = {
		select_recv(a, &x),
		select_send(b, &y),
		select_recv(NULL, &x),
		select_send(NULL, &x),
	};

	expect(hchan_select(cases, 4, SELECT_DEFAULT) == -EAGAIN && x == 7);
	hchan_send(a, &(int){1});
	expect(hchan_select(cases, 4, SELECT_DEFAULT) == 0 && x == 1 && cases[0].ok);
	expect(hchan_select(cases, 4, SELECT_DEFAULT) == -EAGAIN);
	expect(hchan_select(NULL, 0, SELECT_DEFAULT) == -EAGAIN);
	expect(waiters(a) == 0 && waiters(b) == 0);
	hchan_unref(a);
	hchan_unref(b);
}

/* A closed channel is ready: drained first, then ok = false. */
static void law_closed_is_ready(void)
{
	struct hchan *idle = hchan_make(int, 0), *c = hchan_make(int, 1);
	int v;
	struct select_case cases[] = {select_recv(idle, NULL), select_recv(c, &v)};

	hchan_send(c, &(int){5});
	hchan_close(c);
	expect(hchan_select(cases, 2, DEADLINE_NEVER) == 1 && v == 5 && cases[1].ok);
	expect(hchan_select(cases, 2, DEADLINE_NEVER) == 1 && v == 0 && !cases[1].ok);
	expect(hchan_select(cases, 2, SELECT_DEFAULT) == 1 && v == 0 && !cases[1].ok);
	hchan_unref(idle);
	hchan_unref(c);
}

/* A close wakes a select that waits to receive. */
static void law_close_wakes(void)
{
	struct hchan *idle = hchan_make(int, 0), *c = hchan_make(int, 0);
	struct hchan *finished = hchan_make(struct {}, 1);
	int v = 7;
	struct select_case cases[] = {select_recv(idle, NULL), select_recv(c, &v)};

	go(close_when_waited_for, c, finished);
	expect(hchan_select(cases, 2, DEADLINE_NEVER) == 1);
	expect(v == 0 && !cases[1].ok);
	expect(waiters(idle) == 0);
	hchan_recv(finished, NULL);
	hchan_unref(finished);
	hchan_unref(idle);
	hchan_unref(c);
}

enum { WAYS = 5, CHOICES = 10000 };

/* The choice among ready cases is uniform: each within six standard deviations (of 40). */
static void law_uniform_choice(void)
{
	struct hchan *c[WAYS];
	struct select_case cases[WAYS + 1] = {select_recv(NULL, NULL)};
	int chosen[WAYS + 1] = {0}, v = 1;

	for (int i = 0; i < WAYS; i++) {
		c[i] = hchan_make(int, 1);
		cases[i + 1] = select_send(c[i], &v);
	}
	for (int i = 0; i < CHOICES; i++) {
		int k = hchan_select(cases, WAYS + 1, DEADLINE_NEVER);

		chosen[k]++;
		hchan_recv(c[k - 1], NULL);
	}
	expect(chosen[0] == 0);
	for (int i = 1; i <= WAYS; i++)
		expect(abs(chosen[i] - CHOICES / WAYS) < 6 * 40);
	for (int i = 0; i < WAYS; i++)
		hchan_unref(c[i]);
}

/* The same when both other sides are goroutines that always wait. */
static void law_uniform_among_waiters(void)
{
	struct hchan *a = hchan_make(int, 0), *b = hchan_make(int, 0);
	int chosen[2] = {0}, v;
	struct select_case cases[] = {select_recv(a, &v), select_recv(b, &v)};

	go(send_range, a, 0, CHOICES);
	go(send_range, b, 0, CHOICES);
	for (int i = 0; i < CHOICES; i++) {
		await_waiters(a, 1);
		await_waiters(b, 1);
		chosen[hchan_select(cases, 2, DEADLINE_NEVER)]++;
	}
	expect(abs(chosen[0] - chosen[1]) < 6 * 100);
	for (int i = chosen[0]; i < CHOICES; i++)
		hchan_recv(a, &v);
	for (int i = chosen[1]; i < CHOICES; i++)
		hchan_recv(b, &v);
	hchan_unref(a);
	hchan_unref(b);
}

/* A deadline ends the wait, not before its time, without a trace. */
static void law_deadline(void)
{
	struct hchan *a = hchan_make(int, 0), *b = hchan_make(int, 0);
	int x = 7;
	struct select_case cases[] = {select_recv(a, &x), select_send(b, &x)};
	int64_t deadline_ns = clock_deadline_ns(5 * NS_PER_MS);

	expect(hchan_select(cases, 2, deadline_ns) == -ETIMEDOUT);
	expect(clock_now_ns() >= deadline_ns);
	expect(x == 7 && waiters(a) == 0 && waiters(b) == 0);
	expect(!hchan_try_send(a, &x));
	expect(hchan_try_recv(b, &x) == -EAGAIN);
	expect(hchan_select(cases, 2, deadline_ns) == -ETIMEDOUT);
	expect(hchan_select(NULL, 0, clock_deadline_ns(NS_PER_MS)) == -ETIMEDOUT);
	hchan_unref(a);
	hchan_unref(b);
}

/* What is ready is taken although the deadline has passed; a value that comes in time ends the wait
 * and the deadline with it. */
static void law_value_before_deadline(void)
{
	struct hchan *c = hchan_make(int, 1);
	int v;
	struct select_case cases[] = {select_recv(c, &v)};

	hchan_send(c, &(int){1});
	expect(hchan_select(cases, 1, clock_now_ns() - 1) == 0 && v == 1);
	go(send_range, c, 5, 6);
	expect(hchan_select(cases, 1, clock_deadline_ns(60 * NS_PER_S)) == 0 && v == 5);
	hchan_unref(c);
}

struct deadline_race {
	struct hchan *c;
	struct waitgroup done;
	atomic_int sent, received;
};

static void send_now_and_then(struct deadline_race *r, int n)
{
	struct select_case send[] = {select_send(r->c, &n)};

	for (int i = 0; i < n; i++) {
		int64_t span_ns = go_random_below(30) * NS_PER_US;

		if (hchan_select(send, 1, clock_deadline_ns(span_ns)) == 0)
			atomic_fetch_add(&r->sent, 1);
	}
	waitgroup_done(&r->done);
}

static void receive_now_and_then(struct deadline_race *r, int n)
{
	int v;
	struct select_case recv[] = {select_recv(NULL, NULL), select_recv(r->c, &v)};

	for (int i = 0; i < n; i++) {
		int64_t span_ns = go_random_below(30) * NS_PER_US;

		if (hchan_select(recv, 2, clock_deadline_ns(span_ns)) == 1)
			atomic_fetch_add(&r->received, 1);
	}
	waitgroup_done(&r->done);
}

/* Deadlines race with values: whatever a sender was told, a receiver was told as well. */
static void law_deadline_race(void)
{
	struct deadline_race r = {.c = hchan_make(int, 0), .done = WAITGROUP_INIT};

	waitgroup_add(&r.done, 6);
	for (int i = 0; i < 3; i++) {
		go(send_now_and_then, &r, 300);
		go(receive_now_and_then, &r, 300);
	}
	waitgroup_wait(&r.done);
	expect(r.sent == r.received);
	expect(waiters(r.c) == 0);
	hchan_unref(r.c);
}

/* Whatever case happened, the others have left their queues. */
static void law_no_trace(void)
{
	struct hchan *c[4];
	struct select_case cases[8];
	int in, out = 7;

	for (int i = 0; i < 4; i++) {
		c[i] = hchan_make(int, 0);
		cases[2 * i] = select_recv(c[i], &in);
		cases[2 * i + 1] = select_send(c[i], &out);
	}
	for (int i = 0; i < 400; i++) {
		go(send_range, c[i % 4], i, i + 1);
		if (i % 3 == 0)
			await_waiters(c[i % 4], 1);
		expect(hchan_select(cases, 8, DEADLINE_NEVER) == 2 * (i % 4) && in == i);
		for (int k = 0; k < 4; k++) {
			expect(waiters(c[k]) == 0);
			hchan_check(c[k]);
		}
	}
	for (int i = 0; i < 4; i++)
		hchan_unref(c[i]);
}

/* A select that waits at both ends of one channel does not meet itself; two meet each other. */
static void select_both_ends(struct hchan *c, struct hchan *result)
{
	int in = 0, out = 1, role;
	struct select_case cases[] = {select_recv(c, &in), select_send(c, &out)};

	role = hchan_select(cases, 2, DEADLINE_NEVER);
	expect(in == (role == 0));
	hchan_send(result, &role);
}

static void law_both_ends(void)
{
	struct hchan *c = hchan_make(int, 0), *result = hchan_make(int, 2);
	int first, second;

	for (int i = 0; i < 200; i++) {
		go(select_both_ends, c, result);
		await_waiters(c, 2);
		hchan_check(c);
		go(select_both_ends, c, result);
		hchan_recv(result, &first);
		hchan_recv(result, &second);
		expect(first + second == 1);
		expect(waiters(c) == 0);
	}
	hchan_unref(c);
	hchan_unref(result);
}

/*
 * Default is never answered if at every instant some case was ready. A value lies in a; another
 * goroutine puts one into b and only then takes the one in a. A select that looked at b too early
 * and at a too late would find neither; the idle cases between make that likely.
 */
struct default_race {
	struct hchan *a, *b;
	atomic_int round, moved; /* of main, of the mover */
	struct waitgroup done;
};

enum { DEFAULT_ROUNDS = 2000, IDLE_CASES = 100 };

static void put_then_take(struct default_race *r)
{
	for (int i = 1; i <= DEFAULT_ROUNDS; i++) {
		while (atomic_load(&r->round) < i)
			go_yield();
		hchan_send(r->b, &i);
		hchan_try_recv(r->a, NULL);
		atomic_store(&r->moved, i);
	}
	waitgroup_done(&r->done);
}

static void law_default_is_atomic(void)
{
	struct default_race r = {.done = WAITGROUP_INIT};
	struct hchan *idle = hchan_make(int, 0);
	struct select_case cases[IDLE_CASES + 2];

	for (int i = 1; i <= IDLE_CASES; i++)
		cases[i] = select_recv(idle, NULL);
	waitgroup_add(&r.done, 1);
	go(put_then_take, &r);
	for (int i = 1; i <= DEFAULT_ROUNDS; i++) {
		r.a = hchan_make(int, 1);
		r.b = hchan_make(int, 1);
		hchan_send(r.a, &i);
		cases[0] = select_recv(r.b, NULL);
		cases[IDLE_CASES + 1] = select_recv(r.a, NULL);
		atomic_store(&r.round, i);
		expect(hchan_select(cases, IDLE_CASES + 2, SELECT_DEFAULT) >= 0);
		while (atomic_load(&r.moved) < i)
			go_yield();
		hchan_unref(r.a);
		hchan_unref(r.b);
	}
	waitgroup_wait(&r.done);
	hchan_unref(idle);
}

static void unref_after_recv(struct hchan *c, struct hchan *finished)
{
	hchan_recv(c, NULL);
	hchan_unref(c);
	hchan_send(finished, NULL);
}

/* Whoever got the value of a select's send may free the channel, however far the select is. */
static void law_freed_by_receiver(void)
{
	struct hchan *idle = hchan_make(int, 0), *finished = hchan_make(struct {}, 1);
	int v = 1;

	for (int i = 0; i < 500; i++) {
		struct hchan *c = hchan_make(int, 0);
		struct select_case cases[] = {select_recv(idle, NULL), select_send(c, &v)};

		go(unref_after_recv, c, finished);
		expect(hchan_select(cases, 2, DEADLINE_NEVER) == 1);
		hchan_recv(finished, NULL);
	}
	hchan_unref(idle);
	hchan_unref(finished);
}

/* The stress: every way to send meets every way to receive, over four channels. */

enum { CHANNELS = 4, ROUNDS = 500 };

struct stress {
	struct hchan *c[CHANNELS];
	struct waitgroup done;
	atomic_long sum[CHANNELS]; /* sent minus received */
};

static void stress_send(struct stress *s, int k)
{
	for (int i = 0; i < ROUNDS; i++) {
		hchan_send(s->c[k], &i);
		atomic_fetch_add(&s->sum[k], i);
	}
	waitgroup_done(&s->done);
}

static void stress_recv(struct stress *s, int k)
{
	int v;

	for (int i = 0; i < ROUNDS; i++) {
		hchan_recv(s->c[k], &v);
		atomic_fetch_sub(&s->sum[k], v);
	}
	waitgroup_done(&s->done);
}

/* Selects over all channels until each has had its rounds; a channel that has is made nil. */
static void stress_select(struct stress *s, enum select_op op)
{
	struct select_case cases[CHANNELS];
	int value[CHANNELS] = {0}, rounds[CHANNELS] = {0};

	for (int k = 0; k < CHANNELS; k++)
		cases[k] = (struct select_case){.c = s->c[k], .value = &value[k], .op = op};
	for (int i = 0; i < CHANNELS * ROUNDS; i++) {
		int k = hchan_select(cases, CHANNELS, DEADLINE_NEVER);

		if (op == SELECT_SEND)
			atomic_fetch_add(&s->sum[k], value[k]++);
		else
			atomic_fetch_sub(&s->sum[k], value[k]);
		if (++rounds[k] == ROUNDS)
			cases[k].c = NULL;
	}
	waitgroup_done(&s->done);
}

static void law_stress(void)
{
	for (size_t capacity = 0; capacity <= 2; capacity++) {
		struct stress s = {.done = WAITGROUP_INIT};

		waitgroup_add(&s.done, 2 * CHANNELS + 2);
		for (int k = 0; k < CHANNELS; k++) {
			s.c[k] = hchan_make(int, capacity);
			go(stress_send, &s, k);
			go(stress_recv, &s, k);
		}
		go(stress_select, &s, SELECT_SEND);
		go(stress_select, &s, SELECT_RECV);
		waitgroup_wait(&s.done);
		for (int k = 0; k < CHANNELS; k++) {
			expect(s.sum[k] == 0);
			expect(waiters(s.c[k]) == 0);
			hchan_check(s.c[k]);
			hchan_unref(s.c[k]);
		}
	}
}

enum { MANY = 300 };

/* Many cases, in no order of their addresses. */
static void law_many_cases(void)
{
	struct hchan *c[MANY];
	struct select_case cases[MANY];
	int v;

	for (int i = 0; i < MANY; i++)
		c[i] = hchan_make(int, i % 2);
	for (int i = 0; i < MANY; i++)
		cases[i] = select_recv(c[i * 7 % MANY], &v);
	for (int i = 0; i < MANY; i += 11) {
		go(send_range, c[i * 7 % MANY], i, i + 1);
		expect(hchan_select(cases, MANY, DEADLINE_NEVER) == i && v == i);
	}
	for (int i = 0; i < MANY; i++) {
		expect(waiters(c[i]) == 0);
		hchan_unref(c[i]);
	}
}

static void send_until_told(struct hchan *c, struct hchan *quit, struct waitgroup *done)
{
	int v = 0;
	struct select_case cases[] = {select_send(c, &v), select_recv(quit, NULL)};

	while (hchan_select(cases, 2, DEADLINE_NEVER) == 0)
		v++;
	waitgroup_done(done);
}

/* A select that always has one busy case serves the other as well. */
static void law_no_starvation(void)
{
	struct hchan *busy = hchan_make(int, 1), *rare = hchan_make(int, 1);
	struct hchan *quit = hchan_make(struct {}, 0);
	struct waitgroup done = WAITGROUP_INIT;
	struct select_case cases[] = {select_recv(busy, NULL), select_recv(rare, NULL)};
	int got = 0;

	waitgroup_add(&done, 1);
	go(send_until_told, busy, quit, &done);
	go(send_range, rare, 0, 100);
	for (int i = 0; i < 100000 && got < 100; i++)
		got += hchan_select(cases, 2, DEADLINE_NEVER);
	expect(got == 100);
	hchan_send(quit, NULL);
	waitgroup_wait(&done);
	hchan_unref(busy);
	hchan_unref(rare);
	hchan_unref(quit);
}

static void send_case_closed(void)
{
	struct hchan *c = hchan_make(int, 1);
	struct select_case cases[] = {select_send(c, &(int){1})};

	hchan_close(c);
	hchan_select(cases, 1, SELECT_DEFAULT);
}

static void send_case_closed_under(void)
{
	struct hchan *c = hchan_make(int, 0), *finished = hchan_make(struct {}, 1);
	struct select_case cases[] = {select_recv(NULL, NULL), select_send(c, &(int){1})};

	go(close_when_waited_for, c, finished);
	hchan_select(cases, 2, DEADLINE_NEVER);
}

static void wait_select(void)
{
	struct select_case cases[] = {select_recv(hchan_make(int, 0), NULL)};

	hchan_select(cases, 1, DEADLINE_NEVER);
}

static void wait_no_cases(void)
{
	hchan_select(NULL, 0, DEADLINE_NEVER);
}

/* cmocka's side. */

#define LAW_TEST(law)                                                                              \
	static void test_##law(void **state)                                                       \
	{                                                                                          \
		(void)state;                                                                       \
		run_everywhere(law);                                                               \
	}

LAW_TEST(law_default)
LAW_TEST(law_closed_is_ready)
LAW_TEST(law_close_wakes)
LAW_TEST(law_uniform_choice)
LAW_TEST(law_uniform_among_waiters)
LAW_TEST(law_deadline)
LAW_TEST(law_value_before_deadline)
LAW_TEST(law_deadline_race)
LAW_TEST(law_no_trace)
LAW_TEST(law_both_ends)
LAW_TEST(law_default_is_atomic)
LAW_TEST(law_freed_by_receiver)
LAW_TEST(law_stress)
LAW_TEST(law_many_cases)
LAW_TEST(law_no_starvation)

static void test_misuse_ends_the_program(void **state)
{
	(void)state;
	run_dies(send_case_closed, 2, "panic: send on closed channel\n\ngoroutine 1 [running]:\n");
	run_dies(send_case_closed_under, 2,
		"panic: send on closed channel\n\ngoroutine 1 [running]:\n");
}

#define DEADLOCK "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 "

static void test_deadlock_is_reported(void **state)
{
	(void)state;
	run_dies(wait_select, 2, DEADLOCK "[select]:\n");
	run_dies(wait_no_cases, 2, DEADLOCK "[select (no cases)]:\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First, as they fork: ThreadSanitizer wants no threads before that. */
		cmocka_unit_test(test_misuse_ends_the_program),
		cmocka_unit_test(test_deadlock_is_reported),
		cmocka_unit_test(test_law_default),
		cmocka_unit_test(test_law_closed_is_ready),
		cmocka_unit_test(test_law_close_wakes),
		cmocka_unit_test(test_law_uniform_choice),
		cmocka_unit_test(test_law_uniform_among_waiters),
		cmocka_unit_test(test_law_deadline),
		cmocka_unit_test(test_law_value_before_deadline),
		cmocka_unit_test(test_law_deadline_race),
		cmocka_unit_test(test_law_no_trace),
		cmocka_unit_test(test_law_both_ends),
		cmocka_unit_test(test_law_default_is_atomic),
		cmocka_unit_test(test_law_freed_by_receiver),
		cmocka_unit_test(test_law_stress),
		cmocka_unit_test(test_law_many_cases),
		cmocka_unit_test(test_law_no_starvation),
	};

	return cmocka_run_group_tests_name("select", tests, NULL, NULL);
}
