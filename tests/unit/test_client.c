#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chan/chan.h"
#include "proto/limits.h"
#include "tests/support/fake_broker.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
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

static int setup(void **state)
{
	(void)state;
	later_ns = 0;
	fake_start(&broker);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_stop(&broker);
	return 0;
}

/* The broker closes its side first, so that hanging up need not wait for it. */
static void hang_up(struct chan_client *c)
{
	shutdown(broker.fd, SHUT_WR);
	chan_hangup(c);
}

/* ---- dialling ----------------------------------------------------------------------------- */

static void test_the_greeting_says_who_speaks(void **state)
{
	struct chan_dial_options options = {.program = "tester", .group = "team"};
	const struct message *m;
	struct chan_client *c;

	(void)state;
	assert_int_equal(fake_dial(&broker, &options, &c), 0);
	m = fake_read(&broker, MESSAGE_HELLO);
	assert_int_equal(m->hello->version_max, PROTOCOL_VERSION);
	assert_string_equal(m->hello->speaker.program, "tester");
	assert_string_equal(m->hello->speaker.group, "team");
	assert_int_equal(m->hello->speaker.pid, getpid());
	assert_int_equal(m->hello->linger_ms, 30000);
	assert_string_equal(chan_broker(c), "fake 1");
	assert_int_equal(chan_incarnation(c), 77);
	hang_up(c);
	fake_read(&broker, MESSAGE_BYE);
}

static void test_where_nobody_listens(void **state)
{
	struct chan_client *c = NULL;

	(void)state;
	assert_int_equal(chan_dial("unix:/nowhere/socket", NULL, &c), CHAN_EUNREACHABLE);
	assert_non_null(strstr(chan_error_text(), "unix:/nowhere/socket"));
	assert_int_equal(chan_dial("tls://localhost:1", NULL, &c), CHAN_EUNREACHABLE);
	assert_null(c);
}

/* A listener that accepts nobody, whose queue is full: dialling ends in its time. */
static void on_alarm(int sig)
{
	(void)sig;
}

/* Has a signal interrupt what blocks, each so many microseconds; 0: no more. */
static void interrupt_each(suseconds_t us)
{
	const struct sigaction interrupts = {.sa_handler = on_alarm};
	const struct itimerval each = {{.tv_usec = us}, {.tv_usec = us}};

	sigaction(SIGALRM, &interrupts, NULL);
	setitimer(ITIMER_REAL, &each, NULL);
}

/* Signals that come meanwhile change nothing. */
static void test_a_full_queue_ends_in_time(void **state)
{
	struct chan_dial_options options = {.timeout_ns = 100000000};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), fd[3], i;
	struct chan_client *c;
	char url[128];

	(void)state;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/full", broker.directory);
	snprintf(url, sizeof(url), "unix:%s", address.sun_path);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 0), 0);
	for (i = 0; i < 3; i++) {
		fd[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(fd[i], (struct sockaddr *)&address, sizeof(address));
	}
	assert_int_equal(chan_dial(url, &options, &c), CHAN_ETIMEDOUT);
	interrupt_each(10000);
	assert_int_equal(chan_dial(url, &options, &c), CHAN_ETIMEDOUT);
	interrupt_each(0);
	for (i = 0; i < 3; i++)
		close(fd[i]);
	close(listener);
	unlink(address.sun_path);
}

static void test_urls_that_are_none(void **state)
{
	static const char *const bad[] = {"", "jobs", "unix:", "tcp://", "tcp://:1", "tcp://h:x",
		"tcp://h:99999", "tcp://::1:2426", "tcp://[::1", "tcp://[::1]x", "http://h"};
	struct chan_client *c = NULL;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(chan_dial(bad[i], NULL, &c), CHAN_EINVAL);
	assert_null(c);
}

static void test_a_broker_that_refuses(void **state)
{
	struct message m = {.kind = MESSAGE_GOAWAY};
	struct buf bytes = {0};
	struct chan_client *c;

	(void)state;
	m.goaway.status = CHAN_ELIMIT;
	m.goaway.message = "too many connections, 3 are allowed";
	wire_encode(&bytes, &m, 0, 0);
	broker.greeting = buf_data(&bytes);
	broker.greeting_bytes = buf_len(&bytes);
	assert_int_equal(fake_dial(&broker, NULL, &c), CHAN_ELIMIT);
	assert_non_null(strstr(chan_error_text(), "too many connections"));
	buf_fini(&bytes);
}

static void test_what_is_no_broker(void **state)
{
	struct chan_client *c;

	(void)state;
	broker.greeting = (const uint8_t *)"HTTP/1.1 400 Bad Request\r\n\r\n";
	broker.greeting_bytes = 28;
	assert_int_equal(fake_dial(&broker, NULL, &c), CHAN_EPROTOCOL);
}

static void test_a_broker_that_stays_silent(void **state)
{
	struct chan_dial_options options = {.timeout_ns = 50000000};
	struct chan_client *c;

	(void)state;
	broker.greeting = (const uint8_t *)"";
	assert_int_equal(fake_dial(&broker, &options, &c), CHAN_ETIMEDOUT);
}

/* ---- sending ------------------------------------------------------------------------------ */

static void start_sends(struct chan *ch, int first, int n)
{
	struct chan_value v;
	int i;

	for (i = first; i < first + n; i++) {
		v = chan_value_int(i);
		assert_int_equal(chan_start_send(ch, &v, 1, CHAN_FOREVER, NULL, NULL), 0);
	}
}

static void test_sends_share_a_frame(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 10, NULL);
	const struct message *m;
	int i;

	(void)state;
	start_sends(ch, 0, 10);
	assert_true(fake_is_quiet(&broker));
	chan_events(c);
	m = fake_read(&broker, MESSAGE_SEND);
	assert_int_equal(m->seq, 2);
	assert_int_equal(m->send.count, 10);
	assert_int_equal(m->send.channel, 5);
	assert_int_equal(fake_value(&broker, 9).bytes[7], 9);
	fake_done(&broker, 2, 3);
	fake_turn(c);
	for (i = 0; i < 3; i++)
		assert_int_equal(fake_completion(c).count, 1);
	assert_true(fake_no_completion(c));
	fake_done(&broker, 5, 6);
	fake_fail(&broker, 11, 1, CHAN_ECLOSED);
	fake_turn(c);
	for (i = 0; i < 6; i++)
		assert_int_equal(fake_completion(c).status, 0);
	assert_int_equal(fake_completion(c).status, CHAN_ECLOSED);
	assert_int_equal(chan_ops_pending(c), 0);
	hang_up(c);
}

