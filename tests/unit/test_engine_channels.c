/*
 * test_engine_channels.c - names, ends, lifetimes, channels as values, and what people look at.
 */
#include "server/broker/collect.h"
#include "tests/support/transcript.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <unistr.h>

#include <cmocka.h>

static const struct how wait_forever, try = {.try = true};

static uint64_t make_string(struct actor *p, const char *name, int64_t capacity, bool temporary)
{
	make_how(p, name, CHAN_TYPE_STRING, capacity, temporary, CHAN_BOTH);
	return stage.opened;
}

/* ---- make and open ------------------------------------------------------------------------------
 */

static void make_creates_and_make_again_opens(void **state)
{
	uint64_t first = make_string(a, "jobs", 3, false);

	(void)state;
	expect("a opened 1 created");
	assert_true(make_string(b, "jobs", 3, false) == first);
	expect("b opened 1");
}

static void make_again_with_other_attributes_shows_the_difference(void **state)
{
	make_string(a, "jobs", 10, false);
	make_how(b, "jobs", CHAN_TYPE_INT, 10, false, CHAN_BOTH);
	expect("a opened 1 created; b fail 1 EEXIST");
	expect_text(
		"it exists with type string, capacity 10, permanent; asked: int, 10, permanent");
	(void)state;
}

static void what_make_refuses(void **state)
{
	(void)state;
	make_how(a, "no spaces", CHAN_TYPE_INT, 1, false, CHAN_BOTH);
	expect("a fail 1 EINVAL");
	expect_text("a name has 1 to 255 bytes");
	make_how(a, "x", 99, 1, false, CHAN_BOTH);
	expect("a fail 2 EINVAL");
	expect_text("int float bool");
	make_how(a, "x", CHAN_TYPE_INT, -1, false, CHAN_BOTH);
	expect("a fail 3 EINVAL");
	make_how(a, "x", CHAN_TYPE_INT, stage_limits.capacity_max + 1, false, CHAN_BOTH);
	expect("a fail 4 EINVAL");
	expect_text("the limit, 1048576");
	make_how(a, "x", CHAN_TYPE_INT, 1, false, 4);
	make_how(a, "x", CHAN_TYPE_INT, 1, true, 0);
	make_how(a, "", CHAN_TYPE_INT, 1, false, 0);
	expect("a fail 5 EINVAL; a fail 6 EINVAL; a fail 7 EINVAL");
}

