/*
 * test_client_ride.c - what libchan says together with something else: answers that may wait, and
 * confirmations that do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chan/chan.h"
#include "tests/support/fake_broker.h"
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct fake_broker broker;
static struct chan_client *c;
static struct chan *to, *from;
static const struct chan_end_options ahead = {.credit = 8, .confirm_late = true};

/* `to` sends, with the number 1 for its OPEN; what `from` is for, each test says. */
static int setup(void **state)
{
	(void)state;
	fake_start(&broker);
	broker.linger_ms = 30000;     /* so that there is a keeper, */
	broker.heartbeat_ms = 600000; /* who confirms nothing meanwhile, however slow the machine */
	c = fake_client(&broker);
	to = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 10, NULL);
	return 0;
}

/* Answers BYE by closing, while the client waits for that. */
static void *answer_bye(void *arg)
{
	while (fake_wait(&broker, true) && broker.m.kind != MESSAGE_BYE)
		;
	shutdown(broker.fd, SHUT_WR);
	return arg;
}

static int teardown(void **state)
{
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, answer_bye, NULL);
	chan_hangup(c);
	pthread_join(thread, NULL);
	fake_stop(&broker);
	return 0;
}

static void start(const char *text)
{
	struct chan_value v = chan_value_string(text, strlen(text));

	assert_int_equal(chan_start_send(to, &v, 1, CHAN_FOREVER, NULL, NULL), 0);
}

static void receive(const char *text)
{
	struct chan_value v;

	assert_int_equal(chan_recv(from, &v), 1);
	assert_string_equal(v.bytes, text);
	chan_value_clear(&v);
}

/* The next frame is a SEND; whether its answer may wait. */
static bool rides(void)
{
	return fake_read(&broker, MESSAGE_SEND)->send.ride;
}

static void test_answers_may_wait_while_a_receive_waits(void **state)
{
	(void)state;
	from = fake_open(&broker, c, 2, 6, CHAN_TYPE_STRING, 10, NULL);
	start("there");
	fake_done(&broker, 3, 1);
	fake_deliver(&broker, 4, 1, "back");
	receive("back");
	assert_true(rides());
	fake_read(&broker, MESSAGE_RECV);
	assert_int_equal(fake_completion(c).status, 0);
}

static void test_answers_may_wait_while_a_select_waits(void **state)
{
	struct chan_case one = {.direction = CHAN_RECV};

	(void)state;
	from = fake_open(&broker, c, 2, 6, CHAN_TYPE_STRING, 10, NULL);
	one.chan = from;
	start("there");
	fake_deliver(&broker, 4, 1, "back");
	assert_int_equal(chan_select(c, &one, 1, CHAN_FOREVER), 0);
	chan_value_clear(&one.value);
	assert_true(rides());
}

static void test_what_is_waited_for_may_not(void **state)
{
	struct chan_completion done;
	struct chan_op *op;
	struct chan_value v = chan_value_string("x", 1);

	(void)state;
	fake_done(&broker, 2, 1);
	assert_int_equal(chan_send(to, &v), 0);
	assert_false(rides());

	fake_done(&broker, 3, 1);
	start("x");
	assert_int_equal(chan_wait_completion(c, &done, CHAN_FOREVER), 1);
	assert_false(rides());

	fake_done(&broker, 4, 1);
	assert_int_equal(chan_start_send(to, &v, 1, CHAN_FOREVER, NULL, &op), 0);
	assert_int_equal(chan_op_wait(op, &done), 0);
	assert_false(rides());

	start("x");
	chan_events(c);
	assert_false(rides());
	assert_true(fake_is_quiet(&broker));
}

/* A send whose answer may wait, by the side of a receive that ends. */
static void let_one_ride(void)
{
	from = fake_open(&broker, c, 2, 6, CHAN_TYPE_STRING, 10, NULL);
	start("there");
	fake_deliver(&broker, 4, 1, "back");
	receive("back");
	assert_true(rides());
	fake_read(&broker, MESSAGE_RECV);
	fake_read(&broker, MESSAGE_TAKEN);
}

static void expect_question(void)
{
	const struct message *m = fake_read(&broker, MESSAGE_CANCEL);

	assert_int_equal(m->seq, 5);
	assert_int_equal(m->cancel.target, 0);
}