static void test_a_batch_says_how_many_went(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 10, NULL);
	struct chan_value v[5];
	size_t sent = 99;
	int i;

	(void)state;
	for (i = 0; i < 5; i++)
		v[i] = chan_value_int(i);
	fake_done(&broker, 2, 2);
	fake_fail(&broker, 4, 3, CHAN_ECLOSED);
	assert_int_equal(chan_sendv(ch, v, 5, CHAN_FOREVER, &sent), CHAN_ECLOSED);
	assert_int_equal(sent, 2);
	v[4] = chan_value_bool(true); /* refuses all */
	assert_int_equal(chan_sendv(ch, v, 5, CHAN_FOREVER, &sent), CHAN_ETYPE);
	assert_int_equal(sent, 0);
	assert_int_equal(chan_sendv(ch, v, 0, CHAN_FOREVER, &sent), 0);
	fake_read(&broker, MESSAGE_SEND);
	assert_true(fake_is_quiet(&broker));
	hang_up(c);
}

static void test_without_a_buffer_a_frame_waits_for_the_one_before(void **state)
{
	static struct chan_value v[5000];
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 0, NULL);
	int i;

	(void)state;
	for (i = 0; i < 5000; i++)
		v[i] = chan_value_int(i);
	start_sends(ch, 0, 2); /* these do not wait for each other */
	assert_int_equal(chan_start_send(ch, v, 5000, CHAN_FOREVER, NULL, NULL), 0);
	chan_events(c);
	for (i = 0; i < 2; i++)
		assert_int_equal(fake_read(&broker, MESSAGE_SEND)->send.count, 1);
	assert_int_equal(fake_read(&broker, MESSAGE_SEND)->send.count, 4096);
	assert_true(fake_is_quiet(&broker));
	fake_done(&broker, 4, 4095);
	fake_turn(c);
	assert_true(fake_is_quiet(&broker));
	fake_done(&broker, 4099, 1);
	fake_turn(c);
	assert_int_equal(fake_read(&broker, MESSAGE_SEND)->send.count, 904);
	hang_up(c);
}

static void test_deadlines_and_tries_travel_alone(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 10, NULL);
	struct chan_value v = chan_value_int(1);
	const struct message *m;

	(void)state;
	start_sends(ch, 0, 1);
	assert_int_equal(chan_start_send(ch, &v, 1, 5000000000, NULL, NULL), 0);
	assert_int_equal(chan_start_send(ch, &v, 1, CHAN_TRY, NULL, NULL), 0);
	start_sends(ch, 0, 2);
	chan_events(c);
	m = fake_read(&broker, MESSAGE_SEND);
	assert_true(!m->send.try && m->send.timeout_ns == 0 && m->send.count == 1);
	m = fake_read(&broker, MESSAGE_SEND);
	assert_in_range(m->send.timeout_ns, 4000000000, 5000000000);
	m = fake_read(&broker, MESSAGE_SEND);
	assert_true(m->send.try && m->send.count == 1);
	m = fake_read(&broker, MESSAGE_SEND);
	assert_true(!m->send.try && m->send.count == 2);
	fake_done(&broker, 2, 5);
	fake_turn(c);
	assert_int_equal(chan_ops_pending(c), 5);
	hang_up(c);
}

static void start_string(struct chan *ch, const char *bytes, size_t len)
{
	struct chan_value v = chan_value_string(bytes, len);

	assert_int_equal(chan_start_send(ch, &v, 1, CHAN_FOREVER, NULL, NULL), 0);
}

static void test_a_large_value_leaves_in_pieces(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *a = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 10, NULL);
	struct chan *b = fake_open(&broker, c, 2, 6, CHAN_TYPE_STRING, 10, NULL);
	size_t len = 300000, got;
	char *large = malloc(len);
	unsigned pieces = 0;
	const struct message *m;

	(void)state;
	memset(large, 'x', len);
	start_string(a, large, len);
	start_string(a, "after", 5);
	start_string(b, "between", 7);
	chan_events(c);
	m = fake_read(&broker, MESSAGE_SEND);
	assert_int_equal(m->seq, 3);
	assert_int_equal(m->send.payload_bytes, len + VALUE_PREFIX_BYTES);
	assert_true(broker.frame.flags & FRAME_MORE);
	got = broker.frame.payload_bytes;
	/* What another channel sends waits for one frame at most. */
	m = fake_read(&broker, MESSAGE_SEND);
	assert_int_equal(m->send.channel, 6);
	do {
		fake_turn(c);
		fake_read(&broker, MESSAGE_PIECE);
		assert_int_equal(broker.m.seq, 3);
		got += broker.frame.payload_bytes;
		pieces++;
	} while (broker.frame.flags & FRAME_MORE);
	assert_int_equal(got, len + VALUE_PREFIX_BYTES);
	assert_true(pieces >= 4);
	fake_turn(c);
	m = fake_read(&broker, MESSAGE_SEND);
	assert_int_equal(m->send.channel, 5);
	assert_memory_equal(fake_value(&broker, 0).bytes, "after", 5);
	free(large);
	hang_up(c);
}

static void test_what_is_too_large_is_refused_here(void **state)
{
	struct chan_client *c;
	struct chan *ch;

	(void)state;
	broker.limits.value_bytes = 1000;
	c = fake_client(&broker);
	ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_BYTES, 10, NULL);
	assert_int_equal(chan_send_bytes(ch, broker.directory, 1001), CHAN_ETOOLARGE);
	assert_non_null(strstr(chan_error_text(), "1000"));
	hang_up(c);
}

static void test_limits_are_kept_by_waiting(void **state)
{
	struct chan_client *c;
	struct chan *ch;

	(void)state;
	broker.limits.ops_in_flight = 8;
	c = fake_client(&broker);
	ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 10, NULL);
	start_sends(ch, 0, 10);
	chan_events(c);
	/* Half of the limit is left for withdrawing. */
	assert_int_equal(fake_read(&broker, MESSAGE_SEND)->send.count, 4);
	assert_true(fake_is_quiet(&broker));
	fake_done(&broker, 2, 3);
	fake_turn(c);
	assert_int_equal(fake_read(&broker, MESSAGE_SEND)->send.count, 3);
	assert_int_equal(fake_value(&broker, 0).bytes[7], 4);
	fake_done(&broker, 5, 4);
	fake_turn(c);
	assert_int_equal(fake_read(&broker, MESSAGE_SEND)->send.count, 3);
	hang_up(c);
}

