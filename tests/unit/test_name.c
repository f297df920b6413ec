#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chan/status.h"
#include "proto/limits.h"
#include "proto/name.h"
#include <stdbool.h>
#include <string.h>

static void test_every_byte(void **state)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-/:";

	(void)state;
	for (int c = 0; c < 256; c++) {
		char byte = (char)c;
		bool ok = c != 0 && strchr(allowed, c);

		assert_int_equal(name_check(&byte, 1), ok ? 0 : CHAN_EINVAL);
	}
}

static void test_length(void **state)
{
	char name[NAME_BYTES_MAX + 1];

	(void)state;
	memset(name, 'n', sizeof(name));
	assert_int_equal(name_check(name, 0), CHAN_EINVAL);
	assert_int_equal(name_check(name, 1), 0);
	assert_int_equal(name_check(name, NAME_BYTES_MAX), 0);
	assert_int_equal(name_check(name, NAME_BYTES_MAX + 1), CHAN_EINVAL);
}

static void test_looks_at_every_byte(void **state)
{
	(void)state;
	assert_int_equal(name_check("jobs/2024:a_b-c.d", 17), 0);
	assert_int_equal(name_check("jobs 2024", 9), CHAN_EINVAL);
	assert_int_equal(name_check("jobs\0", 5), CHAN_EINVAL);
	assert_int_equal(name_check("jobs\n", 5), CHAN_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_looks_at_every_byte),
	};

	return cmocka_run_group_tests_name("name", tests, NULL, NULL);
}
