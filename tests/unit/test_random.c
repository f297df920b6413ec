#include "server/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_seed_fixes_the_sequence(void **state)
{
	struct random a, b;

	(void)state;
	random_init(&a, 42);
	random_init(&b, 42);
	for (int i = 0; i < 100; i++)
		assert_int_equal(random_u64(&a), random_u64(&b));
	random_init(&b, 43);
	assert_true(random_u64(&a) != random_u64(&b));
}

static void below_is_uniform(void **state)
{
	uint32_t counts[7] = {0};
	struct random r;

	(void)state;
	random_init(&r, 1);
	for (int i = 0; i < 70000; i++)
		counts[random_below(&r, 7)]++;
	for (int i = 0; i < 7; i++) {
		assert_true(counts[i] > 9500);
		assert_true(counts[i] < 10500);
	}
	for (int i = 0; i < 100; i++)
		assert_int_equal(random_below(&r, 1), 0);
}

static void seeds_differ(void **state)
{
	(void)state;
	assert_true(random_seed() != random_seed());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_seed_fixes_the_sequence),
		cmocka_unit_test(below_is_uniform),
		cmocka_unit_test(seeds_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
