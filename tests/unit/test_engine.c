/*
 * test_engine.c - the contract's rules of sending, receiving, closing and settling, one a test,
 * as transcripts. Names and ends are in test_engine_channels.c, select in test_engine_select.c.
 */
#include "proto/limits.h"
#include "tests/support/transcript.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct how wait_forever, try = {.try = true};

/* ---- sending and receiving ------------------------------------------------------------------- */

static void a_buffered_send_ends_when_the_value_is_in_the_buffer(void **state)
{
	uint64_t jobs = make_channel("jobs", 2);

	(void)state;
	send(a, jobs, "x");
	expect("a done 1");
	send(a, jobs, "y");
	expect("a done 2");
	send(a, jobs, "z");
	expect_nothing();
	recv(b, jobs);
	expect("b got 1 #1 x");
	taken(b, 1);
	expect("a done 3");
}

static void an_unbuffered_send_ends_when_the_value_is_taken(void **state)
{
	uint64_t ch = make_channel("ch", 0);

	(void)state;
	send(a, ch, "x");
	expect_nothing();
	recv(b, ch);
	expect("b got 1 #1 x");
	taken(b, 1);
	expect("a done 1");
}

static void a_receive_waits_for_a_sender(void **state)
{
	uint64_t ch = make_channel("ch", 0), jobs = make_channel("jobs", 5);

	(void)state;
	recv(b, ch);
	recv(c, jobs);
	expect_nothing();
	send(a, ch, "x");
	expect("b got 1 #1 x");
	send(a, jobs, "y");
	expect("a done 2; c got 1 #1 y");
}

static void values_leave_in_the_order_they_were_accepted(void **state)
{
	uint64_t jobs = make_channel("jobs", 3);

	(void)state;
	send(a, jobs, "1");
	send(b, jobs, "2");
	send(a, jobs, "3");
	send(b, jobs, "4"); /* waits */
	send(a, jobs, "5"); /* waits behind it */
	expect("a done 1; b done 1; a done 2");
	recv_how(c, jobs, (struct how){.stream = true, .credit = 10});
	expect("c got 1 #1 1; c got 1 #2 2; c got 1 #3 3");
	taken(c, 2);
	expect("b done 2; c got 1 #4 4");
	taken(c, 1);
	expect("a done 3; c got 1 #5 5");
}

static void waiting_senders_are_served_in_the_order_they_arrived(void **state)
{
	uint64_t ch = make_channel("ch", 0);

	(void)state;
	send(a, ch, "1");
	send(b, ch, "2");
	send(a, ch, "3");
	for (int i = 0; i < 3; i++)
		recv(c, ch);
	expect("c got 1 #1 1; c got 2 #2 2; c got 3 #3 3");
}

static void waiting_receivers_are_served_in_the_order_they_arrived(void **state)
{
	uint64_t jobs = make_channel("jobs", 1), ch = make_channel("ch", 0);

	(void)state;
	recv(b, jobs);
	recv(c, jobs);
	recv(c, ch);
	recv(b, ch);
	send_many(a, ch, "x", wait_forever);
	send(d, ch, "y");
	expect("c got 2 #1 x; b got 2 #1 y");
	send(a, jobs, "z");
	expect("a done 2; b got 1 #2 z");
}

static void a_receiver_with_credit_left_goes_to_the_tail_after_each_value(void **state)
{
	uint64_t jobs = make_channel("jobs", 10);

	(void)state;
	recv_how(b, jobs, (struct how){.stream = true, .credit = 3});
	recv_how(c, jobs, (struct how){.stream = true, .credit = 2});
	send_many(a, jobs, "1 2 3 4 5 6", wait_forever);
	expect("a done 1..6; b got 1 #1 1; c got 1 #1 2; b got 1 #2 3; c got 1 #2 4; b got 1 #3 5");
}

static void what_is_taken_lets_the_longest_waiting_sender_in_at_the_tail(void **state)
{
	uint64_t jobs = make_channel("jobs", 2);

	(void)state;
	send_many(a, jobs, "1 2", wait_forever);
	send(b, jobs, "3");
	send(a, jobs, "4");
	recv(c, jobs);
	expect("a done 1..2; c got 1 #1 1");
	taken(c, 1);
	expect("b done 1");
	recv_how(c, jobs, (struct how){.credit = 2});
	expect("c got 2 #2 2; c got 2 #3 3");
}

