#include "server/runtime/runq.h"

#include "tests/support/child.h"
#include "tests/support/no_membarrier.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct goroutine gs[4 * RUNQ_CAPACITY];

static void put_many(struct runq *q, int from, int to)
{
	for (int i = from; i < to; i++)
		assert_true(runq_put(q, &gs[i]));
}

static void first_in_first_out(void **state)
{
	struct runq q = {0};

	(void)state;
	assert_null(runq_get(&q));
	for (int round = 0; round < 5; round++) { /* the indices wrap around the ring */
		put_many(&q, 0, 100);
		assert_int_equal(runq_length(&q), 100);
		for (int i = 0; i < 100; i++)
			assert_ptr_equal(runq_get(&q), &gs[i]);
		assert_null(runq_get(&q));
	}
}

static void a_full_ring_refuses(void **state)
{
	struct runq q = {0};

	(void)state;
	put_many(&q, 0, RUNQ_CAPACITY);
	assert_false(runq_put(&q, &gs[RUNQ_CAPACITY]));
	assert_false(runq_put_back(&q, &gs[RUNQ_CAPACITY]));
	assert_ptr_equal(runq_get(&q), &gs[0]);
	assert_true(runq_put_back(&q, &gs[RUNQ_CAPACITY]));
}

static void next_runs_before_the_ring(void **state)
{
	struct runq q = {0};

	(void)state;
	put_many(&q, 0, 2);
	assert_null(runq_put_next(&q, &gs[7]));
	assert_true(runq_has_next(&q));
	assert_ptr_equal(runq_put_next(&q, &gs[8]), &gs[7]);
	assert_ptr_equal(runq_get(&q), &gs[8]);
	assert_ptr_equal(runq_get(&q), &gs[0]);
	assert_false(runq_has_next(&q));
}

static void sheds_the_older_half_in_order(void **state)
{
	struct go_queue out = {0};
	struct runq q = {0};

	(void)state;
	put_many(&q, 0, RUNQ_CAPACITY);
	assert_int_equal(runq_shed(&q, &out), RUNQ_CAPACITY / 2);
	for (int i = 0; i < RUNQ_CAPACITY / 2; i++)
		assert_ptr_equal(go_queue_pop(&out), &gs[i]);
	assert_null(go_queue_pop(&out));
	assert_ptr_equal(runq_get(&q), &gs[RUNQ_CAPACITY / 2]);
}

static void steals_half_and_leaves_next(void **state)
{
	struct runq thief = {0}, victim = {0};

	(void)state;
	runq_init(&victim, false);
	assert_null(runq_steal(&thief, &victim, true));
	put_many(&victim, 0, 10);
	assert_null(runq_put_next(&victim, &gs[99]));
	assert_ptr_equal(runq_steal(&thief, &victim, true), &gs[4]);
	for (int i = 0; i < 4; i++)
		assert_ptr_equal(runq_get(&thief), &gs[i]);
	assert_int_equal(runq_length(&victim), 5);
	while (runq_length(&victim) > 0)
		assert_non_null(runq_steal(&thief, &victim, false));
	assert_null(runq_steal(&thief, &victim, false));
	while (runq_get(&thief))
		;
	assert_ptr_equal(runq_steal(&thief, &victim, true), &gs[99]);
	assert_false(runq_has_next(&victim));
}

/* ---- One owner puts and gets, thieves steal: each goroutine comes out once ---- */

enum { THIEVES = 3, PUTS = 200000 };

static struct runq shared;
static _Atomic bool over;

/* Of owner and thieves; index 0 is the owner's. */
static uint64_t taken_sum[THIEVES + 1], taken_count[THIEVES + 1];

static void took(int who, const struct goroutine *g)
{
	taken_count[who]++;
	taken_sum[who] += g->id;
}

static void *thief_main(void *arg)
{
	int who = (int)(intptr_t)arg;
	struct runq *own = aligned_alloc(_Alignof(struct runq), sizeof(struct runq));
	struct goroutine *g;
	bool last;

	*own = (struct runq){0};
	do {
		last = atomic_load(&over);
		while ((g = runq_steal(own, &shared, true))) {
			took(who, g);
			while ((g = runq_get(own)))
				took(who, g);
		}
	} while (!last);
	free(own);
	return NULL;
}

static void share_among_thieves(void)
{
	struct goroutine *all = calloc(PUTS, sizeof(*all)), *g;
	pthread_t threads[THIEVES + 1];
	struct go_queue shed = {0};
	uint64_t count = 0, sum = 0;

	atomic_store(&over, false);
	memset(taken_sum, 0, sizeof(taken_sum));
	memset(taken_count, 0, sizeof(taken_count));
	for (int i = 1; i <= THIEVES; i++)
		pthread_create(&threads[i], NULL, thief_main, (void *)(intptr_t)i);
	for (int i = 0; i < PUTS; i++) {
		all[i].id = (uint64_t)i + 1;
		g = &all[i];
		if (i % 3 == 0)
			g = runq_put_next(&shared, g);
		while (g && !runq_put(&shared, g))
			runq_shed(&shared, &shed);
		if (i % 5 == 0 && (g = runq_get(&shared)))
			took(0, g);
	}
	while ((g = runq_get(&shared)))
		took(0, g);
	atomic_store(&over, true);
	for (int i = 1; i <= THIEVES; i++)
		pthread_join(threads[i], NULL);
	while ((g = go_queue_pop(&shed)))
		took(0, g);
	for (int i = 0; i <= THIEVES; i++) {
		count += taken_count[i];
		sum += taken_sum[i];
	}
	assert_int_equal(count, PUTS);
	assert_int_equal(sum, (uint64_t)PUTS * (PUTS + 1) / 2);
	free(all);
}

static void each_comes_out_once(void **state)
{
	(void)state;
	runq_init(&shared, false);
	share_among_thieves();
}

/* The same where the next slot is changed by exchanges for want of fences. */
static void share_without_membarrier(void *arg)
{
	(void)arg;
	forbid_membarrier();
	runq_init(&shared, false);
	share_among_thieves();
}

static void needs_no_membarrier(void **state)
{
	static struct child c;

	(void)state;
	child_run(&c, share_without_membarrier, NULL);
	assert_true(child_exited(&c, 0));
}

/* An owner that is changing what is next keeps it, and one that is away does not. */
static void raids_no_busy_owner(void **state)
{
	struct runq thief = {0}, victim = {0};

	(void)state;
	runq_init(&victim, false);
	assert_null(runq_put_next(&victim, &gs[0]));
	atomic_store(&victim.next_busy, true);
	if (!victim.unfenced)
		assert_null(runq_steal(&thief, &victim, true));
	atomic_store(&victim.next_busy, false);
	assert_ptr_equal(runq_steal(&thief, &victim, true), &gs[0]);
	assert_null(runq_take_next(&victim));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_in_first_out),
		cmocka_unit_test(a_full_ring_refuses),
		cmocka_unit_test(next_runs_before_the_ring),
		cmocka_unit_test(sheds_the_older_half_in_order),
		cmocka_unit_test(steals_half_and_leaves_next),
		cmocka_unit_test(raids_no_busy_owner),
		cmocka_unit_test(each_comes_out_once),
		cmocka_unit_test(needs_no_membarrier),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
