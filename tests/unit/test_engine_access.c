/*
 * test_engine_access.c - what the engine lets whom do: each kind of rule refused and allowed, who
 * holds a reference, rules that are replaced, what is shown to whom, and quotas.
 */
#include "server/broker/access.h"
#include "server/broker/state.h"
#include "tests/support/transcript.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* a, b and c are users 1, 2 and 3. */
static struct access *rules;
static char why[256];

static void identify(struct actor *p, uint32_t uid)
{
	struct identity *i = identity_user(uid, 100, NULL, 0);

	assert_int_equal(engine_party_identify(stage.engine, p->party, i), 0);
	identity_unref(i);
}

static int setup(void **state)
{
	stage_setup(state);
	identify(a, 1);
	identify(b, 2);
	identify(c, 3);
	rules = access_new();
	return rules ? 0 : -1;
}

static int teardown(void **state)
{
	access_unref(rules);
	return stage_teardown(state);
}

/* words: "send,receive" */
static void rule(const char *who, const char *words, const char *channels)
{
	struct access_rule *r = access_add_rule(rules, "test", why, sizeof(why));
	char list[64], *word, *at = list;

	assert_int_equal(access_rule_who(r, who, why, sizeof(why)), 0);
	assert_int_equal(access_rule_channels(r, channels, why, sizeof(why)), 0);
	snprintf(list, sizeof(list), "%s", words);
	while ((word = strsep(&at, ",")))
		assert_int_equal(access_rule_may(r, word, why, sizeof(why)), 0);
}

/* The rules that were made since the last call are in force from here on. */
static void enforce(void)
{
	engine_set_access(stage.engine, rules);
	access_unref(rules);
	rules = access_new();
	assert_non_null(rules);
}

static void make(struct actor *p, const char *name, uint8_t direction)
{
	make_how(p, name, CHAN_TYPE_STRING, 10, false, direction);
}

static uint64_t stat_name(struct actor *p, const char *name)
{
	struct message m = {.kind = MESSAGE_STAT, .seq = ++p->seq};

	m.channel_ref.name = name;
	stage.names[0] = '\0';
	apply(p, &m, NULL, 0);
	return m.seq;
}

/* ---- rule by rule ---- */

static void test_make(void **state)
{
	(void)state;
	rule("user:1", "make", "jobs.*");
	enforce();
	make(a, "jobs.x", 0);
	expect("a opened 1 created");
	make(a, "other", 0);
	expect("a fail 2 EPERM");
	expect_text("make 'other': user 1 (groups 100) may not make it");
	make(b, "jobs.x", 0);
	expect("b fail 1 EPERM");
}

/* Making an end with it wants the right to that end, too. */
static void test_make_with_an_end(void **state)
{
	(void)state;
	rule("user:1", "make,send", "*");
	enforce();
	make(a, "jobs", CHAN_SEND);
	expect("a opened 1 created");
	make(a, "jobs", CHAN_BOTH);
	expect("a fail 2 EPERM");
	expect_text("may not receive from it");
	make(a, "more", CHAN_RECV);
	expect("a fail 3 EPERM");
}

static void test_send(void **state)
{
	uint64_t jobs;

	(void)state;
	make(c, "jobs", CHAN_BOTH);
	ignore_answers();
	rule("user:1", "send", "jobs");
	enforce();
	open_end(a, "jobs", CHAN_SEND);
	expect("a opened 1");
	jobs = stage.opened;
	send(a, jobs, "x");
	expect("a done 2");
	open_end(a, "jobs", CHAN_RECV);
	expect("a fail 3 EPERM");
	open_end(b, "jobs", CHAN_SEND);
	expect("b fail 1 EPERM");
	expect_text("open 'jobs': user 2 (groups 100) may not send to it");
}