static void many_values_in_one_frame_are_as_many_sends(void **state)
{
	uint64_t jobs = make_channel("jobs", 2);

	(void)state;
	send_many(a, jobs, "1 2 3 4 5", wait_forever);
	expect("a done 1..2");
	recv_how(b, jobs, (struct how){.stream = true, .credit = 2});
	expect("b got 1 #1 1; b got 1 #2 2");
	taken_range(b, 1, 2);
	expect("a done 3..4");
	assert_int_equal(stat_channel(a, jobs)->length, 2);
	assert_int_equal(stage.stat.senders_waiting, 1);
}

static void credit_bounds_what_is_out(void **state)
{
	uint64_t jobs = make_channel("jobs", 10), s;

	(void)state;
	s = recv_how(b, jobs, (struct how){.stream = true, .credit = 1});
	send_many(a, jobs, "1 2 3", wait_forever);
	expect("a done 1..3; b got 1 #1 1");
	taken(b, 1);
	expect_nothing();
	grant(b, s, 2);
	expect("b got 1 #2 2; b got 1 #3 3");
	grant(b, s, CREDIT_MAX);
	expect("b fail 1 ELIMIT");
	expect_text("4096");
}

static void an_unbuffered_stream_takes_one_value_a_grant(void **state)
{
	uint64_t ch = make_channel("ch", 0), s;

	(void)state;
	recv_how(b, ch, (struct how){.stream = true, .credit = 2});
	expect("b fail 1 EINVAL");
	s = recv_how(b, ch, (struct how){.stream = true});
	send(a, ch, "1");
	send(a, ch, "2");
	expect("b got 2 #1 1");
	taken(b, 1);
	expect("a done 1");
	grant(b, s, 1);
	expect("b got 2 #2 2");
	grant(b, s, 1);
	expect("b fail 2 ELIMIT");
	taken(b, 2);
	expect("a done 2");
}

static void len_and_cap_count_values_not_yet_taken(void **state)
{
	uint64_t jobs = make_channel("jobs", 3), ch = make_channel("ch", 0);

	(void)state;
	send_many(a, jobs, "1 2", wait_forever);
	recv(b, jobs);
	expect("a done 1..2; b got 1 #1 1");
	stat_channel(a, jobs);
	assert_int_equal(stage.stat.length, 2);
	assert_int_equal(stage.stat.capacity, 3);
	assert_int_equal(stage.stat.in_flight, 1);
	assert_int_equal(stage.stat.bytes_buffered, 2);
	taken(b, 1);
	stat_channel(a, jobs);
	assert_int_equal(stage.stat.length, 1);
	assert_int_equal(stage.stat.received, 1);
	send(a, ch, "x");
	stat_channel(a, ch);
	assert_int_equal(stage.stat.length, 0);
	assert_int_equal(stage.stat.senders_waiting, 1);
}

/* A receive that finds its value there is handed it without standing in line (handoff_at_once).
 * From then on nothing tells it from one that waited for the value. */
static void hand_over(uint64_t ch, bool waits)
{
	if (waits)
		recv(b, ch);
	send_many(a, ch, "1 2", wait_forever);
	if (!waits)
		recv(b, ch);
	ignore_answers();
}

static void a_receive_that_finds_its_value_is_as_one_that_waited(void **state)
{
	(void)state;
	for (int waits = 0; waits < 2; waits++) {
		uint64_t jobs = make_channel(waits ? "late" : "early", 2);
		uint64_t out = 1 + 3 * (uint64_t)waits; /* the first of b's deliveries */
		unsigned third, again, next;

		hand_over(jobs, waits);
		stat_channel(a, jobs);
		assert_int_equal(stage.stat.length, 2);
		assert_int_equal(stage.stat.in_flight, 1);
		assert_int_equal(stage.stat.receivers_waiting, 0);
		third = (unsigned)send(a, jobs, "3");
		expect_nothing(); /* there is no room before the value is taken */
		give_back(b, out);
		again = (unsigned)recv(b, jobs);
		next = (unsigned)recv(b, jobs);
		expect("b got %u #%d 1 again 2; b got %u #%d 2", again, (int)out + 1, next,
			(int)out + 2);
		taken(b, out + 1);
		expect("a done %u", third);
		taken(b, out + 2);
		assert_int_equal(stat_channel(a, jobs)->received, 2);
	}
}

