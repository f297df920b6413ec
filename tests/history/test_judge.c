/* The judge of histories, on histories written by hand: good ones pass, and each bad one breaks
 * the rule that it was written to break. */
#include "tests/history/history.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

static struct verdict judge(const char *text)
{
	struct history h = {0};
	struct verdict verdict;
	FILE *in = fmemopen((void *)text, strlen(text), "r");

	assert_int_equal(history_read(&h, in), 0);
	fclose(in);
	verdict = history_check(&h);
	history_fini(&h);
	return verdict;
}

static void expect(enum history_rule rule, const char *text)
{
	struct verdict verdict = judge(text);

	if (verdict.rule != rule)
		fail_msg("%s instead of %s: %s", history_rule_name(verdict.rule),
			history_rule_name(rule), verdict.text);
}

#define BUFFERED "channel c1 n2\n"
#define UNBUFFERED "channel c1\n"
#define SEND(s, v) "send s" #s " o" #v " c1 v" #v "\n"
#define SENT(v) "sent o" #v " v" #v "\n"
#define RECV(s, o) "recv s" #s " o" #o " c1 n1\n"
#define GOT(s, o, v, attempt) "got s" #s " o" #o " c1 v" #v " n" #attempt "\n"
#define TAKE(s, v) "taken s" #s " v" #v "\n" "settled s" #s " v" #v "\n"

static void test_good_histories(void **state)
{
	(void)state;
	expect(RULE_NONE, BUFFERED SEND(1, 1) SENT(1) RECV(2, 9) GOT(2, 9, 1, 1) TAKE(2, 1) "end\n");
	expect(RULE_NONE, UNBUFFERED SEND(1, 1) RECV(2, 9) GOT(2, 9, 1, 1) TAKE(2, 1) SENT(1) "end\n");
	/* Two sessions may see two values in either order while both receives stand. */
	expect(RULE_NONE, BUFFERED RECV(2, 8) RECV(3, 9) SEND(1, 1) SENT(1) SEND(1, 2) SENT(2)
		GOT(3, 9, 2, 1) GOT(2, 8, 1, 1) TAKE(2, 1) TAKE(3, 2) "end\n");
	/* A select whose losing send never leaves. */
	expect(RULE_NONE, BUFFERED "channel c2 n1\nselect s1 o1\nsend s1 o1 c1 v1\nsend s1 o1 c2 v2\n"
		SENT(1) RECV(2, 9) GOT(2, 9, 1, 1) TAKE(2, 1) "end\n");
}

static void test_what_a_lost_receiver_may_do(void **state)
{
	(void)state;
	/* Lost with the value out: it comes again. */
	expect(RULE_NONE, BUFFERED SEND(1, 1) SENT(1) RECV(2, 8) GOT(2, 8, 1, 1) "lost s2\n"
		RECV(3, 9) GOT(3, 9, 1, 2) TAKE(3, 1) "end\n");
	/* Lost behind its confirmation: it may come again, or not. */
	expect(RULE_NONE, BUFFERED SEND(1, 1) SENT(1) RECV(2, 8) GOT(2, 8, 1, 1) "taken s2 v1\nlost s2\nend\n");
	expect(RULE_NONE, BUFFERED SEND(1, 1) SENT(1) RECV(2, 8) GOT(2, 8, 1, 1) "taken s2 v1\nlost s2\n"
		RECV(3, 9) GOT(3, 9, 1, 2) TAKE(3, 1) "end\n");
	/* A lost sender's value may have arrived, or not. */
	expect(RULE_NONE, BUFFERED SEND(1, 1) "lost s1\nend\n");
	expect(RULE_NONE, BUFFERED SEND(1, 1) "lost s1\n" RECV(2, 9) GOT(2, 9, 1, 1) TAKE(2, 1) "end\n");
}

static void test_answers(void **state)
{
	(void)state;
	expect(RULE_NONSENSE, BUFFERED "sent o1 v1\n");
	expect(RULE_NONSENSE, BUFFERED RECV(2, 9) GOT(2, 9, 1, 1));
	expect(RULE_ANSWERED, BUFFERED SEND(1, 1) SENT(1) SENT(1));
	expect(RULE_ANSWERED, BUFFERED SEND(1, 1) "end\n");
	expect(RULE_ANSWERED, BUFFERED SEND(1, 1) SEND(1, 2) SENT(1) SENT(2) RECV(2, 9)
		GOT(2, 9, 1, 1) GOT(2, 9, 2, 1));
}