static void test_bytes_in_flight_hold_up_sends_only(void **state)
{
	struct chan_client *c;
	struct chan *ch;

	(void)state;
	broker.limits.bytes_in_flight = 100;
	c = fake_client(&broker);
	ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 10, NULL);
	start_string(ch, "0123456789012345678901234567890123456789012345678901234567890", 61);
	start_string(ch, "0123456789012345678901234567890123456789012345678901234567890", 61);
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
	chan_events(c);
	assert_int_equal(fake_read(&broker, MESSAGE_SEND)->send.count, 1);
	fake_read(&broker, MESSAGE_RECV);
	assert_true(fake_is_quiet(&broker));
	fake_done(&broker, 2, 1);
	fake_turn(c);
	fake_read(&broker, MESSAGE_SEND);
	hang_up(c);
}

static void test_any_carries_its_type(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_ANY, 10, NULL);
	struct chan_value v = chan_value_bool(true);
	struct wire_value sent;

	(void)state;
	fake_done(&broker, 2, 1);
	assert_int_equal(chan_send(ch, &v), 0);
	fake_read(&broker, MESSAGE_SEND);
	sent = fake_value(&broker, 0);
	assert_int_equal(sent.len, 2);
	assert_int_equal(sent.bytes[0], CHAN_TYPE_BOOL);
	fake_deliver(&broker, 3, 1,
		"\x04"
		"text");
	assert_int_equal(chan_recv(ch, &v), 1);
	assert_int_equal(v.type, CHAN_TYPE_STRING);
	assert_int_equal(v.len, 4);
	assert_string_equal(v.bytes, "text");
	chan_value_clear(&v);
	hang_up(c);
}

/* ---- receiving ---------------------------------------------------------------------------- */

static void test_a_value_is_confirmed_when_it_is_handed_over(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 0, NULL);
	struct chan_completion done;
	const struct message *m;

	(void)state;
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, &broker, NULL), 0);
	chan_events(c);
	m = fake_read(&broker, MESSAGE_RECV);
	assert_true(m->recv.credit == 1 && !m->recv.stream);
	fake_deliver(&broker, 2, 41, "hello");
	fake_turn(c);
	assert_true(fake_is_quiet(&broker));
	done = fake_completion(c);
	assert_ptr_equal(done.tag, &broker);
	assert_int_equal(done.status, 1);
	assert_string_equal(done.value.bytes, "hello");
	chan_value_clear(&done.value);
	chan_events(c);
	m = fake_read(&broker, MESSAGE_TAKEN);
	assert_int_equal(m->seq, 0);
	assert_int_equal(m->settle.deliveries.list[0].first, 41);
	hang_up(c);
}

static void test_many_values_are_confirmed_by_one_message(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 0, NULL);
	struct chan_completion done[4];
	const struct message *m;

	(void)state;
	for (uint64_t seq = 2; seq < 5; seq++)
		assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
	chan_events(c);
	for (uint64_t seq = 2; seq < 5; seq++) {
		fake_read(&broker, MESSAGE_RECV);
		fake_deliver(&broker, seq, 40 + seq, "hello");
	}
	fake_turn(c);
	assert_int_equal(chan_next_completions(c, done, 2), 2);
	m = fake_read(&broker, MESSAGE_TAKEN); /* and not the third, which is the library's still */
	assert_int_equal(m->settle.deliveries.list[0].first, 42);
	assert_int_equal(m->settle.deliveries.list[0].count, 2);
	assert_int_equal(chan_wait_completions(c, done + 2, 2, CHAN_FOREVER), 1);
	m = fake_read(&broker, MESSAGE_TAKEN);
	assert_int_equal(m->settle.deliveries.list[0].first, 44);
	assert_int_equal(chan_next_completions(c, done + 3, 1), 0);
	assert_int_equal(chan_wait_completions(c, done + 3, 1, CHAN_FOREVER), CHAN_EINVAL);
	for (int i = 0; i < 3; i++) {
		assert_string_equal(done[i].value.bytes, "hello");
		chan_value_clear(&done[i].value);
	}
	hang_up(c);
}

static void test_a_failure_is_the_last_that_a_call_takes(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 0, NULL);
	struct chan_completion done[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
	chan_events(c);
	fake_deliver(&broker, 2, 41, "hello");
	fake_fail(&broker, 3, 1, CHAN_EREMOVED);
	fake_fail(&broker, 4, 1, CHAN_ECLOSED);
	fake_turn(c);
	assert_int_equal(chan_wait_completions(c, done, 3, CHAN_FOREVER), 2);
	chan_value_clear(&done[0].value);
	assert_int_equal(done[1].status, CHAN_EREMOVED);
	assert_int_equal(done[1].error->status, CHAN_EREMOVED);
	assert_int_equal(chan_wait_completions(c, done, 0, CHAN_FOREVER), CHAN_EINVAL);
	assert_int_equal(chan_wait_completions(c, done, 3, CHAN_FOREVER), 1);
	assert_true(done[0].closed);
	hang_up(c);
}

/* The broker has work before the program waits. */
static void test_what_is_much_leaves_as_it_gathers(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 0, NULL);
	int started;

	(void)state;
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
	assert_true(fake_is_quiet(&broker));
	for (started = 1; fake_is_quiet(&broker) && started < 100000; started++)
		assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
	assert_in_range(started, 100, 10000);
	hang_up(c);
}

static void test_what_is_not_handed_over_goes_back(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 0, NULL);

	(void)state;
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
	chan_events(c);
	fake_read(&broker, MESSAGE_RECV);
	fake_deliver(&broker, 2, 41, "hello");
	fake_turn(c);
	hang_up(c); /* the session's end gives it back */
	fake_read(&broker, MESSAGE_BYE);
}

static void test_receives_end_when_closed_and_drained(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 3, NULL);
	int64_t i = 7;

	(void)state;
	fake_fail(&broker, 2, 1, CHAN_ECLOSED);
	assert_int_equal(chan_recv_int(ch, &i), 0);
	fake_fail(&broker, 3, 1, CHAN_EREMOVED);
	assert_int_equal(chan_recv_int(ch, &i), CHAN_EREMOVED);
	assert_int_equal(i, 7);
	hang_up(c);
}

static void test_receives_are_typed(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 3, NULL);
	int64_t i;
	char *text;
	size_t len;

	(void)state;
	assert_int_equal(chan_recv_int(ch, &i), CHAN_ETYPE);
	assert_int_equal(chan_recv_signal(ch), CHAN_ETYPE);
	fake_deliver(&broker, 2, 1, "text");
	assert_int_equal(chan_recv_string(ch, &text, &len), 1);
	assert_string_equal(text, "text");
	assert_int_equal(len, 4);
	free(text);
	hang_up(c);
}

static void test_a_value_that_is_none_is_not_believed(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 3, NULL);
	int64_t i;

	(void)state;
	fake_deliver(&broker, 2, 1, "short");
	assert_int_equal(chan_recv_int(ch, &i), CHAN_EPROTOCOL);
	hang_up(c);
}