/* One that may not be in flight any more is refused, though its value is there; and the value
 * stays. */
static void a_receive_too_many_is_refused_at_once_too(void **state)
{
	struct engine_limits limits = stage_limits;
	uint64_t jobs, idle;

	(void)state;
	limits.ops_in_flight_max = 1;
	stage_close();
	stage_open_with(&limits, 1);
	jobs = make_channel("jobs", 2);
	idle = make_channel("idle", 2);
	send(a, jobs, "x");
	recv(b, idle);
	recv(b, jobs);
	expect("a done 1; b fail 2 ELIMIT");
	recv(c, jobs);
	expect("c got 1 #1 x");
}

static void what_is_out_counts_against_the_capacity(void **state)
{
	uint64_t jobs = make_channel("jobs", 1);

	(void)state;
	send(a, jobs, "1");
	recv(b, jobs);
	expect("a done 1; b got 1 #1 1");
	send(a, jobs, "2");
	expect_nothing();
	taken(b, 1);
	expect("a done 2");
}

/* ---- closing ------------------------------------------------------------------------------------
 */

static void close_wakes_waiting_receivers_and_streams(void **state)
{
	uint64_t jobs = make_channel("jobs", 1), ch = make_channel("ch", 0);

	(void)state;
	recv(b, jobs);
	recv_how(c, jobs, (struct how){.stream = true});
	recv(d, ch);
	close_channel(a, jobs);
	expect("a done 1; b fail 1 ECLOSED; c fail 1 ECLOSED");
	close_channel(a, ch);
	expect("a done 2; d fail 1 ECLOSED");
	recv(b, ch);
	expect("b fail 2 ECLOSED");
}

static void a_stream_without_credit_is_told_of_the_close(void **state)
{
	uint64_t jobs = make_channel("jobs", 1);

	(void)state;
	recv_how(b, jobs, (struct how){.stream = true});
	send(a, jobs, "x");
	expect("a done 1; b got 1 #1 x");
	close_channel(a, jobs);
	expect("a done 2");
	taken(b, 1);
	expect("b fail 1 ECLOSED");
}

static void close_fails_waiting_senders_who_keep_their_values(void **state)
{
	uint64_t jobs = make_channel("jobs", 1), ch = make_channel("ch", 0);

	(void)state;
	send_many(a, jobs, "1 2 3", wait_forever);
	send(b, jobs, "4");
	send(b, ch, "5");
	expect("a done 1");
	close_channel(c, jobs);
	expect("c done 1; a fail 2..3 ECLOSED; b fail 1 ECLOSED");
	close_channel(c, ch);
	expect("c done 2; b fail 2 ECLOSED");
	assert_int_equal(stat_channel(a, jobs)->length, 1);
}

static void values_in_the_buffer_stay_readable_after_close(void **state)
{
	uint64_t jobs = make_channel("jobs", 2);

	(void)state;
	send_many(a, jobs, "1 2", wait_forever);
	close_channel(a, jobs);
	expect("a done 1..2; a done 3");
	recv(b, jobs);
	recv(b, jobs);
	expect("b got 1 #1 1; b got 2 #2 2");
	taken_range(b, 1, 2);
	recv(b, jobs);
	recv(b, jobs);
	expect("b fail 3 ECLOSED; b fail 4 ECLOSED");
}

static void operations_on_a_closed_channel_say_who_closed_it(void **state)
{
	uint64_t jobs = make_channel("jobs", 2);

	(void)state;
	close_channel(b, jobs);
	send(a, jobs, "x");
	expect("b done 1; a fail 1 ECLOSED");
	expect_text("b[11]@host");
	send_many(a, jobs, "x y", wait_forever);
	close_channel(a, jobs);
	expect("a fail 2..3 ECLOSED; a fail 4 ECLOSED");
	expect_text("close 'jobs': the channel was closed by b[11]@host");
}

