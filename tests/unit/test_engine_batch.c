/*
 * test_engine_batch.c - a SEND of several values where there is no buffer: one after another is
 * out, so that nothing can be taken behind a value that was not.
 */
#include "tests/support/transcript.h"
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

static const struct how wait_forever, try = {.try = true}, soon = {.timeout_ns = 100},
				      leased = {.lease_ns = 100};

/* a sends three values through it, of which b has the first. */
static uint64_t first_is_out(struct how how)
{
	uint64_t ch = make_channel("ch", 0);

	recv(b, ch);
	send_many(a, ch, "1 2 3", how);
	expect("b got 1 #1 1");
	return ch;
}

/* ---- order -------------------------------------------------------------------------------------
 */

static void one_value_is_out_at_a_time(void **state)
{
	uint64_t ch = first_is_out(wait_forever);

	(void)state;
	recv(c, ch);
	recv(d, ch);
	expect_nothing();
	taken(b, 1);
	expect("a done 1; c got 1 #1 2");
	taken(c, 1);
	expect("a done 2; d got 1 #1 3");
	taken(d, 1);
	expect("a done 3");
	assert_int_equal(stat_channel(a, ch)->received, 3);
	assert_int_equal(stage.stat.senders_waiting, 0);
}

static void a_value_that_comes_back_goes_before_those_behind_it(void **state)
{
	uint64_t ch = first_is_out(wait_forever);

	(void)state;
	recv(c, ch);
	give_back(b, 1);
	expect("c got 1 #1 1 again 2");
	end(c);
	recv(d, ch);
	expect("d got 1 #1 1 again 3");
	revoke_from(d);
	expect("d gone #1");
	recv(b, ch);
	recv(d, ch);
	expect("b got 2 #2 1 again 4");
	taken(b, 2);
	expect("a done 1; d got 2 #2 2"); /* whose attempts are its own */
}

static void the_values_stand_at_one_place(void **state)
{
	uint64_t ch = first_is_out(wait_forever);

	(void)state;
	send(d, ch, "x");
	taken(b, 1);
	recv(b, ch);
	expect("a done 1; b got 2 #2 2");
	recv(c, ch); /* while the second is out, the third is not in its way */
	expect("c got 1 #1 x");
	taken(c, 1);
	send(d, ch, "y");
	taken(b, 2);
	recv(b, ch);
	expect("d done 1; a done 2; b got 3 #3 3");
	assert_int_equal(stat_channel(a, ch)->senders_waiting, 2);
}

static void another_send_of_the_session_does_not_wait_for_it(void **state)
{
	uint64_t ch = first_is_out(wait_forever);

	(void)state;
	send(a, ch, "x");
	recv(c, ch);
	expect("c got 1 #1 x");
	taken(c, 1);
	expect("a done 4");
}

static void a_select_receives_them_in_turn(void **state)
{
	uint64_t ch = first_is_out(wait_forever), other = make_channel("other", 0);

	(void)state;
	SELECT(c, wait_forever, {other, NULL}, {ch, NULL});
	expect_nothing();
	give_back(b, 1);
	expect("c got 1 #1 1 again 2 case 1");
	SELECT(d, wait_forever, {ch, NULL}, {other, "x"});
	recv(b, other);
	expect("b got 2 #2 x");
	taken(c, 1);
	give_back(b, 2); /* the select stands again, and finds a sender */
	expect("a done 1; d got 1 #1 2");
}

static void it_goes_on_while_its_sender_is_absent(void **state)
{
	uint64_t ch = first_is_out(wait_forever);

	(void)state;
	absent(a);
	recv(c, ch);
	taken(b, 1);
	expect("a done 1; c got 1 #1 2");
	present(a);
	give_back(c, 1);
	recv(d, ch);
	expect("d got 1 #1 2 again 2");
}

static void a_receiver_that_is_absent_is_passed_over(void **state)
{
	uint64_t ch = first_is_out(wait_forever);

	(void)state;
	recv(c, ch);
	absent(c);
	recv(d, ch);
	taken(b, 1);
	expect("a done 1; d got 1 #1 2");
	taken(d, 1);
	expect("a done 2");
	present(c);
	expect("c got 1 #1 3");
}

/* ---- leases ------------------------------------------------------------------------------------
 */