static void test_receive(void **state)
{
	(void)state;
	make(c, "jobs", 0);
	ignore_answers();
	rule("user:1", "receive", "jobs");
	enforce();
	open_end(a, "jobs", CHAN_RECV);
	expect("a opened 1");
	recv(a, stage.opened);
	expect_nothing();
	open_end(a, "jobs", CHAN_SEND);
	expect("a fail 3 EPERM");
	open_end(b, "jobs", CHAN_RECV);
	expect("b fail 1 EPERM");
	expect_text("may not receive from it");
}

static void test_close(void **state)
{
	uint64_t jobs;

	(void)state;
	make(c, "jobs", 0);
	ignore_answers();
	rule("user:*", "send", "*");
	rule("user:1", "close", "jobs");
	enforce();
	open_end(b, "jobs", CHAN_SEND);
	open_end(a, "jobs", CHAN_SEND);
	jobs = stage.opened;
	ignore_answers();
	close_channel(b, jobs);
	expect("b fail 2 EPERM");
	expect_text("close 'jobs': user 2 (groups 100) may not close it");
	close_channel(a, jobs);
	expect("a done 2");
}

/* To abort wants the right to close; to close one's own side of a channel that counts its producers
 * does not, as who may send there must be able to say that it is done. */
static void test_producers_and_abort(void **state)
{
	(void)state;
	make_attributes(c, "jobs", 1, 0, "producers=2");
	ignore_answers();
	rule("user:*", "send", "*");
	rule("user:1", "close", "jobs");
	enforce();
	open_end(b, "jobs", CHAN_SEND);
	open_end(a, "jobs", CHAN_SEND);
	ignore_answers();
	abort_channel(b, stage.opened, "");
	expect("b fail 2 EPERM");
	expect_text("abort 'jobs': user 2 (groups 100) may not close it");
	close_channel(b, stage.opened);
	abort_channel(a, stage.opened, "");
	expect("b done 3; a done 2");
}

/* Dead letters come by the right of who made the channel. */
static void test_dead_letters(void **state)
{
	(void)state;
	rule("user:1", "make", "*");
	rule("user:1", "send", "dead");
	enforce();
	make_attributes(a, "jobs", 1, 0, "attempts_max=2 dead_letter=secret");
	expect("a fail 1 EPERM");
	expect_text("send dead letters to 'secret': user 1 (groups 100) may not send to it");
	make_attributes(a, "jobs", 1, 0, "attempts_max=2 dead_letter=dead");
	expect("a opened 2 created");
}

static void test_remove(void **state)
{
	(void)state;
	make(c, "jobs", 0);
	ignore_answers();
	rule("user:1", "remove", "jobs");
	rule("user:2", "make,send,receive,close,list", "*");
	enforce();
	remove_channel(b, "jobs");
	expect("b fail 1 EPERM");
	expect_text("remove 'jobs': user 2 (groups 100) may not remove it");
	remove_channel(a, "jobs");
	expect("a done 1");
}

static void test_list(void **state)
{
	(void)state;
	make(c, "jobs", 0);
	make(c, "other", 0);
	ignore_answers();
	rule("user:1", "list", "jobs");
	rule("user:2", "make,send,receive,close,remove", "*");
	enforce();
	stat_name(a, "jobs");
	assert_string_equal(stage.names, "jobs");
	stat_name(a, "other");
	expect("a fail 2 EPERM");
	stat_name(b, "jobs");
	expect("b fail 1 EPERM");
	expect_text("stat 'jobs': user 2 (groups 100) may not list it");
}

/* ---- what one may not know ---- */

/* Whether there is such a channel shows only to those who may use it. */
static void test_refusals_do_not_tell_what_exists(void **state)
{
	(void)state;
	make(c, "secret", 0);
	ignore_answers();
	rule("user:1", "all", "jobs");
	enforce();
	open_end(a, "secret", CHAN_SEND);
	expect("a fail 1 EPERM");
	open_end(a, "nothing", CHAN_SEND);
	expect("a fail 2 EPERM");
	stat_name(a, "nothing");
	expect("a fail 3 EPERM");
	remove_channel(a, "nothing");
	expect("a fail 4 EPERM");
	make(a, "secret", 0);
	expect("a fail 5 EPERM");
	open_wait(a, "nothing", 0);
	expect("a fail 6 EPERM");
}

