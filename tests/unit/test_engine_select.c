/*
 * test_engine_select.c - the rules of select, as transcripts.
 */
#include "proto/limits.h"
#include "tests/support/transcript.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct how wait_forever, try = {.try = true};

static void a_select_takes_the_case_that_is_ready(void **state)
{
	uint64_t x = make_channel("x", 1), y = make_channel("y", 1);

	(void)state;
	send(a, y, "1");
	SELECT(b, wait_forever, {x, NULL}, {y, NULL});
	expect("a done 1; b got 1 #1 1 case 1");
	SELECT(b, wait_forever, {y, "2"}, {x, "3"});
	expect("b done 2 case 1");
}

static void a_select_waits_until_a_case_is_ready(void **state)
{
	uint64_t x = make_channel("x", 0), y = make_channel("y", 1);

	(void)state;
	SELECT(b, wait_forever, {x, NULL}, {y, NULL});
	SELECT(c, wait_forever, {y, NULL}, {x, NULL});
	expect_nothing();
	send(a, y, "1");
	send(a, x, "2");
	expect("a done 1; b got 1 #1 1 case 1; c got 1 #1 2 case 1");
	taken(c, 1);
	expect("a done 2");
}

static void a_losing_case_leaves_no_trace(void **state)
{
	uint64_t x = make_channel("x", 1), y = make_channel("y", 0);

	(void)state;
	SELECT(b, wait_forever, {x, NULL}, {y, "lost"}, {y, NULL});
	assert_int_equal(stat_channel(a, y)->senders_waiting, 1);
	send(a, x, "1");
	expect("a done 1; b got 1 #1 1");
	stat_channel(a, y);
	assert_int_equal(stage.stat.senders_waiting, 0);
	assert_int_equal(stage.stat.receivers_waiting, 0);
	recv_how(c, y, try);
	expect("c fail 1 EWOULDBLOCK");
}

static void an_unbuffered_send_case_happens_when_it_is_taken(void **state)
{
	uint64_t x = make_channel("x", 0), y = make_channel("y", 1);

	(void)state;
	SELECT(a, wait_forever, {y, NULL}, {x, "1"});
	recv(b, x);
	expect("b got 1 #1 1");
	send(c, y, "not for a"); /* a is claimed */
	expect("c done 1");
	taken(b, 1);
	expect("a done 1 case 1");
}

static void a_select_whose_value_comes_back_stands_again_in_all_its_cases(void **state)
{
	uint64_t x = make_channel("x", 0), y = make_channel("y", 1);

	(void)state;
	SELECT(a, wait_forever, {x, "1"}, {y, NULL});
	recv(b, x);
	send(c, x, "2");
	expect("b got 1 #1 1");
	give_back(b, 1);
	recv(b, x); /* it stands before c */
	expect("b got 2 #2 1 again 2");
	send(c, y, "3");
	give_back(b, 2);
	expect("c done 2; a got 1 #1 3 case 1");
	recv(b, x);
	expect("b got 3 #3 2");
}

static void a_select_does_not_match_itself(void **state)
{
	uint64_t x = make_channel("x", 0);

	(void)state;
	SELECT(a, wait_forever, {x, "1"}, {x, NULL});
	SELECT(b, try, {x, "2"}, {x, NULL});
	expect("b got 1 #1 1 case 1");
	taken(b, 1);
	expect("a done 1");
}

static void two_selects_on_both_ends_match_each_other(void **state)
{
	uint64_t x = make_channel("x", 0);

	(void)state;
	SELECT(a, wait_forever, {x, NULL}, {x, "1"});
	expect_nothing();
	SELECT(b, wait_forever, {x, "2"});
	expect("a got 1 #1 2");
	taken(a, 1);
	expect("b done 1");
}

