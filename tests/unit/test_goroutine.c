/* Many goroutines at once, what they take, and what they leave. */
#include "tests/support/run.h"

#include "server/runtime/sched.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct {
	struct lock lock;
	struct go_queue queue;
} room = {.lock = LOCK_INIT(LOCK_RANK_OUTER)};

static struct countdown arrived, left;

static bool enter_room(struct goroutine *g, void *arg)
{
	(void)arg;
	go_queue_push(&room.queue, g);
	lock_release(&room.lock);
	countdown_done(&arrived);
	return true;
}

static void wait_in_room(void)
{
	lock_acquire(&room.lock);
	go_park(enter_room, NULL, WAIT_TEST);
	countdown_done(&left);
}

static long resident_bytes(void)
{
	long total = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f && fscanf(f, "%ld %ld", &total, &resident) != 2)
		resident = 0;
	if (f)
		fclose(f);
	return resident * sysconf(_SC_PAGESIZE);
}

static void fill_room(int n)
{
	arrived = (struct countdown)COUNTDOWN(n);
	left = (struct countdown)COUNTDOWN(n);
	for (int i = 0; i < n; i++)
		expect(go(wait_in_room) == 0);
	countdown_wait(&arrived);
}

static void empty_room(void)
{
	struct go_queue q = {0};
	struct goroutine *g;

	lock_acquire(&room.lock);
	while ((g = go_queue_pop(&room.queue)))
		go_ready_sooner(&q, g);
	lock_release(&room.lock);
	go_ready_all(&q);
	countdown_wait(&left);
}

static int crowd(void *arg)
{
	int n = *(int *)arg;
	int64_t begin_ns = clock_now_ns();
	long before = resident_bytes(), each;

	fill_room(n);
	each = (resident_bytes() - before) / n;
	printf("# %d parked goroutines in %lld ms, %ld bytes each\n", n,
		(long long)((clock_now_ns() - begin_ns) / NS_PER_MS), each);
	expect(n < 10000 || each < 4096 + 256 || !memory_is_ours());
	expect(go_count() >= (uint32_t)n);
	empty_room();
	return 0;
}

static void a_hundred_thousand_are_ordinary(void **state)
{
	int n = SCALE(100000);

	(void)state;
	run(1, crowd, &n);
	run(4, crowd, &n);
}

/* Takes 4.3 GB: only when asked for. */
static void a_million_work(void **state)
{
	int n = 1000000;

	(void)state;
	if (!getenv("TEST_MILLION")) {
		printf("# a million goroutines: set TEST_MILLION to run\n");
		return;
	}
	run(0, crowd, &n);
	run_with((struct go_options){.guards = GO_GUARDS_MPROTECT}, crowd, &n);
}

static int churn(void *arg)
{
	long after_first;

	(void)arg;
	fill_room(SCALE(2000));
	empty_room();
	after_first = resident_bytes();
	for (int i = 0; i < 20; i++) {
		fill_room(SCALE(2000));
		empty_room();
	}
	/* Stacks are used again: nothing grows. */
	expect(!memory_is_ours() || resident_bytes() < after_first + (2 << 20));
	return 0;
}

static void stacks_are_used_again(void **state)
{
	(void)state;
	run(1, churn, NULL);
	run(4, churn, NULL);
}

static __attribute__((noinline)) void touch_deep(void)
{
	volatile char frame[40 << 10];

	memset((void *)frame, 1, sizeof(frame));
}

static void go_deep(void)
{
	touch_deep();
	countdown_done(&left);
}

static int deep_and_back(void *arg)
{
	int n = SCALE(1000);
	long before = resident_bytes();

	(void)arg;
	fill_room(n);
	empty_room();
	left = (struct countdown)COUNTDOWN(n);
	for (int i = 0; i < n; i++)
		expect(go(go_deep) == 0);
	countdown_wait(&left);
	/* What sysmon does once a second; processors do theirs as they go. */
	stack_pool_trim();
	for (int i = 0; i < 1000; i++) {
		left = (struct countdown)COUNTDOWN(1);
		expect(go(go_deep) == 0);
		countdown_wait(&left);
	}
	stack_pool_trim();
	expect(!memory_is_ours() || resident_bytes() - before < n * 4096L + (8 << 20));
	return 0;
}

static void deep_stacks_are_given_back(void **state)
{
	(void)state;
	run(1, deep_and_back, NULL);
	run(4, deep_and_back, NULL);
}

/* A crowd that has gone leaves little behind, though nothing happens any more. */
static int crowd_then_idle(void *arg)
{
	long before = resident_bytes();
	int64_t end_ns = clock_deadline_ns(20 * NS_PER_S);

	(void)arg;
	fill_room(20000);
	empty_room();
	blocking_enter(); /* no processor is taken, so that the process is idle */
	while (resident_bytes() - before > 4 << 20 && clock_now_ns() < end_ns)
		usleep(10000);
	blocking_exit();
	expect(clock_now_ns() < end_ns);
	return 0;
}

