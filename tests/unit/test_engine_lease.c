/*
 * test_engine_lease.c - the contract's rules of leases, delays and dead letters, one a test, as
 * transcripts.
 */
#include "proto/limits.h"
#include "tests/support/transcript.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LEASE_NS 100

static const struct how wait_forever, try = {.try = true}, leased = {.lease_ns = LEASE_NS};

static uint64_t lease(struct actor *p, uint64_t channel)
{
	return recv_how(p, channel, leased);
}

/* A value that p holds under its first lease. */
static uint64_t leased_channel(struct actor *p, int64_t capacity)
{
	uint64_t ch = make_channel("jobs", capacity);

	send(a, ch, "x");
	lease(p, ch);
	taken(p, 1);
	ignore_answers();
	return ch;
}

/* ---- taking and finishing are two ------------------------------------------------------------ */

static void a_leased_value_is_out_of_the_capacity_once_taken(void **state)
{
	uint64_t jobs = make_channel("jobs", 1);

	(void)state;
	send(a, jobs, "x");
	send(a, jobs, "y");
	lease(b, jobs);
	expect("a done 1; b got 1 #1 x token 1001");
	taken(b, 1);
	expect("a done 2");
	assert_int_equal(stat_channel(a, jobs)->length, 1);
	assert_int_equal(stage.stat.leased, 1);
	assert_int_equal(stage.stat.received, 0);
	ack(b, 1);
	expect_nothing();
	assert_int_equal(stat_channel(a, jobs)->leased, 0);
	assert_int_equal(stage.stat.received, 1);
	assert_int_equal(engine_values_buffered(stage.engine), 1);
}

static void an_unbuffered_send_ends_when_its_value_is_taken_under_a_lease(void **state)
{
	uint64_t ch = make_channel("ch", 0);

	(void)state;
	send(a, ch, "x");
	lease(b, ch);
	expect("b got 1 #1 x token 1001");
	taken(b, 1);
	expect("a done 1");
	assert_int_equal(stat_channel(a, ch)->length, 0);
	assert_int_equal(stage.stat.sent, 1);
	ack(b, 1);
	assert_int_equal(stat_channel(a, ch)->received, 1);
	assert_int_equal(engine_values_buffered(stage.engine), 0);
}

static void a_value_that_is_given_back_goes_before_everything_younger(void **state)
{
	uint64_t jobs = make_channel("jobs", 2);

	(void)state;
	send_many(a, jobs, "1 2 3", wait_forever);
	lease(b, jobs);
	taken(b, 1);
	expect("a done 1..2; b got 1 #1 1 token 1001; a done 3");
	nack(b, 1, 0);
	assert_int_equal(stat_channel(a, jobs)->length, 3);
	send_how(a, jobs, "4", try);
	expect("a fail 4 EWOULDBLOCK");
	recv_how(c, jobs, (struct how){.credit = 3});
	expect("c got 1 #1 1 again 2; c got 1 #2 2; c got 1 #3 3");
	taken(c, 1);
	send_how(a, jobs, "4", try);
	expect("a fail 5 EWOULDBLOCK");
	taken(c, 2);
	send_how(a, jobs, "4", try);
	expect("a done 6");
}

static void a_lease_ends_with_its_time(void **state)
{
	uint64_t jobs = leased_channel(b, 1);

	(void)state;
	recv(c, jobs);
	pass_ns(LEASE_NS - 1);
	expect_nothing();
	assert_int_equal(engine_deadline_ns(stage.engine), stage.now_ns + 1);
	pass_ns(1);
	expect("b gone #1; c got 1 #1 x again 2");
	settle_asked(b, MESSAGE_ACK, 1, 1, 0);
	expect("b fail 2 EGONE");
	ack(b, 1);
	nack(b, 1, 0);
	extend(b, 1, 5);
	expect("b gone #1; b gone #1; b gone #1");
}