static void test_manual_confirmation(void **state)
{
	struct chan_end_options manual = {.manual = true};
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 3, &manual);
	const struct message *m;
	struct chan_value v[2];

	(void)state;
	fake_deliver(&broker, 2, 8, "a");
	assert_int_equal(chan_recv(ch, &v[0]), 1);
	fake_deliver(&broker, 3, 7, "b");
	assert_int_equal(chan_recv(ch, &v[1]), 1);
	fake_read(&broker, MESSAGE_RECV);
	fake_read(&broker, MESSAGE_RECV);
	assert_true(fake_is_quiet(&broker));
	fake_done(&broker, 4, 1);
	assert_int_equal(chan_confirm(ch, v, 2), 0);
	m = fake_read(&broker, MESSAGE_TAKEN);
	assert_int_equal(m->seq, 4);
	assert_int_equal(m->settle.deliveries.count, 1);
	assert_int_equal(m->settle.deliveries.list[0].first, 7);
	assert_int_equal(m->settle.deliveries.list[0].count, 2);
	assert_int_equal(chan_return(ch, v, 1), CHAN_EINVAL);
	chan_value_clear(&v[0]);
	chan_value_clear(&v[1]);
	fake_deliver(&broker, 5, 9, "c");
	assert_int_equal(chan_recv(ch, &v[0]), 1);
	fake_fail(&broker, 6, 1, CHAN_EGONE);
	assert_int_equal(chan_return(ch, v, 1), CHAN_EGONE);
	chan_value_clear(&v[0]);
	hang_up(c);
}

/* ---- receiving ahead ---------------------------------------------------------------------- */

static const struct chan_end_options ahead = {.credit = 4};

static void deliver_some(uint64_t seq, uint64_t first, unsigned n)
{
	struct message m = {.kind = MESSAGE_DELIVER, .seq = seq};

	m.deliver.delivery = first;
	m.deliver.count = n;
	fake_write(&broker, &m, n, "a", "b", "c", "d", "e", "f");
}

static void test_values_fetched_ahead_are_granted_together(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 10, &ahead);
	const struct message *m;
	char *text;

	(void)state;
	deliver_some(2, 1, 4);
	assert_int_equal(chan_recv_string(ch, &text, NULL), 1);
	assert_string_equal(text, "a");
	free(text);
	m = fake_read(&broker, MESSAGE_RECV);
	assert_true(m->recv.stream && m->recv.credit == 4);
	/* The program may work on it for long: it is confirmed now. */
	assert_int_equal(fake_read(&broker, MESSAGE_TAKEN)->settle.deliveries.list[0].first, 1);
	assert_true(fake_is_quiet(&broker));
	/* Half of the credit is used. */
	assert_int_equal(chan_recv_string(ch, &text, NULL), 1);
	free(text);
	m = fake_read(&broker, MESSAGE_TAKEN);
	assert_int_equal(m->settle.deliveries.list[0].first, 2);
	assert_int_equal(m->settle.deliveries.list[0].count, 1);
	m = fake_read(&broker, MESSAGE_GRANT);
	assert_true(m->seq == 2 && m->grant.credit == 2);
	assert_int_equal(chan_recv_string(ch, &text, NULL), 1);
	assert_string_equal(text, "c");
	free(text);
	assert_int_equal(fake_read(&broker, MESSAGE_TAKEN)->settle.deliveries.list[0].first, 3);
	/* The end is given up: the rest goes back. */
	chan_release(ch);
	assert_int_equal(fake_read(&broker, MESSAGE_CANCEL)->cancel.target, 2);
	assert_int_equal(fake_read(&broker, MESSAGE_RETURN)->settle.deliveries.list[0].first, 4);
	fake_read(&broker, MESSAGE_RELEASE);
	/* What was on its way goes back, too. */
	deliver_some(2, 5, 6);
	fake_fail(&broker, 2, 1, CHAN_ECANCELED);
	fake_done(&broker, 3, 2);
	fake_turn(c);
	chan_events(c);
	for (uint64_t id = 5; id <= 10; id++)
		assert_int_equal(
			fake_read(&broker, MESSAGE_RETURN)->settle.deliveries.list[0].first, id);
	hang_up(c);
}

/* New credit is given before it runs out, and not a frame for each value. */
static void test_about_to_wait_grants(void **state)
{
	struct chan_end_options by_hand = {.credit = 4, .manual = true};
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 10, &by_hand);
	struct chan_value v[3];

	(void)state;
	deliver_some(2, 1, 3);
	assert_int_equal(chan_recv(ch, &v[0]), 1);
	fake_read(&broker, MESSAGE_RECV);
	assert_int_equal(chan_start_confirm(ch, &v[0], 1, NULL, NULL), 0);
	chan_events(c);
	fake_read(&broker, MESSAGE_TAKEN);
	assert_int_equal(fake_read(&broker, MESSAGE_GRANT)->grant.credit, 1);
	/* Half is left: */
	assert_int_equal(chan_recvv(ch, v + 1, 2, CHAN_FOREVER), 2);
	assert_int_equal(chan_start_confirm(ch, v + 1, 1, NULL, NULL), 0);
	chan_events(c);
	fake_read(&broker, MESSAGE_TAKEN);
	assert_int_equal(fake_read(&broker, MESSAGE_GRANT)->grant.credit, 1);
	assert_int_equal(chan_start_confirm(ch, v + 2, 1, NULL, NULL), 0);
	chan_events(c);
	fake_read(&broker, MESSAGE_TAKEN);
	assert_true(fake_is_quiet(&broker));
	for (int i = 0; i < 3; i++)
		chan_value_clear(&v[i]);
	hang_up(c);
}

static void test_a_stream_that_is_drained_stays_so(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 10, &ahead);
	struct chan_value v[8];

	(void)state;
	deliver_some(2, 1, 3);
	fake_fail(&broker, 2, 1, CHAN_ECLOSED);
	assert_int_equal(chan_recvv(ch, v, 8, CHAN_FOREVER), 3);
	chan_value_clear(&v[0]);
	chan_value_clear(&v[1]);
	chan_value_clear(&v[2]);
	assert_int_equal(chan_recvv(ch, v, 8, CHAN_FOREVER), 0);
	assert_int_equal(chan_try_recv(ch, v), 0);
	hang_up(c);
}