static void receivers_wait_until_what_is_out_at_the_close_is_settled(void **state)
{
	uint64_t jobs = make_channel("jobs", 1);

	(void)state;
	send(a, jobs, "x");
	recv(b, jobs);
	close_channel(a, jobs);
	expect("a done 1; b got 1 #1 x; a done 2");
	recv(c, jobs);
	recv_how(d, jobs, try);
	expect("d fail 1 EWOULDBLOCK");
	give_back(b, 1);
	expect("c got 1 #1 x again 2");
	recv(b, jobs);
	expect_nothing();
	taken(c, 1);
	expect("b fail 2 ECLOSED");
}

static void an_unbuffered_value_that_is_out_at_the_close_is_settled_first(void **state)
{
	uint64_t ch = make_channel("ch", 0);

	(void)state;
	send(a, ch, "x");
	recv(b, ch);
	send(c, ch, "y");
	recv(d, ch);
	recv(d, ch);
	expect("b got 1 #1 x; d got 1 #1 y");
	close_channel(a, ch);
	expect("a done 2");
	taken(b, 1);
	expect("a done 1");
	give_back(d, 1);
	expect("c fail 1 ECLOSED; d fail 2 ECLOSED");
}

/* ---- try, deadline, cancel
 * ------------------------------------------------------------------------ */

static void try_succeeds_only_when_the_other_side_is_there_now(void **state)
{
	uint64_t jobs = make_channel("jobs", 1), ch = make_channel("ch", 0);

	(void)state;
	recv_how(b, jobs, try);
	send_how(a, jobs, "1", try);
	send_how(a, jobs, "2", try);
	recv_how(b, jobs, try);
	expect("b fail 1 EWOULDBLOCK; a done 1; a fail 2 EWOULDBLOCK; b got 2 #1 1");
	send_how(a, ch, "3", try);
	recv_how(b, ch, try);
	expect("a fail 3 EWOULDBLOCK; b fail 3 EWOULDBLOCK");
	recv(b, ch);
	send_how(a, ch, "4", try);
	expect("b got 4 #2 4");
	taken(b, 2);
	expect("a done 4");
}

static void a_try_of_many_values_fails_from_the_first_that_does_not_fit(void **state)
{
	uint64_t jobs = make_channel("jobs", 2);

	(void)state;
	send_many(a, jobs, "1 2 3 4", try);
	expect("a done 1..2; a fail 3..4 EWOULDBLOCK");
	recv_how(b, jobs, (struct how){.try = true, .credit = 5});
	expect("b got 1 #1 1; b got 1 #2 2; b fail 1 EWOULDBLOCK");
}

static void a_tried_send_that_is_given_back_would_block_or_finds_another(void **state)
{
	uint64_t ch = make_channel("ch", 0);

	(void)state;
	recv(b, ch);
	send_how(a, ch, "x", try);
	expect("b got 1 #1 x");
	give_back(b, 1);
	expect("a fail 1 EWOULDBLOCK");
	recv(b, ch);
	send_how(a, ch, "y", try);
	recv(c, ch);
	give_back(b, 2);
	expect("b got 2 #2 y; c got 1 #1 y again 2");
	taken(c, 1);
	expect("a done 2");
}

static void a_deadline_ends_an_operation_without_effect(void **state)
{
	uint64_t jobs = make_channel("jobs", 1), ch = make_channel("ch", 0);

	(void)state;
	send_many(a, jobs, "1 2 3", (struct how){.timeout_ns = 100});
	recv_how(b, ch, (struct how){.timeout_ns = 50});
	expect("a done 1");
	assert_int_equal(engine_deadline_ns(stage.engine), stage.now_ns + 50);
	pass_ns(49);
	expect_nothing();
	pass_ns(1);
	expect("b fail 1 ETIMEDOUT");
	pass_ns(50);
	expect("a fail 2..3 ETIMEDOUT");
	assert_true(engine_deadline_ns(stage.engine) == INT64_MAX);
	send(a, ch, "x");
	expect_nothing();
	assert_int_equal(stat_channel(a, jobs)->length, 1);
}

