/* Goroutines that move to another processor: each goes on, once, whatever that processor does. */
#include "server/runtime/rival.h"

#include "server/runtime/golock.h"
#include "tests/support/run.h"

static struct countdown all;

enum { MOVERS = 50, MOVES = 2000 };

static void move_about(int i)
{
	for (int n = 0; n < MOVES; n++) {
		rival_move(&sched.processors[(i + n) % go_procs()]);
		if (n % 7 == 0)
			go_yield();
	}
	countdown_done(&all);
}

static int many_move(void *arg)
{
	(void)arg;
	all = (struct countdown)COUNTDOWN(MOVERS);
	for (int i = 0; i < MOVERS; i++)
		expect(go(move_about, i) == 0);
	countdown_wait(&all);
	return 0;
}

/* Also to processors that are idle, or about to be, and to its own. */
static void who_moves_goes_on(void **state)
{
	(void)state;
	run(2, many_move, NULL);
	run(4, many_move, NULL);
	run_with((struct go_options){.procs = 3, .seed = 7}, many_move, NULL);
}

static int one_moves(void *arg)
{
	(void)arg;
	for (int n = 0; n < MOVES; n++)
		rival_move(&sched.processors[n % go_procs()]);
	return 0;
}

/* No other goroutine makes the idle one look. */
static void to_an_idle_processor(void **state)
{
	(void)state;
	run(2, one_moves, NULL);
	run(4, one_moves, NULL);
}

static _Atomic int computes_at = -1;
static _Atomic bool moved;

static void compute_until_moved(void)
{
	int64_t end_ns = clock_deadline_ns(20 * NS_PER_S);

	atomic_store(&computes_at, (int)this_machine()->p->index);
	while (!atomic_load(&moved) && clock_now_ns() < end_ns)
		;
	expect(atomic_load(&moved));
}

static int move_behind_one_that_computes(void *arg)
{
	(void)arg;
	atomic_store(&moved, false);
	atomic_store(&computes_at, -1);
	expect(go(compute_until_moved) == 0);
	while (atomic_load(&computes_at) < 0)
		go_yield();
	rival_move(&sched.processors[atomic_load(&computes_at)]);
	atomic_store(&moved, true);
	return 0;
}

/* Whose processor never comes to look is rescued. */
static void from_behind_one_that_computes(void **state)
{
	(void)state;
	run(2, move_behind_one_that_computes, NULL);
}

static struct golock fought;
static long counter; /* guarded by it */

enum { FIGHTERS = 8, ROUNDS = 100000 };

static void fight(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		golock_acquire(&fought);
		counter++;
		golock_release(&fought);
		if (i % 16 == 0)
			go_yield();
	}
	countdown_done(&all);
}

static int many_fight(void *arg)
{
	(void)arg;
	counter = 0;
	golock_init(&fought, LOCK_RANK_HCHAN);
	all = (struct countdown)COUNTDOWN(FIGHTERS);
	for (int i = 0; i < FIGHTERS; i++)
		expect(go(fight) == 0);
	countdown_wait(&all);
	expect(counter == (long)FIGHTERS * ROUNDS);
	return 0;
}

static void a_lock_that_is_fought_for_excludes(void **state)
{
	(void)state;
	run(1, many_fight, NULL);
	run(2, many_fight, NULL);
	run(4, many_fight, NULL);
}

/* RIVAL_BOUTS waits of waited_ns, one in every_ns: is the last one, and no other, a fight? */
static bool bouts_are_a_fight(struct processor *p, int64_t waited_ns, int64_t every_ns)
{
	int64_t now_ns = NS_PER_S;

	for (int i = 1; i < RIVAL_BOUTS; i++, now_ns += every_ns)
		assert_false(rival_count_bout(p, now_ns, now_ns + waited_ns));
	return rival_count_bout(p, now_ns, now_ns + waited_ns);
}

static void who_waits_a_tenth_of_the_time_fights(void **state)
{
	static struct processor p;

	(void)state;
	assert_true(bouts_are_a_fight(&p, 50, 250));
	assert_false(bouts_are_a_fight(&p, 50, 1000));
	assert_true(bouts_are_a_fight(&p, 200, 1000)); /* the CPUs lie further apart */
	assert_false(bouts_are_a_fight(&p, 200, NS_PER_MS));
}

/* The holder was taken off its CPU once. */
static void one_long_wait_is_no_fight(void **state)
{
	static struct processor p;

	(void)state;
	assert_false(rival_count_bout(&p, 0, 5 * NS_PER_MS));
	for (int i = 1; i < RIVAL_BOUTS; i++)
		assert_false(rival_count_bout(&p, 5 * NS_PER_MS + i, 5 * NS_PER_MS + i));
}

/* What is kept together is still taken from where it is long, and not where it is short. */
static void a_long_queue_is_helped(void **state)
{
	static struct processor p;
	static struct goroutine gs[RIVAL_QUEUE_LONG];

	(void)state;
	assert_false(rival_may_help(&p));
	runq_put(&p.runq, &gs[0]);
	assert_true(rival_may_help(&p));
	atomic_store(&p.together, true);
	for (int i = 1; i < RIVAL_QUEUE_LONG; i++) {
		assert_false(rival_may_help(&p));
		runq_put(&p.runq, &gs[i]);
	}
	assert_true(rival_may_help(&p));
	while (runq_get(&p.runq) != &gs[RIVAL_QUEUE_LONG - 2])
		;
	assert_false(rival_may_help(&p));
	rival_forget(&p);
	assert_true(rival_may_help(&p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_moves_goes_on),
		cmocka_unit_test(to_an_idle_processor),
		cmocka_unit_test(from_behind_one_that_computes),
		cmocka_unit_test(a_lock_that_is_fought_for_excludes),
		cmocka_unit_test(who_waits_a_tenth_of_the_time_fights),
		cmocka_unit_test(one_long_wait_is_no_fight),
		cmocka_unit_test(a_long_queue_is_helped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