static void a_leased_value_lets_the_next_out_until_it_comes_back(void **state)
{
	uint64_t ch = make_channel("ch", 0);

	(void)state;
	send_many(a, ch, "1 2 3", wait_forever);
	recv_how(b, ch, leased);
	taken(b, 1);
	recv(c, ch);
	expect("b got 1 #1 1 token 1001; a done 1; c got 1 #1 2");
	nack(b, 1, 0);
	taken(c, 1);
	expect("a done 2");
	recv(d, ch);
	recv(d, ch);
	expect("d got 1 #1 1 again 2");
	taken(d, 1);
	expect("d got 2 #2 3");
}

/* ---- ends
 * ---------------------------------------------------------------------------------------- */

static void what_the_deadline_leaves_fails_behind_the_value_that_is_out(void **state)
{
	uint64_t ch = first_is_out(soon);

	(void)state;
	recv(c, ch);
	pass_ns(100);
	expect_nothing();
	taken(b, 1);
	expect("a done 1; a fail 2..3 ETIMEDOUT");
	send_many(a, ch, "4 5", soon);
	expect("c got 1 #1 4");
	recv(d, ch);
	pass_ns(100);
	give_back(c, 1);
	expect("a fail 4..5 ETIMEDOUT");
	assert_int_equal(stat_channel(a, ch)->senders_waiting, 0);
}

static void a_try_goes_on_while_receivers_wait(void **state)
{
	uint64_t ch = first_is_out(try);

	(void)state;
	recv(c, ch);
	taken(b, 1);
	expect("a done 1; c got 1 #1 2");
	give_back(c, 1);
	expect("a fail 2..3 EWOULDBLOCK");
}

static void a_close_fails_what_the_value_that_is_out_leaves(void **state)
{
	uint64_t ch = first_is_out(wait_forever), other = make_channel("other", 0);

	(void)state;
	recv(c, ch);
	close_channel(d, ch);
	expect("d done 1");
	taken(b, 1);
	expect("a done 1; a fail 2..3 ECLOSED; c fail 1 ECLOSED");
	recv(b, other);
	send_many(a, other, "4 5", wait_forever);
	abort_channel(d, other, "");
	expect("b got 2 #2 4; d done 2");
	give_back(b, 2);
	expect("a fail 4..5 EABORTED");
}

static void a_producer_that_closes_fails_what_the_value_that_is_out_leaves(void **state)
{
	uint64_t ch;

	(void)state;
	make_attributes(a, "ch", 0, CHAN_SEND, "producers=2");
	ch = stage.opened;
	a->seq = 0;
	open_end(b, "ch", CHAN_RECV);
	recv(b, ch);
	send_many(a, ch, "1 2", wait_forever);
	ignore_answers();
	close_channel(a, ch);
	expect("a done 3");
	taken(b, 1);
	expect("a done 1; a fail 2 ECLOSED");
}

static void a_removal_fails_all(void **state)
{
	uint64_t ch = first_is_out(wait_forever);

	(void)state;
	(void)ch;
	remove_channel(d, "ch");
	expect("a fail 1..3 EREMOVED; d done 1");
	taken(b, 1);
	expect("b gone #1");
}

static void an_end_that_is_given_up_takes_what_is_left_with_it(void **state)
{
	uint64_t ch = first_is_out(wait_forever);

	(void)state;
	recv(c, ch);
	release(a, ch);
	expect("a done 4");
	taken(b, 1);
	expect("a done 1; a fail 2..3 ECANCELED");
}

static void a_shutdown_settles_the_value_that_is_out(void **state)
{
	first_is_out(wait_forever);

	(void)state;
	engine_shutdown(stage.engine, stage.now_ns);
	expect_nothing();
	taken(b, 1);
	expect("a done 1; a fail 2..3 ESHUTDOWN");
}

static void a_sender_that_is_lost_leaves_only_what_is_out(void **state)
{
	uint64_t ch = first_is_out(wait_forever);

	(void)state;
	recv(c, ch);
	end(a);
	taken(b, 1);
	expect_nothing();
	send_many(d, ch, "4 5", wait_forever);
	expect("c got 1 #1 4");
	end(d);
	give_back(c, 1);
	recv(b, ch);
	expect_nothing();
	assert_int_equal(stat_channel(b, ch)->received, 1);
	assert_int_equal(engine_values_buffered(stage.engine), 0);
}

/* ---- cancels
 * ------------------------------------------------------------------------------------- */

