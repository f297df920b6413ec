/*
 * test_client_lease.c - leases, aborts and attributes in libchan, against a broker that the test
 * plays.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chan/chan.h"
#include "tests/support/fake_broker.h"
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

/* How much later it is for the client than it is. */
static int64_t later_ns;

int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	int rc = __real_clock_gettime(clock, ret);

	ret->tv_sec += later_ns / SECOND_NS;
	return rc;
}

static struct fake_broker broker;
static const struct chan_end_options leased = {.lease_ns = 60 * SECOND_NS};

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

static void deliver(uint64_t seq, uint64_t delivery, uint64_t token, const char *text)
{
	struct message m = {.kind = MESSAGE_DELIVER, .seq = seq};
	struct buf payload = {0}, out = {0};

	wire_value_put_prefix(&payload, strlen(text), 2, token);
	buf_append(&payload, text, strlen(text));
	m.deliver.delivery = delivery;
	m.deliver.channel = 5;
	m.deliver.count = 1;
	m.deliver.payload_bytes = buf_len(&payload);
	wire_encode(&out, &m, 0, (uint32_t)buf_len(&payload));
	buf_append(&out, buf_data(&payload), buf_len(&payload));
	fake_write_bytes(&broker, buf_data(&out), buf_len(&out));
	buf_fini(&payload);
	buf_fini(&out);
}

/* Receives one under a lease; the frames that that takes are read. */
static struct chan_value receive(struct chan *ch, uint64_t seq, uint64_t delivery)
{
	struct chan_value v;

	deliver(seq, delivery, 1000 + delivery, "x");
	assert_int_equal(chan_recv(ch, &v), 1);
	fake_read(&broker, MESSAGE_RECV);
	fake_read(&broker, MESSAGE_TAKEN);
	return v;
}

static void gone(uint64_t first, uint64_t count)
{
	struct wire_range range = {first, count};
	struct message m = {.kind = MESSAGE_GONE, .settle = {.deliveries = {&range, 1}}};

	fake_write(&broker, &m, 0);
}

static void test_a_leased_value_is_taken_when_it_is_handed_over(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 3, &leased);
	const struct message *m;
	struct chan_value v;

	(void)state;
	deliver(2, 8, 1234, "x");
	assert_int_equal(chan_recv(ch, &v), 1);
	m = fake_read(&broker, MESSAGE_RECV);
	assert_int_equal(m->recv.lease_ns, 60 * SECOND_NS);
	m = fake_read(&broker, MESSAGE_TAKEN);
	assert_int_equal(m->settle.deliveries.list[0].first, 8);
	assert_int_equal(v.delivery, 8);
	assert_int_equal(v.token, 1234);
	assert_int_equal(v.attempt, 2);
	fake_done(&broker, 3, 1);
	assert_int_equal(chan_ack(ch, &v, 1), 0);
	m = fake_read(&broker, MESSAGE_ACK);
	assert_int_equal(m->seq, 3);
	assert_int_equal(m->settle.deliveries.list[0].first, 8);
	assert_int_equal(v.delivery, 0);
	assert_int_equal(chan_ack(ch, &v, 1), CHAN_EINVAL);
	chan_value_clear(&v);
	hang_up(c);
}

static void test_leases_are_given_back_and_extended(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 3, &leased);
	struct chan_value v[2] = {receive(ch, 2, 7), receive(ch, 3, 8)};
	const struct message *m;

	(void)state;
	fake_done(&broker, 4, 1);
	assert_int_equal(chan_extend(ch, v, 2, 90 * SECOND_NS), 0);
	m = fake_read(&broker, MESSAGE_EXTEND);
	assert_int_equal(m->settle.lease_ns, 90 * SECOND_NS);
	assert_int_equal(m->settle.deliveries.list[0].first, 7);
	assert_int_equal(m->settle.deliveries.list[0].count, 2);
	assert_int_equal(v[0].delivery, 7);
	fake_done(&broker, 5, 1);
	assert_int_equal(chan_nack(ch, v, 2, SECOND_NS), 0);
	m = fake_read(&broker, MESSAGE_NACK);
	assert_int_equal(m->settle.delay_ns, SECOND_NS);
	assert_int_equal(v[1].delivery, 0);
	chan_value_clear(&v[0]);
	chan_value_clear(&v[1]);
	hang_up(c);
}

