/* The scheduler: everything runs, nothing is lost, whoever is woken wakes. */
#include "tests/support/run.h"

#include "server/base/random.h"
#include "server/runtime/sched.h"

#include <string.h>

/* ---- Yield ---- */

static char order[64];
static struct countdown all;

static void write_letters(char letter, int n)
{
	for (int i = 0; i < n; i++) {
		size_t length = strlen(order);

		order[length] = letter;
		go_yield();
	}
	countdown_done(&all);
}

static int two_writers(void *arg)
{
	(void)arg;
	memset(order, 0, sizeof(order));
	all = (struct countdown)COUNTDOWN(2);
	expect(go(write_letters, 'a', 5) == 0);
	expect(go(write_letters, 'b', 5) == 0);
	countdown_wait(&all);
	return 0;
}

static void yield_takes_turns(void **state)
{
	(void)state;
	run(1, two_writers, NULL);
	assert_int_equal(strlen(order), 10);
	for (int i = 2; i < 10; i++)
		assert_int_equal(order[i], order[i - 2]);
}

static void yield_many(int n)
{
	for (int i = 0; i < n; i++)
		go_yield();
	countdown_done(&all);
}

static int thousands(void *arg)
{
	int n = SCALE(20000);

	(void)arg;
	all = (struct countdown)COUNTDOWN(n);
	for (int i = 0; i < n; i++)
		expect(go(yield_many, SCALE_ROUNDS(i % 50)) == 0);
	expect(go_count() >= 1); /* this one, if all others are done */
	countdown_wait(&all);
	return 0;
}

static void thousands_of_goroutines_all_run(void **state)
{
	(void)state;
	run(1, thousands, NULL);
	run(4, thousands, NULL);
}

/* ---- Park and ready ---- */

/* Two goroutines that wake each other in turn: a token in a slot under a lock. */
struct ball {
	struct lock lock;
	int turn;
	struct goroutine *waiter;
	int rounds;
	struct countdown *done;
};

static void play(struct ball *b, int me)
{
	for (int i = 0; i < b->rounds; i++) {
		struct goroutine *other;

		lock_acquire(&b->lock);
		while (b->turn != me) {
			b->waiter = go_self();
			go_park_unlock(&b->lock, WAIT_TEST);
			lock_acquire(&b->lock);
		}
		b->turn = !me;
		other = b->waiter;
		b->waiter = NULL;
		lock_release(&b->lock);
		if (other)
			go_ready(other);
	}
	countdown_done(b->done);
}

static int many_games(void *arg)
{
	enum { GAMES = 50 };
	static struct ball balls[GAMES];

	(void)arg;
	all = (struct countdown)COUNTDOWN(2 * GAMES);
	for (int i = 0; i < GAMES; i++) {
		balls[i] = (struct ball){
			.lock = LOCK_INIT(LOCK_RANK_OUTER), .rounds = SCALE_ROUNDS(2000), .done = &all};
		expect(go(play, &balls[i], 0) == 0);
		expect(go(play, &balls[i], 1) == 0);
	}
	countdown_wait(&all);
	return 0;
}

static void no_wake_up_is_lost(void **state)
{
	struct go_options o = {0};

	(void)state;
	for (o.procs = 1; o.procs <= 4; o.procs++)
		run_with(o, many_games, NULL);
	/* With a seed the scheduler takes turns that it else would not. */
	o.procs = 4;
	for (o.seed = 1; o.seed <= 5; o.seed++)
		run_with(o, many_games, NULL);
}

/* Threads fall asleep and are woken, again and again: few goroutines, more processors. */
static int sleepy_games(void *arg)
{
	static struct ball balls[2];

	(void)arg;
	for (int round = 0; round < 50; round++) {
		all = (struct countdown)COUNTDOWN(4);
		for (int i = 0; i < 2; i++) {
			balls[i] = (struct ball){
				.lock = LOCK_INIT(LOCK_RANK_OUTER), .rounds = 50, .done = &all};
			expect(go(play, &balls[i], 0) == 0);
			expect(go(play, &balls[i], 1) == 0);
		}
		countdown_wait(&all);
		go_sleep(NS_PER_MS / 10);
	}
	return 0;
}

