#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chan/chan.h"
#include "client/reconnect.h"
#include "proto/limits.h"
#include "tests/support/fake_broker.h"
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* How much later it is for the client than it is. */
static _Atomic int64_t later_ns;

int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	int rc = __real_clock_gettime(clock, ret);

	ret->tv_sec += later_ns / 1000000000;
	return rc;
}

static struct fake_broker broker;
static const struct fake_greeting resumes[] = {{.answer = FAKE_RESUMES}};

static int setup(void **state)
{
	(void)state;
	later_ns = 0;
	fake_start(&broker);
	broker.linger_ms = 30000;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_stop(&broker);
	return 0;
}

static struct chan_client *dial(const struct chan_dial_options *options)
{
	struct chan_client *c = NULL;

	assert_int_equal(fake_dial(&broker, options, &c), 0);
	fake_read(&broker, MESSAGE_HELLO);
	return c;
}

/* The client of most tests: it reconnects when it is told to go on, by one thread. */
static struct chan_client *client(void)
{
	return dial(&(struct chan_dial_options){.no_keeper = true});
}

/* Answers BYE by closing, while the client waits for that. */
static void *answer_bye(void *arg)
{
	while (fake_wait(&broker, true) && broker.m.kind != MESSAGE_BYE)
		;
	shutdown(broker.fd, SHUT_WR);
	return arg;
}

static void hang_up(struct chan_client *c)
{
	pthread_t thread;

	pthread_create(&thread, NULL, answer_bye, NULL);
	chan_hangup(c);
	pthread_join(thread, NULL);
	assert_int_equal(broker.m.kind, MESSAGE_BYE);
}

static void start_int(struct chan *ch, int64_t i)
{
	struct chan_value v = chan_value_int(i);

	assert_int_equal(chan_start_send(ch, &v, 1, CHAN_FOREVER, NULL, NULL), 0);
}

static void answer_pings(void)
{
	assert_true(fake_is_quiet(&broker));
	fake_pong(&broker);
}

/* Waits for a PING and answers it. What else comes is passed over. */
static void await_ping(void)
{
	do {
		assert_true(fake_wait_any(&broker));
	} while (broker.m.kind != MESSAGE_PING);
	fake_pong(&broker);
}

/* Waits for both, in whichever order they come: a PING goes ahead of a frame that was not taken
 * over before the loss, and follows one that was. */
static void await_ping_and(enum message_kind kind, uint64_t seq)
{
	bool pinged = false, came = false;

	while (!pinged || !came) {
		assert_true(fake_wait_any(&broker));
		pinged |= broker.m.kind == MESSAGE_PING;
		came |= broker.m.kind == kind && broker.m.seq == seq;
	}
	fake_pong(&broker);
}

static void *hang_up_later(void *client)
{
	chan_hangup(client);
	return NULL;
}

/* ---- what was under way ------------------------------------------------------------------- */

/* A select's send case, so that it is answered by DONE. */
static void start_select(struct chan_client *c, struct chan *ch)
{
	struct chan_case cases[] = {
		{.chan = ch, .direction = CHAN_RECV},
		{.chan = ch, .direction = CHAN_SEND, .value = chan_value_int(7)},
	};

	assert_int_equal(chan_start_select(c, cases, 2, CHAN_FOREVER, NULL, NULL), 0);
}

static void answer_select(uint64_t seq)
{
	struct message m = {.kind = MESSAGE_DONE, .seq = seq};

	m.done.count = 1;
	m.done.case_index = 1;
	fake_write(&broker, &m, 0);
}

static void deliver_int(uint64_t seq, uint64_t delivery)
{
	static const uint8_t value[8] = {0, 0, 0, 0, 0, 0, 0, 9};
	struct message m = {.kind = MESSAGE_DELIVER, .seq = seq};
	struct buf out = {0};

	m.deliver.delivery = delivery;
	m.deliver.count = 1;
	m.deliver.payload_bytes = VALUE_PREFIX_BYTES + sizeof(value);
	wire_encode(&out, &m, 0, VALUE_PREFIX_BYTES + sizeof(value));
	wire_value_put_prefix(&out, sizeof(value), 1, 0);
	buf_append(&out, value, sizeof(value));
	fake_write_bytes(&broker, buf_data(&out), buf_len(&out));
	buf_fini(&out);
}