static void attributes_are_checked_by_name(void **state)
{
	static const struct {
		const char *attributes, *text;
	} bad[] = {
		{"durable=", "'durable'"},
		{"producers=0", "1 to 65536, or auto"},
		{"producers=65537", "'65537'"},
		{"producers=-1", "'-1'"},
		{"producers=+1", "'+1'"},
		{"producers=99999999999999999999", "producers"},
		{"producers=", "producers"},
		{"producers=2 producers=2", "twice"},
		{"attempts_max=3", "--attempts, --dead"},
		{"dead_letter=dead", "go together"},
		{"attempts_max=x dead_letter=dead", "1 to 1000000"},
		{"attempts_max=3 dead_letter=not,a,name", "a channel's name"},
		{"attempts_max=3 dead_letter=x", "its own"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		make_attributes(a, "x", 3, CHAN_BOTH, bad[i].attributes);
		expect("a fail %zu EINVAL", i + 1);
		expect_text(bad[i].text);
	}
}

static void attributes_are_part_of_what_a_channel_is(void **state)
{
	const struct wire_channel_stat *stat;

	(void)state;
	make_attributes(a, "x", 3, CHAN_RECV, "attempts_max=3 producers=auto dead_letter=dead");
	make_attributes(b, "x", 3, CHAN_RECV, "dead_letter=dead attempts_max=3 producers=auto");
	expect("a opened 1 created; b opened 1");
	make_attributes(b, "x", 3, CHAN_RECV, "producers=2");
	expect("b fail 2 EEXIST");
	expect_text(
		"permanent, attempts_max 3, producers auto, dead_letter dead; asked: string, 3, "
		"permanent, producers 2");
	make_how(b, "x", CHAN_TYPE_STRING, 3, false, CHAN_RECV);
	expect("b fail 3 EEXIST");
	stat = stat_channel(a, stage.opened);
	assert_int_equal(stat->attribute_count, 3);
	assert_string_equal(stat->attributes[1].name, "producers");
	assert_memory_equal(stat->attributes[1].value.bytes, "auto", 4);
}

static void message_types_are_refused_by_name(void **state)
{
	struct message m = {
		.kind = MESSAGE_MAKE,
		.seq = 1,
		.make = {.name = "x", .type = CHAN_TYPE_INT},
	};

	(void)state;
	m.make.type_name = "pkg.Message";
	apply(a, &m, NULL, 0);
	expect("a fail 1 ENOTSUP");
	expect_text("pkg.Message");
}

static void channels_and_ends_are_bounded(void **state)
{
	struct engine_limits limits = stage_limits;

	(void)state;
	stage_close();
	limits.channels_max = 3;
	limits.ends_max = 2;
	stage_open_with(&limits, 1);
	make_string(a, "1", 0, false);
	make_string(a, "2", 0, false);
	make_string(a, "3", 0, false);
	expect("a opened 1 created; a opened 2 created; a fail 3 ELIMIT");
	make_string(b, "3", 0, false);
	make_string(b, "4", 0, false);
	expect("b opened 1 created; b fail 2 ELIMIT");
	expect_text("3 channels");
	open_end(b, "1", CHAN_SEND);
	open_end(b, "2", CHAN_SEND);
	expect("b opened 3; b fail 4 ELIMIT");
	expect_text("2 channels");
}

/* While memory is tight, whoever holds little goes on; when it is full, what gives back goes on. */
static void what_grows_is_bounded_by_memory(void **state)
{
	uint64_t ch = make_channel("x", 4);

	(void)state;
	send(a, ch, "1");
	engine_set_memory(stage.engine, MEMORY_TIGHT, 1 << 20);
	send(a, ch, "2");
	recv(b, ch);
	expect("a done 1; a done 2; b got 1 #1 1");
	engine_set_memory(stage.engine, MEMORY_FULL, 1 << 20);
	send(a, ch, "3");
	expect("a fail 3 ELIMIT");
	expect_text("memory_max");
	make_string(a, "y", 0, false);
	expect("a fail 4 ELIMIT");
	taken(b, 1);
	recv(b, ch);
	expect("b got 2 #2 2");
	engine_set_memory(stage.engine, MEMORY_FREE, 0);
	send(a, ch, "3");
	expect("a done 5");
}

static void who_holds_much_gets_no_more_when_memory_is_tight(void **state)
{
	uint64_t ch = make_channel("x", 0);

	(void)state;
	for (int i = 0; i < 257; i++)
		recv(a, ch);
	engine_set_memory(stage.engine, MEMORY_TIGHT, 1 << 20);
	recv(a, ch);
	expect("a fail 258 ELIMIT");
	expect_text("holds much");
	recv(b, ch);
	expect_nothing();
	/* where many share it, a few are much */
	engine_set_memory(stage.engine, MEMORY_TIGHT, 8 * 256);
	recv(b, ch);
	recv(b, ch);
	expect("b fail 3 ELIMIT");
}

static void open_refuses_an_unknown_name(void **state)
{
	(void)state;
	open_end(a, "nothing", CHAN_BOTH);
	expect("a fail 1 ENOCHANNEL");
	open_end(a, "", CHAN_BOTH);
	open_end(a, "a b", CHAN_BOTH);
	make_string(b, "x", 0, false);
	open_end(a, "x", 0);
	expect("a fail 2 ESTALE; a fail 3 EINVAL; b opened 1 created; a fail 4 EINVAL");
}

static void open_can_wait_for_the_name(void **state)
{
	uint64_t ch;

	(void)state;
	open_wait(a, "later", 0);
	open_wait(b, "later", 10);
	open_wait(c, "later", 0);
	open_wait(d, "other", 20);
	expect_nothing();
	pass_ns(10);
	expect("b fail 1 ETIMEDOUT");
	cancel(c, 1);
	expect("c fail 1 ECANCELED; c done 2");
	ch = make_string(b, "later", 1, false);
	expect("b opened 2 created; a opened 1");
	send(a, ch, "x");
	expect("a done 2");
	end(d);
}

static void an_end_does_only_what_it_was_opened_for(void **state)
{
	uint64_t ch;

	(void)state;
	make_how(a, "x", CHAN_TYPE_STRING, 5, false, CHAN_SEND);
	ch = stage.opened;
	recv(a, ch);
	expect("a opened 1 created; a fail 2 EWRONGEND");
	open_end(b, "x", CHAN_RECV);
	send(b, ch, "1");
	close_channel(b, ch);
	expect("b opened 1; b fail 2 EWRONGEND; b fail 3 EWRONGEND");
	expect_text("for receiving only");
	send(c, ch, "1");
	expect("c fail 1 EWRONGEND");
	expect_text("not open in this session");
	open_end(b, "x", CHAN_SEND);
	send(b, ch, "1");
	expect("b opened 4; b done 5");
}

static void an_end_is_gone_with_its_last_release(void **state)
{
	uint64_t ch = make_string(a, "x", 0, false);

	(void)state;
	open_end(a, "x", CHAN_SEND);
	release(a, ch);
	send(a, ch, "1");
	recv(a, ch);
	expect("a opened 1 created; a opened 2; a done 3; a got 5 #1 1");
	recv(a, ch);
	release(a, ch);
	expect("a fail 6 ECANCELED; a done 7");
	taken(a, 1);
	expect("a done 4");
	send(a, ch, "2");
	release(a, ch);
	expect("a fail 8 EWRONGEND; a fail 9 EWRONGEND");
}

static void an_old_id_never_means_the_new_channel(void **state)
{
	uint64_t old = make_channel("x", 5), new;

	(void)state;
	remove_channel(a, "x");
	new = make_string(a, "x", 5, false);
	assert_true(new != old);
	send(a, old, "1");
	send(a, new, "1");
	send(c, old + 100, "1");
	expect("a done 1; a opened 2 created; a fail 3 ESTALE; a done 4; c fail 1 EINVAL");
	release(a, old);
	send(a, old, "1");
	expect("a done 5; a fail 6 ESTALE");
	remove_channel(a, "y");
	expect("a fail 7 ENOCHANNEL");
}

/* ---- lifetimes
 * ----------------------------------------------------------------------------------- */

static void a_temporary_channel_goes_with_its_last_end(void **state)
{
	uint64_t ch = make_string(a, "tmp", 2, true);

	(void)state;
	make_string(b, "tmp", 2, true);
	send(a, ch, "x");
	end(a);
	ignore_answers();
	recv(b, ch);
	expect("b got 2 #1 x");
	release(b, ch);
	open_end(c, "tmp", CHAN_BOTH);
	expect("b done 3; c fail 1 ENOCHANNEL");
	taken(b, 1);
	expect("b gone #1");
}

static void a_permanent_channel_stays_without_ends(void **state)
{
	uint64_t ch = make_string(a, "jobs", 2, false);

	(void)state;
	send(a, ch, "x");
	end(a);
	open_end(b, "jobs", CHAN_RECV);
	recv(b, ch);
	expect("a opened 1 created; a done 2; b opened 1; b got 2 #1 x");
}

static void the_waiting_side_is_told_when_the_other_side_has_died(void **state)
{
	uint64_t ch = make_string(a, "tmp", 2, true);

	(void)state;
	open_end(b, "tmp", CHAN_SEND);
	recv(a, ch);
	recv_how(a, ch, (struct how){.stream = true});
	send(b, ch, "1");
	send(b, ch, "2");
	ignore_answers();
	end(b); /* what is out may come back */
	expect_nothing();
	taken_range(a, 1, 2);
	expect("a fail 3 EABORTED");
	recv(a, ch);
	expect("a fail 4 EABORTED");
	SELECT(a, wait_forever, {ch, NULL});
	expect("a fail 5 EABORTED");
}

static void what_is_left_is_received_before_the_death_is_told(void **state)
{
	uint64_t ch = make_string(a, "tmp", 2, true);

	(void)state;
	open_end(b, "tmp", CHAN_BOTH);
	send_many(b, ch, "1 2", wait_forever);
	end(b);
	ignore_answers();
	recv(a, ch);
	recv(a, ch);
	recv(a, ch);
	expect("a got 2 #1 1; a got 3 #2 2");
	give_back(a, 1);
	expect("a got 4 #3 1 again 2");
	taken_range(a, 2, 2);
	recv(a, ch);
	expect("a fail 5 EABORTED");
}

static void waiting_senders_are_told_too(void **state)
{
	uint64_t ch = make_string(a, "tmp", 0, true);

	(void)state;
	open_end(b, "tmp", CHAN_RECV);
	send_many(a, ch, "1 2", wait_forever);
	recv(b, ch);
	ignore_answers();
	end(b);
	expect("a fail 2..3 EABORTED");
	open_end(c, "tmp", CHAN_RECV); /* somebody new */
	send(a, ch, "3");
	expect("c opened 1");
}

static void one_who_waits_alone_from_the_start_is_not_told(void **state)
{
	uint64_t ch = make_string(a, "tmp", 0, true);

	(void)state;
	recv(a, ch);
	expect("a opened 1 created");
	open_end(b, "tmp", CHAN_SEND);
	open_end(c, "tmp", CHAN_SEND);
	end(c);
	expect("b opened 1; c opened 1");
	end(b);
	expect("a fail 2 EABORTED");
}

/* ---- channels as values
 * ------------------------------------------------------------------------------ */

static uint64_t send_reference(struct actor *p, uint64_t to, uint64_t channel, uint8_t direction)
{
	uint8_t bytes[300];

	return send_bytes(p, to, bytes, reference(bytes, channel, direction));
}

static void a_chan_value_lets_its_receiver_use_an_unnamed_channel(void **state)
{
	uint64_t requests = make_typed("requests", CHAN_TYPE_CHAN, 1), reply;

	(void)state;
	reply = make_string(a, "", 0, false);
	send_reference(a, requests, reply, CHAN_SEND);
	recv(a, reply);
	send(b, reply, "too early");
	expect("a opened 1 created; a done 2; b fail 1 EWRONGEND");
	recv(b, requests);
	ignore_answers();
	taken(b, 1);
	send(b, reply, "answer");
	expect("a got 3 #1 answer");
	recv(b, reply);
	expect("b fail 4 EWRONGEND");
	taken(a, 1);
	expect("b done 3");
	release(b, reply);
	recv(a, reply);
	expect("b done 5; a fail 4 EABORTED");
}

static void an_undelivered_chan_value_holds_its_channel(void **state)
{
	uint64_t requests = make_typed("requests", CHAN_TYPE_CHAN, 1), reply;

	(void)state;
	reply = make_string(a, "", 2, false);
	send(a, reply, "x");
	send_reference(a, requests, reply, CHAN_BOTH);
	end(a);
	ignore_answers();
	recv(b, requests);
	recv(b, reply);
	assert_non_null(strstr(stage.log, "b got 2 #2 x"));
	ignore_answers();
	give_back(b, 1); /* and with it the end */
	recv(b, reply);
	expect("b fail 3 EWRONGEND");
	remove_channel(c, "requests"); /* drops the value, and with it the channel */
	taken(b, 2);
	expect("c done 1; b gone #2");
}

static void a_chan_value_must_be_an_end_that_its_sender_holds(void **state)
{
	uint64_t requests = make_typed("requests", CHAN_TYPE_CHAN, 5), reply;
	uint8_t bytes[300];
	size_t len;

	(void)state;
	make_how(a, "", CHAN_TYPE_STRING, 0, false, CHAN_RECV);
	reply = stage.opened;
	send_reference(a, requests, reply, CHAN_SEND);
	send_reference(b, requests, reply, CHAN_RECV);
	send_reference(b, requests, 999, CHAN_RECV);
	expect("a opened 1 created; a fail 2 EWRONGEND; b fail 1 EWRONGEND; b fail 2 ESTALE");
	len = reference(bytes, reply, CHAN_RECV);
	bytes[7]++; /* another run of the broker */
	send_bytes(a, requests, bytes, len);
	expect("a fail 3 ESTALE");
	send(a, requests, "short");
	expect("a fail 4 ETYPE");
}

static void an_any_value_may_carry_a_channel(void **state)
{
	uint64_t box = make_typed("box", CHAN_TYPE_ANY, 1), reply;
	uint8_t bytes[301] = {CHAN_TYPE_CHAN};

	(void)state;
	reply = make_string(a, "", 0, false);
	send_bytes(a, box, bytes, 1 + reference(bytes + 1, reply, CHAN_RECV));
	recv(b, box);
	taken(b, 1);
	ignore_answers();
	recv(b, reply);
	send(a, reply, "x");
	expect("b got 2 #2 x");
}

static void unnamed_channels_open_by_id_only_for_those_who_hold_them(void **state)
{
	uint64_t reply = make_string(a, "", 0, false);
	struct message m = {
		.kind = MESSAGE_OPEN,
		.seq = 50,
		.open = {.name = "", .channel = reply, .incarnation = 77, .direction = CHAN_BOTH},
	};

	(void)state;
	apply(b, &m, NULL, 0);
	apply(a, &m, NULL, 0);
	expect("a opened 1 created; b fail 50 ENOCHANNEL; a opened 50");
	m.open.incarnation++;
	apply(a, &m, NULL, 0);
	expect("a fail 50 ESTALE");
}

static void channels_that_only_hold_each_other_go(void **state)
{
	uint64_t box = make_typed("box", CHAN_TYPE_CHAN, 5), x, y, kept;

	(void)state;
	make_how(a, "", CHAN_TYPE_CHAN, 5, false, CHAN_BOTH);
	x = stage.opened;
	make_how(a, "", CHAN_TYPE_CHAN, 5, false, CHAN_BOTH);
	y = stage.opened;
	make_how(a, "", CHAN_TYPE_CHAN, 5, false, CHAN_BOTH);
	kept = stage.opened;
	send_reference(a, x, y, CHAN_BOTH);
	send_reference(a, y, x, CHAN_BOTH);
	send_reference(a, x, x, CHAN_BOTH);
	send_reference(a, kept, kept, CHAN_BOTH);
	send_reference(a, box, kept, CHAN_BOTH);
	end(a);
	assert_int_equal(engine_values_buffered(stage.engine), 5);
	engine_collect(stage.engine);
	engine_expire(stage.engine, stage.now_ns);
	assert_int_equal(engine_values_buffered(stage.engine), 2);
	ignore_answers();
	recv(b, box);
	taken(b, 1);
	recv(b, kept);
	give_back(b, 2);
	release(b, kept);
	ignore_answers();
	engine_collect(stage.engine);
	engine_expire(stage.engine, stage.now_ns);
	assert_int_equal(engine_values_buffered(stage.engine), 0);
}

static void such_channels_do_not_pile_up(void **state)
{
	(void)state;
	for (int i = 0; i < 5000; i++) {
		make_how(a, "", CHAN_TYPE_CHAN, 1, false, CHAN_BOTH);
		send_reference(a, stage.opened, stage.opened, CHAN_BOTH);
		release(a, stage.opened);
		ignore_answers();
	}
	assert_in_range(engine_values_buffered(stage.engine), 0, 100);
}

static void a_receive_that_cannot_hold_the_end_it_would_get_fails(void **state)
{
	struct engine_limits limits = stage_limits;
	uint64_t box, reply;

	(void)state;
	stage_close();
	limits.ends_max = 2;
	stage_open_with(&limits, 1);
	box = make_typed("box", CHAN_TYPE_CHAN, 1);
	reply = make_string(a, "", 0, false);
	make_string(b, "other", 0, false);
	send_reference(a, box, reply, CHAN_SEND);
	ignore_answers();
	recv(b, box);
	expect("b fail 2 ELIMIT");
	expect_text("limit of the session");
	assert_int_equal(stat_channel(a, box)->length, 1);
	recv(c, box);
	taken_asked(c, 1, 1);
	send(c, reply, "x");
	assert_null(strstr(stage.log, "fail"));
}

static void what_is_out_of_bounds_is_refused(void **state)
{
	uint64_t x = make_channel("x", 5);
	char reason[1100];

	(void)state;
	memset(reason, 'r', sizeof(reason));
	reason[sizeof(reason) - 1] = '\0';
	close_why(a, x, reason);
	expect("a fail 1 EINVAL");
	expect_text("1099 bytes, the limit is 1024");
	apply(a,
		&(struct message){
			.kind = MESSAGE_SEND, .seq = 5, .send = {x, .count = 1, .epoch = 9}},
		(const char *[]){"v"}, 1);
	expect("a fail 5 ESTALE");
}

static void sentences_that_are_cut_stay_valid_text(void **state)
{
	char long_name[1500];

	(void)state;
	for (size_t i = 0; i + 2 < sizeof(long_name); i += 2)
		memcpy(long_name + i, "\xc3\xa9", 3); /* e with an accent */
	open_end(a, long_name + 1, CHAN_BOTH);
	expect("a fail 1 EINVAL");
	assert_null(u8_check((const uint8_t *)stage.text, strlen(stage.text)));
	open_end(a, long_name, CHAN_BOTH);
	assert_null(u8_check((const uint8_t *)stage.text, strlen(stage.text)));
	ignore_answers();
}

static void what_a_receive_refuses(void **state)
{
	uint64_t x = make_channel("x", 5);

	(void)state;
	recv_how(a, x, (struct how){.credit = 4097});
	expect("a fail 1 ELIMIT");
	expect_text("4096");
	recv_how(a, x, (struct how){.stream = true, .try = true});
	expect("a fail 2 EINVAL");
	send_many(a, make_channel("full", 0), "1", wait_forever);
	assert_int_equal(
		apply(a, &(struct message){.kind = MESSAGE_GRANT, .seq = 3, .grant = {1}}, NULL, 0),
		CHAN_EPROTOCOL);
}

/* ---- what people look at
 * --------------------------------------------------------------------------------- */

static void list(struct actor *p, const char *prefix, const char *after, uint32_t count)
{
	apply(p,
		&(struct message){.kind = MESSAGE_LIST,
			.seq = ++p->seq,
			.list = {.prefix = prefix, .after = after, .count_max = count}},
		NULL, 0);
}

static void list_goes_by_name_in_pages(void **state)
{
	char name[16];

	(void)state;
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "n%03d", i * 37 % 200);
		make_string(a, name, 0, false);
	}
	make_string(a, "m", 0, false);
	make_string(a, "", 0, false);
	list(b, "", "", 3);
	assert_string_equal(stage.names, "m n000 n001");
	assert_true(stage.more);
	list(b, "", "n197", 0);
	assert_string_equal(stage.names, "n198 n199");
	assert_false(stage.more);
	list(b, "n01", "n017", 0);
	assert_string_equal(stage.names, "n018 n019");
	assert_false(stage.more);
	list(b, "n", "", 0);
	assert_true(stage.more);
	list(b, "z", "", 0);
	assert_string_equal(stage.names, "");
}