/* Ids are easily guessed; they neither open a channel nor tell its name. */
static void test_a_guessed_id(void **state)
{
	uint64_t secret;

	(void)state;
	make(c, "secret", 0);
	secret = stage.opened;
	ignore_answers();
	rule("user:1", "all", "jobs");
	enforce();
	apply(a,
		&(struct message){.kind = MESSAGE_OPEN,
			.seq = ++a->seq,
			.open = {.name = "",
				.channel = secret,
				.incarnation = 77,
				.direction = CHAN_RECV}},
		NULL, 0);
	expect("a fail 1 EPERM");
	assert_null(strstr(stage.text, "secret"));
	stat_channel(a, secret);
	expect("a fail %llu EPERM", 1ull << 50);
	assert_null(strstr(stage.text, "secret"));
}

static const char *list_names(struct actor *p, uint32_t count_max)
{
	static char all[4096];
	char after[256] = "";
	size_t n = 0;

	all[0] = '\0';
	do {
		struct message m = {.kind = MESSAGE_LIST, .seq = ++p->seq};

		m.list.prefix = "";
		m.list.after = after;
		m.list.count_max = count_max;
		apply(p, &m, NULL, 0);
		n += (size_t)snprintf(all + n, sizeof(all) - n, "%s%s",
			n && *stage.names ? " " : "", stage.names);
		snprintf(after, sizeof(after), "%s", stage.after);
	} while (stage.more);
	return all;
}

static void test_lists_show_what_one_may_list(void **state)
{
	(void)state;
	make(c, "a", 0);
	make(c, "b.1", 0);
	make(c, "b.2", 0);
	make(c, "c", 0);
	ignore_answers();
	rule("user:1", "list", "b.*");
	rule("user:2", "list", "*");
	rule("user:3", "send", "*");
	enforce();
	assert_string_equal(list_names(a, 0), "b.1 b.2");
	assert_string_equal(list_names(a, 1), "b.1 b.2");
	assert_string_equal(list_names(b, 0), "a b.1 b.2 c");
	list_names(c, 0);
	expect("c fail %d EPERM", (int)c->seq);
	expect_text("may not list anything");
}

/* Names of 255 bytes may have been chosen so that the way to each is long: of those a page passes over few,
 * and goes on where it ended. */
static void test_listing_passes_over_few_long_names(void **state)
{
	char name[NAME_BYTES_MAX + 1];
	struct message m = {.kind = MESSAGE_LIST, .list = {.prefix = "", .after = ""}};
	int names = 300;

	(void)state;
	for (int i = 0; i < names; i++) {
		snprintf(name, sizeof(name), "%0*d", (int)NAME_BYTES_MAX, i);
		make(c, name, 0);
		ignore_answers();
	}
	make(c, "zebra", 0);
	ignore_answers();
	rule("user:1", "list", "zebra");
	enforce();
	m.seq = ++a->seq;
	apply(a, &m, NULL, 0);
	assert_true(stage.more);
	assert_string_equal(stage.names, "");
	assert_in_range(atoi(stage.after), 10, 100);
	assert_string_equal(list_names(a, 0), "zebra");
}

/* One that may see the last of thousands finds it, and no page takes long. */
static void test_listing_passes_over_many(void **state)
{
	struct engine_limits limits = stage_limits;
	char name[16];

	(void)state;
	stage_close();
	limits.channels_max = 5000;
	stage_open_with(&limits, 1);
	identify(a, 1);
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "n%05d", i);
		make(c, name, 0);
		ignore_answers();
	}
	rule("user:1", "list", "n02999");
	enforce();
	assert_string_equal(list_names(a, 0), "n02999");
	assert_int_equal(a->seq, 3);
}