static void a_deadline_does_not_tear_a_value_out_of_a_receivers_hands(void **state)
{
	uint64_t ch = make_channel("ch", 0);
	struct how soon = {.timeout_ns = 10};

	(void)state;
	send_how(a, ch, "x", soon);
	send_how(c, ch, "y", soon);
	recv(b, ch);
	recv(b, ch);
	expect("b got 1 #1 x; b got 2 #2 y");
	pass_ns(10);
	expect_nothing();
	taken(b, 1);
	expect("a done 1");
	give_back(b, 2);
	expect("c fail 1 ETIMEDOUT");
	assert_int_equal(stat_channel(a, ch)->senders_waiting, 0);
}

static void cancel_answers_the_target_first(void **state)
{
	uint64_t ch = make_channel("ch", 0), s, r;

	(void)state;
	s = send(a, ch, "x");
	cancel(a, s);
	expect("a fail 1 ECANCELED; a done 2");
	r = recv(b, ch);
	cancel(b, r);
	expect("b fail 1 ECANCELED; b done 2");
	cancel(b, r);
	cancel(b, 99);
	expect("b done 3; b done 4");
}

static void cancel_withdraws_one_value_of_a_batch(void **state)
{
	uint64_t jobs = make_channel("jobs", 1);

	(void)state;
	send_many(a, jobs, "1 2 3 4", wait_forever);
	cancel(a, 3);
	expect("a done 1; a fail 3 ECANCELED; a done 5");
	cancel(a, 3);
	cancel(a, 1);
	expect("a done 6; a done 7");
	recv_how(b, jobs, (struct how){.stream = true, .credit = 9});
	taken(b, 1);
	expect("b got 1 #1 1; a done 2; b got 1 #2 2");
	cancel(a, 4);
	expect("a fail 4 ECANCELED; a done 8");
	taken(b, 2);
	expect_nothing();
}

static void cancel_of_a_value_that_is_out_waits_for_the_settle(void **state)
{
	uint64_t ch = make_channel("ch", 0);

	(void)state;
	send_many(a, ch, "x y", wait_forever);
	recv(b, ch);
	cancel(a, 1);
	expect("b got 1 #1 x");
	taken(b, 1);
	expect("a done 1; a done 3");
	recv(b, ch);
	cancel(a, 2);
	expect("b got 2 #2 y");
	give_back(b, 2);
	expect("a fail 2 ECANCELED; a done 4");
}

/* ---- settling
 * -------------------------------------------------------------------------------------- */

static void a_returned_value_goes_back_before_everything_younger(void **state)
{
	uint64_t jobs = make_channel("jobs", 5);

	(void)state;
	send_many(a, jobs, "1 2 3 4 5", wait_forever);
	recv_how(b, jobs, (struct how){.credit = 3});
	expect("a done 1..5; b got 1 #1 1; b got 1 #2 2; b got 1 #3 3");
	give_back(b, 3);
	give_back(b, 1);
	recv_how(c, jobs, (struct how){.credit = 4});
	expect("c got 1 #1 1 again 2; c got 1 #2 3 again 2; c got 1 #3 4; c got 1 #4 5");
	give_back(c, 1);
	recv(c, jobs);
	expect("c got 2 #5 1 again 3");
}

static void a_returned_unbuffered_value_is_offered_from_the_head(void **state)
{
	uint64_t ch = make_channel("ch", 0);

	(void)state;
	send(a, ch, "1");
	send(b, ch, "2");
	recv(c, ch);
	expect("c got 1 #1 1");
	give_back(c, 1);
	recv(d, ch);
	expect("d got 1 #1 1 again 2");
	recv(d, ch);
	expect("d got 2 #2 2");
}

static void what_is_out_to_a_lost_receiver_goes_to_the_next(void **state)
{
	uint64_t jobs = make_channel("jobs", 5), ch = make_channel("ch", 0);

	(void)state;
	send_many(a, jobs, "1 2 3", wait_forever);
	recv_how(b, jobs, (struct how){.credit = 2});
	recv_how(c, jobs, (struct how){.credit = 3});
	send(a, ch, "x");
	recv(b, ch);
	recv(d, ch);
	expect("a done 1..3; b got 1 #1 1; b got 1 #2 2; c got 1 #1 3; b got 2 #3 x");
	end(b);
	expect("c got 1 #2 1 again 2; c got 1 #3 2 again 2; d got 1 #1 x again 2");
}