static void test_what_arrived_is_not_sent_again_and_the_rest_is(void **state)
{
	struct chan_client *c = client();
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 0, NULL);
	struct chan_completion done;
	int i;

	(void)state;
	start_int(ch, 1);
	start_int(ch, 2);
	chan_events(c);
	assert_int_equal(fake_read(&broker, MESSAGE_SEND)->seq, 2);
	assert_int_equal(fake_read(&broker, MESSAGE_SEND)->seq, 3);
	fake_done(&broker, 2, 1);
	fake_turn(c);
	assert_int_equal(fake_completion(c).status, 0);
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
	start_select(c, ch);
	assert_int_equal(chan_start_close(ch, "enough", NULL, NULL), 0);
	assert_int_equal(chan_start_open(c, "other", CHAN_SEND, NULL, NULL, NULL), 0);
	chan_events(c);
	fake_cut(&broker); /* with all of this in its socket, unread */
	assert_int_equal(fake_resume(&broker, c, resumes), 0);
	assert_int_equal(broker.frames_received, 2); /* OPENED, DONE */
	assert_int_equal(fake_read(&broker, MESSAGE_RECV)->seq, 4);
	assert_int_equal(fake_read(&broker, MESSAGE_SELECT)->seq, 5);
	assert_int_equal(fake_read(&broker, MESSAGE_CLOSE)->seq, 6);
	assert_int_equal(fake_read(&broker, MESSAGE_OPEN)->seq, 7);
	fake_done(&broker, 3, 1);
	deliver_int(4, 1);
	answer_select(5);
	fake_done(&broker, 6, 1);
	fake_fail(&broker, 7, 1, CHAN_ENOCHANNEL);
	answer_pings();
	fake_turn(c);
	assert_int_equal(fake_completion(c).status, 0);
	done = fake_completion(c);
	assert_int_equal(done.status, 1);
	assert_int_equal(done.value.i, 9);
	assert_int_equal(fake_completion(c).case_index, 1);
	for (i = 0; i < 2; i++)
		assert_int_equal(fake_completion(c).status, i ? CHAN_ENOCHANNEL : 0);
	assert_int_equal(chan_ops_pending(c), 0);
	hang_up(c);
}

/* Half a frame has not been received: the broker sends it again from its first byte. */
static void test_half_a_frame_has_not_come(void **state)
{
	struct message m = {.kind = MESSAGE_DONE, .seq = 2};
	struct chan_client *c = client();
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 3, NULL);
	struct buf out = {0};

	(void)state;
	start_int(ch, 1);
	start_int(ch, 2);
	chan_events(c);
	fake_read(&broker, MESSAGE_SEND);
	m.done.count = 1;
	wire_encode(&out, &m, 0, 0);
	m.seq = 3;
	wire_encode(&out, &m, 0, 0);
	fake_write_bytes(&broker, buf_data(&out), buf_len(&out) - 3);
	fake_turn(c);
	assert_int_equal(fake_completion(c).status, 0);
	fake_cut(&broker);
	assert_int_equal(fake_resume(&broker, c, resumes), 0);
	assert_int_equal(broker.frames_received, 2);
	fake_done(&broker, 3, 1);
	fake_turn(c);
	assert_int_equal(fake_completion(c).status, 0);
	buf_fini(&out);
	hang_up(c);
}

/* What was counted as sent and is cut off in the middle of a large value goes out again whole. */
static void test_pieces_go_on(void **state)
{
	struct chan_client *c = client();
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_BYTES, 3, NULL);
	size_t len = 1000000, got;
	char *large = calloc(1, len);
	struct chan_value v = chan_value_bytes(large, len);
	int cut = 0;

	(void)state;
	assert_int_equal(chan_start_send(ch, &v, 1, CHAN_FOREVER, NULL, NULL), 0);
	chan_events(c);
	fake_read(&broker, MESSAGE_SEND);
	got = broker.frame.payload_bytes;
	while (broker.frame.flags & FRAME_MORE) {
		if (cut++ % 3 == 1) {
			fake_cut(&broker);
			assert_int_equal(fake_resume(&broker, c, resumes), 0);
		}
		fake_turn(c);
		assert_int_equal(fake_read(&broker, MESSAGE_PIECE)->seq, 2);
		got += broker.frame.payload_bytes;
	}
	assert_int_equal(got, len + VALUE_PREFIX_BYTES);
	assert_true(cut > 10);
	free(large);
	hang_up(c);
}

static void test_a_large_delivery_goes_on(void **state)
{
	struct message m = {.kind = MESSAGE_DELIVER, .seq = 2};
	struct chan_client *c = client();
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 3, NULL);
	struct buf out = {0}, payload = {0};
	struct chan_completion done;

	(void)state;
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
	chan_events(c);
	fake_read(&broker, MESSAGE_RECV);
	wire_value_put_prefix(&payload, 6, 1, 0);
	buf_append(&payload, "abcdef", 6);
	m.deliver.delivery = 9;
	m.deliver.count = 1;
	m.deliver.payload_bytes = buf_len(&payload);
	wire_encode(&out, &m, FRAME_MORE, 7);
	buf_append(&out, buf_data(&payload), 7);
	fake_write_bytes(&broker, buf_data(&out), buf_len(&out));
	fake_turn(c);
	fake_cut(&broker);
	assert_int_equal(fake_resume(&broker, c, resumes), 0);
	assert_int_equal(broker.frames_received, 2);
	m = (struct message){.kind = MESSAGE_PIECE, .seq = 9};
	buf_consume(&out, buf_len(&out));
	wire_encode(&out, &m, 0, (uint32_t)buf_len(&payload) - 7);
	buf_append(&out, buf_data(&payload) + 7, buf_len(&payload) - 7);
	fake_write_bytes(&broker, buf_data(&out), buf_len(&out));
	answer_pings();
	fake_turn(c);
	done = fake_completion(c);
	assert_string_equal(done.value.bytes, "abcdef");
	chan_value_clear(&done.value);
	buf_fini(&payload);
	buf_fini(&out);
	hang_up(c);
}