static void test_who_waits_for_it_asks(void **state)
{
	struct chan_completion done;

	(void)state;
	let_one_ride();
	fake_done(&broker, 3, 1);
	fake_done(&broker, 5, 1);
	assert_int_equal(chan_wait_completion(c, &done, CHAN_FOREVER), 1);
	expect_question();
	assert_true(fake_is_quiet(&broker));
}

static void test_an_event_loop_asks_once(void **state)
{
	(void)state;
	let_one_ride();
	chan_events(c);
	expect_question();
	fake_turn(c);
	chan_events(c);
	assert_true(fake_is_quiet(&broker));
}

/* Whatever else is asked is a question, too. */
static void test_nobody_asks_twice(void **state)
{
	(void)state;
	let_one_ride();
	start("again");
	chan_events(c);
	assert_false(rides());
	assert_true(fake_is_quiet(&broker));
}

/* What waits in the library waits for answers of what was sent. */
static void test_what_exceeds_the_limits_asks(void **state)
{
	struct chan_end_options few = {.credit = 2};

	(void)state;
	from = fake_open(&broker, c, 2, 6, CHAN_TYPE_STRING, 10, &few);
	fake_deliver(&broker, 3, 1, "1");
	receive("1");
	fake_read(&broker, MESSAGE_RECV);
	fake_read(&broker, MESSAGE_TAKEN);
	fake_read(&broker, MESSAGE_GRANT);
	start("there");
	fake_deliver(&broker, 3, 2, "2");
	receive("2");
	assert_true(rides());
	fake_read(&broker, MESSAGE_TAKEN);
	fake_read(&broker, MESSAGE_GRANT);
	for (unsigned i = 0; i < broker.limits.ops_in_flight; i++)
		start("many");
	fake_deliver(&broker, 3, 3, "3");
	receive("3");
	while (fake_wait(&broker, false) && broker.m.kind == MESSAGE_SEND)
		assert_false(broker.m.send.ride);
}

/* ---- confirmations ------------------------------------------------------------------------ */

static void test_a_confirmation_leaves_with_the_answer(void **state)
{
	(void)state;
	from = fake_open(&broker, c, 2, 6, CHAN_TYPE_STRING, 10, &ahead);
	fake_deliver(&broker, 3, 1, "1");
	receive("1");
	fake_read(&broker, MESSAGE_RECV);
	assert_true(fake_is_quiet(&broker));
	start("answer");
	fake_deliver(&broker, 3, 2, "2");
	receive("2");
	assert_true(rides());
	assert_int_equal(fake_read(&broker, MESSAGE_TAKEN)->settle.deliveries.list[0].first, 1);
	assert_true(fake_is_quiet(&broker));
	chan_release(from);
	fake_read(&broker, MESSAGE_CANCEL);
	assert_int_equal(fake_read(&broker, MESSAGE_TAKEN)->settle.deliveries.list[0].first, 2);
}

/* Delivers one after another, each of which is at hand when the program asks. */
static void receive_numbers(int first, int last)
{
	char text[12];

	for (int i = first; i <= last; i++) {
		snprintf(text, sizeof(text), "%d", i);
		fake_deliver(&broker, 3, (uint64_t)i, text);
		receive(text);
	}
}

/* The client says what it has taken, in one range. */
static void expect_taken(uint64_t first, uint32_t n)
{
	struct wire_range taken = fake_read(&broker, MESSAGE_TAKEN)->settle.deliveries.list[0];

	assert_true(taken.first == first && taken.count == n);
}

/* And how much the broker may deliver again. */
static void expect_credit(uint64_t first, uint32_t n)
{
	expect_taken(first, n);
	assert_int_equal(fake_read(&broker, MESSAGE_GRANT)->grant.credit, n);
}

static void test_confirmations_gather_while_values_come(void **state)
{
	(void)state;
	from = fake_open(&broker, c, 2, 6, CHAN_TYPE_STRING, 10, &ahead);
	receive_numbers(1, 1);
	fake_read(&broker, MESSAGE_RECV);
	receive_numbers(2, 3);
	assert_true(fake_is_quiet(&broker));
	/* Half of the credit is used. */
	receive_numbers(4, 4);
	expect_credit(1, 4);
	assert_true(fake_is_quiet(&broker));
}