static void a_lost_sender_whose_value_is_out(void **state)
{
	uint64_t ch = make_channel("ch", 0);

	(void)state;
	send(a, ch, "1");
	send(b, ch, "2");
	recv(c, ch);
	recv(c, ch);
	expect("c got 1 #1 1; c got 2 #2 2");
	end(a);
	end(b);
	taken(c, 1);     /* stands */
	give_back(c, 2); /* is dropped */
	recv(c, ch);
	expect_nothing();
	assert_int_equal(stat_channel(c, ch)->received, 1);
	assert_int_equal(stage.stat.senders_waiting, 0);
}

static void waiting_operations_of_a_lost_session_are_withdrawn(void **state)
{
	uint64_t jobs = make_channel("jobs", 1), ch = make_channel("ch", 0);

	(void)state;
	send_many(a, jobs, "1 2 3", wait_forever);
	send(a, ch, "x");
	expect("a done 1");
	end(a);
	recv_how(b, ch, try);
	recv(b, jobs);
	expect("b fail 1 EWOULDBLOCK; b got 2 #1 1");
	taken(b, 1);
	assert_int_equal(stat_channel(b, jobs)->length, 0);
}

static void a_settle_that_comes_too_late_is_gone(void **state)
{
	uint64_t jobs = make_channel("jobs", 5);

	(void)state;
	send_many(a, jobs, "1 2 3 4 5", wait_forever);
	recv_how(b, jobs, (struct how){.credit = 5});
	ignore_answers();
	taken_range(b, 2, 2);
	taken_range(b, 1, 6);
	expect("b gone #2..3 #6");
	taken_asked(b, 1, 1);
	expect("b fail 2 EGONE");
	send(a, jobs, "6");
	recv(b, jobs);
	taken_asked(b, 6, 1);
	expect("a done 6; b got 3 #6 6; b done 4");
	assert_int_equal(
		apply(b,
			&(struct message){.kind = MESSAGE_TAKEN,
				.settle = {.deliveries = {&(struct wire_range){5, UINT64_MAX}, 1}}},
			NULL, 0),
		CHAN_EPROTOCOL);
}

static void a_silent_session_is_revoked(void **state)
{
	uint64_t jobs = make_channel("jobs", 5);

	(void)state;
	send_many(a, jobs, "1 2 3", wait_forever);
	recv_how(b, jobs, (struct how){.stream = true, .credit = 2});
	recv(c, jobs);
	expect("a done 1..3; b got 1 #1 1; b got 1 #2 2; c got 1 #1 3");
	assert_int_equal(engine_party_deliveries_out(b->party), 2);
	absent(b);
	revoke_from(b);
	expect("b gone #1..2");
	taken(b, 1);
	expect("b gone #1");
	present(b);
	expect_nothing();
	grant(b, 1, 1);
	expect("b got 1 #3 1 again 2");
}

/* ---- removal and shutdown
 * ------------------------------------------------------------------------------ */

static void remove_answers_whatever_waits_and_drops_what_is_buffered(void **state)
{
	uint64_t jobs = make_channel("jobs", 2), ch = make_channel("ch", 0);

	(void)state;
	send_many(a, jobs, "1 2 3", wait_forever);
	recv(b, jobs);
	recv_how(c, ch, (struct how){.stream = true});
	recv(d, ch);
	send(a, ch, "x");
	send(a, ch, "y");
	expect("a done 1..2; b got 1 #1 1; c got 1 #1 x; d got 1 #1 y");
	remove_channel(d, "jobs");
	expect("a fail 3 EREMOVED; d done 2");
	remove_channel(d, "ch");
	expect("c fail 1 EREMOVED; a fail 4 EREMOVED; a fail 5 EREMOVED; d done 3");
	taken(b, 1);
	taken(c, 1);
	expect("b gone #1; c gone #1");
	send(a, jobs, "z");
	expect("a fail 6 ESTALE");
	assert_int_equal(engine_values_buffered(stage.engine), 0);
	assert_int_equal(engine_deliveries_out(stage.engine), 0);
}

