/*
 * test_engine_absent.c - a party that nobody receives for: its receives are passed over and keep
 * their places, all else goes on.
 */
#include "tests/support/transcript.h"
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

static const struct how wait_forever;

static void its_receives_are_passed_over_and_keep_their_places(void **state)
{
	uint64_t jobs = make_channel("jobs", 3);

	(void)state;
	recv(b, jobs);
	recv(c, jobs);
	recv(d, jobs);
	absent(b);
	assert_int_equal(stat_channel(a, jobs)->receivers_waiting, 2);
	send(a, jobs, "1");
	expect("a done 1; c got 1 #1 1");
	present(b);
	send_many(a, jobs, "2 3", wait_forever);
	expect("a done 2..3; b got 1 #1 2; d got 1 #1 3");
}

static void what_came_meanwhile_is_received_at_once(void **state)
{
	uint64_t jobs = make_channel("jobs", 3), ch = make_channel("ch", 0);

	(void)state;
	recv(b, jobs);
	recv(b, ch);
	absent(b);
	send_many(a, jobs, "1 2", wait_forever);
	send(a, ch, "x");
	expect("a done 1..2");
	present(b);
	expect("b got 1 #1 1; b got 2 #2 x");
	taken(b, 2);
	expect("a done 3");
}

static void a_stream_keeps_its_credit(void **state)
{
	uint64_t jobs = make_channel("jobs", 3);

	(void)state;
	recv_how(b, jobs, (struct how){.stream = true, .credit = 2});
	send(a, jobs, "1");
	expect("a done 1; b got 1 #1 1");
	absent(b);
	send_many(a, jobs, "2 3", wait_forever);
	expect("a done 2..3");
	present(b);
	expect("b got 1 #2 2");
	absent(b);
	present(b);
	taken_range(b, 1, 2);
	expect_nothing();
	grant(b, 1, 1);
	expect("b got 1 #3 3");
}

static void of_its_selects_the_send_cases_stand(void **state)
{
	uint64_t x = make_channel("x", 0), y = make_channel("y", 0);

	(void)state;
	SELECT(b, wait_forever, {x, NULL}, {y, "out"});
	absent(b);
	send(a, x, "in");
	expect_nothing();
	recv(a, y);
	expect("a got 2 #1 out");
	give_back(a, 1); /* it stands again, and x still does not match */
	expect_nothing();
	assert_int_equal(stat_channel(a, x)->receivers_waiting, 0);
	recv(a, y);
	expect("a got 3 #2 out again 2");
	taken(a, 2);
	expect("b done 1 case 1");
	present(b);
	expect_nothing();
}

static void a_select_that_is_back_may_receive(void **state)
{
	uint64_t x = make_channel("x", 0), y = make_channel("y", 1);

	(void)state;
	SELECT(b, wait_forever, {x, NULL}, {y, NULL}, {x, NULL});
	absent(b);
	send(a, y, "1");
	expect("a done 1");
	present(b);
	expect("b got 1 #1 1 case 1");
}

static void its_sends_go_on(void **state)
{
	uint64_t jobs = make_channel("jobs", 1);

	(void)state;
	send_many(b, jobs, "1 2", wait_forever);
	expect("b done 1");
	absent(b);
	recv(a, jobs);
	expect("a got 1 #1 1");
	taken(a, 1);
	expect("b done 2");
}

static void deadlines_and_cancels_go_on(void **state)
{
	uint64_t jobs = make_channel("jobs", 1);

	(void)state;
	recv_how(b, jobs, (struct how){.timeout_ns = 10});
	absent(b);
	pass_ns(10);
	expect("b fail 1 ETIMEDOUT");
	recv(b, jobs);
	cancel(b, 2);
	expect("b fail 2 ECANCELED; b done 3");
}

/* What is out stays out until it is revoked; the receives that wait go on waiting. */
static void it_is_revoked_and_its_receives_stand(void **state)
{
	uint64_t jobs = make_channel("jobs", 3);

	(void)state;
	recv(b, jobs);
	recv(b, jobs);
	send(a, jobs, "1");
	expect("a done 1; b got 1 #1 1");
	absent(b);
	revoke_from(b);
	expect("b gone #1");
	recv(c, jobs);
	expect("c got 1 #1 1 again 2");
	send(a, jobs, "2");
	expect("a done 2");
	present(b);
	expect("b got 2 #2 2");
}

static void closing_and_removing_tell_it(void **state)
{
	uint64_t x = make_channel("x", 1), y = make_channel("y", 1), z = make_channel("z", 1);

	(void)state;
	recv_how(b, x, (struct how){.stream = true});
	SELECT(b, wait_forever, {x, NULL}, {x, NULL}, {y, NULL});
	recv(b, y);
	recv(b, z);
	absent(b);
	close_channel(a, x);
	expect("a done 1; b fail 1 ECLOSED; b fail 2 ECLOSED");
	remove_channel(a, "y");
	expect("b fail 3 EREMOVED; a done 2");
	end(b);
	expect_nothing();
}

/* A temporary channel whose other holder ends tells the absent one as it does others. */
static void bereavement_tells_it(void **state)
{
	uint64_t t;

	(void)state;
	make_how(a, "t", CHAN_TYPE_STRING, 1, true, CHAN_BOTH);
	t = stage.opened;
	open_end(b, "t", CHAN_RECV);
	open_end(c, "t", CHAN_RECV);
	ignore_answers();
	recv(b, t);
	SELECT(b, wait_forever, {t, NULL}, {t, NULL});
	recv(c, t);
	absent(b);
	end(a);
	expect("c fail 2 EABORTED; b fail 2 EABORTED; b fail 3 EABORTED");
}

#define ABSENT_TEST(f) cmocka_unit_test_setup_teardown(f, stage_setup, stage_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ABSENT_TEST(its_receives_are_passed_over_and_keep_their_places),
		ABSENT_TEST(what_came_meanwhile_is_received_at_once),
		ABSENT_TEST(a_stream_keeps_its_credit),
		ABSENT_TEST(of_its_selects_the_send_cases_stand),
		ABSENT_TEST(a_select_that_is_back_may_receive),
		ABSENT_TEST(its_sends_go_on),
		ABSENT_TEST(deadlines_and_cancels_go_on),
		ABSENT_TEST(it_is_revoked_and_its_receives_stand),
		ABSENT_TEST(closing_and_removing_tell_it),
		ABSENT_TEST(bereavement_tells_it),
	};

	return cmocka_run_group_tests_name("engine_absent", tests, NULL, NULL);
}
