#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/chanctl/clock.h"
#include "client/chanctl/events.h"
#include "tests/support/fake_broker.h"
#include <unistd.h>

#define WAIT_NS INT64_C(50000000)

static struct fake_broker broker;

static int setup(void **state)
{
	(void)state;
	fake_start(&broker);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_stop(&broker);
	return 0;
}

/* How long events_poll waits that may take WAIT_NS and has only the client to look at. */
static int64_t poll_once_ns(struct chan_client *c)
{
	int64_t began_ns = clock_now_ns();
	struct pollfd fds[1];

	events_poll(c, fds, 1, began_ns + WAIT_NS);
	return clock_now_ns() - began_ns;
}

/* Whoever has other things to wait for, as a command that runs, does not turn in circles. */
static void test_a_session_that_is_over_wakes_once(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 3, NULL);

	(void)state;
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
	chan_events(c);
	fake_cut(&broker);
	poll_once_ns(c);
	assert_int_equal(fake_completion(c).status, CHAN_EUNKNOWN);
	assert_true(poll_once_ns(c) >= WAIT_NS);
	chan_hangup(c);
}

static void test_what_was_not_taken_is_not_waited_for(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 3, NULL);
	struct pollfd fds[1];

	(void)state;
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
	chan_events(c);
	fake_cut(&broker);
	while (chan_process(c) == 0) /* notices for itself */
		;
	events_poll(c, fds, 1, EVENTS_FOREVER);
	assert_int_equal(fake_completion(c).status, CHAN_EUNKNOWN);
	chan_hangup(c);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_session_that_is_over_wakes_once),
		TEST(test_what_was_not_taken_is_not_waited_for),
	};

	return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