/* ---- the greeting ------------------------------------------------------------------------- */

/* Each attempt has a higher epoch, which the fake broker checks. */
static void test_greetings_that_are_lost(void **state)
{
	static const struct fake_greeting trouble[] = {
		{.answer = FAKE_DROPS},
		{.answer = FAKE_BREAKS},
		{.answer = FAKE_REFUSES, .status = CHAN_ELIMIT},
		{.answer = FAKE_RESUMES},
	};
	struct chan_client *c = client();
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 3, NULL);

	(void)state;
	start_int(ch, 1);
	chan_events(c);
	fake_cut(&broker);
	assert_int_equal(fake_resume(&broker, c, trouble), 0);
	assert_int_equal(broker.epoch, 5);
	assert_int_equal(fake_read(&broker, MESSAGE_SEND)->seq, 2);
	fake_cut(&broker); /* and once more, after it */
	assert_int_equal(fake_resume(&broker, c, trouble), 0);
	assert_int_equal(broker.epoch, 9);
	assert_true(fake_is_quiet(&broker));
	fake_done(&broker, 2, 1);
	fake_turn(c);
	assert_int_equal(fake_completion(c).status, 0);
	hang_up(c);
}

static void session_is_refused(int status)
{
	const struct fake_greeting refuses[] = {{.answer = FAKE_REFUSES, .status = status}};
	struct chan_client *c = client();
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 3, NULL);

	start_int(ch, 1);
	chan_events(c);
	fake_cut(&broker);
	assert_int_equal(chan_process(c), 0); /* finds out */
	assert_false(chan_connected(c));
	start_int(ch, 2);
	assert_int_equal(fake_resume(&broker, c, refuses), status);
	assert_non_null(strstr(chan_error_text(), "no such session"));
	assert_int_equal(fake_completion(c).status, status);
	assert_int_equal(fake_completion(c).status, CHAN_EUNREACHABLE); /* never sent */
	assert_int_equal(chan_send_int(ch, 1), CHAN_EUNREACHABLE);
	chan_release(ch);
	chan_hangup(c);
}

static void test_a_session_that_is_no_more(void **state)
{
	(void)state;
	session_is_refused(CHAN_EUNKNOWN);
}

static void test_a_broker_that_restarted(void **state)
{
	(void)state;
	session_is_refused(CHAN_ERESTARTED);
}

/* By one of several ways the broker may know us as who began the session. */
static void test_a_stranger_by_one_way_of_two(void **state)
{
	static const struct fake_greeting once[] = {
		{.answer = FAKE_REFUSES, .status = CHAN_EAUTH}, {.answer = FAKE_RESUMES}};
	char url[sizeof(broker.url)];
	struct chan_client *c;

	(void)state;
	strcpy(url, broker.url);
	snprintf(broker.url, sizeof(broker.url), "%.60s,%.60s", url, url);
	c = client();
	strcpy(broker.url, url);
	fake_cut(&broker);
	assert_int_equal(fake_resume(&broker, c, once), 0);
	hang_up(c);
}

static void test_without_linger_a_loss_is_the_end(void **state)
{
	struct chan_client *c;
	struct chan *ch;

	(void)state;
	broker.linger_ms = 0;
	c = client();
	ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 3, NULL);
	start_int(ch, 1);
	chan_events(c);
	fake_cut(&broker);
	assert_int_equal(chan_process(c), CHAN_EUNKNOWN);
	assert_int_equal(fake_completion(c).status, CHAN_EUNKNOWN);
	chan_hangup(c);
}

static void test_who_does_not_want_to_reconnect_does_not_linger(void **state)
{
	struct chan_dial_options options = {.reconnect_ns = -1};
	struct chan_client *c;

	(void)state;
	assert_int_equal(fake_dial(&broker, &options, &c), 0);
	assert_int_equal(fake_read(&broker, MESSAGE_HELLO)->hello->linger_ms, 0);
	hang_up(c);
}

/* ---- what may be handed over --------------------------------------------------------------- */

static void deliver_strings(uint64_t seq, uint64_t first, unsigned n)
{
	struct message m = {.kind = MESSAGE_DELIVER, .seq = seq};

	m.deliver.delivery = first;
	m.deliver.count = n;
	fake_write(&broker, &m, n, "a", "b", "c");
}

static void write_gone(uint64_t first, uint64_t count)
{
	struct wire_range range = {first, count};
	struct message m = {.kind = MESSAGE_GONE};

	m.settle.deliveries = (struct wire_ranges){&range, 1};
	fake_write(&broker, &m, 0);
}

/* What came before the loss may have been given to somebody else meanwhile: the broker says so
 * before it answers. */