static void test_one_case(void **state)
{
	static const char select[] = BUFFERED "channel c2 n1\nselect s1 o1\nsend s1 o1 c1 v1\nrecv s1 o1 c2 n1\n"
		"send s2 o2 c2 v2\nsent o2 v2\n";
	char text[512];

	(void)state;
	snprintf(text, sizeof(text), "%s%s", select, "sent o1 v1\ngot s1 o1 c2 v2 n1\n");
	expect(RULE_ONE_CASE, text);
	snprintf(text, sizeof(text), "%s%s", select, "got s1 o1 c2 v2 n1\n" RECV(3, 9) GOT(3, 9, 1, 1));
	expect(RULE_ONE_CASE, text);
	snprintf(text, sizeof(text), "%s%s", select, RECV(3, 9) GOT(3, 9, 1, 1) TAKE(3, 1) "got s1 o1 c2 v2 n1\n");
	expect(RULE_ONE_CASE, text);
}

static void test_no_effect(void **state)
{
	(void)state;
	expect(RULE_NO_EFFECT, BUFFERED SEND(1, 1) "failed o1 n3\n" RECV(2, 9) GOT(2, 9, 1, 1));
	expect(RULE_NO_EFFECT, UNBUFFERED SEND(1, 1) RECV(2, 9) GOT(2, 9, 1, 1) "failed o1 n3\n");
	expect(RULE_NONE, UNBUFFERED SEND(1, 1) RECV(2, 9) GOT(2, 9, 1, 1) "returned s2 v1\nfailed o1 n3\nend\n");
}

static void test_lost(void **state)
{
	(void)state;
	expect(RULE_LOST, BUFFERED SEND(1, 1) SENT(1) "end\n");
	expect(RULE_LOST, BUFFERED SEND(1, 1) SENT(1) RECV(2, 9) GOT(2, 9, 1, 1) "returned s2 v1\nend\n");
	expect(RULE_LOST, BUFFERED SEND(1, 1) SENT(1) RECV(2, 9) GOT(2, 9, 1, 1) "lost s2\nend\n");
}

static void test_twice(void **state)
{
	(void)state;
	expect(RULE_TWICE, BUFFERED SEND(1, 1) SENT(1) RECV(2, 8) GOT(2, 8, 1, 1) RECV(3, 9) GOT(3, 9, 1, 2));
	expect(RULE_TWICE, BUFFERED SEND(1, 1) SENT(1) RECV(2, 8) GOT(2, 8, 1, 1) "taken s2 v1\n"
		RECV(3, 9) GOT(3, 9, 1, 2));
	expect(RULE_TWICE, BUFFERED SEND(1, 1) SENT(1) RECV(2, 8) GOT(2, 8, 1, 1) TAKE(2, 1) "lost s2\n"
		RECV(3, 9) GOT(3, 9, 1, 2));
}

static void test_attempt(void **state)
{
	(void)state;
	expect(RULE_ATTEMPT, BUFFERED SEND(1, 1) SENT(1) RECV(2, 8) GOT(2, 8, 1, 2));
	expect(RULE_ATTEMPT, BUFFERED SEND(1, 1) SENT(1) RECV(2, 8) GOT(2, 8, 1, 1) "returned s2 v1\n"
		RECV(3, 9) GOT(3, 9, 1, 1));
}

static void test_order(void **state)
{
	(void)state;
	/* To one receiver. */
	expect(RULE_FIFO, BUFFERED SEND(1, 1) SEND(1, 2) SENT(1) SENT(2) RECV(3, 8) RECV(3, 9)
		GOT(3, 8, 2, 1) GOT(3, 9, 1, 1));
	/* To two, the second of which asked when the first had its value. */
	expect(RULE_FIFO, BUFFERED SEND(1, 1) SEND(1, 2) SENT(1) SENT(2) RECV(3, 8) GOT(3, 8, 2, 1)
		RECV(4, 9) GOT(4, 9, 1, 1));
	/* From two producers, one of which had its answer before the other began. */
	expect(RULE_FIFO, BUFFERED SEND(1, 1) SENT(1) SEND(2, 2) SENT(2) RECV(3, 8) GOT(3, 8, 2, 1)
		RECV(3, 9) GOT(3, 9, 1, 1));
	/* What comes again may come late. */
	expect(RULE_NONE, BUFFERED SEND(1, 1) SEND(1, 2) SENT(1) SENT(2) RECV(5, 7) "lost s5\n" RECV(3, 8)
		GOT(3, 8, 2, 1) RECV(3, 9) GOT(3, 9, 1, 2) TAKE(3, 1) TAKE(3, 2) "end\n");
}