static void sleeping_threads_are_woken(void **state)
{
	(void)state;
	run(2, sleepy_games, NULL);
	run(8, sleepy_games, NULL);
}

static bool refuse(struct goroutine *g, void *arg)
{
	expect(g != NULL);
	++*(int *)arg;
	return false;
}

static int park_refused(void *arg)
{
	int refusals = 0;

	(void)arg;
	for (int i = 0; i < 1000; i++)
		go_park(refuse, &refusals, WAIT_TEST);
	expect(refusals == 1000);
	return 0;
}

static void an_unlock_may_refuse_the_park(void **state)
{
	(void)state;
	run(1, park_refused, NULL);
	run(4, park_refused, NULL);
}

/* ---- Batches ---- */

static struct {
	struct lock lock;
	struct go_queue queue;
} gate = {.lock = LOCK_INIT(LOCK_RANK_OUTER)};

static bool enter_gate(struct goroutine *g, void *arg)
{
	(void)arg;
	go_queue_push(&gate.queue, g);
	lock_release(&gate.lock);
	return true;
}

static void wait_at_gate(void)
{
	lock_acquire(&gate.lock);
	go_park(enter_gate, NULL, WAIT_TEST);
	countdown_done(&all);
}

static size_t gate_count(void)
{
	size_t n;

	lock_acquire(&gate.lock);
	n = gate.queue.count;
	lock_release(&gate.lock);
	return n;
}

static int open_gate(void *arg)
{
	static const int sizes[] = {1, 2, 100, 129, 1000};

	(void)arg;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		struct go_queue woken = {0};
		struct goroutine *g;

		all = (struct countdown)COUNTDOWN(sizes[s]);
		for (int i = 0; i < sizes[s]; i++)
			expect(go(wait_at_gate) == 0);
		while (gate_count() < (size_t)sizes[s])
			go_yield();
		while ((g = go_queue_pop(&gate.queue)))
			go_ready_sooner(&woken, g);
		go_ready_all(&woken);
		expect(woken.count == 0 && !woken.head);
		countdown_wait(&all);
	}
	return 0;
}

static void a_batch_wakes_all(void **state)
{
	(void)state;
	run(1, open_gate, NULL);
	run(4, open_gate, NULL);
}

/* ---- Order and chance ---- */

static char trace[200];

static void trace_me(int i)
{
	trace[strlen(trace)] = (char)('a' + i % 26);
	countdown_done(&all);
}

static int traced(void *arg)
{
	(void)arg;
	memset(trace, 0, sizeof(trace));
	all = (struct countdown)COUNTDOWN(100);
	for (int i = 0; i < 100; i++)
		expect(go(trace_me, i) == 0);
	countdown_wait(&all);
	trace[strlen(trace)] = (char)('0' + go_random_below(10));
	return 0;
}

static void one_seed_gives_one_order(void **state)
{
	struct go_options o = {.procs = 1, .seed = 12345};
	char first[sizeof(trace)];

	(void)state;
	run_with(o, traced, NULL);
	memcpy(first, trace, sizeof(first));
	run_with(o, traced, NULL);
	assert_string_equal(trace, first);
	o.seed = 54321;
	run_with(o, traced, NULL);
	assert_string_not_equal(trace, first);
}

/* ---- The work reaches all processors, and nobody is starved ---- */

static _Atomic int computing;

static void compute_together(int together)
{
	int64_t end_ns = clock_deadline_ns(20 * NS_PER_S);

	atomic_fetch_add(&computing, 1);
	/* Never yields: only other processors can run the others. */
	while (atomic_load(&computing) < together && clock_now_ns() < end_ns)
		;
	expect(atomic_load(&computing) >= together);
	countdown_done(&all);
}