static void test_what_is_wrong_is_refused_here(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 3, &leased);
	struct chan *plain = fake_open(&broker, c, 2, 6, CHAN_TYPE_STRING, 3, NULL);
	struct chan_value v = receive(ch, 3, 7);
	char *text;

	(void)state;
	assert_int_equal(chan_nack(ch, &v, 1, -1), CHAN_EINVAL);
	assert_int_equal(chan_extend(ch, &v, 1, 0), CHAN_EINVAL);
	assert_int_equal(chan_confirm(ch, &v, 1), CHAN_EINVAL);
	assert_non_null(strstr(chan_error_text(), "chan_ack"));
	assert_int_equal(chan_ack(plain, &v, 1), CHAN_EINVAL);
	assert_non_null(strstr(chan_error_text(), "acknowledge values of '"));
	assert_non_null(strstr(chan_error_text(), "chan_confirm"));
	assert_int_equal(chan_confirm(plain, &(struct chan_value){.delivery = 0}, 1), CHAN_EINVAL);
	assert_non_null(strstr(chan_error_text(), "opened with manual confirmation"));
	assert_int_equal(chan_recv_string(ch, &text, NULL), CHAN_EINVAL);
	assert_int_equal(v.delivery, 7);
	assert_true(fake_is_quiet(&broker));
	chan_value_clear(&v);
	hang_up(c);
}

static void test_a_lost_lease_is_known(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 9, &leased);
	struct chan_value v[3] = {receive(ch, 2, 7), receive(ch, 3, 8), receive(ch, 4, 10)};

	(void)state;
	assert_false(chan_lease_lost(ch, &v[0]));
	gone(8, 2);
	assert_false(chan_lease_lost(ch, &v[0]));
	assert_true(chan_lease_lost(ch, &v[1]));
	assert_false(chan_lease_lost(ch, &v[2]));
	fake_fail(&broker, 5, 1, CHAN_EGONE);
	assert_int_equal(chan_extend(ch, v, 3, 120 * SECOND_NS), CHAN_EGONE);
	assert_true(chan_lease_lost(ch, &v[1]));
	later_ns = 61 * SECOND_NS;
	assert_false(chan_lease_lost(ch, &v[0])); /* that was extended */
	later_ns = 121 * SECOND_NS;
	assert_true(chan_lease_lost(ch, &v[0]));
	for (int i = 0; i < 3; i++)
		chan_value_clear(&v[i]);
	hang_up(c);
}

static void test_a_lease_is_lost_with_its_session(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 9, &leased);
	struct message goaway = {.kind = MESSAGE_GOAWAY};
	struct chan_value v = receive(ch, 2, 7);

	(void)state;
	goaway.goaway.status = CHAN_ESHUTDOWN;
	goaway.goaway.message = "bye";
	fake_write(&broker, &goaway, 0);
	close(broker.fd);
	broker.fd = -1;
	while (!chan_lease_lost(ch, &v))
		chan_process(c);
	chan_value_clear(&v);
	chan_hangup(c);
}

static void test_fetching_ahead_leases_each_as_it_is_handed_over(void **state)
{
	struct chan_end_options ahead = {.lease_ns = SECOND_NS, .credit = 4};
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 9, &ahead);
	const struct message *m;
	struct chan_value v;

	(void)state;
	deliver(2, 1, 101, "a");
	deliver(2, 2, 102, "b");
	assert_int_equal(chan_recv(ch, &v), 1);
	m = fake_read(&broker, MESSAGE_RECV);
	assert_true(m->recv.stream);
	assert_int_equal(m->recv.lease_ns, SECOND_NS);
	m = fake_read(&broker, MESSAGE_TAKEN);
	assert_int_equal(m->settle.deliveries.list[0].first, 1);
	assert_int_equal(m->settle.deliveries.list[0].count, 1);
	assert_int_equal(v.token, 101);
	chan_value_clear(&v);
	hang_up(c);
}

static void test_a_select_leases_too(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 9, &leased);
	struct chan_case one = {.chan = ch, .direction = CHAN_RECV};
	const struct message *m;

	(void)state;
	deliver(2, 1, 101, "a");
	assert_int_equal(chan_select(c, &one, 1, CHAN_FOREVER), 0);
	m = fake_read(&broker, MESSAGE_SELECT);
	assert_int_equal(m->select.cases[0].lease_ns, 60 * SECOND_NS);
	assert_int_equal(one.value.delivery, 1);
	assert_false(chan_lease_lost(ch, &one.value));
	chan_value_clear(&one.value);
	hang_up(c);
}

