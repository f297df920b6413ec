/*
 * test_engine_producers.c - channels that count their producers, and aborts, as transcripts.
 */
#include "tests/support/transcript.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct how wait_forever, try = {.try = true};

/* Made by d, who sends nothing; d and c read. */
static uint64_t counted(const char *producers, int64_t capacity)
{
	char attributes[32];

	snprintf(attributes, sizeof(attributes), "producers=%s", producers);
	make_attributes(d, "ch", capacity, CHAN_RECV, attributes);
	open_end(c, "ch", CHAN_RECV);
	c->seq = d->seq = 0;
	ignore_answers();
	return stage.opened;
}

static void produce(struct actor *p)
{
	open_end(p, "ch", CHAN_SEND);
	p->seq = 0;
	ignore_answers();
}

/* ---- aborting ----------------------------------------------------------------------------------
 */

static void an_abort_is_told_to_senders_at_once_and_to_readers_at_the_end(void **state)
{
	uint64_t jobs = make_channel("jobs", 1);

	(void)state;
	send(a, jobs, "x");
	send(b, jobs, "y");
	expect("a done 1");
	abort_channel(c, jobs, "the disk is full");
	expect("c done 1; b fail 1 EABORTED");
	expect_text(
		"send to 'jobs': the channel was aborted by c[12]@host, reason: the disk is full");
	send(a, jobs, "z");
	expect("a fail 2 EABORTED");
	recv(d, jobs);
	recv(d, jobs);
	expect("d got 1 #1 x");
	taken(d, 1);
	expect("d fail 2 EABORTED");
	expect_text("receive from 'jobs': the channel was aborted by c[12]@host");
	recv_how(d, jobs, try);
	SELECT(d, wait_forever, {jobs, NULL});
	SELECT(d, wait_forever, {jobs, "v"});
	expect("d fail 3 EABORTED; d fail 4 EABORTED; d fail 5 EABORTED");
	assert_true(stat_channel(a, jobs)->closed && stage.stat.aborted);
	assert_string_equal(stage.stat.reason, "the disk is full");
}

static void a_channel_ends_once(void **state)
{
	uint64_t x = make_channel("x", 1), y = make_channel("y", 1);

	(void)state;
	abort_channel(a, x, "");
	close_channel(a, x);
	abort_channel(a, x, "");
	expect("a done 1; a fail 2 EABORTED; a fail 3 EABORTED");
	close_channel(a, y);
	abort_channel(a, y, "");
	expect("a done 4; a fail 5 ECLOSED");
}

static void a_value_that_is_out_when_its_channel_is_aborted_is_settled_first(void **state)
{
	uint64_t ch = make_channel("ch", 0);

	(void)state;
	send(a, ch, "1");
	send(a, ch, "2");
	recv(b, ch);
	recv(c, ch);
	recv(d, ch);
	expect("b got 1 #1 1; c got 1 #1 2");
	abort_channel(d, ch, "");
	expect("d done 2");
	taken(b, 1);
	expect("a done 1");
	give_back(c, 1);
	expect("a fail 2 EABORTED; d fail 1 EABORTED");
}

static void readers_of_an_aborted_channel_wait_for_leases(void **state)
{
	uint64_t jobs = make_channel("jobs", 1);

	(void)state;
	send(a, jobs, "x");
	recv_how(b, jobs, (struct how){.lease_ns = 50});
	taken(b, 1);
	recv_how(c, jobs, (struct how){.stream = true, .credit = 5});
	abort_channel(a, jobs, "");
	ignore_answers();
	pass_ns(50);
	expect("b gone #1; c got 1 #1 x again 2");
	taken(c, 1);
	expect("c fail 1 EABORTED");
}

/* ---- producers ---------------------------------------------------------------------------------
 */