static void test_deadlines_of_values_fetched_ahead(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 10, &ahead);
	struct chan_value v;
	const struct message *m;

	(void)state;
	/* A try: the broker answers behind whatever there was to deliver. */
	fake_fail(&broker, 3, 1, CHAN_EWOULDBLOCK);
	assert_int_equal(chan_try_recv(ch, &v), CHAN_EWOULDBLOCK);
	fake_read(&broker, MESSAGE_RECV);
	m = fake_read(&broker, MESSAGE_SELECT);
	assert_true(m->select.try && m->select.case_count == 0);
	deliver_some(2, 1, 1);
	fake_fail(&broker, 4, 1, CHAN_EWOULDBLOCK);
	assert_int_equal(chan_try_recv(ch, &v), 1);
	chan_value_clear(&v);
	fake_read(&broker, MESSAGE_SELECT);
	fake_fail(&broker, 6, 1, CHAN_ETIMEDOUT);
	assert_int_equal(chan_recv_timeout(ch, &v, 1000000000), CHAN_ETIMEDOUT);
	hang_up(c);
}

static void test_a_stream_that_fails_begins_anew(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 10, &ahead);
	struct chan_value v;

	(void)state;
	fake_fail(&broker, 2, 1, CHAN_EABORTED);
	assert_int_equal(chan_recv(ch, &v), CHAN_EABORTED);
	deliver_some(3, 1, 1);
	assert_int_equal(chan_recv(ch, &v), 1);
	chan_value_clear(&v);
	hang_up(c);
}

static void test_large_values_arrive_in_pieces(void **state)
{
	struct message m = {.kind = MESSAGE_DELIVER, .seq = 2};
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 10, NULL);
	struct buf out = {0}, payload = {0};
	struct chan_completion done;

	(void)state;
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
	wire_value_put_prefix(&payload, 6, 3, 0);
	buf_append(&payload, "abcdef", 6);
	m.deliver.delivery = 9;
	m.deliver.count = 1;
	m.deliver.payload_bytes = buf_len(&payload);
	wire_encode(&out, &m, FRAME_MORE, 7);
	buf_append(&out, buf_data(&payload), 7);
	m = (struct message){.kind = MESSAGE_PIECE, .seq = 9};
	wire_encode(&out, &m, FRAME_MORE, 1);
	buf_append(&out, buf_data(&payload) + 7, 1);
	wire_encode(&out, &m, 0, (uint32_t)buf_len(&payload) - 8);
	buf_append(&out, buf_data(&payload) + 8, buf_len(&payload) - 8);
	fake_write_bytes(&broker, buf_data(&out), buf_len(&out));
	fake_turn(c);
	done = fake_completion(c);
	assert_string_equal(done.value.bytes, "abcdef");
	assert_int_equal(done.value.attempt, 3);
	chan_value_clear(&done.value);
	buf_fini(&payload);
	buf_fini(&out);
	hang_up(c);
}

/* ---- revoked ------------------------------------------------------------------------------ */

static void write_gone(uint64_t first, uint64_t count)
{
	struct wire_range range = {first, count};
	struct message m = {.kind = MESSAGE_GONE};

	m.settle.deliveries = (struct wire_ranges){&range, 1};
	fake_write(&broker, &m, 0);
}

static void test_what_was_revoked_is_not_handed_over(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 10, &ahead);
	char *text;

	(void)state;
	deliver_some(2, 1, 3);
	assert_int_equal(chan_recv_string(ch, &text, NULL), 1);
	free(text);
	write_gone(2, 1);
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0); /* "b" was at hand */
	fake_turn(c);
	assert_int_equal(fake_completion(c).status, CHAN_EGONE);
	assert_int_equal(chan_recv_string(ch, &text, NULL), 1);
	assert_string_equal(text, "c");
	free(text);
	hang_up(c);
}

/* A broker that answers sends which are still gathering is none. They gather while more is read
 * than one read takes. */
/* What an ended stream brought may be confirmed later; it is no credit for the stream after it. */
static void test_credit_goes_to_the_stream_that_gave_it(void **state)
{
	struct chan_end_options options = {.credit = 4, .manual = true};
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 10, &options);
	struct chan_value old[3], v[2];
	const struct message *m;

	(void)state;
	deliver_some(2, 1, 3);
	assert_int_equal(chan_recvv(ch, old, 3, CHAN_FOREVER), 3);
	write_gone(1, 3);
	fake_fail(&broker, 2, 1, CHAN_EGONE);
	deliver_some(3, 4, 2);
	assert_int_equal(chan_recvv(ch, v, 2, CHAN_FOREVER), 2);
	fake_fail(&broker, 4, 1, CHAN_EGONE);
	assert_int_equal(chan_confirm(ch, old, 3), CHAN_EGONE);
	fake_done(&broker, 5, 1);
	assert_int_equal(chan_confirm(ch, v, 2), 0);
	chan_events(c);
	assert_int_equal(fake_read(&broker, MESSAGE_RECV)->seq, 2);
	assert_int_equal(fake_read(&broker, MESSAGE_RECV)->seq, 3);
	fake_read(&broker, MESSAGE_TAKEN);
	fake_read(&broker, MESSAGE_TAKEN);
	m = fake_read(&broker, MESSAGE_GRANT);
	assert_true(m->seq == 3 && m->grant.credit == 2);
	for (int i = 0; i < 3; i++)
		chan_value_clear(&old[i]);
	for (int i = 0; i < 2; i++)
		chan_value_clear(&v[i]);
	hang_up(c);
}

static void test_an_answer_to_what_was_not_sent(void **state)
{
	struct message pong = {.kind = MESSAGE_PONG};
	struct chan_value v = chan_value_int(1);
	struct buf pongs = {0};
	struct chan_client *c;
	struct chan *ch;
	int i;

	(void)state;
	broker.limits.ops_in_flight = 4;
	c = fake_client(&broker);
	ch = fake_open(&broker, c, 1, 10, CHAN_TYPE_INT, 5, NULL);
	for (i = 0; i < 6; i++)
		assert_int_equal(chan_start_send(ch, &v, 1, CHAN_FOREVER, NULL, NULL), 0);
	chan_events(c);
	fake_read(&broker, MESSAGE_SEND);
	while (buf_len(&pongs) < 66000)
		wire_encode(&pongs, &pong, 0, 0);
	fake_done(&broker, 2, 2);
	fake_write_bytes(&broker, buf_data(&pongs), buf_len(&pongs));
	fake_done(&broker, 4, 2);
	assert_int_equal(chan_process(c), CHAN_EPROTOCOL);
	buf_fini(&pongs);
	hang_up(c);
}