static void leases_that_end_together_are_told_together(void **state)
{
	uint64_t jobs = make_channel("jobs", 5);

	(void)state;
	send_many(a, jobs, "1 2 3 4 5", wait_forever);
	recv_how(b, jobs, (struct how){.credit = 4, .lease_ns = 5});
	taken_range(b, 1, 4);
	ack(b, 2);
	lease(c, jobs);
	taken(c, 1);
	ignore_answers();
	pass_ns(LEASE_NS);
	expect("b gone #1 #3..4; c gone #1");
}

static void a_lease_may_be_extended(void **state)
{
	uint64_t jobs = leased_channel(b, 1);

	(void)state;
	pass_ns(LEASE_NS - 1);
	settle_asked(b, MESSAGE_EXTEND, 1, 1, 10);
	expect("b done 2");
	pass_ns(9);
	expect_nothing();
	extend(b, 1, 3); /* also to less */
	pass_ns(3);
	expect("b gone #1");
	recv(c, jobs);
	expect("c got 1 #1 x again 2");
}

static void a_lease_ends_with_its_session(void **state)
{
	uint64_t jobs = leased_channel(b, 1);

	(void)state;
	recv(c, jobs);
	end(b);
	expect("c got 1 #1 x again 2");
}

static void leases_outlast_a_silence(void **state)
{
	uint64_t jobs = leased_channel(b, 3);

	(void)state;
	send(a, jobs, "y");
	lease(b, jobs);
	ignore_answers();
	assert_int_equal(engine_party_deliveries_out(b->party), 1);
	engine_party_revoke(stage.engine, b->party, stage.now_ns);
	expect("b gone #2");
	assert_int_equal(engine_party_deliveries_out(b->party), 0);
	settle_asked(b, MESSAGE_ACK, 1, 1, 0);
	expect("b done 3");
}

static void a_leased_value_that_was_not_taken_is_a_delivery_like_others(void **state)
{
	uint64_t jobs = make_channel("jobs", 1);

	(void)state;
	send(a, jobs, "x");
	lease(b, jobs);
	ignore_answers();
	pass_ns(10 * LEASE_NS); /* its time has not begun */
	expect_nothing();
	settle_asked(b, MESSAGE_ACK, 1, 1, 0);
	settle_asked(b, MESSAGE_EXTEND, 1, 1, 5);
	expect("b fail 2 EGONE; b fail 3 EGONE");
	give_back(b, 1);
	lease(c, jobs);
	expect("c got 1 #1 x again 2 token 1002");
	taken(c, 1);
	taken(c, 1);
	give_back(c, 1);
	expect("c gone #1; c gone #1");
	settle_asked(c, MESSAGE_ACK, 1, 1, 0);
	expect("c done 2");
}

static void some_of_a_range_may_be_gone(void **state)
{
	uint64_t jobs = make_channel("jobs", 3);

	(void)state;
	send_many(a, jobs, "1 2 3", wait_forever);
	recv_how(b, jobs, (struct how){.credit = 3, .lease_ns = 50});
	ignore_answers();
	taken_range(b, 1, 3);
	extend(b, 2, 10);
	pass_ns(20);
	expect("b gone #2");
	settle_asked(b, MESSAGE_ACK, 1, 3, 0);
	expect("b fail 2 EGONE");
	expect_text("1 of the deliveries, the first is 2");
	assert_int_equal(stat_channel(a, jobs)->leased, 0);
	assert_int_equal(stage.stat.length, 1);
}

static void tokens_rise_with_every_lease_of_a_channel(void **state)
{
	uint64_t jobs = make_channel("jobs", 3);

	(void)state;
	send_many(a, jobs, "1 2", wait_forever);
	recv_how(b, jobs, (struct how){.credit = 2, .lease_ns = 5});
	taken_range(b, 1, 2);
	nack(b, 1, 0);
	lease(c, jobs);
	expect("a done 1..2; b got 1 #1 1 token 1001; b got 1 #2 2 token 1002; "
	       "c got 1 #1 1 again 2 token 1003");
	remove_channel(a, "jobs");
	ignore_answers();
	jobs = make_channel("jobs", 3); /* in the same nanosecond */
	send(a, jobs, "1");
	lease(b, jobs);
	expect("a done 4; b got 2 #3 1 token 1004");
}