static const char *ps(struct actor *p)
{
	apply(p, &(struct message){.kind = MESSAGE_PS, .seq = ++p->seq}, NULL, 0);
	return stage.names;
}

static void test_ps_shows_who_waits_where_one_may_look(void **state)
{
	uint64_t jobs, other;

	(void)state;
	make(c, "jobs", CHAN_BOTH);
	jobs = stage.opened;
	make(c, "other", CHAN_BOTH);
	other = stage.opened;
	recv(c, jobs);
	recv(c, other);
	SELECT(c, ((struct how){0}), {jobs, NULL}, {other, NULL});
	open_end(b, "other", CHAN_RECV);
	recv(b, other);
	ignore_answers();
	assert_string_equal(ps(a), "recv jobs recv other select recv:jobs recv:other recv other");
	rule("user:1", "list", "jobs");
	rule("user:2", "receive", "*");
	rule("user:2", "list", "nothing");
	enforce();
	assert_string_equal(ps(a), "recv jobs select recv:jobs");
	assert_string_equal(ps(b), "recv other");
	assert_string_equal(ps(d), "recv other");
	expect("d fail 1 EPERM");
}

/* ---- references ---- */

/* Who was handed an end may use it as the value says, and no more. */
static void test_a_reference_is_a_right(void **state)
{
	uint64_t jobs, refs;
	uint8_t bytes[300];

	(void)state;
	make(c, "jobs", CHAN_BOTH);
	jobs = stage.opened;
	make_how(c, "refs", CHAN_TYPE_CHAN, 10, false, CHAN_BOTH);
	refs = stage.opened;
	rule("user:3", "all", "*");
	rule("user:1", "receive", "refs");
	enforce();
	send_bytes(c, refs, bytes, reference(bytes, jobs, CHAN_SEND));
	ignore_answers();
	open_end(a, "refs", CHAN_RECV);
	recv(a, refs);
	ignore_answers();
	taken(a, 1);
	send(a, jobs, "x");
	expect("a done 3");
	recv(a, jobs);
	expect("a fail 4 EWRONGEND");
	open_end(a, "jobs", CHAN_RECV);
	expect("a fail 5 EPERM");
	stat_channel(a, jobs);
	assert_string_equal(stage.names, "jobs");
	close_channel(a, jobs);
	expect("a done 6");
}

/* Unnamed channels are made by whomever any rule is about, and used by those who hold them. */
static void test_unnamed_channels(void **state)
{
	uint64_t unnamed;

	(void)state;
	rule("user:1", "send", "jobs");
	enforce();
	make_how(a, "", CHAN_TYPE_STRING, 1, false, CHAN_BOTH);
	expect("a opened 1 created");
	unnamed = stage.opened;
	send(a, unnamed, "x");
	expect("a done 2");
	stat_channel(a, unnamed);
	close_channel(a, unnamed);
	expect("a done 3");
	make_how(b, "", CHAN_TYPE_STRING, 1, false, CHAN_BOTH);
	expect("b fail 1 EPERM");
	expect_text("make an unnamed channel: user 2 (groups 100) may not do anything here");
}

/* One cannot hand on what one may not use any more. */
static void test_a_right_that_is_gone_cannot_be_handed_on(void **state)
{
	uint64_t jobs, refs;
	uint8_t bytes[300];

	(void)state;
	make(a, "jobs", CHAN_BOTH);
	jobs = stage.opened;
	make_how(a, "refs", CHAN_TYPE_CHAN, 10, false, CHAN_BOTH);
	refs = stage.opened;
	ignore_answers();
	rule("user:1", "send", "refs");
	enforce();
	send_bytes(a, refs, bytes, reference(bytes, jobs, CHAN_SEND));
	expect("a fail 3 EWRONGEND");
}

