#include "server/runtime/timer.h"

#include "server/base/random.h"
#include "server/runtime/timer_sched.h"
#include "tests/support/run.h"

/* ---- The heap alone: no scheduler needed, timers_run() is called by hand ---- */

enum { TIMERS = 500 };

static struct timer heap_timers[TIMERS];
static int64_t fired_last_ns;
static int fired_count;

static void note_fired(void *arg)
{
	struct timer *t = arg;

	assert_true(t->deadline_ns >= fired_last_ns);
	fired_last_ns = t->deadline_ns;
	fired_count++;
}

static void fire_in_order_and_never_stopped_ones(void **state)
{
	struct random r;
	int started;

	(void)state;
	random_init(&r, 7);
	for (int round = 0; round < 20; round++) {
		fired_last_ns = 0;
		fired_count = 0;
		started = 0;
		for (int i = 0; i < TIMERS; i++) {
			timer_init(&heap_timers[i], note_fired, &heap_timers[i]);
			timer_start(&heap_timers[i], 1 + random_below(&r, 1000));
			started++;
		}
		for (int i = 0; i < TIMERS; i++) {
			if (random_below(&r, 3) == 0) {
				assert_true(timer_stop(&heap_timers[i]));
				assert_false(timer_stop(&heap_timers[i]));
				started--;
			} else if (random_below(&r, 3) == 0) {
				timer_reset(&heap_timers[i], 1 + random_below(&r, 1000));
			}
		}
		timers_run();
		assert_int_equal(fired_count, started);
		assert_false(timers_pending());
	}
}

static void next_is_the_first_deadline(void **state)
{
	struct timer a, b, never;

	(void)state;
	timer_init(&a, note_fired, &a);
	timer_init(&b, note_fired, &b);
	timer_init(&never, note_fired, &never);
	assert_int_equal(timers_next_ns(), DEADLINE_NEVER);
	timer_start(&never, DEADLINE_NEVER);
	assert_false(timers_pending());
	timer_start(&a, 2000);
	timer_start(&b, 1000);
	assert_int_equal(timers_next_ns(), 1000);
	assert_true(timer_stop(&b));
	assert_int_equal(timers_next_ns(), 2000);
	assert_true(timer_stop(&a));
	assert_false(timer_stop(&never));
	assert_int_equal(timers_next_ns(), DEADLINE_NEVER);
}

static void future_ones_wait(void **state)
{
	struct timer t;

	(void)state;
	fired_count = 0;
	timer_init(&t, note_fired, &t);
	timer_start(&t, clock_deadline_ns(3600 * NS_PER_S));
	timers_run();
	assert_int_equal(fired_count, 0);
	assert_true(timer_stop(&t));
}

/* ---- With the scheduler ---- */

static struct countdown all;

static void sleep_a_while(int ms)
{
	int64_t begin_ns = clock_now_ns();

	go_sleep(ms * NS_PER_MS);
	expect(clock_now_ns() - begin_ns >= ms * NS_PER_MS);
	countdown_done(&all);
}

static int many_sleepers(void *arg)
{
	int n = SCALE(5000);

	(void)arg;
	all = (struct countdown)COUNTDOWN(n);
	for (int i = 0; i < n; i++)
		expect(go(sleep_a_while, i % 30) == 0);
	countdown_wait(&all);
	return 0;
}

static void sleepers_sleep_long_enough(void **state)
{
	(void)state;
	run(1, many_sleepers, NULL);
	run(4, many_sleepers, NULL);
}

static int past_and_short(void *arg)
{
	int64_t begin_ns = clock_now_ns();

	(void)arg;
	for (int i = 0; i < 1000; i++) {
		go_sleep_until(0);
		go_sleep(-1);
		go_sleep(0);
	}
	for (int i = 0; i < 20; i++)
		go_sleep(NS_PER_MS / 5);
	/* None of them for ever, or for as long as a negative time would be as a large one. */
	expect(clock_now_ns() - begin_ns < 60 * NS_PER_S);
	return 0;
}

static void a_past_deadline_does_not_sleep(void **state)
{
	(void)state;
	run(1, past_and_short, NULL);
	run(2, past_and_short, NULL);
}

static _Atomic bool slept;

static void sleep_once(void)
{
	go_sleep(5 * NS_PER_MS);
	atomic_store(&slept, true);
}

/* Timers are looked at though goroutines never stop being runnable. */
static int busy_beside_a_timer(void *arg)
{
	int64_t end_ns = clock_deadline_ns(20 * NS_PER_S);

	(void)arg;
	atomic_store(&slept, false);
	expect(go(sleep_once) == 0);
	while (!atomic_load(&slept) && clock_now_ns() < end_ns)
		go_yield();
	expect(atomic_load(&slept));
	return 0;
}

static void timers_fire_beside_busy_goroutines(void **state)
{
	(void)state;
	run(1, busy_beside_a_timer, NULL);
	run(2, busy_beside_a_timer, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fire_in_order_and_never_stopped_ones),
		cmocka_unit_test(next_is_the_first_deadline),
		cmocka_unit_test(future_ones_wait),
		cmocka_unit_test(sleepers_sleep_long_enough),
		cmocka_unit_test(a_past_deadline_does_not_sleep),
		cmocka_unit_test(timers_fire_beside_busy_goroutines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
