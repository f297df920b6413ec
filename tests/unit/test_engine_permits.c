/*
 * test_engine_permits.c - channels whose values are permits, as transcripts.
 */
#include "proto/limits.h"
#include "tests/support/transcript.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct how try = {.try = true}, leased = {.try = true, .lease_ns = 100};

static void make_as(struct actor *p, enum chan_type type, int64_t capacity, const char *permits,
	uint8_t direction)
{
	const struct wire_attribute list[] = {
		{"permits", {(const uint8_t *)permits, strlen(permits)}}};
	const struct message m = {
		.kind = MESSAGE_MAKE,
		.seq = ++p->seq,
		.make = {.name = "lock",
			.type = type,
			.type_name = "",
			.capacity = capacity,
			.attributes = list,
			.attribute_count = 1,
			.direction = direction},
	};

	assert_int_equal(apply(p, &m, NULL, 0), 0);
}

static void make_permits(struct actor *p, const char *permits)
{
	make_as(p, CHAN_TYPE_SIGNAL, 2, permits, CHAN_RECV);
}

static void they_are_there_from_the_making_on_and_only_once(void **state)
{
	(void)state;
	make_permits(a, "2");
	make_permits(b, "2");
	expect("a opened 1 created; b opened 1");
	assert_int_equal(stat_channel(a, stage.opened)->length, 2);
	recv_how(a, stage.opened, leased);
	recv_how(b, stage.opened, leased);
	recv_how(b, stage.opened, leased);
	expect("a got 2 #1  token 1001; b got 2 #1  token 1002; b fail 3 EWOULDBLOCK");
}

/* Who took one for good would leave the others without. */
static void they_are_held_by_leases_only(void **state)
{
	(void)state;
	make_permits(a, "1");
	expect("a opened 1 created");
	recv_how(a, stage.opened, try);
	expect("a fail 2 EINVAL");
	assert_int_equal(stat_channel(a, stage.opened)->length, 1);
}

static void a_lease_that_is_given_back_is_a_permit_again(void **state)
{
	uint64_t lock;

	(void)state;
	make_permits(a, "1");
	lock = stage.opened;
	make_permits(b, "1");
	ignore_answers();
	recv_how(a, lock, leased);
	taken(a, 1);
	recv_how(b, lock, leased);
	expect("a got 2 #1  token 1001; b fail 2 EWOULDBLOCK");
	end(a);
	recv_how(b, lock, leased);
	expect("b got 3 #1  again 2 token 1002");
}

static void nobody_can_add_any(void **state)
{
	(void)state;
	make_as(a, CHAN_TYPE_SIGNAL, 2, "1", CHAN_BOTH);
	expect("a fail 1 EWRONGEND");
	expect_text("make 'lock' for sending: its values are permits, and nobody can add any");
	open_wait(c, "lock", 0);
	make_permits(a, "1");
	expect("a opened 2 created; c fail 1 EWRONGEND");
	open_end(b, "lock", CHAN_SEND);
	make_as(b, CHAN_TYPE_SIGNAL, 2, "1", CHAN_SEND);
	expect("b fail 1 EWRONGEND; b fail 2 EWRONGEND");
	expect_text("open 'lock' for sending: its values are permits, and nobody can add any");
	assert_int_equal(stat_channel(a, stage.opened)->length, 1);
}

static void others_are_refused(void **state)
{
	(void)state;
	make_as(a, CHAN_TYPE_INT, 2, "1", CHAN_RECV);
	expect("a fail 1 EINVAL");
	expect_text("make 'lock': permits are signals, and so must the channel's type be");
	make_permits(a, "3");
	expect("a fail 2 EINVAL");
	expect_text("make 'lock': permits need as much capacity");
	make_permits(a, "0");
	make_permits(a, "-1");
	make_permits(a, "1048577");
	make_permits(a, "");
	expect("a fail 3 EINVAL; a fail 4 EINVAL; a fail 5 EINVAL; a fail 6 EINVAL");
	make_permits(a, "1");
	make_permits(b, "2");
	expect("a opened 7 created; b fail 1 EEXIST");
	expect_text(
		"make 'lock': it exists with type signal, capacity 2, permanent, permits 1; asked: "
		"signal, 2, permanent, permits 2");
}

static void they_count_in_the_bound_of_all_values(void **state)
{
	struct engine_limits limits = stage_limits;

	(void)state;
	stage_close();
	limits.buffered_bytes_max = 100;
	stage_open_with(&limits, 1);
	make_as(a, CHAN_TYPE_SIGNAL, 1000, "1000", CHAN_RECV);
	expect("a fail 1 ELIMIT");
	expect_text("make 'lock': there is no room for 1000 more values");
	assert_int_equal(engine_values_buffered(stage.engine), 0);
	make_permits(a, "1");
	expect("a opened 2 created");
}

static void a_dead_letter_is_no_permit(void **state)
{
	const struct wire_attribute list[] = {{"attempts_max", {(const uint8_t *)"1", 1}},
		{"dead_letter", {(const uint8_t *)"lock", 4}}};
	const struct message jobs = {
		.kind = MESSAGE_MAKE,
		.seq = 2,
		.make = {.name = "jobs",
			.type = CHAN_TYPE_SIGNAL,
			.type_name = "",
			.capacity = 1,
			.attributes = list,
			.attribute_count = 2,
			.direction = CHAN_BOTH},
	};

	(void)state;
	make_permits(a, "1");
	assert_int_equal(apply(a, &jobs, NULL, 0), 0);
	a->seq = 2;
	send_bytes(a, stage.opened, "", 0);
	recv_how(a, stage.opened, leased);
	taken(a, 1);
	nack(a, 1, 0);
	assert_int_equal(stat_channel(a, stage.opened)->length, 1);
	assert_int_equal(stage.stat.dead_letter_failures, 1);
	ignore_answers();
}

int main(void)
{
#define STAGED(test) cmocka_unit_test_setup_teardown(test, stage_setup, stage_teardown)
	const struct CMUnitTest tests[] = {
		STAGED(they_are_there_from_the_making_on_and_only_once),
		STAGED(they_are_held_by_leases_only),
		STAGED(a_lease_that_is_given_back_is_a_permit_again),
		STAGED(nobody_can_add_any),
		STAGED(others_are_refused),
		STAGED(they_count_in_the_bound_of_all_values),
		STAGED(a_dead_letter_is_no_permit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
