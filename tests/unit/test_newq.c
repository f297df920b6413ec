/* The queue of newborns: the youngest for its owner, the oldest for thieves, each exactly once. */
#include "server/runtime/newq.h"

#include <pthread.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct goroutine gs[2 * NEWQ_CAPACITY];

static void put_many(struct newq *q, int from, int to)
{
	for (int i = from; i < to; i++)
		assert_true(newq_put(q, &gs[i]));
}

static void last_in_first_out(void **state)
{
	(void)state;
	for (int alone = 0; alone <= 1; alone++) {
		struct newq q = {.alone = alone};

		assert_null(newq_get(&q));
		for (int round = 0; round < 30; round++) { /* the head goes around the ring */
			put_many(&q, 0, 100);
			assert_int_equal(newq_length(&q), 100);
			for (int i = 0; i < 50; i++)
				assert_ptr_equal(newq_get_oldest(&q), &gs[i]);
			for (int i = 99; i >= 50; i--)
				assert_ptr_equal(newq_get(&q), &gs[i]);
			assert_null(newq_get(&q));
			assert_null(newq_get_oldest(&q));
		}
	}
}

static void a_full_one_refuses(void **state)
{
	struct newq q = {0};

	(void)state;
	put_many(&q, 0, NEWQ_CAPACITY);
	assert_false(newq_put(&q, &gs[NEWQ_CAPACITY]));
	assert_ptr_equal(newq_get(&q), &gs[NEWQ_CAPACITY - 1]);
	assert_true(newq_put(&q, &gs[NEWQ_CAPACITY]));
}

static void sheds_the_older_half_in_order(void **state)
{
	struct go_queue out = {0};
	struct newq q = {0};

	(void)state;
	put_many(&q, 0, NEWQ_CAPACITY);
	assert_int_equal(newq_shed(&q, &out), NEWQ_CAPACITY / 2);
	for (int i = 0; i < NEWQ_CAPACITY / 2; i++)
		assert_ptr_equal(go_queue_pop(&out), &gs[i]);
	assert_null(go_queue_pop(&out));
	assert_ptr_equal(newq_get_oldest(&q), &gs[NEWQ_CAPACITY / 2]);
}

static void thieves_take_the_older_half(void **state)
{
	struct newq thief = {0}, victim = {0};

	(void)state;
	assert_null(newq_steal(&thief, &victim, true));
	put_many(&victim, 0, 11);
	assert_ptr_equal(newq_steal(&thief, &victim, false), &gs[4]);
	assert_int_equal(newq_length(&victim), 6);
	for (int i = 3; i >= 0; i--)
		assert_ptr_equal(newq_get(&thief), &gs[i]);
	assert_null(newq_get(&thief));
}

/* Its processor is about to come to it. */
static void an_only_one_is_left_unless_asked_for(void **state)
{
	struct newq thief = {0}, victim = {0};

	(void)state;
	put_many(&victim, 0, 1);
	assert_null(newq_steal(&thief, &victim, false));
	assert_ptr_equal(newq_steal(&thief, &victim, true), &gs[0]);
	assert_int_equal(newq_length(&victim), 0);
}

/* ---- One owner puts and takes, thieves steal: each goroutine comes out once ---- */

enum { THIEVES = 3, PUTS = 300000 };

static struct newq shared;
static _Atomic bool over;
static struct goroutine all[PUTS];
static _Atomic uint8_t times[PUTS];

static void took(const struct goroutine *g)
{
	if (g)
		atomic_fetch_add_explicit(&times[g - all], 1, memory_order_relaxed);
}

static void *thief_main(void *arg)
{
	struct newq *own = arg;
	struct goroutine *g;
	bool last;

	do {
		last = atomic_load(&over);
		while ((g = newq_steal(own, &shared, true))) {
			took(g);
			while ((g = newq_get(own)))
				took(g);
		}
	} while (!last);
	return NULL;
}

/* Puts a few and takes a few, so that slots are used again under thieves' eyes. */
static void put_and_take(void)
{
	struct go_queue shed = {0};

	for (int i = 0; i < PUTS; i++) {
		while (!newq_put(&shared, &all[i]))
			newq_shed(&shared, &shed);
		if (i % 5 < 3)
			took(newq_get(&shared));
		if (i % 97 == 0)
			took(newq_get_oldest(&shared));
	}
	while (shed.count > 0)
		took(go_queue_pop(&shed));
}

static void each_comes_out_once(void **state)
{
	static struct newq own[THIEVES];
	pthread_t threads[THIEVES];

	(void)state;
	for (int i = 0; i < THIEVES; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, thief_main, &own[i]), 0);
	put_and_take();
	atomic_store(&over, true);
	for (int i = 0; i < THIEVES; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < PUTS; i++)
		assert_int_equal(times[i], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(last_in_first_out),
		cmocka_unit_test(a_full_one_refuses),
		cmocka_unit_test(sheds_the_older_half_in_order),
		cmocka_unit_test(thieves_take_the_older_half),
		cmocka_unit_test(an_only_one_is_left_unless_asked_for),
		cmocka_unit_test(each_comes_out_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