static void test_nothing_is_handed_over_after_a_long_silence(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 10, NULL);
	struct message pong = {.kind = MESSAGE_PONG};
	struct chan_completion done;

	(void)state;
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
	chan_events(c);
	fake_read(&broker, MESSAGE_RECV);
	fake_deliver(&broker, 2, 1, "late");
	fake_turn(c);
	later_ns = 9000000000;
	assert_true(fake_no_completion(c));
	chan_events(c);
	while (broker.m.kind != MESSAGE_PING || broker.m.ping.nonce == 0)
		assert_true(fake_is_quiet(&broker)); /* passes over PINGs, and leaves them in m */
	pong.ping.nonce = broker.m.ping.nonce;
	fake_write(&broker, &pong, 0);
	fake_turn(c);
	done = fake_completion(c);
	assert_string_equal(done.value.bytes, "late");
	chan_value_clear(&done.value);
	hang_up(c);
}

static void test_who_waits_for_an_answer_is_told_of_the_end(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 10, &ahead);
	struct message bye = {.kind = MESSAGE_GOAWAY, .goaway = {CHAN_ESHUTDOWN, "", ""}};
	struct chan_value v;

	(void)state;
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
	chan_events(c);
	fake_read(&broker, MESSAGE_RECV);
	later_ns = 9000000000;
	deliver_some(2, 1, 3);
	fake_fail(&broker, 2, 1, CHAN_ECLOSED); /* too early, with values out */
	fake_turn(c);
	assert_true(fake_no_completion(c));
	fake_write(&broker, &bye, 0);
	fake_turn(c);
	assert_int_equal(fake_completion(c).status, CHAN_ESHUTDOWN);
	/* Three values were not received: the channel was not drained. */
	assert_int_equal(chan_recv(ch, &v), CHAN_EUNREACHABLE);
	hang_up(c);
}

/* ---- select ------------------------------------------------------------------------------- */

static void test_select_tells_its_case(void **state)
{
	struct message m = {.kind = MESSAGE_DELIVER, .seq = 3};
	struct chan_client *c = fake_client(&broker);
	struct chan *a = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 0, NULL);
	struct chan *b = fake_open(&broker, c, 2, 6, CHAN_TYPE_INT, 0, NULL);
	struct chan_case cases[3] = {
		{.chan = NULL, .direction = CHAN_RECV},
		{.chan = a, .direction = CHAN_RECV},
		{.chan = b, .direction = CHAN_SEND, .value = chan_value_int(3)},
	};
	const struct message *select;

	(void)state;
	m.deliver.delivery = 1;
	m.deliver.count = 1;
	fake_write(&broker, &m, 1, "x");
	assert_int_equal(chan_select(c, cases, 3, CHAN_FOREVER), 1);
	assert_true(cases[1].result == 1 && cases[2].result == 0);
	assert_string_equal(cases[1].value.bytes, "x");
	chan_value_clear(&cases[1].value);
	select = fake_read(&broker, MESSAGE_SELECT);
	assert_int_equal(select->select.case_count, 2);
	assert_int_equal(fake_value(&broker, 0).bytes[7], 3);
	m = (struct message){.kind = MESSAGE_DONE, .seq = 4};
	m.done.count = 1;
	m.done.case_index = 1;
	fake_write(&broker, &m, 0);
	assert_int_equal(chan_select(c, cases, 3, CHAN_FOREVER), 2);
	assert_int_equal(cases[2].result, 1);
	m = (struct message){.kind = MESSAGE_FAIL, .seq = 5};
	m.fail.count = 1;
	m.fail.status = CHAN_ECLOSED;
	fake_write(&broker, &m, 0);
	assert_int_equal(chan_select(c, cases, 3, CHAN_FOREVER), 1);
	assert_int_equal(cases[1].result, 0);
	m.seq = 6;
	m.fail.case_index = 1;
	fake_write(&broker, &m, 0);
	assert_int_equal(chan_select(c, cases, 3, CHAN_FOREVER), CHAN_ECLOSED);
	assert_int_equal(cases[2].result, CHAN_ECLOSED);
	fake_fail(&broker, 7, 1, CHAN_EWOULDBLOCK);
	assert_int_equal(chan_select(c, cases, 0, CHAN_TRY), CHAN_EWOULDBLOCK);
	hang_up(c);
}

/* ---- withdrawing -------------------------------------------------------------------------- */

static void test_withdrawing_a_receive(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 0, NULL);
	struct chan_op *op;
	struct chan_completion done;

	(void)state;
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, &op), 0);
	chan_op_cancel(op);
	fake_read(&broker, MESSAGE_RECV);
	assert_int_equal(fake_read(&broker, MESSAGE_CANCEL)->cancel.target, 2);
	chan_op_cancel(op); /* once is enough */
	assert_true(fake_is_quiet(&broker));
	fake_fail(&broker, 2, 1, CHAN_ECANCELED);
	fake_done(&broker, 3, 1);
	assert_int_equal(chan_op_wait(op, &done), 0);
	assert_int_equal(done.status, CHAN_ECANCELED);
	/* It was faster. */
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, &op), 0);
	chan_op_cancel(op);
	fake_deliver(&broker, 4, 1, "first");
	fake_done(&broker, 5, 1);
	assert_int_equal(chan_op_wait(op, &done), 0);
	assert_int_equal(done.status, 1);
	chan_value_clear(&done.value);
	hang_up(c);
}

static void test_withdrawing_a_batch_begins_at_its_end(void **state)
{
	struct chan_client *c;
	struct chan_value v[5];
	struct chan_op *op;
	struct chan_completion done;
	struct chan *ch;
	int i;

	(void)state;
	broker.limits.ops_in_flight = 6; /* so three are sent, and two wait here */
	c = fake_client(&broker);
	ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 10, NULL);
	for (i = 0; i < 5; i++)
		v[i] = chan_value_int(i);
	assert_int_equal(chan_start_send(ch, v, 5, CHAN_FOREVER, NULL, &op), 0);
	chan_events(c);
	assert_int_equal(fake_read(&broker, MESSAGE_SEND)->send.count, 3);
	chan_op_cancel(op);
	for (i = 4; i >= 2; i--)
		assert_int_equal(fake_read(&broker, MESSAGE_CANCEL)->cancel.target, i);
	fake_fail(&broker, 4, 1, CHAN_ECANCELED);
	fake_done(&broker, 5, 1);
	fake_done(&broker, 2, 2);
	fake_done(&broker, 6, 2);
	assert_int_equal(chan_op_wait(op, &done), 0);
	assert_int_equal(done.status, CHAN_ECANCELED);
	assert_int_equal(done.count, 2);
	hang_up(c);
}

/* ---- the connection's end ------------------------------------------------------------------- */