static void test_nothing_is_handed_over_before_the_broker_has_answered(void **state)
{
	struct chan_client *c = client();
	struct chan *ch = fake_open(
		&broker, c, 1, 5, CHAN_TYPE_STRING, 9, &(struct chan_end_options){.credit = 4});
	struct chan_completion done;

	(void)state;
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
	chan_events(c);
	fake_read(&broker, MESSAGE_RECV);
	deliver_strings(2, 1, 3);
	fake_turn(c);
	done = fake_completion(c);
	assert_string_equal(done.value.bytes, "a");
	chan_value_clear(&done.value);
	fake_cut(&broker);
	assert_int_equal(fake_resume(&broker, c, resumes), 0);
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
	fake_turn(c);
	assert_true(fake_no_completion(c));
	assert_int_equal(fake_read(&broker, MESSAGE_TAKEN)->settle.deliveries.list[0].first, 1);
	fake_read(&broker, MESSAGE_GRANT);
	write_gone(2, 1);
	answer_pings();
	fake_turn(c);
	done = fake_completion(c);
	assert_string_equal(done.value.bytes, "c");
	chan_value_clear(&done.value);
	hang_up(c);
}

/* Nor while there is nobody to confirm it to: by the time that there is, it may be another's. */
static void test_nothing_is_handed_over_without_a_connection(void **state)
{
	struct chan_client *c = client();
	struct chan *ch = fake_open(
		&broker, c, 1, 5, CHAN_TYPE_STRING, 9, &(struct chan_end_options){.credit = 4});
	struct chan_completion done;

	(void)state;
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
	chan_events(c);
	fake_read(&broker, MESSAGE_RECV);
	deliver_strings(2, 1, 2);
	fake_turn(c);
	done = fake_completion(c);
	chan_value_clear(&done.value);
	fake_cut(&broker);
	assert_int_equal(chan_process(c), 0); /* finds out */
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
	assert_true(fake_no_completion(c));
	assert_int_equal(fake_resume(&broker, c, resumes), 0);
	fake_read(&broker, MESSAGE_TAKEN);
	fake_read(&broker, MESSAGE_GRANT);
	answer_pings();
	fake_turn(c);
	done = fake_completion(c);
	assert_string_equal(done.value.bytes, "b");
	chan_value_clear(&done.value);
	hang_up(c);
}

/* A large value of which the broker took the rest back: the stream's credit for it is granted anew,
 * or the stream would dry up. */
static void test_credit_of_a_value_that_went_in_the_middle(void **state)
{
	struct chan_client *c = client();
	struct chan *ch = fake_open(
		&broker, c, 1, 5, CHAN_TYPE_STRING, 9, &(struct chan_end_options){.credit = 2});
	struct message m = {.kind = MESSAGE_DELIVER, .seq = 2};
	struct buf out = {0};

	(void)state;
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
	chan_events(c);
	fake_read(&broker, MESSAGE_RECV);
	m.deliver.delivery = 1;
	m.deliver.count = 1;
	m.deliver.payload_bytes = 100;
	wire_encode(&out, &m, FRAME_MORE, 3);
	buf_append(&out, "\0\0\0", 3);
	fake_write_bytes(&broker, buf_data(&out), buf_len(&out));
	write_gone(1, 1);
	fake_turn(c);
	chan_events(c);
	assert_int_equal(fake_read(&broker, MESSAGE_GRANT)->grant.credit, 1);
	buf_fini(&out);
	hang_up(c);
}

/* By hand: the broker says that it had taken it back. */
static void test_confirming_what_was_revoked_meanwhile(void **state)
{
	struct chan_client *c = client();
	struct chan *ch = fake_open(
		&broker, c, 1, 5, CHAN_TYPE_STRING, 9, &(struct chan_end_options){.manual = true});
	struct chan_completion done;

	(void)state;
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
	chan_events(c);
	fake_read(&broker, MESSAGE_RECV);
	deliver_strings(2, 1, 1);
	fake_turn(c);
	done = fake_completion(c);
	fake_cut(&broker);
	assert_int_equal(chan_process(c), 0);
	assert_int_equal(chan_start_confirm(ch, &done.value, 1, NULL, NULL), 0);
	chan_value_clear(&done.value);
	assert_int_equal(fake_resume(&broker, c, resumes), 0);
	write_gone(1, 1);
	fake_turn(c);
	fake_fail(&broker, fake_read(&broker, MESSAGE_TAKEN)->seq, 1, CHAN_EGONE);
	fake_turn(c);
	assert_int_equal(fake_completion(c).status, CHAN_EGONE);
	hang_up(c);
}

/* ---- calls that block ---------------------------------------------------------------------- */

static void *resume_and_answer(void *arg)
{
	fake_resume_end(&broker);
	await_ping();
	deliver_int(2, 1);
	return arg;
}

/* By the thread that waits, where there is no keeper. */
static void test_blocking_calls_stay_blocked_through_a_loss(void **state)
{
	static const struct fake_greeting lost_once[] = {
		{.answer = FAKE_DROPS}, {.answer = FAKE_RESUMES}};
	struct chan_client *c = client();
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 9, NULL);
	pthread_t thread;
	int64_t i;

	(void)state;
	fake_cut(&broker);
	fake_resume_begin(&broker, lost_once);
	pthread_create(&thread, NULL, resume_and_answer, NULL);
	assert_int_equal(chan_recv_int(ch, &i), 1);
	assert_int_equal(i, 9);
	pthread_join(thread, NULL);
	hang_up(c);
}

/* The library's own sign of life, and the program's. */
static void *resume_and_answer_both_pings(void *arg)
{
	fake_resume_end(&broker);
	await_ping();
	await_ping();
	return arg;
}