/* ---- delays ---------------------------------------------------------------------------------- */

static void a_delayed_value_holds_up_no_younger_one(void **state)
{
	uint64_t jobs = leased_channel(b, 2);

	(void)state;
	nack(b, 1, 50);
	send(a, jobs, "y");
	expect("a done 2");
	assert_int_equal(stat_channel(a, jobs)->length, 2);
	assert_int_equal(stage.stat.delayed, 1);
	send_how(a, jobs, "z", try);
	expect("a fail 3 EWOULDBLOCK"); /* but it counts */
	recv(c, jobs);
	expect("c got 1 #1 y");
	recv(d, jobs);
	pass_ns(49);
	expect_nothing();
	pass_ns(1);
	expect("d got 1 #1 x again 2");
}

static void a_value_that_was_not_taken_may_be_delayed_too(void **state)
{
	uint64_t jobs = make_channel("jobs", 1), ch = make_channel("ch", 0);

	(void)state;
	send(a, jobs, "x");
	recv(b, jobs);
	give_back_later(b, 1, 50);
	recv(c, jobs);
	expect("a done 1; b got 1 #1 x");
	pass_ns(50);
	expect("c got 1 #1 x again 2");

	/* Without a buffer it is its sender's again, who stands there now. */
	send(a, ch, "y");
	recv(b, ch);
	give_back_later(b, 2, 50);
	recv(d, ch);
	expect("b got 2 #2 y; d got 1 #1 y again 2");
}

static void times_have_bounds(void **state)
{
	uint64_t jobs = leased_channel(b, 1);

	(void)state;
	settle_asked(b, MESSAGE_NACK, 1, 1, LEASE_NS_MAX + 1);
	settle_asked(b, MESSAGE_RETURN, 1, 1, LEASE_NS_MAX + 1);
	settle_asked(b, MESSAGE_EXTEND, 1, 1, LEASE_NS_MAX + 1);
	settle_asked(b, MESSAGE_EXTEND, 1, 1, 0);
	recv_how(b, jobs, (struct how){.lease_ns = LEASE_NS_MAX + 1});
	SELECT(b, (struct how){.lease_ns = LEASE_NS_MAX + 1}, {jobs, NULL});
	expect("b fail 2 EINVAL; b fail 3 EINVAL; b fail 4 EINVAL; b fail 5 EINVAL; "
	       "b fail 6 EINVAL; b fail 7 EINVAL");
	settle_asked(b, MESSAGE_NACK, 1, 1, LEASE_NS_MAX);
	expect("b done 8");
}

static void a_session_holds_so_many_leases(void **state)
{
	enum { STEP = 1024 };
	uint64_t jobs = make_channel("jobs", STEP), s;
	struct how how = {.stream = true, .lease_ns = LEASE_NS, .credit = STEP};
	char values[2 * STEP + 1];

	(void)state;
	for (size_t i = 0; i < STEP; i++)
		memcpy(values + 2 * i, "x ", 3);
	s = recv_how(b, jobs, how);
	for (uint32_t n = 0; n < LEASES_MAX; n += STEP) {
		if (n > 0)
			grant(b, s, STEP);
		send_many(a, jobs, values, wait_forever);
		taken_range(b, n + 1, STEP);
		stage.log_bytes = 0;
	}
	ignore_answers();
	lease(b, jobs);
	expect("b fail 2 ELIMIT");
	grant(b, s, 1);
	send(c, jobs, "y");
	expect("c done 1; b fail 1 ELIMIT");
	ack(b, 1);
	lease(b, jobs);
	expect("b got 3 #65537 y token 66537");
	send(c, jobs, "z");
	lease(b, jobs); /* what is out will be a lease, too */
	recv(b, jobs);
	expect("c done 2; b fail 4 ELIMIT; b got 5 #65538 z");
	taken(b, LEASES_MAX + 1);
	assert_int_equal(stat_channel(a, jobs)->leased, LEASES_MAX);
}