static void the_last_producer_closes_the_channel(void **state)
{
	uint64_t ch = counted("2", 5);

	(void)state;
	produce(a);
	produce(b);
	assert_int_equal(stat_channel(a, ch)->producers, 2);
	send(a, ch, "x");
	close_channel(a, ch);
	expect("a done 1; a done 2");
	assert_false(stat_channel(a, ch)->closed);
	assert_int_equal(stage.stat.producers, 1);
	recv_how(c, ch, (struct how){.stream = true, .credit = 5});
	send(b, ch, "y");
	close_why(b, ch, "all done");
	expect("c got 1 #1 x; b done 1; c got 1 #2 y; b done 2");
	taken_range(c, 1, 2);
	expect("c fail 1 ECLOSED");
	expect_text("closed by b[11]@host, reason: all done");
	assert_int_equal(stat_channel(a, ch)->producers, 0);
	assert_false(stage.stat.aborted);
}

static void who_has_closed_its_side_sends_no_more(void **state)
{
	uint64_t ch = counted("2", 1), other = make_channel("other", 0);

	(void)state;
	produce(a);
	produce(b);
	send_many(a, ch, "1 2", wait_forever); /* the second waits */
	SELECT(a, wait_forever, {ch, "3"}, {other, NULL});
	send(b, ch, "4");
	expect("a done 1");
	close_channel(a, ch);
	expect("a done 4; a fail 2 ECLOSED; a fail 3 ECLOSED");
	expect_text("this session has closed it for itself; 1 of its producers go on");
	send(a, ch, "5");
	close_channel(a, ch);
	SELECT(a, wait_forever, {other, NULL}, {ch, "6"});
	SELECT(a, try, {ch, "7"});
	expect("a fail 5 ECLOSED; a fail 6 ECLOSED; a fail 7 ECLOSED case 1; a fail 8 ECLOSED");
	open_end(a, "ch", CHAN_SEND); /* it is registered, and done */
	send(a, ch, "8");
	expect("a opened 9; a fail 10 ECLOSED");
	recv(c, ch);
	taken(c, 1);
	expect("c got 1 #1 1; b done 1");
}

static void a_value_that_is_out_when_its_producer_closes_is_settled_first(void **state)
{
	uint64_t ch = counted("2", 0);

	(void)state;
	produce(a);
	produce(b);
	send(a, ch, "1");
	send(a, ch, "2");
	send(b, ch, "3");
	for (int i = 0; i < 3; i++)
		recv(c, ch);
	close_channel(a, ch);
	expect("c got 1 #1 1; c got 2 #2 2; c got 3 #3 3; a done 3");
	taken(c, 1);
	give_back(c, 2);
	expect("a done 1; a fail 2 ECLOSED");
	give_back(c, 3);
	recv(d, ch);
	expect("d got 1 #1 3 again 2");
}

static void one_producer_more_is_refused(void **state)
{
	uint64_t ch = counted("2", 1);

	(void)state;
	produce(a);
	open_end(a, "ch", CHAN_SEND); /* counts once */
	produce(b);
	open_end(c, "ch", CHAN_SEND);
	expect("c fail 1 ELIMIT");
	expect_text("all registered (2; 0 have closed): a[10]@host, b[11]@host");
	open_end(c, "ch", CHAN_RECV);
	expect("c opened 2");
	close_channel(a, ch);
	end(a);
	open_end(c, "ch", CHAN_BOTH); /* who was done counts still */
	expect("a done 2; c fail 3 ELIMIT");
	expect_text("(2; 1 have closed): b[11]@host");
	assert_false(stat_channel(b, ch)->closed);
	send(c, ch, "x");
	expect("c fail 4 EWRONGEND");
}

static void the_maker_may_be_a_producer(void **state)
{
	(void)state;
	make_attributes(a, "ch", 0, CHAN_BOTH, "producers=1");
	make_attributes(b, "ch", 0, CHAN_BOTH, "producers=1");
	make_attributes(b, "ch", 0, CHAN_RECV, "producers=1");
	expect("a opened 1 created; b fail 1 ELIMIT; b opened 2");
	close_channel(a, stage.opened);
	make_attributes(b, "ch", 0, CHAN_SEND, "producers=1"); /* to see that it is closed */
	send(b, stage.opened, "x");
	expect("a done 2; b opened 3; b fail 4 ECLOSED");
}