/* A PING waits for the connection with everything else, and neither is lost. */
static void test_a_ping_without_a_connection(void **state)
{
	static const struct fake_greeting lost_once[] = {
		{.answer = FAKE_DROPS}, {.answer = FAKE_RESUMES}};
	struct chan_client *c = client();
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 9, NULL);
	pthread_t thread;

	(void)state;
	fake_cut(&broker);
	fake_resume_begin(&broker, lost_once);
	fake_turn(c); /* notices the loss; its first attempt is dropped */
	start_int(ch, 1);
	start_int(ch, 2);
	pthread_create(&thread, NULL, resume_and_answer_both_pings, NULL);
	assert_int_equal(chan_ping(c, NULL), 0);
	pthread_join(thread, NULL);
	fake_done(&broker, 2, 2);
	fake_turn(c);
	assert_int_equal(fake_completion(c).status, 0);
	assert_int_equal(fake_completion(c).status, 0);
	hang_up(c);
}

/* Confirmations are among what leaves before goodbye. */
static void test_hanging_up_while_the_connection_is_lost(void **state)
{
	struct chan_client *c = client();
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 9, NULL);
	struct chan_value v;
	pthread_t thread;

	(void)state;
	deliver_strings(2, 1, 1);
	assert_int_equal(chan_recv(ch, &v), 1);
	chan_value_clear(&v);
	fake_cut(&broker);
	fake_resume_begin(&broker, resumes);
	pthread_create(&thread, NULL, hang_up_later, c);
	fake_resume_end(&broker);
	fake_read(&broker, MESSAGE_RECV);
	assert_int_equal(fake_read(&broker, MESSAGE_TAKEN)->settle.deliveries.list[0].first, 1);
	fake_read(&broker, MESSAGE_BYE);
	shutdown(broker.fd, SHUT_WR);
	pthread_join(thread, NULL);
}

/* ---- the keeper ---------------------------------------------------------------------------- */

static struct chan_client *kept_client(void)
{
	broker.heartbeat_ms = 2000; /* silent for twice that, and the connection is dead */
	return dial(NULL);
}

/* The program computes: nobody is in a call. */
static void test_the_keeper_gives_signs_of_life(void **state)
{
	struct chan_client *c = kept_client();
	struct chan *ch = fake_open(
		&broker, c, 1, 5, CHAN_TYPE_STRING, 9, &(struct chan_end_options){.manual = true});
	struct chan_value v;
	int i;

	(void)state;
	deliver_strings(2, 1, 1);
	assert_int_equal(chan_recv(ch, &v), 1);
	fake_read(&broker, MESSAGE_RECV);
	for (i = 0; i < 3; i++)
		await_ping();
	assert_true(chan_connected(c));
	fake_done(&broker, 3, 1);
	assert_int_equal(chan_confirm(ch, &v, 1), 0);
	chan_value_clear(&v);
	hang_up(c);
}

/* And it comes back, without anybody asking. */
static void test_the_keeper_reconnects(void **state)
{
	struct chan_client *c = kept_client();
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 9, NULL);
	struct chan_completion done;
	struct chan_op *op;

	(void)state;
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, &op), 0);
	fake_cut(&broker);
	fake_resume_begin(&broker, resumes);
	fake_resume_end(&broker);
	await_ping_and(MESSAGE_RECV, 2);
	deliver_int(2, 1);
	assert_int_equal(chan_op_wait(op, &done), 0);
	assert_int_equal(done.status, 1);
	hang_up(c);
}

static void *receive_9(void *arg)
{
	struct chan_value v;

	return chan_recv(arg, &v) == 1 && v.i == 9 ? arg : NULL;
}

/* A read waits for ever then: it is the keeper that gives signs of life for it, and finds that the broker gives
 * none any more. */
static void test_the_keeper_looks_after_who_waits_in_a_read(void **state)
{
	struct chan_client *c;
	pthread_t thread;
	struct chan *ch;
	void *received;

	(void)state;
	broker.heartbeat_ms = 500;
	c = dial(NULL);
	ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 9, NULL);
	pthread_create(&thread, NULL, receive_9, ch);
	fake_read(&broker, MESSAGE_RECV);
	for (int i = 0; i < 3; i++)
		await_ping();
	fake_resume_begin(&broker, resumes);
	fake_resume_end(&broker);
	await_ping();
	deliver_int(2, 1);
	pthread_join(thread, &received);
	assert_non_null(received);
	hang_up(c);
}

/* At once, also when it is the keeper who notices the loss, between two of its looks. */
static void test_the_keeper_does_not_sleep_on_a_loss(void **state)
{
	struct chan_client *c;
	struct chan *ch;
	struct pollfd p;

	(void)state;
	broker.heartbeat_ms = 20000; /* looks every 5 s */
	c = dial(NULL);
	ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 9, NULL);
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
	fake_cut(&broker);
	while (chan_connected(c))
		poll(NULL, 0, 1);
	p = (struct pollfd){.fd = broker.listener, .events = POLLIN};
	assert_int_equal(poll(&p, 1, 4000), 1);
	fake_resume_begin(&broker, resumes);
	fake_resume_end(&broker);
	hang_up(c);
}