/* Who is to be told of a bad time by nothing breaks the rules with it. */
static void a_time_out_of_bounds_without_a_number_is_a_breach(void **state)
{
	struct wire_range range = {1, 1};
	struct message m = {.settle = {.deliveries = {&range, 1}, .delay_ns = LEASE_NS_MAX + 1}};

	(void)state;
	leased_channel(b, 1);
	m.kind = MESSAGE_NACK;
	assert_int_equal(apply(b, &m, NULL, 0), CHAN_EPROTOCOL);
	m.kind = MESSAGE_RETURN;
	assert_int_equal(apply(b, &m, NULL, 0), CHAN_EPROTOCOL);
	m.kind = MESSAGE_EXTEND;
	m.settle.lease_ns = 0;
	assert_int_equal(apply(b, &m, NULL, 0), CHAN_EPROTOCOL);
	expect_nothing();
}

/* ---- over the capacity -------------------------------------------------------------------------
 */

static void what_comes_back_to_an_unbuffered_channel_goes_first(void **state)
{
	uint64_t ch = leased_channel(b, 0);

	(void)state;
	send(a, ch, "y");
	nack(b, 1, 0);
	assert_int_equal(stat_channel(a, ch)->length, 1);
	send_how(a, ch, "z", try);
	expect("a fail 3 EWOULDBLOCK");
	recv(c, ch);
	expect("c got 1 #1 x again 2");
	recv(d, ch); /* no send is accepted while that one is there */
	expect_nothing();
	SELECT(d, try, {ch, NULL});
	expect("d fail 2 EWOULDBLOCK");
	taken(c, 1);
	expect("d got 1 #1 y");
	taken(d, 1);
	expect("a done 2");
}

static void a_select_sees_what_came_back(void **state)
{
	uint64_t ch = leased_channel(b, 0);

	(void)state;
	nack(b, 1, 0);
	SELECT(c, leased, {ch, NULL});
	expect("c got 1 #1 x again 2 token 1002");
	recv(d, ch);
	SELECT(a, try, {ch, "y"});
	expect("a fail 2 EWOULDBLOCK");
	taken(c, 1); /* under the lease that its case asked for */
	SELECT(a, try, {ch, "y"});
	expect("d got 1 #1 y");
	taken(d, 1);
	pass_ns(LEASE_NS);
	expect("a done 3; c gone #1");
}

static void a_sender_that_dies_leaves_the_leased_value(void **state)
{
	uint64_t ch = make_channel("ch", 0);

	(void)state;
	send(a, ch, "x");
	lease(b, ch);
	end(a); /* it is out: taken stands */
	taken(b, 1);
	recv(c, ch);
	nack(b, 1, 0);
	expect("b got 1 #1 x token 1001; c got 1 #1 x again 2");
}

/* ---- closing, removing
 * ---------------------------------------------------------------------------- */

static void no_receiver_sees_closed_while_a_lease_is_unsettled(void **state)
{
	uint64_t jobs = leased_channel(b, 1);

	(void)state;
	close_channel(a, jobs);
	recv(c, jobs);
	recv_how(d, jobs, try);
	expect("a done 2; d fail 1 EWOULDBLOCK");
	nack(b, 1, 10);
	recv_how(d, jobs, try);
	expect("d fail 2 EWOULDBLOCK");
	pass_ns(10);
	expect("c got 1 #1 x again 2");
	lease(c, jobs);
	give_back(c, 1);
	expect("c got 2 #2 x again 3 token 1002");
	taken(c, 2);
	recv(d, jobs);
	expect_nothing();
	ack(c, 2);
	expect("d fail 3 ECLOSED");
}

