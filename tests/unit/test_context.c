/* Registers and floating-point values survive a switch. */
#include "server/runtime/context.h"

#include "server/runtime/sched.h"
#include "tests/support/run.h"

static struct countdown all;

/* More values alive across a park than there are registers to save. */
static void keep_values(int seed)
{
	long a = seed, b = seed * 3L, c = seed * 5L, d = seed * 7L, e = seed * 11L, f = seed * 13L;
	long g = seed * 17L, h = seed * 19L;
	double u = seed / 2.0, v = seed / 4.0, w = seed / 8.0, x = seed / 16.0;

	for (long i = 0; i < 100; i++) {
		go_yield();
		a += i, b -= i, c ^= i, d += a, e -= b, f ^= c, g += d, h -= e;
		u += 1, v += u, w -= v, x += w;
	}
	/* The same without a switch. */
	long a2 = seed, b2 = seed * 3L, c2 = seed * 5L, d2 = seed * 7L, e2 = seed * 11L;
	long f2 = seed * 13L, g2 = seed * 17L, h2 = seed * 19L;
	double u2 = seed / 2.0, v2 = seed / 4.0, w2 = seed / 8.0, x2 = seed / 16.0;

	for (long i = 0; i < 100; i++) {
		a2 += i, b2 -= i, c2 ^= i, d2 += a2, e2 -= b2, f2 ^= c2, g2 += d2, h2 -= e2;
		u2 += 1, v2 += u2, w2 -= v2, x2 += w2;
	}
	expect(a == a2 && b == b2 && c == c2 && d == d2);
	expect(e == e2 && f == f2 && g == g2 && h == h2);
	expect(u == u2 && v == v2 && w == w2 && x == x2);
	countdown_done(&all);
}

static int keep_many_values(void *arg)
{
	(void)arg;
	all = (struct countdown)COUNTDOWN(50);
	for (int i = 1; i <= 50; i++)
		expect(go(keep_values, i) == 0);
	countdown_wait(&all);
	return 0;
}

static void registers_survive_a_switch(void **state)
{
	(void)state;
	run(1, keep_many_values, NULL);
	run(4, keep_many_values, NULL);
}

static void is_aligned(void)
{
	_Alignas(16) char local[16];

	expect((uintptr_t)local % 16 == 0);
	expect((uintptr_t)__builtin_frame_address(0) % 16 == 0);
	countdown_done(&all);
}

static int aligned(void *arg)
{
	(void)arg;
	all = (struct countdown)COUNTDOWN(40); /* every colour */
	for (int i = 0; i < 40; i++)
		expect(go(is_aligned) == 0);
	countdown_wait(&all);
	return 0;
}

static void stacks_are_aligned(void **state)
{
	(void)state;
	run(1, aligned, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers_survive_a_switch),
		cmocka_unit_test(stacks_are_aligned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