static void test_asynchronously(void **state)
{
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 9, &leased);
	struct chan_value v[2] = {receive(ch, 2, 7), receive(ch, 3, 8)};
	struct chan_completion done;

	(void)state;
	assert_int_equal(chan_start_extend(ch, v, 2, SECOND_NS, NULL, NULL), 0);
	assert_int_equal(chan_start_ack(ch, v, 1, NULL, NULL), 0);
	assert_int_equal(chan_start_nack(ch, v + 1, 1, 0, NULL, NULL), 0);
	assert_int_equal(chan_start_abort(ch, "why", NULL, NULL), 0);
	assert_int_equal(v[0].delivery | v[1].delivery, 0);
	fake_turn(c);
	fake_read(&broker, MESSAGE_EXTEND);
	fake_read(&broker, MESSAGE_ACK);
	fake_read(&broker, MESSAGE_NACK);
	assert_true(fake_read(&broker, MESSAGE_CLOSE)->close.abort);
	fake_done(&broker, 4, 2);
	fake_fail(&broker, 6, 1, CHAN_EGONE);
	fake_done(&broker, 7, 1);
	fake_turn(c);
	for (int i = 0; i < 4; i++) {
		done = fake_completion(c);
		assert_int_equal(done.status, i == 2 ? CHAN_EGONE : 0);
	}
	chan_value_clear(&v[0]);
	chan_value_clear(&v[1]);
	hang_up(c);
}

/* Of an end that fetches ahead as of any other. */
static void test_an_aborted_channel_says_by_whom(void **state)
{
	struct chan_end_options ahead = {.credit = 4};
	struct chan_client *c = fake_client(&broker);
	struct chan *ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 9, &ahead);
	struct chan *plain = fake_open(&broker, c, 2, 5, CHAN_TYPE_STRING, 9, NULL);
	struct chan_case one = {.chan = plain, .direction = CHAN_RECV};
	struct message m = {.kind = MESSAGE_FAIL, .seq = 3};
	struct chan_value v;

	(void)state;
	m.fail.status = CHAN_EABORTED;
	m.fail.message = "receive from 'c': the channel was aborted by p[1]@h";
	m.fail.closed_by = "p[1]@h";
	m.fail.reason = "died";
	m.fail.closed_unix_ns = 5;
	for (; m.seq <= 5; m.seq++) {
		fake_write(&broker, &m, 0);
		assert_int_equal(m.seq == 3   ? chan_recv(ch, &v)
				 : m.seq == 4 ? chan_recv(plain, &v)
					      : chan_select(c, &one, 1, CHAN_FOREVER),
			CHAN_EABORTED);
		assert_string_equal(chan_last_error()->closed_by, "p[1]@h");
		assert_string_equal(chan_last_error()->reason, "died");
		assert_int_equal(chan_last_error()->closed_unix_ns, 5);
	}
	assert_int_equal(one.result, CHAN_EABORTED);
	hang_up(c);
}

static void test_attributes_travel(void **state)
{
	struct chan_make_options options = {
		.producers = CHAN_PRODUCERS_AUTO, .attempts_max = 3, .dead_letter = "dead"};
	struct message opened = {.kind = MESSAGE_OPENED, .seq = 1};
	struct chan_client *c = fake_client(&broker);
	const struct message *m;

	(void)state;
	opened.opened.channel = 5;
	opened.opened.name = "c";
	opened.opened.type = CHAN_TYPE_INT;
	fake_write(&broker, &opened, 0);
	assert_int_equal(chan_make(c, "c", CHAN_TYPE_INT, 0, &options, NULL), 0);
	m = fake_read(&broker, MESSAGE_MAKE);
	assert_int_equal(m->make.attribute_count, 3);
	assert_string_equal(m->make.attributes[0].name, "producers");
	assert_memory_equal(m->make.attributes[0].value.bytes, "auto", 4);
	assert_string_equal(m->make.attributes[1].name, "attempts_max");
	assert_memory_equal(m->make.attributes[1].value.bytes, "3", 1);
	assert_string_equal(m->make.attributes[2].name, "dead_letter");
	assert_memory_equal(m->make.attributes[2].value.bytes, "dead", 4);
	options = (struct chan_make_options){.producers = 12};
	opened.seq = 2;
	fake_write(&broker, &opened, 0);
	assert_int_equal(chan_make(c, "c", CHAN_TYPE_INT, 0, &options, NULL), 0);
	m = fake_read(&broker, MESSAGE_MAKE);
	assert_int_equal(m->make.attribute_count, 1);
	assert_int_equal(m->make.attributes[0].value.len, 2);
	hang_up(c);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_leased_value_is_taken_when_it_is_handed_over),
		TEST(test_leases_are_given_back_and_extended),
		TEST(test_what_is_wrong_is_refused_here),
		TEST(test_a_lost_lease_is_known),
		TEST(test_a_lease_is_lost_with_its_session),
		TEST(test_fetching_ahead_leases_each_as_it_is_handed_over),
		TEST(test_a_select_leases_too),
		TEST(test_asynchronously),
		TEST(test_an_aborted_channel_says_by_whom),
		TEST(test_attributes_travel),
	};

	return cmocka_run_group_tests_name("client_lease", tests, NULL, NULL);
}