static void with_auto_the_channel_closes_when_all_that_came_are_done(void **state)
{
	uint64_t ch = counted("auto", 1);

	(void)state;
	recv(c, ch);
	produce(a);
	produce(b);
	close_channel(b, ch);
	end(b);
	expect("b done 1");
	close_channel(a, ch);
	expect("a done 1; c fail 1 ECLOSED");
}

static void a_producer_that_ends_without_closing_aborts(void **state)
{
	uint64_t ch = counted("2", 1);

	(void)state;
	produce(a);
	produce(b);
	send(a, ch, "x");
	send(b, ch, "y");
	expect("a done 1");
	end(a);
	expect("b fail 1 EABORTED");
	expect_text("aborted by a[10]@host, reason: its session ended, and it had not closed");
	recv(c, ch);
	recv(c, ch);
	taken(c, 1);
	expect("c got 1 #1 x; c fail 2 EABORTED");
	close_channel(b, ch);
	expect("b fail 2 EABORTED");
	assert_true(stat_channel(b, ch)->aborted);
	assert_string_equal(stage.stat.closed_by, "a[10]@host");
}

static void an_end_that_is_given_up_leaves_its_producer_registered(void **state)
{
	uint64_t ch = counted("auto", 1);

	(void)state;
	produce(a);
	release(a, ch);
	expect("a done 1");
	assert_int_equal(stat_channel(c, ch)->producers, 1);
	recv(c, ch);
	end(a);
	expect("c fail 1 EABORTED");
}

static void a_producer_may_abort(void **state)
{
	uint64_t ch = counted("2", 1);

	(void)state;
	produce(a);
	produce(b);
	close_channel(a, ch);
	abort_channel(a, ch, "after all"); /* what it sent was wrong */
	send(b, ch, "x");
	expect("a done 1; a done 2; b fail 1 EABORTED");
	end(b);
	recv(c, ch);
	expect("c fail 1 EABORTED");
	expect_text("by a[10]@host, reason: after all");
}

static void who_gets_an_end_as_a_value_is_a_producer(void **state)
{
	uint64_t ch = counted("2", 1), refs = make_typed("refs", CHAN_TYPE_CHAN, 2);
	uint8_t bytes[300];
	size_t n = reference(bytes, ch, CHAN_SEND);

	(void)state;
	produce(a);
	send_bytes(a, refs, bytes, n);
	recv(b, refs);
	assert_int_equal(stat_channel(a, ch)->producers, 2);
	taken(b, 1);
	send_bytes(a, refs, bytes, n);
	ignore_answers();
	recv(c, refs); /* there is no place for c, and the value stays */
	expect("c fail 1 ELIMIT");
	expect_text("has all its producers");
	recv(b, refs);
	taken(b, 2);
	ignore_answers();
	recv(c, ch);
	end(b);
	expect("c fail 2 EABORTED");
}

/* ---- producers on trial -------------------------------------------------------------------------
 */

/* a is one of the producers, and hands its end on by n values in the channel that is returned. */
static uint64_t offer(uint64_t ch, int n)
{
	uint64_t refs = make_typed("refs", CHAN_TYPE_CHAN, 5);
	uint8_t bytes[300];
	size_t len = reference(bytes, ch, CHAN_SEND);

	produce(a);
	while (n-- > 0)
		send_bytes(a, refs, bytes, len);
	a->seq = 0;
	ignore_answers();
	return refs;
}

/* Whether c could be a producer, of which it gives no proof. */
static void expect_place(bool free)
{
	ignore_answers();
	c->seq = 0;
	open_end(c, "ch", CHAN_SEND);
	if (free)
		expect("c opened 1");
	else
		expect("c fail 1 ELIMIT");
	c->seq = 0;
}

static void expect_producers(uint64_t ch, uint64_t n)
{
	assert_int_equal(stat_channel(d, ch)->producers, n);
}