static void the_choice_among_ready_cases_is_uniform(void **state)
{
	uint64_t x = make_channel("x", 1000), y = make_channel("y", 1000);
	unsigned chosen[3] = {0};

	(void)state;
	for (int i = 0; i < 3000; i++) {
		char *case_word;

		SELECT(a, wait_forever, {x, "1"}, {y, "2"}, {x, "3"});
		case_word = strstr(stage.log, "case ");
		chosen[case_word ? case_word[5] - '0' : 0]++;
		ignore_answers();
		for (int k = 0; k < 2; k++) {
			recv_how(b, k ? x : y, try);
			taken_range(b, 1, UINT32_MAX);
		}
		ignore_answers();
	}
	for (int i = 0; i < 3; i++)
		assert_in_range(chosen[i], 900, 1100);
}

static void default_is_never_chosen_when_a_case_is_ready(void **state)
{
	uint64_t x = make_channel("x", 1), y = make_channel("y", 0);

	(void)state;
	SELECT(a, try, {x, NULL}, {y, "1"}, {y, NULL});
	expect("a fail 1 EWOULDBLOCK");
	SELECT(a, try, {x, NULL}, {x, "1"});
	expect("a done 2 case 1");
	recv(b, y);
	SELECT(a, try, {x, "full"}, {y, "1"});
	expect("b got 1 #1 1");
	give_back(b, 1);
	expect("a fail 3 EWOULDBLOCK");
	recv(b, y);
	SELECT(a, try, {y, "1"}, {x, NULL});
	ignore_answers();
}

static void a_tried_select_that_comes_back_tries_the_next_ready_case(void **state)
{
	uint64_t x = make_channel("x", 1), y = make_channel("y", 0);

	(void)state;
	recv(b, y);
	SELECT(a, try, {x, NULL}, {y, "1"});
	send(c, x, "2");
	expect("b got 1 #1 1; c done 1");
	give_back(b, 1);
	expect("a got 1 #1 2");
}

static void a_closed_case_is_ready(void **state)
{
	uint64_t x = make_channel("x", 1), y = make_channel("y", 0);

	(void)state;
	SELECT(a, wait_forever, {y, NULL}, {x, NULL});
	close_channel(c, x);
	expect("c done 1; a fail 1 ECLOSED case 1");
	SELECT(a, wait_forever, {y, NULL}, {x, "1"});
	expect("a fail 2 ECLOSED case 1");
	SELECT(b, wait_forever, {y, "1"});
	close_channel(c, y);
	expect("c done 2; b fail 1 ECLOSED");
}

static void a_channel_that_is_closed_and_not_drained_is_not_ready(void **state)
{
	uint64_t x = make_channel("x", 1);

	(void)state;
	send(a, x, "1");
	recv(b, x);
	close_channel(a, x);
	SELECT(c, wait_forever, {x, NULL});
	SELECT(d, try, {x, NULL});
	expect("a done 1; b got 1 #1 1; a done 2; d fail 1 EWOULDBLOCK");
	taken(b, 1);
	expect("c fail 1 ECLOSED");
}

static void deadline_and_cancel_end_a_select(void **state)
{
	uint64_t x = make_channel("x", 0), s;
	struct how soon = {.timeout_ns = 10};

	(void)state;
	SELECT(a, soon, {x, NULL}, {x, "1"});
	pass_ns(10);
	expect("a fail 1 ETIMEDOUT");
	s = SELECT(a, soon, {x, "1"});
	recv(b, x);
	expect("b got 1 #1 1");
	cancel(a, s);
	pass_ns(10);
	expect_nothing();
	taken(b, 1);
	expect("a done 2; a done 3");
	s = SELECT(a, wait_forever, {x, "1"});
	recv(b, x);
	cancel(a, s);
	give_back(b, 2);
	expect("b got 2 #2 1; a fail 4 ECANCELED; a done 5");
}

static void a_select_without_cases_waits_for_its_deadline(void **state)
{
	(void)state;
	select_cases(a, try, NULL, 0);
	expect("a fail 1 EWOULDBLOCK");
	select_cases(a, (struct how){.timeout_ns = 5}, NULL, 0);
	select_cases(a, wait_forever, NULL, 0);
	pass_ns(5);
	expect("a fail 2 ETIMEDOUT");
	cancel(a, 3);
	expect("a fail 3 ECANCELED; a done 4");
}