static void an_unbuffered_closed_channel_offers_what_comes_back(void **state)
{
	uint64_t ch = leased_channel(b, 0);

	(void)state;
	close_channel(a, ch);
	recv(c, ch);
	recv(d, ch);
	expect("a done 2");
	end(b);
	expect("c got 1 #1 x again 2");
	taken(c, 1);
	expect("d fail 1 ECLOSED");
}

static void removal_drops_leases_and_delays(void **state)
{
	uint64_t jobs = make_channel("jobs", 3);

	(void)state;
	send_many(a, jobs, "1 2 3", wait_forever);
	recv_how(b, jobs, (struct how){.credit = 2, .lease_ns = LEASE_NS});
	lease(c, jobs);
	taken_range(b, 1, 2);
	taken(c, 1);
	nack(b, 2, 50);
	ignore_answers();
	remove_channel(a, "jobs");
	expect("b gone #1; c gone #1; a done 4");
	assert_int_equal(engine_values_buffered(stage.engine), 0);
	ack(b, 1);
	expect("b gone #1");
	pass_ns(1000);
	expect_nothing();
}

static void a_leased_value_may_be_taken_after_the_removal(void **state)
{
	uint64_t ch = make_channel("ch", 0);

	(void)state;
	send(a, ch, "x");
	lease(b, ch);
	remove_channel(c, "ch");
	expect("b got 1 #1 x token 1001; a fail 1 EREMOVED; c done 1");
	taken(b, 1);
	ack(b, 1);
	expect("b gone #1; b gone #1");
}

static void a_channel_goes_with_its_leases(void **state)
{
	uint64_t t;

	(void)state;
	make_how(a, "t", CHAN_TYPE_STRING, 3, true, CHAN_BOTH);
	t = stage.opened;
	send(a, t, "x");
	lease(a, t);
	taken(a, 1);
	ignore_answers();
	release(a, t);
	expect("a done 4; a gone #1");
}

static void shutting_down_leases_can_be_settled(void **state)
{
	(void)state;
	leased_channel(b, 1);
	engine_shutdown(stage.engine, stage.now_ns);
	assert_int_equal(engine_deliveries_out(stage.engine), 0);
	assert_int_equal(engine_values_buffered(stage.engine), 1);
	settle_asked(b, MESSAGE_ACK, 1, 1, 0);
	expect("b done 2");
	assert_int_equal(engine_values_buffered(stage.engine), 0);
}

/* ---- chan values
 * ----------------------------------------------------------------------------------- */

static void a_leased_chan_value_leaves_its_end_with_the_receiver(void **state)
{
	uint64_t refs = make_typed("refs", CHAN_TYPE_CHAN, 2), reply;
	uint8_t bytes[300];
	size_t n;

	(void)state;
	make_how(a, "", CHAN_TYPE_STRING, 1, false, CHAN_BOTH);
	reply = stage.opened;
	n = reference(bytes, reply, CHAN_SEND);
	send_bytes(a, refs, bytes, n);
	lease(b, refs);
	taken(b, 1);
	ignore_answers();
	nack(b, 1, 0); /* the value goes back, and b keeps what it was given */
	send(b, reply, "x");
	expect("b done 2");
	release(b, reply);
	release(a, reply); /* the value alone holds the channel */
	lease(c, refs);
	ignore_answers();
	send_how(c, reply, "y", try);
	expect("c fail 2 EABORTED"); /* it is full, and nobody could receive */
	taken(c, 1);
	ack(c, 1);
	assert_int_equal(engine_values_buffered(stage.engine), 1);
	release(c, reply);
	assert_int_equal(engine_values_buffered(stage.engine), 0);
}

/* ---- dead letters
 * ----------------------------------------------------------------------------------- */

static uint64_t jobs_with_dead_letters(int64_t capacity)
{
	for (int i = 0; i < PARTIES; i++) {
		make_attributes(&stage.actors[i], "jobs", capacity, CHAN_BOTH,
			"attempts_max=2 dead_letter=dead");
		stage.actors[i].seq = 0;
	}
	ignore_answers();
	return stage.opened;
}