/* ---- rules that are replaced ---- */

static void test_open_ends_are_asked_anew(void **state)
{
	uint64_t jobs;

	(void)state;
	make(a, "jobs", CHAN_BOTH);
	jobs = stage.opened;
	send(a, jobs, "x");
	expect("a opened 1 created; a done 2");
	rule("user:1", "receive", "jobs");
	enforce();
	send(a, jobs, "y");
	expect("a fail 3 EPERM");
	expect_text("send to 'jobs': user 1 (groups 100) may not send to it");
	recv(a, jobs);
	expect("a got 4 #1 x");
	SELECT(a, ((struct how){.try = true}), {jobs, "z"});
	expect("a fail 5 EPERM");
	rule("user:1", "send", "jobs");
	enforce();
	send(a, jobs, "y");
	expect("a done 6");
	engine_set_access(stage.engine, NULL);
	recv(a, jobs);
	expect("a got 7 #2 y");
}

/* What waits already goes on; a stream ends where it asks for more. */
static void test_what_stands_when_rules_are_replaced(void **state)
{
	uint64_t jobs;

	(void)state;
	make(a, "jobs", CHAN_BOTH);
	jobs = stage.opened;
	recv_how(b, jobs, (struct how){0});
	open_end(b, "jobs", CHAN_RECV);
	recv_how(b, jobs, (struct how){.stream = true, .credit = 1});
	ignore_answers();
	rule("user:1", "send", "jobs");
	enforce();
	send(a, jobs, "x");
	expect("a done 2; b got 3 #1 x");
	grant(b, 3, 5);
	expect("b fail 3 EPERM");
}

/* An OPEN that waits for a name is asked again when there is one. */
static void test_waiting_for_a_name_when_rules_are_replaced(void **state)
{
	(void)state;
	open_wait(a, "jobs", 0);
	open_wait(b, "jobs", 0);
	rule("user:3", "make", "jobs");
	rule("user:2", "send,receive", "jobs");
	enforce();
	make(c, "jobs", 0);
	expect("c opened 1 created; a fail 1 EPERM; b opened 1");
}

/* Who never said who he is has what everybody has. */
static void test_nobody(void **state)
{
	(void)state;
	rule("user:*", "all", "*");
	enforce();
	make(d, "jobs", 0);
	expect("d fail 1 EPERM");
	expect_text("nobody that is known may not make it");
	rule("*", "make", "*");
	enforce();
	make(d, "jobs", 0);
	expect("d opened 2 created");
}

static uint64_t denied_times;

static void note_denied(struct party *p, const char *verb, const char *label)
{
	assert_ptr_equal(party_owner(p), b);
	assert_string_equal(verb, "make");
	assert_string_equal(label, "'jobs'");
	denied_times++;
}

static void test_refusals_are_told_and_counted(void **state)
{
	(void)state;
	stage.engine->options.denied = note_denied;
	rule("user:1", "make", "*");
	enforce();
	denied_times = 0;
	make(a, "jobs", 0);
	make(b, "jobs", 0);
	make(b, "jobs", 0);
	assert_int_equal(denied_times, 2);
	assert_int_equal(engine_denied(stage.engine), 2);
	ignore_answers();
}

/* ---- quotas ---- */

static struct quota_limits *quota(const char *who)
{
	struct access_quota *q = access_add_quota(rules, "test", why, sizeof(why));

	assert_int_equal(access_quota_who(q, who, why, sizeof(why)), 0);
	return access_quota_limits(q);
}