/* Values 1 and 2 as one, then 3; received in another order. */
#define TWO_AND_ONE SEND(1, 1) "send s1 o2 c1 v2 n1\n" SEND(1, 3)
#define RECEIVED(o, v) RECV(3, o) GOT(3, o, v, 1) TAKE(3, v)

static void test_order_of_what_is_sent_as_one(void **state)
{
	(void)state;
	expect(RULE_NONE, UNBUFFERED TWO_AND_ONE RECEIVED(7, 1) SENT(1) RECEIVED(8, 3) SENT(3)
		RECEIVED(9, 2) SENT(2) "end\n");
	expect(RULE_FIFO, UNBUFFERED TWO_AND_ONE RECEIVED(7, 2) SENT(2) RECEIVED(8, 1) SENT(1)
		RECEIVED(9, 3) SENT(3) "end\n");
	expect(RULE_FIFO, UNBUFFERED TWO_AND_ONE RECEIVED(7, 3) SENT(3) RECEIVED(8, 1) SENT(1)
		RECEIVED(9, 2) SENT(2) "end\n");
	expect(RULE_FIFO, "channel c1 n3\n" TWO_AND_ONE SENT(1) SENT(2) SENT(3) RECEIVED(7, 1)
		RECEIVED(8, 3) RECEIVED(9, 2) "end\n");
}

static void test_rendezvous(void **state)
{
	(void)state;
	expect(RULE_RENDEZVOUS, UNBUFFERED SEND(1, 1) SENT(1));
	expect(RULE_RENDEZVOUS, UNBUFFERED SEND(1, 1) RECV(2, 9) GOT(2, 9, 1, 1) SENT(1));
}

static void test_capacity(void **state)
{
	(void)state;
	expect(RULE_CAPACITY, BUFFERED SEND(1, 1) SENT(1) SEND(1, 2) SENT(2) SEND(1, 3) SENT(3));
	/* What is out still counts, until it was taken. */
	expect(RULE_CAPACITY, BUFFERED SEND(1, 1) SENT(1) SEND(1, 2) SENT(2) RECV(2, 9) GOT(2, 9, 1, 1)
		SEND(1, 3) SENT(3));
	expect(RULE_NONE, BUFFERED SEND(1, 1) SENT(1) SEND(1, 2) SENT(2) RECV(2, 9) GOT(2, 9, 1, 1)
		TAKE(2, 1) SEND(1, 3) SENT(3));
}

static void test_closing(void **state)
{
	(void)state;
	expect(RULE_CLOSED, BUFFERED RECV(2, 9) "failed o9 n1\n");
	expect(RULE_CLOSED, BUFFERED "close s1 o1 c1\nclosed o1\nclose s1 o2 c1\nclosed o2\n");
	expect(RULE_AFTER_CLOSE, BUFFERED "close s1 o9 c1\nclosed o9\n" SEND(1, 1) SENT(1));
	expect(RULE_AFTER_CLOSE, BUFFERED SEND(1, 1) SENT(1) "close s1 o9 c1\nclosed o9\n"
		RECV(2, 7) "failed o7 n1\n" RECV(2, 8) GOT(2, 8, 1, 1));
	/* Values that were in it stay readable. */
	expect(RULE_NONE, BUFFERED SEND(1, 1) SENT(1) "close s1 o9 c1\nclosed o9\n" RECV(2, 8) GOT(2, 8, 1, 1)
		TAKE(2, 1) RECV(2, 7) "failed o7 n1\nend\n");
}

static void test_empty(void **state)
{
	(void)state;
	expect(RULE_EMPTY, BUFFERED SEND(1, 1) SENT(1) RECV(2, 7) "failed o7 n2\n" RECV(2, 8)
		GOT(2, 8, 1, 1) TAKE(2, 1));
	expect(RULE_NONE, BUFFERED RECV(2, 7) SEND(1, 1) SENT(1) "failed o7 n2\n" RECV(2, 8)
		GOT(2, 8, 1, 1) TAKE(2, 1));
}