/* b takes a value under a lease, and gives it back. */
static void fail_once(uint64_t jobs, uint64_t delivery)
{
	lease(b, jobs);
	taken(b, delivery);
	nack(b, delivery, 0);
	ignore_answers();
}

static void a_value_that_failed_too_often_becomes_a_dead_letter(void **state)
{
	uint64_t dead = make_channel("dead", 1), jobs = jobs_with_dead_letters(5);

	(void)state;
	send(a, dead, "old");
	send(a, jobs, "x");
	fail_once(jobs, 1);
	assert_int_equal(stat_channel(a, jobs)->length, 1);
	fail_once(jobs, 2);
	assert_int_equal(stat_channel(a, jobs)->length, 0);
	assert_int_equal(stage.stat.dead_lettered, 1);
	assert_int_equal(stat_channel(a, dead)->length, 2); /* above its capacity */
	assert_int_equal(stage.stat.sent, 2);
	recv(c, dead);
	recv(c, dead);
	expect("c got 1 #1 old; c got 2 #2 x again 3");
	taken(c, 1);
	taken(c, 2);
	assert_int_equal(engine_values_buffered(stage.engine), 0);
}

static void dead_letters_stand_where_they_came_in(void **state)
{
	uint64_t dead = make_channel("dead", 9), jobs = jobs_with_dead_letters(5);

	(void)state;
	send(a, dead, "1");
	send_many(a, jobs, "x y", wait_forever);
	fail_once(jobs, 1);
	fail_once(jobs, 2);
	send(a, dead, "2");
	fail_once(jobs, 3);
	fail_once(jobs, 4);
	send(a, dead, "3");
	ignore_answers();
	recv_how(c, dead, (struct how){.credit = 5});
	expect("c got 1 #1 1; c got 1 #2 x again 3; c got 1 #3 2; c got 1 #4 y again 3; c got 1 #5 "
	       "3");
	give_back(c, 2);
	give_back(c, 4);
	give_back(c, 3);
	recv_how(d, dead, (struct how){.credit = 9});
	expect("d got 1 #1 x again 4; d got 1 #2 2 again 2; d got 1 #3 y again 4");
}

static void leases_that_end_together_end_in_the_order_of_their_values(void **state)
{
	uint64_t dead = make_channel("dead", 9), jobs = jobs_with_dead_letters(5);

	(void)state;
	send_many(a, jobs, "x y", wait_forever);
	fail_once(jobs, 1);
	lease(c, jobs);
	lease(b, jobs);
	taken(b, 2);
	nack(b, 2, 0);
	taken(c, 1);
	nack(c, 1, 0);
	lease(c, jobs);
	lease(d, jobs);
	taken(d, 1);
	taken(c, 2);
	pass_ns(LEASE_NS);
	ignore_answers();
	recv_how(a, dead, (struct how){.credit = 2});
	expect("a got 3 #1 x again 3; a got 3 #2 y again 3");
}

static void only_tries_count(void **state)
{
	uint64_t dead = make_channel("dead", 1), jobs = jobs_with_dead_letters(5);

	(void)state;
	send(a, jobs, "x");
	for (uint64_t i = 1; i <= 5; i++) { /* no program has had it */
		lease(b, jobs);
		give_back(b, i);
	}
	lease(b, jobs);
	taken(b, 6);
	pass_ns(LEASE_NS); /* but one that was too slow counts */
	lease(b, jobs);
	taken(b, 7);
	ignore_answers();
	end(b); /* and one that died */
	recv(c, dead);
	expect("c got 1 #1 x again 8");
}

