/* test_quota.c - accounts: how they count, when they go, and the rate of new connections. */
#include "server/broker/quota.h"

#include "server/base/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct quota_table table;

static int setup(void **state)
{
	(void)state;
	quota_table_init(&table);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	quota_table_fini(&table);
	return 0;
}

static size_t count_accounts(void)
{
	const struct name_node *n = names_after(table.accounts, "", true);
	size_t count = 0;

	for (; n; n = names_after(table.accounts, name_of(n), false))
		count++;
	return count;
}

static void test_one_account_a_key(void **state)
{
	struct quota_account *a = quota_get(&table, "a", &quota_unlimited);
	struct quota_account *b = quota_get(&table, "b", &quota_unlimited);

	(void)state;
	assert_ptr_equal(quota_get(&table, "a", &quota_unlimited), a);
	assert_ptr_not_equal(a, b);
	assert_int_equal(a->holds, 2);
	quota_put(&table, a, 0);
	assert_int_equal(count_accounts(), 2);
	quota_put(&table, a, 0);
	assert_int_equal(count_accounts(), 1);
	quota_put(&table, b, 0);
	assert_int_equal(count_accounts(), 0);
}

/* Bytes keep an account, whoever has gone; the last takes it along. */
static void test_bytes_keep_an_account(void **state)
{
	struct quota_account *a = quota_get(&table, "a", &quota_unlimited);

	(void)state;
	quota_add_bytes(a, 10);
	quota_put(&table, a, 0);
	assert_int_equal(count_accounts(), 1);
	assert_ptr_equal(quota_get(&table, "a", &quota_unlimited), a);
	quota_put(&table, a, 0);
	quota_drop_bytes(&table, a, 4);
	assert_int_equal(count_accounts(), 1);
	quota_drop_bytes(&table, a, 6);
	assert_int_equal(count_accounts(), 0);
}

/* A burst at once, then one for each share of a second. */
static void test_rate(void **state)
{
	struct quota_limits limits = quota_unlimited;
	struct quota_account *a;
	int64_t now_ns = 1000, wait_ns = 0;

	(void)state;
	limits.connection_rate = 10;
	limits.connection_burst = 3;
	a = quota_get(&table, "a", &limits);
	for (int i = 0; i < 3; i++)
		assert_true(quota_take_rate(a, now_ns, &wait_ns));
	assert_false(quota_take_rate(a, now_ns, &wait_ns));
	assert_int_equal(wait_ns, NS_PER_S / 10);
	assert_false(quota_take_rate(a, now_ns + wait_ns - 1, &wait_ns));
	now_ns += NS_PER_S / 10;
	assert_true(quota_take_rate(a, now_ns, &wait_ns));
	assert_false(quota_take_rate(a, now_ns, &wait_ns));
	now_ns += 10 * NS_PER_S;
	for (int i = 0; i < 3; i++)
		assert_true(quota_take_rate(a, now_ns, &wait_ns));
	assert_false(quota_take_rate(a, now_ns, &wait_ns));
	quota_put(&table, a, now_ns);
}

static void test_no_rate(void **state)
{
	struct quota_account *a = quota_get(&table, "a", &quota_unlimited);
	int64_t wait_ns;

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_true(quota_take_rate(a, 0, &wait_ns));
	quota_put(&table, a, 0);
}

/* Who leaves and comes again does not get a new burst by it; once its rate is whole it is
 * forgotten. */
static void test_rate_outlives_a_connection(void **state)
{
	struct quota_limits limits = quota_unlimited;
	struct quota_account *a, *b;
	int64_t wait_ns;

	(void)state;
	limits.connection_rate = 1;
	limits.connection_burst = 1;
	a = quota_get(&table, "a", &limits);
	assert_true(quota_take_rate(a, 0, &wait_ns));
	quota_put(&table, a, 0);
	a = quota_get(&table, "a", &limits);
	assert_false(quota_take_rate(a, 1, &wait_ns));
	quota_put(&table, a, 1);
	assert_int_equal(count_accounts(), 1);
	b = quota_get(&table, "b", &limits);
	quota_put(&table, b, 2 * NS_PER_S);
	assert_int_equal(count_accounts(), 0);
}

/* However many come, a bounded number is remembered. */
static void test_idle_accounts_are_bounded(void **state)
{
	struct quota_limits limits = quota_unlimited;
	int64_t wait_ns;

	(void)state;
	limits.connection_rate = 1;
	limits.connection_burst = 1;
	for (unsigned int i = 0; i < 2 * QUOTA_IDLE_MAX; i++) {
		struct quota_account *a;
		char key[16];

		snprintf(key, sizeof(key), "%u", i);
		a = quota_get(&table, key, &limits);
		assert_true(quota_take_rate(a, 0, &wait_ns));
		quota_put(&table, a, 0);
	}
	assert_int_equal(count_accounts(), QUOTA_IDLE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_account_a_key, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bytes_keep_an_account, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_rate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rate_outlives_a_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(test_idle_accounts_are_bounded, setup, teardown),
	};

	return cmocka_run_group_tests_name("quota", tests, NULL, NULL);
}