#define DOUBT(s) "doubt s" #s "\n"
#define CALM(s) "calm s" #s "\n"
#define HELD BUFFERED SEND(1, 1) SENT(1) RECV(2, 8) GOT(2, 8, 1, 1)

static void test_doubt(void **state)
{
	(void)state;
	/* What a stopped receiver holds goes to another; its confirmation is refused. */
	expect(RULE_NONE, HELD DOUBT(2) RECV(3, 9) GOT(3, 9, 1, 2) CALM(2) "taken s2 v1\ngone s2 v1\n"
		TAKE(3, 1) "end\n");
	/* What was on its way to it when the doubt came, too, and it may enter that late. */
	expect(RULE_NONE, BUFFERED RECV(2, 8) SEND(1, 1) SENT(1) DOUBT(2) RECV(3, 9) GOT(3, 9, 1, 2)
		TAKE(3, 1) CALM(2) GOT(2, 8, 1, 1) "taken s2 v1\ngone s2 v1\nend\n");
	/* A cut of the connection is no reason. */
	expect(RULE_TWICE, HELD "cut s2\n" RECV(3, 9) GOT(3, 9, 1, 2));
	expect(RULE_TAKEN_BACK, HELD "cut s2\ntaken s2 v1\ngone s2 v1\n");
	/* It has to say that it comes again. */
	expect(RULE_ATTEMPT, HELD DOUBT(2) "lost s2\n" RECV(3, 9) GOT(3, 9, 1, 1));
	expect(RULE_TWICE, HELD DOUBT(2) RECV(3, 9) GOT(3, 9, 1, 1));
}

static void test_what_doubt_does_not_excuse(void **state)
{
	(void)state;
	/* A confirmation that was answered. */
	expect(RULE_TWICE, HELD DOUBT(2) RECV(3, 9) GOT(3, 9, 1, 2) CALM(2) TAKE(2, 1));
	expect(RULE_TWICE, HELD DOUBT(2) TAKE(2, 1) RECV(3, 9) GOT(3, 9, 1, 2));
	/* What was taken back is not handed to who asks for it later. */
	expect(RULE_TWICE, BUFFERED SEND(1, 1) SENT(1) DOUBT(2) RECV(3, 9) GOT(3, 9, 1, 2) CALM(2)
		RECV(2, 8) GOT(2, 8, 1, 1));
	/* What came behind the first answer to a session that is calm again. */
	expect(RULE_TWICE, BUFFERED DOUBT(2) CALM(2) SEND(2, 1) SENT(1) RECV(2, 8) GOT(2, 8, 1, 1)
		RECV(3, 9) GOT(3, 9, 1, 2));
	expect(RULE_NONE, BUFFERED DOUBT(2) SEND(2, 1) CALM(2) SENT(1) RECV(2, 8) GOT(2, 8, 1, 1)
		RECV(3, 9) GOT(3, 9, 1, 2) TAKE(3, 1) "lost s2\nend\n");
	/* A killed consumer that was about to confirm by hand loses nothing. */
	expect(RULE_LOST, HELD DOUBT(2) "lost s2\nend\n");
}

static void test_unknown(void **state)
{
	(void)state;
	expect(RULE_NONE, BUFFERED DOUBT(1) SEND(1, 1) "unknown o1\nend\n");
	expect(RULE_NONE, BUFFERED DOUBT(1) SEND(1, 1) "unknown o1\n" RECV(2, 9) GOT(2, 9, 1, 1) TAKE(2, 1)
		"end\n");
	expect(RULE_ANSWERED, BUFFERED SEND(1, 1) "unknown o1\n");
	expect(RULE_ANSWERED, BUFFERED "cut s1\n" SEND(1, 1) "unknown o1\n");
	/* Of a select, one case at most has happened. */
	expect(RULE_ONE_CASE, BUFFERED DOUBT(1) "select s1 o1\nsend s1 o1 c1 v1\nsend s1 o1 c1 v2\nunknown o1\n"
		RECV(2, 8) RECV(2, 9) GOT(2, 8, 1, 1) GOT(2, 9, 2, 1));
	/* A confirmation may have arrived, or not. */
	expect(RULE_NONE, HELD DOUBT(2) "taken s2 v1\nunknown s2 v1\nend\n");
	expect(RULE_NONE, HELD DOUBT(2) "taken s2 v1\nunknown s2 v1\n" RECV(3, 9) GOT(3, 9, 1, 2)
		TAKE(3, 1) "end\n");
}