static void dead_letters_that_have_nowhere_to_go_stay(void **state)
{
	uint64_t jobs = jobs_with_dead_letters(5), dead;

	(void)state;
	send(a, jobs, "x");
	fail_once(jobs, 1);
	fail_once(jobs, 2);
	assert_int_equal(stat_channel(a, jobs)->length, 1);
	assert_int_equal(stage.stat.dead_letter_failures, 1);
	assert_string_equal(stage.stat.dead_letter_problem, "there is no such channel");
	make_typed("dead", CHAN_TYPE_INT, 5);
	fail_once(jobs, 3);
	assert_string_equal(stat_channel(a, jobs)->dead_letter_problem, "it has another type");
	remove_channel(a, "dead");
	make_channel("dead", 0);
	fail_once(jobs, 4);
	assert_string_equal(stat_channel(a, jobs)->dead_letter_problem, "it is unbuffered");
	remove_channel(a, "dead");
	dead = make_channel("dead", 1);
	close_channel(a, dead);
	fail_once(jobs, 5);
	assert_string_equal(stat_channel(a, jobs)->dead_letter_problem, "it is closed");
	assert_int_equal(stat_channel(a, jobs)->dead_letter_failures, 4);
	remove_channel(a, "dead");
	dead = make_typed("dead", CHAN_TYPE_ANY, 1);
	fail_once(jobs, 6);
	recv(c, dead);
	expect("c got 1 #1 \x04x again 7");
}

static void dead_letters_keep_a_closed_channel_open_no_longer(void **state)
{
	uint64_t jobs = jobs_with_dead_letters(0);

	(void)state;
	make_channel("dead", 1);
	send(a, jobs, "x");
	fail_once(jobs, 1);
	close_channel(a, jobs);
	recv(c, jobs);
	expect("a done 2; c got 1 #1 x again 2");
	give_back(c, 1);
	lease(b, jobs);
	expect("b got 2 #2 x again 3 token 1002");
	taken(b, 2);
	recv(d, jobs);
	nack(b, 2, 0);
	expect("d fail 1 ECLOSED");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, stage_setup, stage_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_leased_value_is_out_of_the_capacity_once_taken),
		TEST(an_unbuffered_send_ends_when_its_value_is_taken_under_a_lease),
		TEST(a_value_that_is_given_back_goes_before_everything_younger),
		TEST(a_lease_ends_with_its_time),
		TEST(leases_that_end_together_are_told_together),
		TEST(a_lease_may_be_extended),
		TEST(a_lease_ends_with_its_session),
		TEST(leases_outlast_a_silence),
		TEST(a_leased_value_that_was_not_taken_is_a_delivery_like_others),
		TEST(some_of_a_range_may_be_gone),
		TEST(tokens_rise_with_every_lease_of_a_channel),
		TEST(a_delayed_value_holds_up_no_younger_one),
		TEST(a_value_that_was_not_taken_may_be_delayed_too),
		TEST(times_have_bounds),
		TEST(a_session_holds_so_many_leases),
		TEST(a_time_out_of_bounds_without_a_number_is_a_breach),
		TEST(what_comes_back_to_an_unbuffered_channel_goes_first),
		TEST(a_select_sees_what_came_back),
		TEST(a_sender_that_dies_leaves_the_leased_value),
		TEST(no_receiver_sees_closed_while_a_lease_is_unsettled),
		TEST(an_unbuffered_closed_channel_offers_what_comes_back),
		TEST(removal_drops_leases_and_delays),
		TEST(a_leased_value_may_be_taken_after_the_removal),
		TEST(a_channel_goes_with_its_leases),
		TEST(shutting_down_leases_can_be_settled),
		TEST(a_leased_chan_value_leaves_its_end_with_the_receiver),
		TEST(a_value_that_failed_too_often_becomes_a_dead_letter),
		TEST(dead_letters_stand_where_they_came_in),
		TEST(leases_that_end_together_end_in_the_order_of_their_values),
		TEST(only_tries_count),
		TEST(dead_letters_that_have_nowhere_to_go_stay),
		TEST(dead_letters_keep_a_closed_channel_open_no_longer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