static int compute_on_all(void *arg)
{
	int procs = go_procs();

	(void)arg;
	atomic_store(&computing, 0);
	all = (struct countdown)COUNTDOWN(procs);
	for (int i = 0; i < procs; i++)
		expect(go(compute_together, procs) == 0);
	countdown_wait(&all);
	return 0;
}

static void work_spreads_over_processors(void **state)
{
	(void)state;
	run(2, compute_on_all, NULL);
	run(4, compute_on_all, NULL);
}

static _Atomic bool reached;

static void reach(void)
{
	atomic_store(&reached, true);
}

/* What is next behind a goroutine that computes on is taken over by another processor. */
static int compute_before_next(void *arg)
{
	int64_t end_ns = clock_deadline_ns(20 * NS_PER_S);

	(void)arg;
	atomic_store(&reached, false);
	expect(go(reach) == 0);
	while (!atomic_load(&reached) && clock_now_ns() < end_ns)
		;
	expect(atomic_load(&reached));
	return 0;
}

static void the_next_one_is_rescued(void **state)
{
	(void)state;
	run(2, compute_before_next, NULL);
}

static _Atomic int meeting;

/* Stays on its processor until another of its kind runs, too. */
static void meet(void)
{
	int64_t end_ns = clock_deadline_ns(20 * NS_PER_S);

	atomic_fetch_add(&meeting, 1);
	while (atomic_load(&meeting) < 2 && clock_now_ns() < end_ns)
		;
	countdown_done(&all);
}

static void pass_by(void)
{
	countdown_done(&all);
}

/* Newborns were short so far, and not worth another processor's while; these need one. */
static int long_after_short(void *arg)
{
	(void)arg;
	for (int round = 0; round < 100; round++) {
		all = (struct countdown)COUNTDOWN(20);
		for (int i = 0; i < 20; i++)
			expect(go(pass_by) == 0);
		countdown_wait(&all);
	}
	atomic_store(&meeting, 0);
	all = (struct countdown)COUNTDOWN(3);
	for (int i = 0; i < 3; i++)
		expect(go(meet) == 0);
	countdown_wait(&all);
	expect(atomic_load(&meeting) == 3);
	return 0;
}

static void newborns_that_last_are_helped(void **state)
{
	int64_t begin_ns = clock_now_ns();

	(void)state;
	run(2, long_after_short, NULL);
	assert_true(clock_now_ns() - begin_ns < 15 * NS_PER_S);
}

static int began[100], began_count;

static void begin_as(int i)
{
	began[began_count++] = i;
	countdown_done(&all);
}

static int begin_in_order(void *arg)
{
	(void)arg;
	began_count = 0;
	all = (struct countdown)COUNTDOWN(100);
	for (int i = 0; i < 100; i++)
		expect(go(begin_as, i) == 0);
	countdown_wait(&all);
	/* But for one that has its turn out of line now and then. */
	expect(began[0] >= 98);
	expect(began[99] <= 1);
	return 0;
}

static void the_youngest_begins_first(void **state)
{
	(void)state;
	if (getenv("CHAND_SCHED_SEED"))
		return;
	run(1, begin_in_order, NULL);
}

static _Atomic bool old_one_ran;

static void run_old_one(void)
{
	atomic_store(&old_one_ran, true);
}

/* Each starts its successor: there is always a younger one than the first. */
static void breed(int generation)
{
	if (!atomic_load(&old_one_ran) && generation < 1000000)
		expect(go(breed, generation + 1) == 0);
	else
		countdown_done(&all);
}

static int starve_oldest(void *arg)
{
	(void)arg;
	atomic_store(&old_one_ran, false);
	all = (struct countdown)COUNTDOWN(1);
	expect(go(run_old_one) == 0);
	expect(go(breed, 0) == 0);
	countdown_wait(&all);
	expect(atomic_load(&old_one_ran));
	return 0;
}