static void idleness_gives_stacks_back(void **state)
{
	(void)state;
	if (memory_is_ours())
		run(2, crowd_then_idle, NULL);
}

static int too_many(void *arg)
{
	int started = 0, rc = 0;

	(void)arg;
	left = (struct countdown)COUNTDOWN(1 << 30);
	arrived = (struct countdown)COUNTDOWN(1 << 30);
	while (started < 1000 && (rc = go(wait_in_room)) == 0)
		started++;
	expect(rc == -EAGAIN);
	expect(started >= 100 && started <= 100 + 64);
	for (int i = 0; i < 10; i++)
		go_yield();
	left = (struct countdown)COUNTDOWN(started);
	empty_room();
	expect(go(wait_in_room) == 0); /* there is room again */
	return 0;
}

static void past_the_bound_go_fails(void **state)
{
	(void)state;
	run_with((struct go_options){.procs = 1, .goroutines_max = 100}, too_many, NULL);
}

/* A crowd that has not begun takes a fraction of a page each. */
static int not_begun(void *arg)
{
	int n = SCALE(20000);
	long before = resident_bytes();

	(void)arg;
	left = (struct countdown)COUNTDOWN(n);
	for (int i = 0; i < n; i++)
		expect(go(countdown_done, &left) == 0);
	expect(go_count() == (uint32_t)n + 1);
	expect(!memory_is_ours() || resident_bytes() - before < n * 256L + (1 << 20));
	countdown_wait(&left);
	/* One after another they ran, on few stacks. */
	expect(!memory_is_ours() || resident_bytes() - before < n * 256L + (1 << 20));
	return 0;
}

static void who_has_not_begun_takes_no_stack(void **state)
{
	(void)state;
	run(1, not_begun, NULL);
}

struct many_args {
	unsigned char bytes[480];
};

static void check_args(struct many_args a, int each)
{
	for (size_t i = 0; i < sizeof(a.bytes); i++)
		expect(a.bytes[i] == (unsigned char)(each + (int)i));
	countdown_done(&left);
}

static void check_one(int each, int twice)
{
	expect(twice == 2 * each);
	countdown_done(&left);
}

/* Newborns of all sizes side by side, begun here and elsewhere. */
static int mixed_args(void *arg)
{
	int n = SCALE(5000);
	struct many_args a;

	(void)arg;
	left = (struct countdown)COUNTDOWN(n);
	for (int i = 0; i < n; i++) {
		for (size_t k = 0; k < sizeof(a.bytes); k++)
			a.bytes[k] = (unsigned char)(i + (int)k);
		if (i % 3 == 0)
			expect(go(check_args, a, i) == 0);
		else
			expect(go(check_one, i, 2 * i) == 0);
	}
	countdown_wait(&left);
	return 0;
}

static void arguments_arrive_whatever_their_size(void **state)
{
	(void)state;
	run(1, mixed_args, NULL);
	run(4, mixed_args, NULL);
}

static _Atomic bool stop_trimming;

static void trim_on(void)
{
	while (!atomic_load(&stop_trimming)) {
		stack_pool_trim();
		go_yield();
	}
	countdown_done(&arrived);
}

static void finish_at_once(void)
{
	countdown_done(&left);
}

/* Up to the bound go works, though free stacks are looked at meanwhile. */
static int fill_while_trimming(void *arg)
{
	int n = SCALE(2000) - 10; /* main, the trimmer, and some that die */

	(void)arg;
	atomic_store(&stop_trimming, false);
	arrived = (struct countdown)COUNTDOWN(1);
	expect(go(trim_on) == 0);
	for (int round = 0; round < SCALE_ROUNDS(200); round++) {
		int failed = 0;

		left = (struct countdown)COUNTDOWN(n);
		for (int i = 0; i < n; i++) {
			if (go(finish_at_once) == 0)
				continue;
			failed++;
			countdown_done(&left);
		}
		countdown_wait(&left);
		expect(failed == 0);
	}
	atomic_store(&stop_trimming, true);
	countdown_wait(&arrived);
	return 0;
}

static void trimming_takes_none_away(void **state)
{
	struct go_options options = {.procs = 2, .goroutines_max = (uint32_t)SCALE(2000)};

	(void)state;
	run_with(options, fill_while_trimming, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hundred_thousand_are_ordinary),
		cmocka_unit_test(a_million_work),
		cmocka_unit_test(stacks_are_used_again),
		cmocka_unit_test(deep_stacks_are_given_back),
		cmocka_unit_test(idleness_gives_stacks_back),
		cmocka_unit_test(who_has_not_begun_takes_no_stack),
		cmocka_unit_test(arguments_arrive_whatever_their_size),
		cmocka_unit_test(past_the_bound_go_fails),
		cmocka_unit_test(trimming_takes_none_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