static int64_t real_ms(void)
{
	struct timespec now;

	__real_clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What comes is for the program's event loop, which sees that by the socket; the keeper reads it
 * only where nobody does. */
static void test_the_keeper_leaves_the_socket_to_event_loops(void **state)
{
	struct message ping = {.kind = MESSAGE_PING};
	int64_t began_ms = real_ms();
	struct chan_client *c = kept_client();

	(void)state;
	fake_write(&broker, &ping, 0);
	do {
		assert_true(fake_wait_any(&broker));
	} while (broker.m.kind != MESSAGE_PONG);
	assert_true(real_ms() - began_ms >= (int64_t)broker.heartbeat_ms);
	hang_up(c);
}

/* A broker that does not answer any more: the connection is dead, though nobody closed it. */
static void test_the_keeper_notices_silence(void **state)
{
	struct chan_client *c = kept_client();
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 9, NULL);
	int dead;

	(void)state;
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
	chan_events(c);
	fake_read(&broker, MESSAGE_RECV);
	dead = broker.fd;
	fake_resume_begin(&broker, resumes);
	fake_resume_end(&broker);
	assert_int_not_equal(broker.fd, dead);
	close(dead);
	hang_up(c);
}

static void *receive(void *arg)
{
	struct chan_value v = chan_value_signal();
	int rc = chan_recv(arg, &v);

	chan_value_clear(&v);
	return rc == 1 ? arg : NULL;
}

/* A blocking call comes through it; and so do several, of which one was reading for all. */
static void test_threads_wait_for_the_keeper(void **state)
{
	enum { THREADS = 3 };
	struct chan_client *c = kept_client();
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 9, NULL);
	pthread_t threads[THREADS];
	void *got;
	int i;

	(void)state;
	for (i = 0; i < THREADS; i++) {
		pthread_create(&threads[i], NULL, receive, ch);
		fake_read(&broker, MESSAGE_RECV);
	}
	for (i = 0; i < 10; i++) {
		fake_cut(&broker);
		fake_resume_begin(&broker, resumes);
		fake_resume_end(&broker);
	}
	for (i = 0; i < THREADS; i++)
		deliver_int(2 + i, 1 + i);
	await_ping();
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &got);
		assert_ptr_equal(got, ch);
	}
	hang_up(c);
}

/* What has come and was not read. */
static int socket_bytes(int fd)
{
	int n = 0;

	ioctl(fd, FIONREAD, &n);
	return n;
}

struct sender {
	struct chan *ch;
	struct chan_value value;
	int status;
};

static void *send_value(void *arg)
{
	struct sender *s = arg;

	s->status = chan_send(s->ch, &s->value);
	return NULL;
}

/* Reads what is left of a large value, and answers it. */
static void take_large(uint64_t seq)
{
	do
		fake_read(&broker, MESSAGE_PIECE);
	while (broker.frame.flags & FRAME_MORE);
	fake_done(&broker, seq, 1);
}

/* One thread reads, another waits for room in the socket: when both are gone the keeper is the one
 * to come back, though it was told while the second was still there. */
static void test_the_keeper_follows_who_waits_to_write(void **state)
{
	enum { BYTES = 1000000, ROUNDS = 30 };
	struct chan_client *c = dial(NULL);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_BYTES, 9, NULL);
	char *large = calloc(1, BYTES);
	struct sender s = {.ch = ch, .value = chan_value_bytes(large, BYTES)};
	pthread_t reader, writer;
	int i, full;

	(void)state;
	pthread_create(&reader, NULL, receive, ch);
	fake_read(&broker, MESSAGE_RECV);
	for (i = 0; i < ROUNDS; i++) {
		pthread_create(&writer, NULL, send_value, &s);
		fake_read(&broker, MESSAGE_SEND);
		for (full = 0; full != socket_bytes(broker.fd); sched_yield())
			full = socket_bytes(broker.fd);
		fake_cut(&broker);
		fake_resume_begin(&broker, resumes);
		fake_resume_end(&broker);
		take_large(3 + i);
		pthread_join(writer, NULL);
		assert_int_equal(s.status, 0);
	}
	deliver_int(2, 1);
	await_ping();
	pthread_join(reader, NULL);
	free(large);
	hang_up(c);
}

/* The next completion, of a client without a keeper. */
static struct chan_completion await_completion(struct chan_client *c)
{
	struct chan_completion done;
	struct pollfd p;

	while (chan_next_completion(c, &done) == 0) {
		p = (struct pollfd){.fd = chan_fd(c), .events = chan_events(c)};
		assert_true(poll(&p, 1, 10000) >= 0);
		assert_int_equal(chan_process(c), 0);
	}
	return done;
}

/* ---- time --------------------------------------------------------------------------------- */

static void leave(void)
{
	unlink(broker.url + strlen("unix:"));
	fake_cut(&broker);
}