static void test_a_lost_connection(void **state)
{
	struct chan_client *c;
	struct chan *ch;

	(void)state;
	broker.limits.ops_in_flight = 4;
	c = fake_client(&broker);
	ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 10, NULL);
	start_sends(ch, 0, 3);
	chan_events(c);
	shutdown(broker.fd, SHUT_RDWR);
	assert_int_equal(chan_process(c), CHAN_EUNKNOWN);
	assert_int_equal(fake_completion(c).status, CHAN_EUNKNOWN);
	assert_int_equal(fake_completion(c).status, CHAN_EUNKNOWN);
	assert_int_equal(fake_completion(c).status, CHAN_EUNREACHABLE); /* never sent */
	assert_int_equal(chan_send_int(ch, 1), CHAN_EUNREACHABLE);
	assert_int_equal(chan_close(ch, NULL), CHAN_EUNREACHABLE);
	assert_int_equal(chan_ping(c, NULL), CHAN_EUNREACHABLE);
	chan_release(ch);
	chan_hangup(c);
}

static void test_what_was_said_at_the_end_counts(void **state)
{
	struct message m = {.kind = MESSAGE_GOAWAY};
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 10, NULL);

	(void)state;
	m.goaway.status = CHAN_ESHUTDOWN;
	m.goaway.message = "going down for the night";
	fake_write(&broker, &m, 0);
	close(broker.fd);
	broker.fd = -1;
	assert_int_equal(chan_send_int(ch, 1), CHAN_ESHUTDOWN);
	assert_non_null(strstr(chan_error_text(), "for the night"));
	assert_int_equal(chan_send_int(ch, 1), CHAN_EUNREACHABLE);
	chan_hangup(c);
}

static void test_values_of_a_lost_session_are_not_handed_over(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 10, &ahead);
	struct chan_value v;
	char *text;

	(void)state;
	deliver_some(2, 1, 2);
	assert_int_equal(chan_recv_string(ch, &text, NULL), 1);
	free(text);
	shutdown(broker.fd, SHUT_RDWR);
	assert_int_equal(chan_process(c), CHAN_EUNKNOWN);
	assert_int_equal(chan_recv(ch, &v), CHAN_EUNREACHABLE);
	chan_hangup(c);
}

/* ---- a broker that breaks the protocol ------------------------------------------------------ */

static void write_to_receive(const struct message *m, unsigned count)
{
	fake_write(&broker, m, count, "a", "b");
}

static void answer_nothing(void)
{
	fake_done(&broker, 99, 1);
}

static void answer_too_often(void)
{
	fake_fail(&broker, 2, 2, CHAN_ECANCELED);
}

static void succeed_without_a_value(void)
{
	fake_done(&broker, 2, 1);
}

static void fail_without_a_status(void)
{
	fake_fail(&broker, 2, 1, 0);
}

static void deliver_to_nobody(void)
{
	fake_deliver(&broker, 7, 1, "x");
}

static void deliver_two_to_one(void)
{
	struct message m = {.kind = MESSAGE_DELIVER, .seq = 2};

	m.deliver.count = 2;
	write_to_receive(&m, 2);
}

static void deliver_less_than_said(void)
{
	struct message m = {.kind = MESSAGE_DELIVER, .seq = 2};

	m.deliver.count = 1;
	write_to_receive(&m, 0);
}

static void open_what_is_no_open(void)
{
	struct message m = {.kind = MESSAGE_OPENED, .seq = 2};

	fake_write(&broker, &m, 0);
}

static void list_what_is_no_list(void)
{
	struct message m = {.kind = MESSAGE_STATS, .seq = 2};

	fake_write(&broker, &m, 0);
}

static void greet_again(void)
{
	struct message m = {.kind = MESSAGE_WELCOME,
		.welcome = &(struct wire_welcome){.version = PROTOCOL_VERSION}};

	fake_write(&broker, &m, 0);
}

static void speak_like_a_client(void)
{
	struct message m = {.kind = MESSAGE_BYE};

	fake_write(&broker, &m, 0);
}

static void deliver_pieces_without_end(void)
{
	struct message m = {.kind = MESSAGE_DELIVER, .seq = 2};
	struct buf out = {0};

	m.deliver.delivery = 1;
	m.deliver.count = 1;
	m.deliver.payload_bytes = 10;
	wire_encode(&out, &m, FRAME_MORE, 8);
	buf_append(&out, "12345678", 8);
	m = (struct message){.kind = MESSAGE_PIECE, .seq = 1};
	wire_encode(&out, &m, FRAME_MORE, 8);
	buf_append(&out, "12345678", 8);
	fake_write_bytes(&broker, buf_data(&out), buf_len(&out));
	buf_fini(&out);
}

static void speak_nonsense(void)
{
	fake_write_bytes(&broker, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
}

static void test_breaches_end_the_session_alone(void **state)
{
	static void (*const breaches[])(void) = {answer_nothing, answer_too_often,
		succeed_without_a_value, fail_without_a_status, deliver_to_nobody,
		deliver_two_to_one, deliver_less_than_said, open_what_is_no_open,
		list_what_is_no_list, greet_again, speak_like_a_client, deliver_pieces_without_end,
		speak_nonsense};
	struct chan_client *c;
	struct chan *ch;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(breaches) / sizeof(*breaches); i++) {
		c = fake_client(&broker);
		ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 10, NULL);
		assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL), 0);
		chan_events(c);
		breaches[i]();
		assert_int_equal(chan_process(c), CHAN_EPROTOCOL);
		assert_true(fake_completion(c).status < 0);
		chan_hangup(c);
		close(broker.fd);
		broker.fd = -1;
		buf_fini(&broker.in);
		broker.taken = 0;
	}
}

/* Answers of every kind to what start_everything starts, in one run of bytes. */
static void put_answers(struct buf *out)
{
	static const struct wire_range range = {1, 3};
	struct message m[] = {
		{.kind = MESSAGE_DELIVER, .seq = 3},
		{.kind = MESSAGE_DONE, .seq = 4},
		{.kind = MESSAGE_GONE},
		{.kind = MESSAGE_PING},
		{.kind = MESSAGE_FAIL, .seq = 6},
		{.kind = MESSAGE_DELIVER, .seq = 7},
		{.kind = MESSAGE_PIECE, .seq = 9},
		{.kind = MESSAGE_FAIL, .seq = 3},
		{.kind = MESSAGE_GOAWAY},
	};
	struct buf value = {0};
	size_t i;

	wire_value_put_prefix(&value, 3, 2, 0);
	buf_append(&value, "abc", 3);
	m[0].deliver.count = m[5].deliver.count = 1;
	m[0].deliver.delivery = 1;
	m[5].deliver.delivery = 9;
	m[5].deliver.payload_bytes = buf_len(&value);
	m[2].settle.deliveries = (struct wire_ranges){&range, 1};
	m[1].done.count = 2;
	m[4].fail.count = m[7].fail.count = 1;
	m[4].fail.status = CHAN_ECLOSED;
	m[7].fail.status = CHAN_ECANCELED;
	m[8].goaway.status = CHAN_ESHUTDOWN;
	for (i = 0; i < sizeof(m) / sizeof(*m); i++) {
		/* All of the value, its first 5 bytes, or the rest. */
		size_t from = m[i].kind == MESSAGE_PIECE ? 5 : 0;
		size_t to = i == 5 ? 5 : from || m[i].kind == MESSAGE_DELIVER ? buf_len(&value) : 0;

		wire_encode(out, &m[i], i == 5 ? FRAME_MORE : 0, (uint32_t)(to - from));
		buf_append(out, buf_data(&value) + from, to - from);
	}
	buf_fini(&value);
}