static void test_credit_leaves_with_the_answer(void **state)
{
	(void)state;
	from = fake_open(&broker, c, 2, 6, CHAN_TYPE_STRING, 10, &ahead);
	receive_numbers(1, 3);
	fake_read(&broker, MESSAGE_RECV);
	assert_true(fake_is_quiet(&broker));
	start("answer");
	fake_deliver(&broker, 3, 4, "4");
	receive("4");
	assert_true(rides());
	expect_taken(1, 3);
	/* Half of the credit is used, but three of those values are confirmed. */
	assert_true(fake_is_quiet(&broker));
	start("another");
	fake_deliver(&broker, 3, 5, "5");
	receive("5");
	assert_true(rides());
	expect_taken(4, 1);
	assert_int_equal(fake_read(&broker, MESSAGE_GRANT)->grant.credit, 4);
	assert_true(fake_is_quiet(&broker));
}

/* Also where each value is asked for by its receive. */
static void test_a_confirmation_leaves_with_the_next_receive(void **state)
{
	const struct chan_end_options late = {.confirm_late = true};

	(void)state;
	from = fake_open(&broker, c, 2, 6, CHAN_TYPE_STRING, 10, &late);
	fake_deliver(&broker, 3, 1, "1");
	receive("1");
	fake_read(&broker, MESSAGE_RECV);
	assert_true(fake_is_quiet(&broker));
	fake_deliver(&broker, 4, 2, "2");
	receive("2");
	fake_read(&broker, MESSAGE_RECV);
	assert_int_equal(fake_read(&broker, MESSAGE_TAKEN)->settle.deliveries.list[0].first, 1);
	assert_true(fake_is_quiet(&broker));
}

/* An event loop's go when it is about to wait again. */
static void test_a_completion_is_confirmed_with_what_follows(void **state)
{
	const struct chan_end_options late = {.confirm_late = true};
	struct chan_completion done;

	(void)state;
	from = fake_open(&broker, c, 2, 6, CHAN_TYPE_STRING, 10, &late);
	assert_int_equal(chan_start_recv(from, CHAN_FOREVER, NULL, NULL), 0);
	chan_events(c);
	fake_read(&broker, MESSAGE_RECV);
	fake_deliver(&broker, 3, 1, "1");
	fake_turn(c);
	done = fake_completion(c);
	assert_string_equal(done.value.bytes, "1");
	chan_value_clear(&done.value);
	assert_true(fake_is_quiet(&broker));
	assert_int_equal(chan_start_recv(from, CHAN_FOREVER, NULL, NULL), 0);
	chan_events(c);
	fake_read(&broker, MESSAGE_RECV);
	fake_read(&broker, MESSAGE_TAKEN);
	assert_true(fake_is_quiet(&broker));
}

/* A program that goes on computing has the keeper confirm. */
static void test_the_keeper_confirms(void **state)
{
	(void)state;
	teardown(state);
	fake_start(&broker);
	broker.linger_ms = 30000;
	broker.heartbeat_ms = 4000; /* so that it looks every second */
	c = fake_client(&broker);
	from = fake_open(&broker, c, 1, 6, CHAN_TYPE_STRING, 10, &ahead);
	fake_deliver(&broker, 2, 1, "1");
	receive("1");
	fake_read(&broker, MESSAGE_RECV);
	fake_read(&broker, MESSAGE_TAKEN);
}

/* Without a buffer a sender waits for it. */
static void test_an_unbuffered_channel_confirms_at_once(void **state)
{
	(void)state;
	from = fake_open(&broker, c, 2, 6, CHAN_TYPE_STRING, 0, &ahead);
	fake_deliver(&broker, 3, 1, "1");
	receive("1");
	fake_read(&broker, MESSAGE_RECV);
	fake_read(&broker, MESSAGE_TAKEN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_answers_may_wait_while_a_receive_waits),
		TEST(test_answers_may_wait_while_a_select_waits),
		TEST(test_what_is_waited_for_may_not),
		TEST(test_who_waits_for_it_asks),
		TEST(test_an_event_loop_asks_once),
		TEST(test_nobody_asks_twice),
		TEST(test_what_exceeds_the_limits_asks),
		TEST(test_a_confirmation_leaves_with_the_answer),
		TEST(test_confirmations_gather_while_values_come),
		TEST(test_credit_leaves_with_the_answer),
		TEST(test_a_confirmation_leaves_with_the_next_receive),
		TEST(test_a_completion_is_confirmed_with_what_follows),
		TEST(test_the_keeper_confirms),
		TEST(test_an_unbuffered_channel_confirms_at_once),
	};

	return cmocka_run_group_tests_name("client_ride", tests, NULL, NULL);
}