static void ps_shows_who_waits_on_what(void **state)
{
	uint64_t x = make_channel("x", 0), y = make_channel("y", 1);
	struct message ps = {.kind = MESSAGE_PS, .seq = 1000};

	(void)state;
	send(a, x, "1");
	recv(b, y);
	SELECT(c, wait_forever, {y, NULL}, {x, "2"});
	open_wait(d, "later", 0);
	apply(a, &ps, NULL, 0);
	assert_string_equal(stage.names, "send x recv y select recv:y send:x open later");
	ps.ps.after = 2;
	ps.ps.count_max = 1;
	apply(a, &ps, NULL, 0);
	assert_string_equal(stage.names, "select recv:y send:x");
	assert_true(stage.more);
	recv_how(d, x, try);
	expect("d got 2 #1 1");
	apply(a, &ps, NULL, 0); /* the value is out; its send still waits */
	taken(d, 1);
	ps.ps.after = 0;
	apply(a, &ps, NULL, 0);
	assert_string_equal(stage.names, "recv y");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, stage_setup, stage_teardown)
		TEST(make_creates_and_make_again_opens),
		TEST(make_again_with_other_attributes_shows_the_difference),
		TEST(what_make_refuses),
		TEST(attributes_are_checked_by_name),
		TEST(attributes_are_part_of_what_a_channel_is),
		TEST(message_types_are_refused_by_name),
		TEST(channels_and_ends_are_bounded),
		TEST(what_grows_is_bounded_by_memory),
		TEST(who_holds_much_gets_no_more_when_memory_is_tight),
		TEST(open_refuses_an_unknown_name),
		TEST(open_can_wait_for_the_name),
		TEST(an_end_does_only_what_it_was_opened_for),
		TEST(an_end_is_gone_with_its_last_release),
		TEST(an_old_id_never_means_the_new_channel),
		TEST(a_temporary_channel_goes_with_its_last_end),
		TEST(a_permanent_channel_stays_without_ends),
		TEST(the_waiting_side_is_told_when_the_other_side_has_died),
		TEST(what_is_left_is_received_before_the_death_is_told),
		TEST(waiting_senders_are_told_too),
		TEST(one_who_waits_alone_from_the_start_is_not_told),
		TEST(a_chan_value_lets_its_receiver_use_an_unnamed_channel),
		TEST(an_undelivered_chan_value_holds_its_channel),
		TEST(a_chan_value_must_be_an_end_that_its_sender_holds),
		TEST(an_any_value_may_carry_a_channel),
		TEST(unnamed_channels_open_by_id_only_for_those_who_hold_them),
		TEST(a_receive_that_cannot_hold_the_end_it_would_get_fails),
		TEST(what_is_out_of_bounds_is_refused),
		TEST(what_a_receive_refuses),
		TEST(sentences_that_are_cut_stay_valid_text),
		TEST(channels_that_only_hold_each_other_go),
		TEST(such_channels_do_not_pile_up),
		TEST(list_goes_by_name_in_pages),
		TEST(ps_shows_who_waits_on_what),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