/* A stream (3), two sends (4, 5), a select (6) and a receive (7). */
static void start_everything(struct chan_client *c, struct chan *one, struct chan *stream)
{
	struct chan_case cases[2] = {
		{.chan = one, .direction = CHAN_RECV},
		{.chan = one, .direction = CHAN_SEND, .value = chan_value_string("x", 1)},
	};

	chan_start_recv(stream, CHAN_FOREVER, NULL, NULL);
	start_string(one, "first", 5);
	start_string(one, "second", 6);
	chan_start_select(c, cases, 2, CHAN_FOREVER, NULL, NULL);
	chan_start_recv(one, CHAN_FOREVER, NULL, NULL);
	chan_events(c);
}

/* Nothing that a broker writes makes the library crash or wait for ever. */
static void test_turned_bytes_are_survived(void **state)
{
	struct chan_completion done;
	struct chan *one, *stream;
	struct buf out = {0};
	struct chan_client *c;
	unsigned seed;

	(void)state;
	for (seed = 0; seed < 300; seed++) {
		unsigned at = seed;

		c = fake_client(&broker);
		one = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 10, NULL);
		stream = fake_open(&broker, c, 2, 6, CHAN_TYPE_STRING, 10, &ahead);
		start_everything(c, one, stream);
		put_answers(&out);
		if (seed > 0)
			buf_data(&out)[(unsigned)rand_r(&at) % buf_len(&out)] ^=
				(uint8_t)(1u << rand_r(&at) % 8);
		fake_write_bytes(&broker, buf_data(&out), buf_len(&out));
		fake_turn(c);
		if (seed == 0) /* as they are meant */
			assert_int_equal(chan_process(c), CHAN_ESHUTDOWN);
		while (chan_next_completion(c, &done) > 0)
			chan_value_clear(&done.value);
		hang_up(c);
		close(broker.fd);
		broker.fd = -1;
		buf_fini(&broker.in);
		broker.taken = 0;
		buf_fini(&out);
	}
}

/* ---- many threads --------------------------------------------------------------------------- */

enum { THREADS = 4, SENDS = 1000 };

/* Answers whatever is sent, of what came together the last first. */
static void *answer_all(void *arg)
{
	struct message seen[64];
	unsigned answered = 0;
	size_t n = 0;

	(void)arg;
	while (answered < THREADS * SENDS && fake_wait(&broker, true)) {
		do {
			seen[n++] = broker.m;
		} while (n < 64 && fake_wait(&broker, false));
		for (; n > 0; n--) {
			fake_done(&broker, seen[n - 1].seq, seen[n - 1].send.count);
			answered += seen[n - 1].send.count;
		}
	}
	return NULL;
}

static void *send_many(void *arg)
{
	long i, failed = 0;

	for (i = 0; i < SENDS; i++)
		failed += chan_send_int(arg, i) != 0;
	return (void *)failed;
}

static void test_threads_share_a_connection(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_INT, 10, NULL);
	struct chan_op *waiting;
	pthread_t threads[THREADS], answerer;
	void *failed;
	int i;

	(void)state;
	/* One that is never answered holds nobody up. */
	assert_int_equal(chan_start_recv(ch, CHAN_FOREVER, NULL, &waiting), 0);
	chan_events(c);
	fake_read(&broker, MESSAGE_RECV);
	pthread_create(&answerer, NULL, answer_all, NULL);
	for (i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, send_many, ch);
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	pthread_join(answerer, NULL);
	assert_true(fake_no_completion(c));
	hang_up(c);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_the_greeting_says_who_speaks),
		TEST(test_where_nobody_listens),
		TEST(test_urls_that_are_none),
		TEST(test_a_broker_that_refuses),
		TEST(test_what_is_no_broker),
		TEST(test_a_broker_that_stays_silent),
		TEST(test_sends_share_a_frame),
		TEST(test_a_batch_says_how_many_went),
		TEST(test_without_a_buffer_a_frame_waits_for_the_one_before),
		TEST(test_deadlines_and_tries_travel_alone),
		TEST(test_a_large_value_leaves_in_pieces),
		TEST(test_what_is_too_large_is_refused_here),
		TEST(test_limits_are_kept_by_waiting),
		TEST(test_bytes_in_flight_hold_up_sends_only),
		TEST(test_any_carries_its_type),
		TEST(test_a_value_is_confirmed_when_it_is_handed_over),
		TEST(test_many_values_are_confirmed_by_one_message),
		TEST(test_a_failure_is_the_last_that_a_call_takes),
		TEST(test_what_is_much_leaves_as_it_gathers),
		TEST(test_what_is_not_handed_over_goes_back),
		TEST(test_receives_end_when_closed_and_drained),
		TEST(test_receives_are_typed),
		TEST(test_a_value_that_is_none_is_not_believed),
		TEST(test_manual_confirmation),
		TEST(test_values_fetched_ahead_are_granted_together),
		TEST(test_about_to_wait_grants),
		TEST(test_a_stream_that_is_drained_stays_so),
		TEST(test_deadlines_of_values_fetched_ahead),
		TEST(test_a_stream_that_fails_begins_anew),
		TEST(test_large_values_arrive_in_pieces),
		TEST(test_what_was_revoked_is_not_handed_over),
		TEST(test_nothing_is_handed_over_after_a_long_silence),
		TEST(test_who_waits_for_an_answer_is_told_of_the_end),
		TEST(test_a_full_queue_ends_in_time),
		TEST(test_credit_goes_to_the_stream_that_gave_it),
		TEST(test_an_answer_to_what_was_not_sent),
		TEST(test_select_tells_its_case),
		TEST(test_withdrawing_a_receive),
		TEST(test_withdrawing_a_batch_begins_at_its_end),
		TEST(test_a_lost_connection),
		TEST(test_what_was_said_at_the_end_counts),
		TEST(test_values_of_a_lost_session_are_not_handed_over),
		TEST(test_breaches_end_the_session_alone),
		TEST(test_turned_bytes_are_survived),
		TEST(test_threads_share_a_connection),
	};

	return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