/* The limit that the program set ends what blocks. */
static void test_a_limit_on_coming_back(void **state)
{
	struct chan_dial_options options = {.no_keeper = true, .reconnect_ns = 50000000};
	struct chan_client *c = dial(&options);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 0, NULL);
	int64_t i;

	(void)state;
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
	chan_events(c);
	fake_read(&broker, MESSAGE_RECV);
	leave();
	assert_int_equal(chan_process(c), 0);
	assert_int_equal(chan_recv_int(ch, &i), CHAN_EUNREACHABLE); /* it was not sent */
	assert_non_null(strstr(chan_error_text(), "could not be resumed"));
	assert_int_equal(fake_completion(c).status, CHAN_EUNKNOWN);
	chan_hangup(c);
}

/* Ends the fake broker's thread: a connection that says nothing. */
static void knock(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, broker.url + strlen("unix:"));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
}

/* A broker that takes us back and is gone again at once, each time: no progress, so there is no end
 * to it but the limit. */
static void test_coming_back_in_vain(void **state)
{
	static const struct fake_greeting leaves[] = {{.answer = FAKE_LEAVES}};
	struct chan_dial_options options = {.no_keeper = true, .reconnect_ns = 300000000};
	struct chan_client *c = dial(&options);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 0, NULL);
	struct chan_op *op;
	struct chan_completion done;

	(void)state;
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, &op), 0);
	chan_events(c);
	fake_read(&broker, MESSAGE_RECV);
	fake_cut(&broker);
	fake_resume_begin(&broker, leaves);
	assert_int_equal(chan_op_wait(op, &done), 0);
	assert_int_equal(done.status, CHAN_EUNKNOWN);
	knock();
	fake_resume_end(&broker);
	assert_true(broker.epoch < 100); /* there were pauses */
	chan_hangup(c);
}

static void test_nothing_waits_longer_than_the_session_lives(void **state)
{
	struct chan_client *c = client();
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 0, NULL);

	(void)state;
	start_int(ch, 1);
	chan_events(c);
	leave();
	assert_int_equal(chan_process(c), 0);
	later_ns = 35000000000; /* of 30 s, and two heartbeats for the broker to notice */
	assert_int_equal(chan_process(c), 0);
	later_ns = 41000000000;
	assert_int_equal(chan_process(c), CHAN_EUNKNOWN);
	assert_int_equal(fake_completion(c).status, CHAN_EUNKNOWN);
	chan_hangup(c);
}

/* What was not sent may end in its time, as it had no effect. */
static void test_deadlines_without_a_connection(void **state)
{
	struct chan_end_options ahead = {.credit = 4};
	struct chan_value v = chan_value_int(3);
	struct chan_client *c = client();
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 3, &ahead);

	(void)state;
	leave();
	assert_int_equal(chan_process(c), 0);
	assert_int_equal(chan_send_timeout(ch, &v, 20000000), CHAN_ETIMEDOUT);
	assert_int_equal(chan_recv_timeout(ch, &v, 20000000), CHAN_ETIMEDOUT);
	assert_false(chan_connected(c));
	chan_hangup(c);
}

/* Also while the keeper is at an attempt that takes long. */
/* What may not wait does not wait for a connection. */
static void test_tries_without_a_connection(void **state)
{
	struct chan_end_options ahead = {.credit = 4};
	struct chan_value v = chan_value_int(3);
	struct chan_client *c = client();
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 3, NULL);
	struct chan *other = fake_open(&broker, c, 2, 6, CHAN_TYPE_INT, 3, &ahead);
	struct chan_case cases[] = {{.chan = ch, .direction = CHAN_RECV}};

	(void)state;
	leave();
	assert_int_equal(chan_process(c), 0);
	assert_int_equal(chan_try_send(ch, &v), CHAN_ETIMEDOUT);
	assert_non_null(strstr(chan_error_text(), "no connection"));
	assert_int_equal(chan_try_recv(ch, &v), CHAN_ETIMEDOUT);
	assert_int_equal(chan_try_recv(other, &v), CHAN_ETIMEDOUT);
	assert_int_equal(chan_select(c, cases, 1, CHAN_TRY), CHAN_ETIMEDOUT);
	assert_int_equal(chan_start_recv(ch, CHAN_TRY, NULL, NULL), 0);
	assert_int_equal(await_completion(c).status, CHAN_ETIMEDOUT);
	assert_false(chan_connected(c));
	chan_hangup(c);
}

/* Nor for a keeper that is in the middle of an attempt; and a value that has come is kept for
 * later: its confirmation could not leave. */
static void test_tries_while_the_keeper_attempts(void **state)
{
	struct chan_end_options ahead = {.credit = 4};
	struct chan_value v = chan_value_int(3);
	struct chan_client *c = kept_client();
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 3, &ahead);
	int greeting;

	(void)state;
	deliver_strings(2, 1, 2);
	assert_int_equal(chan_recv(ch, &v), 1);
	chan_value_clear(&v);
	fake_cut(&broker);
	greeting = accept(broker.listener, NULL, NULL);
	assert_true(greeting >= 0);
	assert_int_equal(chan_try_recv(ch, &v), CHAN_ETIMEDOUT);
	assert_int_equal(chan_recv_timeout(ch, &v, 20000000), CHAN_ETIMEDOUT);
	leave();
	close(greeting);
	chan_hangup(c);
}