static void who_gives_the_end_back_was_no_producer(void **state)
{
	uint64_t ch = counted("2", 1), refs = offer(ch, 1);

	(void)state;
	recv(b, refs);
	expect_producers(ch, 2);
	expect_place(false); /* it is b's while b may take the value */
	expect_text("a[10]@host, b[11]@host");
	give_back(b, 1);
	expect_producers(ch, 1);
	end(b);
	assert_false(stat_channel(d, ch)->closed);
	recv(c, refs);
	taken(c, 1);
	expect_producers(ch, 2);
	ignore_answers();
	end(c);
	assert_true(stat_channel(d, ch)->aborted);
}

static void who_loses_the_end_was_no_producer(void **state)
{
	uint64_t ch = counted("2", 1), refs = offer(ch, 1);

	(void)state;
	recv(b, refs);
	absent(b);
	expect_producers(ch, 2);
	revoke_from(b);
	expect_producers(ch, 1);
	present(b);
	recv(b, refs);
	expect_producers(ch, 2);
	end(b);
	assert_false(stat_channel(d, ch)->closed);
	ignore_answers();
	expect_place(true);
}

static void an_end_that_was_released_goes_back_as_well(void **state)
{
	uint64_t ch = counted("2", 1), refs = offer(ch, 1);

	(void)state;
	recv(b, refs);
	release(b, ch);
	expect_producers(ch, 2);
	give_back(b, 1);
	ignore_answers();
	expect_producers(ch, 1);
	expect_place(true);
}

static void the_last_of_several_values_ends_the_trial(void **state)
{
	uint64_t ch = counted("2", 1), refs = offer(ch, 3);

	(void)state;
	recv_how(b, refs, (struct how){.credit = 3});
	give_back(b, 1);
	give_back(b, 3);
	expect_producers(ch, 2);
	give_back(b, 2);
	expect_producers(ch, 1);
	recv_how(b, refs, (struct how){.credit = 2});
	taken(b, 4);
	give_back(b, 5); /* it is one for good */
	expect_producers(ch, 2);
	end(b);
	assert_true(stat_channel(d, ch)->aborted);
}

static void who_opens_an_end_by_itself_is_a_producer_for_good(void **state)
{
	uint64_t ch = counted("2", 1), refs = offer(ch, 1);

	(void)state;
	recv(b, refs);
	open_end(b, "ch", CHAN_SEND);
	give_back(b, 1);
	expect_producers(ch, 2);
	end(b);
	assert_true(stat_channel(d, ch)->aborted);
}

static void a_close_on_trial_counts(void **state)
{
	uint64_t ch = counted("2", 1), refs = offer(ch, 1);

	(void)state;
	recv(b, refs);
	close_channel(b, ch);
	give_back(b, 1);
	ignore_answers();
	expect_producers(ch, 1);
	expect_place(false);
	close_channel(a, ch);
	assert_true(stat_channel(d, ch)->closed);
	recv(c, refs); /* nothing to be a producer of any more */
	taken(c, 1);
	ignore_answers();
	end(c);
	assert_false(stat_channel(d, ch)->aborted);
}

static void a_leased_end_is_held_on_trial_until_it_is_acknowledged(void **state)
{
	uint64_t ch = counted("2", 1), refs = offer(ch, 1);
	const struct how leased = {.lease_ns = 50};

	(void)state;
	recv_how(b, refs, leased);
	taken(b, 1);
	expect_producers(ch, 2);
	nack(b, 1, 0);
	expect_producers(ch, 1);
	recv_how(b, refs, leased);
	taken(b, 2);
	pass_ns(50);
	expect_producers(ch, 1);
	recv_how(b, refs, leased);
	taken(b, 3);
	end(b); /* a worker that died, whose work another one does */
	expect_producers(ch, 1);
	recv_how(c, refs, leased);
	taken(c, 1);
	ack(c, 1);
	expect_producers(ch, 2);
	ignore_answers();
	end(c);
	assert_true(stat_channel(d, ch)->aborted);
}