#define AUTOMATIC BUFFERED "automatic c1\n"
#define RENDEZVOUS UNBUFFERED "automatic c1\n"

static void test_automatic_channels(void **state)
{
	(void)state;
	expect(RULE_NONE, AUTOMATIC SEND(1, 1) SENT(1) RECV(2, 8) GOT(2, 8, 1, 1) "end\n");
	expect(RULE_TWICE, AUTOMATIC SEND(1, 1) SENT(1) RECV(2, 8) GOT(2, 8, 1, 1) RECV(3, 9)
		GOT(3, 9, 1, 2));
	/* The sender may hear of it before the receiver has entered it, but not before it asked. */
	expect(RULE_NONE, RENDEZVOUS SEND(1, 1) RECV(2, 8) SENT(1) GOT(2, 8, 1, 1) "end\n");
	expect(RULE_RENDEZVOUS, RENDEZVOUS SEND(1, 1) SENT(1) RECV(2, 8) GOT(2, 8, 1, 1) "end\n");
	/* So with the room that it makes. */
	expect(RULE_NONE, AUTOMATIC SEND(1, 1) SENT(1) SEND(1, 2) SENT(2) RECV(2, 8) SEND(1, 3) SENT(3)
		GOT(2, 8, 1, 1));
	expect(RULE_CAPACITY, AUTOMATIC SEND(1, 1) SENT(1) SEND(1, 2) SENT(2) SEND(1, 3) SENT(3)
		RECV(2, 8) GOT(2, 8, 1, 1));
	/* Who is killed while it receives may have taken one value, and no more. */
	expect(RULE_NONE, AUTOMATIC SEND(1, 1) SENT(1) RECV(2, 8) DOUBT(2) "lost s2\nend\n");
	expect(RULE_LOST, AUTOMATIC SEND(1, 1) SENT(1) SEND(1, 2) SENT(2) RECV(2, 8) DOUBT(2)
		"lost s2\nend\n");
	expect(RULE_LOST, AUTOMATIC SEND(1, 1) SENT(1) DOUBT(2) RECV(2, 8) "unknown o8\nlost s2\nend\n");
}

static void test_channels_that_are_fetched_ahead_of(void **state)
{
	(void)state;
	/* Nobody knows when a value was asked for: neither order nor lying about can be told, */
	expect(RULE_NONE, BUFFERED "ahead c1\n" RECV(3, 7) "failed o7 n2\n" SEND(1, 1) SEND(1, 2) SENT(1) SENT(2)
		RECV(2, 8) GOT(2, 8, 2, 1) RECV(3, 9) GOT(3, 9, 1, 1) TAKE(2, 2) TAKE(3, 1) "end\n");
	/* but in what one receiver sees. */
	expect(RULE_FIFO, BUFFERED "ahead c1\n" SEND(1, 1) SEND(1, 2) SENT(1) SENT(2)
		RECV(2, 8) GOT(2, 8, 2, 1) RECV(2, 9) GOT(2, 9, 1, 1));
	/* What went back unseen is marked for no reason that is seen. */
	expect(RULE_NONE, BUFFERED "ahead c1\n" SEND(1, 1) SENT(1) RECV(2, 8) GOT(2, 8, 1, 2) TAKE(2, 1) "end\n");
}

#define LENDS "lends c1\n"

