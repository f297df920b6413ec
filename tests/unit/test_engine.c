/*
 * test_engine.c - the contract's rules of channels, one a test, as transcripts.
 */
#include "tests/support/transcript.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void send_on_a_buffered_channel_ends_when_the_value_is_in_the_buffer(void **state)
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

static void send_on_an_unbuffered_channel_ends_when_the_value_is_taken(void **state)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, stage_setup, stage_teardown)
		TEST(send_on_a_buffered_channel_ends_when_the_value_is_in_the_buffer),
		TEST(send_on_an_unbuffered_channel_ends_when_the_value_is_taken),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