/* Of all sessions of one identity together; a removed one makes room. */
static void test_quota_of_channels(void **state)
{
	(void)state;
	identify(b, 1);
	quota("user:1")->channels = 2;
	enforce();
	make(a, "x", 0);
	make(b, "y", 0);
	make(a, "z", 0);
	expect("a opened 1 created; b opened 1 created; a fail 2 ELIMIT");
	expect_text("user 1 (groups 100) has made 2 channels");
	make(c, "z", 0);
	make(a, "z", 0);
	expect("c opened 1 created; a opened 3");
	remove_channel(c, "x");
	make(b, "w", 0);
	expect("c done 2; b opened 2 created");
	make(b, "v", 0);
	expect("b fail 3 ELIMIT");
	make_how(a, "", CHAN_TYPE_INT, 0, false, CHAN_BOTH);
	expect("a fail 4 ELIMIT");
}

/* The sender's account has a value until it is taken, whoever removes or receives it, and also
 * when the sender has gone. */
static void test_quota_of_bytes(void **state)
{
	uint64_t jobs;

	(void)state;
	make(a, "jobs", CHAN_BOTH);
	jobs = stage.opened;
	open_end(b, "jobs", CHAN_BOTH);
	open_end(c, "jobs", CHAN_BOTH);
	ignore_answers();
	identify(c, 1);
	quota("user:1")->buffered_bytes = 2 * (1 + VALUE_OVERHEAD_BYTES);
	enforce();
	send(a, jobs, "1");
	send(a, jobs, "2");
	send(a, jobs, "3");
	expect("a done 2; a done 3; a fail 4 ELIMIT");
	expect_text("(buffered_bytes of its quota)");
	send(b, jobs, "4");
	expect("b done 2");
	end(a);
	send(c, jobs, "5");
	expect("c fail 2 ELIMIT");
	recv(b, jobs);
	send(c, jobs, "5");
	expect("b got 3 #1 1; c fail 3 ELIMIT");
	taken(b, 1);
	send(c, jobs, "5");
	expect("c done 4");
	remove_channel(b, "jobs");
	expect("b done 4");
}

static void test_quota_of_operations(void **state)
{
	uint64_t jobs;

	(void)state;
	make(a, "jobs", CHAN_BOTH);
	jobs = stage.opened;
	open_end(b, "jobs", CHAN_BOTH);
	open_end(c, "jobs", CHAN_BOTH);
	ignore_answers();
	identify(b, 1);
	quota("user:1")->ops_in_flight = 2;
	enforce();
	recv(a, jobs);
	recv(b, jobs);
	recv(b, jobs);
	expect("b fail 3 ELIMIT");
	expect_text("2 operations in flight of all");
	recv(c, jobs);
	cancel(a, 2);
	expect("a fail 2 ECANCELED; a done 3");
	recv(b, jobs);
	recv(a, jobs);
	expect("a fail 4 ELIMIT");
	end(b);
	recv(a, jobs);
	recv(a, jobs);
	expect_nothing();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_make),
		TEST(test_make_with_an_end),
		TEST(test_send),
		TEST(test_receive),
		TEST(test_close),
		TEST(test_producers_and_abort),
		TEST(test_dead_letters),
		TEST(test_remove),
		TEST(test_list),
		TEST(test_refusals_do_not_tell_what_exists),
		TEST(test_a_guessed_id),
		TEST(test_lists_show_what_one_may_list),
		TEST(test_listing_passes_over_few_long_names),
		TEST(test_listing_passes_over_many),
		TEST(test_ps_shows_who_waits_where_one_may_look),
		TEST(test_a_reference_is_a_right),
		TEST(test_unnamed_channels),
		TEST(test_a_right_that_is_gone_cannot_be_handed_on),
		TEST(test_open_ends_are_asked_anew),
		TEST(test_what_stands_when_rules_are_replaced),
		TEST(test_waiting_for_a_name_when_rules_are_replaced),
		TEST(test_nobody),
		TEST(test_refusals_are_told_and_counted),
		TEST(test_quota_of_channels),
		TEST(test_quota_of_bytes),
		TEST(test_quota_of_operations),
	};

	return cmocka_run_group_tests_name("engine_access", tests, NULL, NULL);
}