static void shutdown_settles_what_is_out_and_refuses_the_rest(void **state)
{
	uint64_t jobs = make_channel("jobs", 5), ch = make_channel("ch", 0);

	(void)state;
	send_many(a, jobs, "1 2 3", wait_forever);
	recv(b, jobs);
	send(a, ch, "x");
	recv(b, ch);
	recv(c, ch);
	open_wait(d, "later", 0);
	expect("a done 1..3; b got 1 #1 1; b got 2 #2 x");
	engine_shutdown(stage.engine, stage.now_ns);
	expect("c fail 1 ESHUTDOWN; d fail 1 ESHUTDOWN");
	assert_int_equal(engine_deliveries_out(stage.engine), 2);
	taken(b, 2);
	expect("a done 4");
	send(a, jobs, "4");
	expect("a fail 5 ESHUTDOWN");
	give_back(b, 1);
	assert_int_equal(engine_deliveries_out(stage.engine), 0);
	assert_int_equal(engine_values_buffered(stage.engine), 3);
}

/* ---- values that are refused
 * ------------------------------------------------------------------------------ */

static void a_value_that_does_not_fit_fails_alone_and_stops_its_batch(void **state)
{
	uint64_t flags = make_typed("flags", CHAN_TYPE_BOOL, 5);

	(void)state;
	send_many(a, flags, "\1 \1 no \1", wait_forever);
	expect("a done 1..2; a fail 3 ETYPE; a fail 4 ECANCELED");
	send(a, flags, "maybe");
	expect("a fail 5 ETYPE");
	expect_text("bool");
	assert_int_equal(stat_channel(a, flags)->length, 2);
}

static void a_sender_that_means_another_type_is_told_both(void **state)
{
	uint64_t jobs = make_channel("jobs", 5);
	struct message m = {
		.kind = MESSAGE_SEND,
		.seq = 1,
		.send = {.channel = jobs, .count = 1, .type = CHAN_TYPE_INT},
	};

	(void)state;
	apply(a, &m, (const char *[]){"12345678"}, 1);
	expect("a fail 1 ETYPE");
	expect_text("the channel has type string, the value has type int");
	m.send.type = CHAN_TYPE_STRING;
	apply(a, &m, (const char *[]){"12345678"}, 1);
	expect("a done 1");
}

static void a_value_above_the_limit_is_refused_by_its_number(void **state)
{
	struct engine_limits limits = stage_limits;
	uint64_t jobs;

	(void)state;
	stage_close();
	limits.value_bytes_max = 4;
	stage_open_with(&limits, 1);
	jobs = make_channel("jobs", 5);
	send(a, jobs, "12345");
	expect("a fail 1 ETOOLARGE");
	expect_text("the value has 5 bytes, the limit is 4");
}

static void limits_of_a_session_bound_what_waits(void **state)
{
	struct engine_limits limits = stage_limits;
	uint64_t ch;

	(void)state;
	stage_close();
	limits.ops_in_flight_max = 3;
	limits.bytes_in_flight_max = 10;
	stage_open_with(&limits, 1);
	ch = make_channel("ch", 0);
	send(a, ch, "123456");
	send(a, ch, "12345");
	expect("a fail 2 ELIMIT");
	expect_text("10 bytes in flight");
	send_many(a, ch, "1 2 3 4", wait_forever);
	expect("a fail 3..6 ELIMIT");
	expect_text("3 operations in flight");
	send_many(a, ch, "1 2", wait_forever);
	recv(a, ch);
	expect("a fail 9 ELIMIT");
	expect_text("3 operations in flight");
	recv_how(b, ch, (struct how){.timeout_ns = 5});
	taken(b, 1);
	expect("b got 1 #1 123456; a done 1");
	send(a, ch, "7");
	expect_nothing();
}

static void all_buffered_bytes_are_bounded(void **state)
{
	struct engine_limits limits = stage_limits;
	uint64_t jobs;

	(void)state;
	stage_close();
	limits.buffered_bytes_max = 200;
	stage_open_with(&limits, 1);
	jobs = make_channel("jobs", 100);
	send_many(a, jobs, "1 2 3 4", wait_forever);
	expect("a done 1..3; a fail 4 ELIMIT");
	expect_text("200 bytes");
}