static void a_cancel_takes_its_value_off_and_no_other(void **state)
{
	uint64_t ch = first_is_out(wait_forever);

	(void)state;
	cancel(a, 2); /* while another is out */
	expect("a fail 2 ECANCELED; a done 4");
	cancel(a, 1);
	expect_nothing();
	give_back(b, 1);
	expect("a fail 1 ECANCELED; a done 5");
	recv(c, ch);
	expect("c got 1 #1 3");
	cancel(a, 1);
	cancel(a, 2);
	expect("a done 6; a done 7");
	taken(c, 1);
	expect("a done 3");
}

static void the_attempts_of_a_value_that_was_cancelled_are_not_the_next_ones(void **state)
{
	uint64_t ch = first_is_out(wait_forever);

	(void)state;
	give_back(b, 1);
	cancel(a, 3); /* the count stays while the value does */
	recv(b, ch);
	expect("a fail 3 ECANCELED; a done 4; b got 2 #2 1 again 2");
	give_back(b, 2);
	cancel(a, 1);
	recv(b, ch);
	expect("a fail 1 ECANCELED; a done 5; b got 3 #3 2");
}

static void a_cancelled_value_that_is_taken_was_faster(void **state)
{
	uint64_t ch = first_is_out(wait_forever);

	(void)state;
	recv(c, ch);
	cancel(a, 1);
	cancel(a, 1);
	taken(b, 1);
	expect("a done 1; a done 5; a done 4; c got 1 #1 2");
	give_back(c, 1); /* its neighbour's cancel is none of its own */
	recv(d, ch);
	expect("d got 1 #1 2 again 2");
}

static void a_value_that_was_cancelled_before_the_close_stays_so(void **state)
{
	uint64_t ch = first_is_out(wait_forever);

	(void)state;
	cancel(a, 1);
	close_channel(c, ch);
	cancel(a, 1); /* once more, too late for the others */
	ignore_answers();
	give_back(b, 1);
	expect("a fail 1 ECANCELED; a done 5; a done 4; a fail 2..3 ECLOSED");
}

static void all_that_are_cancelled_from_the_last_leave_no_hole(void **state)
{
	uint64_t ch = first_is_out(wait_forever);

	(void)state;
	recv(c, ch);
	cancel(a, 3);
	cancel(a, 2);
	cancel(a, 1);
	expect("a fail 3 ECANCELED; a done 4; a fail 2 ECANCELED; a done 5");
	give_back(b, 1);
	expect("a fail 1 ECANCELED; a done 6");
	assert_int_equal(stat_channel(a, ch)->senders_waiting, 0);
}

static void the_deadline_of_the_others_is_not_the_cancelled_ones(void **state)
{
	first_is_out(soon);

	(void)state;
	cancel(a, 1);
	pass_ns(100);
	give_back(b, 1);
	expect("a fail 1 ECANCELED; a done 4; a fail 2..3 ETIMEDOUT");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, stage_setup, stage_teardown)
	const struct CMUnitTest tests[] = {
		TEST(one_value_is_out_at_a_time),
		TEST(a_value_that_comes_back_goes_before_those_behind_it),
		TEST(the_values_stand_at_one_place),
		TEST(another_send_of_the_session_does_not_wait_for_it),
		TEST(a_select_receives_them_in_turn),
		TEST(it_goes_on_while_its_sender_is_absent),
		TEST(a_receiver_that_is_absent_is_passed_over),
		TEST(a_leased_value_lets_the_next_out_until_it_comes_back),
		TEST(what_the_deadline_leaves_fails_behind_the_value_that_is_out),
		TEST(a_try_goes_on_while_receivers_wait),
		TEST(a_close_fails_what_the_value_that_is_out_leaves),
		TEST(a_producer_that_closes_fails_what_the_value_that_is_out_leaves),
		TEST(a_removal_fails_all),
		TEST(an_end_that_is_given_up_takes_what_is_left_with_it),
		TEST(a_shutdown_settles_the_value_that_is_out),
		TEST(a_sender_that_is_lost_leaves_only_what_is_out),
		TEST(a_cancel_takes_its_value_off_and_no_other),
		TEST(the_attempts_of_a_value_that_was_cancelled_are_not_the_next_ones),
		TEST(a_cancelled_value_that_is_taken_was_faster),
		TEST(a_value_that_was_cancelled_before_the_close_stays_so),
		TEST(all_that_are_cancelled_from_the_last_leave_no_hole),
		TEST(the_deadline_of_the_others_is_not_the_cancelled_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