/* Whether who greets has given up and closed its end. */
static bool has_ended(int greeting)
{
	char bytes[1024];
	ssize_t n;

	do
		n = recv(greeting, bytes, sizeof(bytes), MSG_DONTWAIT);
	while (n > 0);
	return n == 0;
}

/* A call whose time is up returns, however long the attempt still takes. */
static void test_deadlines_while_the_keeper_attempts(void **state)
{
	struct chan_value v = chan_value_int(3);
	struct chan_client *c = kept_client();
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 3, NULL);
	int greeting;

	(void)state;
	fake_cut(&broker);
	greeting = accept(broker.listener, NULL, NULL);
	assert_true(greeting >= 0);
	assert_int_equal(chan_send_timeout(ch, &v, 20000000), CHAN_ETIMEDOUT);
	assert_false(has_ended(greeting)); /* it takes 5 s */
	leave();
	close(greeting);
	chan_hangup(c);
}

static void test_pauses_double_up_to_a_bound(void **state)
{
	struct reconnect r = {.chance = 1}, again = {.chance = 1};
	int64_t bound_ns = RECONNECT_PAUSE_MIN_NS, pause_ns, longest_ns;
	unsigned attempts;
	int i;

	(void)state;
	for (attempts = 1; attempts < 20; attempts++) {
		for (i = 0, longest_ns = 0; i < 100; i++) {
			pause_ns = reconnect_pause_ns(&r, attempts);
			assert_int_equal(pause_ns, reconnect_pause_ns(&again, attempts));
			assert_in_range(pause_ns, 0, bound_ns);
			longest_ns = pause_ns > longest_ns ? pause_ns : longest_ns;
		}
		assert_true(longest_ns > bound_ns / 2);
		bound_ns = bound_ns * 2 < RECONNECT_PAUSE_MAX_NS ? bound_ns * 2
								 : RECONNECT_PAUSE_MAX_NS;
	}
}

/* ---- what may be kept, and what was seen --------------------------------------------------- */

static void write_seen(uint64_t frames)
{
	struct message m = {.kind = MESSAGE_SEEN};

	m.ping.frames_received = frames;
	fake_write(&broker, &m, 0);
}

static void test_seen_makes_room(void **state)
{
	struct chan_client *c;
	struct chan *ch;
	unsigned i, frames = 0;

	(void)state;
	broker.limits.unseen_bytes = 1000;
	broker.limits.batch_values = 1;
	c = client();
	ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 3, NULL);
	for (i = 0; i < 100; i++)
		start_int(ch, i);
	while (frames < 100) {
		fake_turn(c);
		if (fake_is_quiet(&broker)) {
			write_seen(broker.frames);
			continue;
		}
		assert_int_equal(broker.m.seq, 2 + frames);
		frames++;
	}
	hang_up(c);
}

static void test_a_broker_that_says_too_much(void **state)
{
	struct chan_client *c = client();

	(void)state;
	write_seen(1000);
	assert_int_equal(chan_process(c), CHAN_EPROTOCOL);
	chan_hangup(c);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_what_arrived_is_not_sent_again_and_the_rest_is),
		TEST(test_half_a_frame_has_not_come),
		TEST(test_pieces_go_on),
		TEST(test_a_large_delivery_goes_on),
		TEST(test_greetings_that_are_lost),
		TEST(test_a_session_that_is_no_more),
		TEST(test_a_broker_that_restarted),
		TEST(test_a_stranger_by_one_way_of_two),
		TEST(test_without_linger_a_loss_is_the_end),
		TEST(test_who_does_not_want_to_reconnect_does_not_linger),
		TEST(test_nothing_is_handed_over_before_the_broker_has_answered),
		TEST(test_nothing_is_handed_over_without_a_connection),
		TEST(test_credit_of_a_value_that_went_in_the_middle),
		TEST(test_confirming_what_was_revoked_meanwhile),
		TEST(test_blocking_calls_stay_blocked_through_a_loss),
		TEST(test_a_ping_without_a_connection),
		TEST(test_hanging_up_while_the_connection_is_lost),
		TEST(test_the_keeper_gives_signs_of_life),
		TEST(test_the_keeper_reconnects),
		TEST(test_the_keeper_looks_after_who_waits_in_a_read),
		TEST(test_the_keeper_does_not_sleep_on_a_loss),
		TEST(test_the_keeper_leaves_the_socket_to_event_loops),
		TEST(test_the_keeper_notices_silence),
		TEST(test_threads_wait_for_the_keeper),
		TEST(test_the_keeper_follows_who_waits_to_write),
		TEST(test_a_limit_on_coming_back),
		TEST(test_coming_back_in_vain),
		TEST(test_nothing_waits_longer_than_the_session_lives),
		TEST(test_deadlines_without_a_connection),
		TEST(test_tries_without_a_connection),
		TEST(test_tries_while_the_keeper_attempts),
		TEST(test_deadlines_while_the_keeper_attempts),
		TEST(test_pauses_double_up_to_a_bound),
		TEST(test_seen_makes_room),
		TEST(test_a_broker_that_says_too_much),
	};

	return cmocka_run_group_tests_name("reconnect", tests, NULL, NULL);
}