/* ---- breaches of the protocol
 * ------------------------------------------------------------------------------ */

static void what_no_client_would_send_ends_the_connection(void **state)
{
	uint64_t jobs = make_channel("jobs", 5);
	const char *one[] = {"x"};

	(void)state;
	assert_int_equal(
		apply(a, &(struct message){.kind = MESSAGE_PING}, NULL, 0), CHAN_EPROTOCOL);
	assert_int_equal(
		apply(a, &(struct message){.kind = MESSAGE_DONE}, NULL, 0), CHAN_EPROTOCOL);
	assert_int_equal(apply(a,
				 &(struct message){.kind = MESSAGE_SEND,
					 .seq = 1,
					 .send = {.channel = jobs, .count = 2}},
				 one, 1),
		CHAN_EPROTOCOL);
	expect_nothing();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, stage_setup, stage_teardown)
		TEST(a_buffered_send_ends_when_the_value_is_in_the_buffer),
		TEST(an_unbuffered_send_ends_when_the_value_is_taken),
		TEST(a_receive_waits_for_a_sender),
		TEST(values_leave_in_the_order_they_were_accepted),
		TEST(waiting_senders_are_served_in_the_order_they_arrived),
		TEST(waiting_receivers_are_served_in_the_order_they_arrived),
		TEST(a_receiver_with_credit_left_goes_to_the_tail_after_each_value),
		TEST(what_is_taken_lets_the_longest_waiting_sender_in_at_the_tail),
		TEST(many_values_in_one_frame_are_as_many_sends),
		TEST(credit_bounds_what_is_out),
		TEST(an_unbuffered_stream_takes_one_value_a_grant),
		TEST(len_and_cap_count_values_not_yet_taken),
		TEST(a_receive_that_finds_its_value_is_as_one_that_waited),
		TEST(a_receive_too_many_is_refused_at_once_too),
		TEST(what_is_out_counts_against_the_capacity),
		TEST(close_wakes_waiting_receivers_and_streams),
		TEST(a_stream_without_credit_is_told_of_the_close),
		TEST(close_fails_waiting_senders_who_keep_their_values),
		TEST(values_in_the_buffer_stay_readable_after_close),
		TEST(operations_on_a_closed_channel_say_who_closed_it),
		TEST(receivers_wait_until_what_is_out_at_the_close_is_settled),
		TEST(an_unbuffered_value_that_is_out_at_the_close_is_settled_first),
		TEST(try_succeeds_only_when_the_other_side_is_there_now),
		TEST(a_try_of_many_values_fails_from_the_first_that_does_not_fit),
		TEST(a_tried_send_that_is_given_back_would_block_or_finds_another),
		TEST(a_deadline_ends_an_operation_without_effect),
		TEST(a_deadline_does_not_tear_a_value_out_of_a_receivers_hands),
		TEST(cancel_answers_the_target_first),
		TEST(cancel_withdraws_one_value_of_a_batch),
		TEST(cancel_of_a_value_that_is_out_waits_for_the_settle),
		TEST(a_returned_value_goes_back_before_everything_younger),
		TEST(a_returned_unbuffered_value_is_offered_from_the_head),
		TEST(what_is_out_to_a_lost_receiver_goes_to_the_next),
		TEST(a_lost_sender_whose_value_is_out),
		TEST(waiting_operations_of_a_lost_session_are_withdrawn),
		TEST(a_settle_that_comes_too_late_is_gone),
		TEST(a_silent_session_is_revoked),
		TEST(remove_answers_whatever_waits_and_drops_what_is_buffered),
		TEST(shutdown_settles_what_is_out_and_refuses_the_rest),
		TEST(a_value_that_does_not_fit_fails_alone_and_stops_its_batch),
		TEST(a_sender_that_means_another_type_is_told_both),
		TEST(a_value_above_the_limit_is_refused_by_its_number),
		TEST(limits_of_a_session_bound_what_waits),
		TEST(all_buffered_bytes_are_bounded),
		TEST(what_no_client_would_send_ends_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
