/* test_ride.c - which answers wait for company, and for how long. */
#include "server/broker/ride.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct ride r;

static int setup(void **state)
{
	(void)state;
	r = (struct ride){0};
	return 0;
}

static void operation(enum message_kind kind, uint64_t seq)
{
	ride_note_operation(&r, &(struct message){.kind = kind, .seq = seq});
}

static void send(uint64_t seq, uint32_t count, bool ride)
{
	struct message m = {.kind = MESSAGE_SEND, .seq = seq};

	m.send.count = count;
	m.send.ride = ride;
	ride_note_operation(&r, &m);
}

static void done(uint64_t seq, uint32_t count)
{
	struct message m = {.kind = MESSAGE_DONE, .seq = seq};

	m.done.count = count;
	ride_note_answer(&r, &m);
}

static void test_done_waits_for_anything_else(void **state)
{
	(void)state;
	send(2, 3, true);
	operation(MESSAGE_RECV, 5);
	operation(MESSAGE_GRANT, 5);
	operation(MESSAGE_TAKEN, 0);
	done(2, 2);
	assert_true(ride_waits(&r));
	done(4, 1);
	assert_true(ride_waits(&r));
	ride_note_answer(&r, &(struct message){.kind = MESSAGE_DELIVER, .seq = 5});
	assert_false(ride_waits(&r));
	ride_left(&r);
	assert_false(ride_waits(&r));
}

static void test_without_leave_nothing_waits(void **state)
{
	(void)state;
	done(1, 1);
	assert_false(ride_waits(&r));
	ride_left(&r);
	send(2, 2, true);
	ride_note_answer(&r, &(struct message){.kind = MESSAGE_FAIL, .seq = 2});
	assert_false(ride_waits(&r));
	ride_left(&r);
	done(3, 2); /* reaches beyond it */
	assert_false(ride_waits(&r));
}

static void test_what_takes_the_leave_back(void **state)
{
	static const enum message_kind kinds[] = {
		MESSAGE_CANCEL, MESSAGE_TAKEN, MESSAGE_CLOSE, MESSAGE_STAT, MESSAGE_SEND};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		setup(state);
		send(2, 2, true);
		done(2, 1);
		assert_true(ride_waits(&r));
		operation(kinds[i], 4);
		assert_false(ride_waits(&r));
		ride_left(&r);
		done(3, 1); /* it was not done before */
		assert_false(ride_waits(&r));
	}
}

static void test_the_leave_is_for_the_last_run(void **state)
{
	(void)state;
	send(2, 1, true);
	send(3, 1, true);
	done(2, 1);
	done(3, 1);
	assert_true(ride_waits(&r));
	ride_left(&r);
	send(4, 1, true);
	operation(MESSAGE_SELECT, 5);
	send(6, 1, true);
	done(6, 1);
	assert_true(ride_waits(&r));
	done(5, 1);
	assert_false(ride_waits(&r));
	ride_left(&r);
	done(4, 1);
	assert_false(ride_waits(&r));
}

static void test_many_do_not_wait(void **state)
{
	(void)state;
	send(1, RIDES_MAX + 1, true);
	done(1, RIDES_MAX);
	assert_true(ride_waits(&r));
	done(RIDES_MAX + 1, 1);
	assert_false(ride_waits(&r));
}

static void test_the_end(void **state)
{
	(void)state;
	send(1, 2, true);
	done(1, 1);
	ride_end(&r);
	assert_false(ride_waits(&r));
	ride_left(&r);
	done(2, 1);
	assert_false(ride_waits(&r));
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_done_waits_for_anything_else),
		TEST(test_without_leave_nothing_waits),
		TEST(test_what_takes_the_leave_back),
		TEST(test_the_leave_is_for_the_last_run),
		TEST(test_many_do_not_wait),
		TEST(test_the_end),
	};

	return cmocka_run_group_tests_name("ride", tests, NULL, NULL);
}