static void test_leases(void **state)
{
	(void)state;
	/* A value under a lease makes room, or ends its send, when it is received. */
	expect(RULE_NONE, UNBUFFERED LENDS SEND(1, 1) RECV(2, 8) SENT(1) GOT(2, 8, 1, 1) TAKE(2, 1) "end\n");
	expect(RULE_RENDEZVOUS, UNBUFFERED LENDS SEND(1, 1) SENT(1) RECV(2, 8) GOT(2, 8, 1, 1) TAKE(2, 1));
	expect(RULE_NONE, BUFFERED LENDS SEND(1, 1) SENT(1) SEND(1, 2) SENT(2) RECV(2, 8) SEND(1, 3) SENT(3)
		GOT(2, 8, 1, 1));
	/* It is in one pair of hands as long as the lease lasts, */
	expect(RULE_TWICE, HELD LENDS RECV(3, 9) GOT(3, 9, 1, 2));
	expect(RULE_TAKEN_BACK, HELD LENDS "taken s2 v1\ngone s2 v1\n");
	expect(RULE_NONE, HELD LENDS "leased s2 v1 n1\n" RECV(3, 9) GOT(3, 9, 1, 2) "taken s2 v1\ngone s2 v1\n"
		TAKE(3, 1) "end\n");
	/* and acknowledged only by who has it. */
	expect(RULE_TWICE, HELD LENDS "leased s2 v1 n1\n" RECV(3, 9) GOT(3, 9, 1, 2) TAKE(2, 1));
	/* Nobody is told that the channel is drained while a value may come back. */
	expect(RULE_AFTER_CLOSE, HELD LENDS "leased s2 v1 n1\nclose s1 o7 c1\nclosed o7\n" RECV(3, 6)
		"failed o6 n1\n" RECV(3, 9) GOT(3, 9, 1, 2));
	/* Who dies with a lease loses no value, seen or not. */
	expect(RULE_LOST, HELD LENDS DOUBT(2) "lost s2\nend\n");
	expect(RULE_LOST, BUFFERED LENDS SEND(1, 1) SENT(1) RECV(2, 8) DOUBT(2) "lost s2\nend\n");
	expect(RULE_NONE, UNBUFFERED LENDS SEND(1, 1) RECV(2, 8) SENT(1) DOUBT(2) "lost s2\n" RECV(3, 9)
		GOT(3, 9, 1, 2) TAKE(3, 1) "end\n");
}

#define COUNTED BUFFERED "counted c1\n"

static void test_channels_that_count_their_producers(void **state)
{
	(void)state;
	/* One closes for itself, the next still sends and closes, and then it is closed. */
	expect(RULE_NONE, COUNTED "close s1 o7 c1\nclosed o7\n" SEND(1, 1) "failed o1 n1\n" SEND(2, 2) SENT(2)
		"close s2 o8 c1\nclosed o8\n" RECV(3, 9) GOT(3, 9, 2, 1) TAKE(3, 2) RECV(3, 6)
		"failed o6 n1\nend\n");
	/* A producer's death aborts it, and what was in it is still received. */
	expect(RULE_NONE, COUNTED SEND(1, 1) SENT(1) DOUBT(1) "lost s1\n" SEND(2, 2) "failed o2 n9\n" RECV(3, 9)
		GOT(3, 9, 1, 1) TAKE(3, 1) RECV(3, 6) "failed o6 n9\nend\n");
	expect(RULE_LOST, COUNTED SEND(1, 1) SENT(1) DOUBT(1) "lost s1\n" RECV(3, 6) "failed o6 n9\nend\n");
	expect(RULE_AFTER_CLOSE, COUNTED DOUBT(1) "lost s1\n" SEND(2, 2) "failed o2 n9\n" SEND(2, 3) SENT(3));
	expect(RULE_ABORTED, BUFFERED SEND(2, 2) "failed o2 n9\n");
}