static void one_channel_may_stand_in_many_cases(void **state)
{
	uint64_t x = make_channel("x", 0);
	struct pick picks[40];

	(void)state;
	for (int i = 0; i < 40; i++)
		picks[i] = (struct pick){x, i % 2 ? "1" : NULL};
	select_cases(a, wait_forever, picks, 40);
	select_cases(b, wait_forever, picks, 20);
	assert_non_null(strstr(stage.log, "got 1 #1 1"));
	stat_channel(c, x);
	assert_int_equal(stage.stat.receivers_waiting, 0);
	assert_int_equal(stage.stat.in_flight, 1);
}

static void a_bad_case_fails_the_select_and_changes_nothing(void **state)
{
	uint64_t x = make_channel("x", 5), flags = make_typed("flags", CHAN_TYPE_BOOL, 5);

	(void)state;
	SELECT(a, wait_forever, {x, "1"}, {flags, "no"});
	expect("a fail 1 ETYPE case 1");
	SELECT(a, wait_forever, {x, "1"}, {999, NULL});
	expect("a fail 2 EINVAL case 1");
	assert_int_equal(stat_channel(a, x)->length, 0);
	assert_int_equal(apply(a,
				 &(struct message){.kind = MESSAGE_SELECT,
					 .seq = 3,
					 .select = {.cases = &(struct wire_case){.channel = x,
							    .direction = CHAN_BOTH},
						 .case_count = 1}},
				 NULL, 0),
		0);
	expect("a fail 3 EINVAL");
}

static void too_many_cases_name_the_limit(void **state)
{
	static struct wire_case cases[SELECT_CASES_MAX + 1];

	(void)state;
	apply(a,
		&(struct message){.kind = MESSAGE_SELECT,
			.seq = 1,
			.select = {.cases = cases, .case_count = SELECT_CASES_MAX + 1}},
		NULL, 0);
	expect("a fail 1 EINVAL");
	expect_text("1024");
}

static void removing_a_channel_ends_a_select_that_is_claimed_elsewhere(void **state)
{
	uint64_t x = make_channel("x", 0), y = make_channel("y", 0);

	(void)state;
	SELECT(a, wait_forever, {x, "1"}, {y, NULL});
	recv(b, x);
	remove_channel(c, "y");
	expect("b got 1 #1 1; c done 1");
	give_back(b, 1);
	expect("a fail 1 EREMOVED case 1");
	SELECT(a, wait_forever, {x, "1"});
	recv(b, x);
	remove_channel(c, "x");
	expect("b got 2 #2 1; a fail 2 EREMOVED; c done 2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, stage_setup, stage_teardown)
		TEST(a_select_takes_the_case_that_is_ready),
		TEST(a_select_waits_until_a_case_is_ready),
		TEST(a_losing_case_leaves_no_trace),
		TEST(an_unbuffered_send_case_happens_when_it_is_taken),
		TEST(a_select_whose_value_comes_back_stands_again_in_all_its_cases),
		TEST(a_select_does_not_match_itself),
		TEST(two_selects_on_both_ends_match_each_other),
		TEST(the_choice_among_ready_cases_is_uniform),
		TEST(default_is_never_chosen_when_a_case_is_ready),
		TEST(a_tried_select_that_comes_back_tries_the_next_ready_case),
		TEST(a_closed_case_is_ready),
		TEST(a_channel_that_is_closed_and_not_drained_is_not_ready),
		TEST(deadline_and_cancel_end_a_select),
		TEST(a_select_without_cases_waits_for_its_deadline),
		TEST(one_channel_may_stand_in_many_cases),
		TEST(a_bad_case_fails_the_select_and_changes_nothing),
		TEST(too_many_cases_name_the_limit),
		TEST(removing_a_channel_ends_a_select_that_is_claimed_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