static void the_oldest_is_not_starved(void **state)
{
	(void)state;
	run(1, starve_oldest, NULL);
}

static void begin_and_end(void)
{
}

/* The same of one that its processor had no room for, while it has others, old and young. */
static int starve_oldest_elsewhere(void *arg)
{
	(void)arg;
	atomic_store(&old_one_ran, false);
	all = (struct countdown)COUNTDOWN(1);
	expect(go(run_old_one) == 0);
	for (int i = 0; i < NEWQ_CAPACITY; i++)
		expect(go(begin_and_end) == 0);
	expect(sched.newborns.count > 0);
	expect(go(breed, 0) == 0);
	countdown_wait(&all);
	expect(atomic_load(&old_one_ran));
	return 0;
}

static void the_oldest_of_too_many_is_not_starved(void **state)
{
	(void)state;
	if (getenv("CHAND_SCHED_SEED"))
		return;
	run(1, starve_oldest_elsewhere, NULL);
}

/* The global queue is served though the local one never empties. */
static int starve_global(void *arg)
{
	struct goroutine *g;
	struct go_queue q = {0};
	int64_t end_ns = clock_deadline_ns(20 * NS_PER_S);

	(void)arg;
	all = (struct countdown)COUNTDOWN(1);
	expect(go(wait_at_gate) == 0);
	while (gate_count() < 1)
		go_yield();
	g = go_queue_pop(&gate.queue);
	atomic_store(&g->state, G_RUNNABLE);
	go_queue_push(&q, g);
	put_global(&q);
	while (all.left > 0 && clock_now_ns() < end_ns)
		go_yield();
	expect(all.left == 0);
	return 0;
}

static void the_global_queue_is_not_starved(void **state)
{
	(void)state;
	run(1, starve_global, NULL);
}

static _Atomic int steps;
static _Atomic bool stop_steps;

static void nothing(void *code, void *args)
{
	(void)code;
	(void)args;
}

/* Is next here again and again, and sees to it that the global queue is never empty. */
static void step_on(void)
{
	static const struct go_site site = {__FILE__, "step_on", "nothing", __LINE__};
	struct go_queue q = {0};
	struct goroutine *g;

	if (atomic_fetch_add(&steps, 1) >= 100000 || atomic_load(&stop_steps))
		return;
	if (atomic_load(&sched.global_count) == 0) {
		expect(goroutine_new(NULL, &site, nothing, NULL, NULL, 0, &g) == 0);
		go_queue_push(&q, g);
		put_global(&q);
	}
	expect(go(step_on) == 0);
}

/* What stands in the queue is served though another is always next, and others in the global one. */
static int starve_ring(void *arg)
{
	(void)arg;
	atomic_store(&steps, 0);
	atomic_store(&stop_steps, false);
	expect(go(step_on) == 0);
	for (int i = 0; i < 3; i++)
		go_yield();
	expect(atomic_load(&steps) <= 1000);
	atomic_store(&stop_steps, true);
	return 0;
}

static void the_ring_is_not_starved(void **state)
{
	(void)state;
	run(1, starve_ring, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(yield_takes_turns),
		cmocka_unit_test(thousands_of_goroutines_all_run),
		cmocka_unit_test(no_wake_up_is_lost),
		cmocka_unit_test(sleeping_threads_are_woken),
		cmocka_unit_test(an_unlock_may_refuse_the_park),
		cmocka_unit_test(a_batch_wakes_all),
		cmocka_unit_test(one_seed_gives_one_order),
		cmocka_unit_test(work_spreads_over_processors),
		cmocka_unit_test(the_next_one_is_rescued),
		cmocka_unit_test(newborns_that_last_are_helped),
		cmocka_unit_test(the_youngest_begins_first),
		cmocka_unit_test(the_oldest_is_not_starved),
		cmocka_unit_test(the_oldest_of_too_many_is_not_starved),
		cmocka_unit_test(the_global_queue_is_not_starved),
		cmocka_unit_test(the_ring_is_not_starved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