static void test_brokers_that_are_killed(void **state)
{
	(void)state;
	/* What was sent is lost, and who waits is told that nobody knows. */
	expect(RULE_NONE, BUFFERED SEND(1, 1) SENT(1) SEND(1, 2) RECV(2, 9) GOT(2, 9, 1, 1) "doubt s1 n1\ndoubt s2 n1\n"
		"restart\nunknown o2\ntaken s2 v1\nunknown s2 v1\nchannel c2 n1\nsend s3 o7 c2 v7\nsent o7 v7\n"
		"recv s3 o8 c2 n1\ngot s3 o8 c2 v7 n1\n" TAKE(3, 7) "end\n");
	expect(RULE_NONE, BUFFERED SEND(1, 1) SENT(1) "doubt s1 n1\nrestart\nend\n");
	/* But not what was sent to the next one. */
	expect(RULE_LOST, BUFFERED "restart\nchannel c2 n1\nsend s3 o7 c2 v7\nsent o7 v7\nend\n");
	/* Nor may anybody wait for ever, nor be told so without a reason. */
	expect(RULE_ANSWERED, BUFFERED RECV(2, 9) "doubt s2 n1\nrestart\nend\n");
	expect(RULE_ANSWERED, BUFFERED "restart\nchannel c2 n1\nsend s3 o7 c2 v7\nunknown o7\n");
	/* No answer ends the doubt: what was not sent may end by its own deadline. */
	expect(RULE_NONE, BUFFERED "doubt s1 n1\nrestart\ncalm s1\n" SEND(1, 1) "failed o1 n4\n" SEND(1, 2) "unknown o2\n");
	/* Up to its death it keeps the rules. */
	expect(RULE_TWICE, BUFFERED SEND(1, 1) SENT(1) RECV(2, 8) GOT(2, 8, 1, 1) RECV(3, 9) GOT(3, 9, 1, 2)
		"doubt s2 n1\nrestart\n");
	/* Nothing happens on its channels afterwards, but what was on its way to who fetches ahead. */
	expect(RULE_NONE, BUFFERED SEND(1, 1) RECV(2, 9) "doubt s1 n1\ndoubt s2 n1\nrestart\n" SENT(1) GOT(2, 9, 1, 1));
	expect(RULE_RESTARTED, BUFFERED SEND(1, 1) SENT(1) "doubt s1 n1\nrestart\n" RECV(3, 9) GOT(3, 9, 1, 2));
	expect(RULE_RESTARTED, BUFFERED "restart\n" SEND(1, 1) SENT(1));
	expect(RULE_RESTARTED, BUFFERED "restart\nclose s1 o1 c1\nclosed o1\n");
	expect(RULE_NONE, BUFFERED "ahead c1\n" SEND(1, 1) SENT(1) RECV(2, 8) "doubt s2 n1\nrestart\n"
		GOT(2, 8, 1, 1) RECV(2, 9) "unknown o9\n");
}

static void test_an_explanation_has_the_events_concerned(void **state)
{
	static const char text[] = BUFFERED "channel c2\n" SEND(1, 1) SENT(1) SEND(1, 2) SENT(2)
		RECV(2, 8) GOT(2, 8, 1, 1) "doubt s4\n" RECV(3, 9) GOT(3, 9, 1, 2);
	struct history h = {0};
	struct verdict v;
	char said[2048] = "";
	FILE *in = fmemopen((void *)text, strlen(text), "r"), *out = fmemopen(said, sizeof(said), "w");

	(void)state;
	assert_int_equal(history_read(&h, in), 0);
	v = history_check(&h);
	history_explain(&h, &v, out);
	fclose(in);
	fclose(out);
	history_fini(&h);
	assert_non_null(strstr(said, "broken: TWICE"));
	assert_non_null(strstr(said, "value 1 is still in the hands of session 2"));
	assert_non_null(strstr(said, ": channel c1 n2\n"));
	assert_non_null(strstr(said, ": send s1 o1 c1 v1\n"));
	assert_non_null(strstr(said, ": got s2 o8 c1 v1 n1\n"));
	assert_null(strstr(said, "v2"));
	assert_null(strstr(said, "s4"));
	assert_null(strstr(said, "c2"));
}

static void test_text_form_reads_back(void **state)
{
	static const char text[] = BUFFERED SEND(1, 1) SENT(1) "lost s1 t1234567\nend\n";
	char printed[256];
	struct history h = {0};
	FILE *in = fmemopen((void *)text, strlen(text), "r");
	FILE *out = fmemopen(printed, sizeof(printed), "w");

	(void)state;
	assert_int_equal(history_read(&h, in), 0);
	history_print(&h, out);
	fclose(in);
	fclose(out);
	history_fini(&h);
	assert_string_equal(printed, text);

	in = fmemopen((void *)"channel c1\nsned s1\n", 19, "r");
	assert_int_equal(history_read(&h, in), 2);
	fclose(in);
	history_fini(&h);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_histories),
		cmocka_unit_test(test_what_a_lost_receiver_may_do),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_one_case),
		cmocka_unit_test(test_no_effect),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_twice),
		cmocka_unit_test(test_attempt),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_order_of_what_is_sent_as_one),
		cmocka_unit_test(test_rendezvous),
		cmocka_unit_test(test_capacity),
		cmocka_unit_test(test_closing),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_doubt),
		cmocka_unit_test(test_what_doubt_does_not_excuse),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_automatic_channels),
		cmocka_unit_test(test_channels_that_are_fetched_ahead_of),
		cmocka_unit_test(test_leases),
		cmocka_unit_test(test_channels_that_count_their_producers),
		cmocka_unit_test(test_brokers_that_are_killed),
		cmocka_unit_test(test_an_explanation_has_the_events_concerned),
		cmocka_unit_test(test_text_form_reads_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
