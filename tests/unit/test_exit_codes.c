#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chan/status.h"
#include "client/chanctl/exit_codes.h"

/* The contract's table, row by row. */
static void test_the_contract(void **state)
{
	static const struct {
		int status, code;
	} rows[] = {
		{0, 0},
		{1, 0},
		{CHAN_EWOULDBLOCK, 2},
		{CHAN_ECLOSED, 3},
		{CHAN_EDEADLOCK, 4},
		{CHAN_EABORTED, 5},
		{CHAN_EREMOVED, 5},
		{CHAN_EUNKNOWN, 6},
		{CHAN_ERESTARTED, 6},
		{CHAN_EINVAL, 64},
		{CHAN_ETYPE, 65},
		{CHAN_ETOOLARGE, 65},
		{CHAN_ENOCHANNEL, 66},
		{CHAN_ESTALE, 66},
		{CHAN_EEXIST, 66},
		{CHAN_EUNREACHABLE, 69},
		{CHAN_ESHUTDOWN, 69},
		{CHAN_ELIMIT, 69},
		{CHAN_EPROTOCOL, 76},
		{CHAN_EPERM, 77},
		{CHAN_EAUTH, 77},
		{CHAN_EWRONGEND, 77},
		{CHAN_ETIMEDOUT, 124},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(exit_code_of(rows[i].status), rows[i].code);
}

static void test_no_failure_ends_with_success(void **state)
{
	(void)state;
#define SEES_A_FAILURE(name, number, sentence) assert_int_not_equal(exit_code_of(CHAN_##name), 0);
	CHAN_STATUS_LIST(SEES_A_FAILURE)
#undef SEES_A_FAILURE
	assert_int_not_equal(exit_code_of(-1000), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_contract),
		cmocka_unit_test(test_no_failure_ends_with_success),
	};

	return cmocka_run_group_tests_name("exit_codes", tests, NULL, NULL);
}
