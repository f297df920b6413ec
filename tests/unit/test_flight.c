#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/flight.h"
#include <stdlib.h>

/* Never looked into by flight.c. */
static struct chan_op *op_number(uintptr_t n)
{
	return (struct chan_op *)(n + 1);
}

static void test_runs_are_found_by_each_of_their_numbers(void **state)
{
	struct flight f = {0};
	uint64_t seq;

	(void)state;
	assert_null(flight_find(&f, 1));
	flight_add(&f, 10, 3, op_number(1));
	flight_add(&f, 20, 1, op_number(2));
	for (seq = 0; seq < 30; seq++) {
		struct flight_run *run = flight_find(&f, seq);

		if (seq >= 10 && seq < 13)
			assert_ptr_equal(run->op, op_number(1));
		else if (seq == 20)
			assert_ptr_equal(run->op, op_number(2));
		else
			assert_null(run);
	}
	flight_fini(&f);
}

static void test_what_has_left_is_not_found(void **state)
{
	struct flight f = {0};

	(void)state;
	flight_add(&f, 1, 1, op_number(1));
	flight_add(&f, 2, 1, op_number(2));
	flight_add(&f, 3, 1, op_number(3));
	flight_remove(&f, flight_find(&f, 2));
	assert_null(flight_find(&f, 2));
	assert_non_null(flight_find(&f, 1));
	assert_non_null(flight_find(&f, 3));
	flight_remove(&f, flight_find(&f, 1));
	flight_remove(&f, flight_find(&f, 3));
	assert_int_equal(f.end, 0);
	flight_fini(&f);
}

/* One that stays while a million pass costs no memory for them. */
static void test_an_old_one_does_not_hold_memory(void **state)
{
	struct flight f = {0};
	uint64_t seq;

	(void)state;
	flight_add(&f, 1, 1, op_number(1));
	for (seq = 2; seq < 1000000; seq++) {
		assert_non_null(flight_add(&f, seq, 1, op_number(seq)));
		if (seq > 10)
			flight_remove(&f, flight_find(&f, seq - 5));
	}
	assert_ptr_equal(flight_find(&f, 1)->op, op_number(1));
	assert_true(f.size <= 64);
	flight_fini(&f);
}

static void test_random_runs_against_a_table(void **state)
{
	enum { NUMBERS = 5000 };
	static uintptr_t owner[NUMBERS + 8];
	struct flight f = {0};
	uint64_t seq = 1, probe;
	uint32_t k, count;
	unsigned seed = 7;

	(void)state;
	while (seq < NUMBERS) {
		count = 1 + (uint32_t)rand_r(&seed) % 4;
		flight_add(&f, seq, count, op_number(seq));
		for (k = 0; k < count; k++)
			owner[seq + k] = seq;
		seq += count + (uint64_t)rand_r(&seed) % 2;
		probe = 1 + (uint64_t)rand_r(&seed) % seq;
		if (owner[probe]) {
			assert_ptr_equal(flight_find(&f, probe)->op, op_number(owner[probe]));
			count = flight_find(&f, probe)->count;
			probe = owner[probe];
			flight_remove(&f, flight_find(&f, probe));
			for (k = 0; k < count; k++)
				owner[probe + k] = 0;
		} else {
			assert_null(flight_find(&f, probe));
		}
	}
	flight_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runs_are_found_by_each_of_their_numbers),
		cmocka_unit_test(test_what_has_left_is_not_found),
		cmocka_unit_test(test_an_old_one_does_not_hold_memory),
		cmocka_unit_test(test_random_runs_against_a_table),
	};

	return cmocka_run_group_tests_name("flight", tests, NULL, NULL);
}