static void who_has_lost_the_lease_of_its_end_closes_if_there_is_a_place(void **state)
{
	uint64_t ch = counted("2", 1), refs = offer(ch, 1);
	const struct how leased = {.lease_ns = 50};

	(void)state;
	recv_how(b, refs, leased);
	taken(b, 1);
	nack(b, 1, 0);
	recv(c, refs);
	ignore_answers();
	close_channel(b, ch);
	expect("b fail 2 ELIMIT");
	expect_text("close 'ch': its producers are all registered (2; 0 have closed): a[10]@host, "
		    "c[12]@host");
	give_back(c, 1);
	close_channel(b, ch);
	expect("b done 3");
	expect_producers(ch, 1);
	expect_place(false);
}

static void a_channel_that_goes_settles_the_ends_in_it(void **state)
{
	uint64_t ch = counted("2", 1), refs = offer(ch, 2);

	(void)state;
	recv_how(b, refs, (struct how){.lease_ns = 50});
	taken(b, 1);
	recv(c, refs);
	remove_channel(d, "refs"); /* nobody else will have b's value */
	expect_producers(ch, 2);
	taken(c, 1);
	give_back(c, 1);
	expect_producers(ch, 2);
	end(b);
	assert_true(stat_channel(d, ch)->aborted);
}

static void with_auto_the_channel_stays_open_for_who_is_on_trial(void **state)
{
	uint64_t ch = counted("auto", 1), refs = offer(ch, 1);

	(void)state;
	recv(b, refs);
	recv(c, ch);
	ignore_answers();
	close_channel(a, ch);
	expect("a done 1");
	give_back(b, 1);
	expect("c fail 1 ECLOSED");
	expect_text("closed by b[11]@host, reason: it gave back what made it the last producer");
}

static void with_auto_who_was_on_trial_may_go_on(void **state)
{
	uint64_t ch = counted("auto", 1), refs = offer(ch, 1);

	(void)state;
	recv(b, refs);
	recv(c, ch);
	close_channel(a, ch);
	taken(b, 1);
	ignore_answers();
	send(b, ch, "x");
	expect("b done 2; c got 1 #1 x");
	close_channel(b, ch);
	taken(c, 1);
	recv(c, ch);
	expect("b done 3; c fail 2 ECLOSED");
}

static void removal_forgets_producers(void **state)
{
	counted("1", 1);
	(void)state;
	produce(a);
	remove_channel(d, "ch");
	expect("d done 1");
	counted("1", 1);
	produce(b);
	end(a);
	assert_false(stat_channel(b, stage.opened)->closed);
	end(b);
	assert_true(stat_channel(c, stage.opened)->aborted);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, stage_setup, stage_teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_abort_is_told_to_senders_at_once_and_to_readers_at_the_end),
		TEST(a_channel_ends_once),
		TEST(a_value_that_is_out_when_its_channel_is_aborted_is_settled_first),
		TEST(readers_of_an_aborted_channel_wait_for_leases),
		TEST(the_last_producer_closes_the_channel),
		TEST(who_has_closed_its_side_sends_no_more),
		TEST(a_value_that_is_out_when_its_producer_closes_is_settled_first),
		TEST(one_producer_more_is_refused),
		TEST(the_maker_may_be_a_producer),
		TEST(with_auto_the_channel_closes_when_all_that_came_are_done),
		TEST(a_producer_that_ends_without_closing_aborts),
		TEST(an_end_that_is_given_up_leaves_its_producer_registered),
		TEST(a_producer_may_abort),
		TEST(who_gets_an_end_as_a_value_is_a_producer),
		TEST(who_gives_the_end_back_was_no_producer),
		TEST(who_loses_the_end_was_no_producer),
		TEST(an_end_that_was_released_goes_back_as_well),
		TEST(the_last_of_several_values_ends_the_trial),
		TEST(who_opens_an_end_by_itself_is_a_producer_for_good),
		TEST(a_close_on_trial_counts),
		TEST(a_leased_end_is_held_on_trial_until_it_is_acknowledged),
		TEST(who_has_lost_the_lease_of_its_end_closes_if_there_is_a_place),
		TEST(a_channel_that_goes_settles_the_ends_in_it),
		TEST(with_auto_the_channel_stays_open_for_who_is_on_trial),
		TEST(with_auto_who_was_on_trial_may_go_on),
		TEST(removal_forgets_producers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
