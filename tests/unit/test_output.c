#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chan/chan.h"
#include "tests/support/fake_broker.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* What the socket does to the client's writes. */
static int client_fd;
static unsigned writes;
static bool takes_little;
static unsigned seed;

ssize_t __real_send(int fd, const void *bytes, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t n, int flags);

ssize_t __wrap_send(int fd, const void *bytes, size_t n, int flags)
{
	if (fd != client_fd)
		return __real_send(fd, bytes, n, flags);
	writes++;
	if (takes_little && rand_r(&seed) % 4 == 0) {
		errno = EAGAIN;
		return -1;
	}
	if (takes_little && n > 1 && rand_r(&seed) % 2)
		n = 1 + (size_t)rand_r(&seed) % (n - 1);
	return __real_send(fd, bytes, n, flags);
}

static struct fake_broker broker;

static int setup(void **state)
{
	(void)state;
	client_fd = -1;
	takes_little = false;
	fake_start(&broker);
	broker.linger_ms = 30000;
	broker.limits.batch_values = 1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_stop(&broker);
	return 0;
}

static struct chan_client *client(void)
{
	struct chan_client *c = NULL;

	assert_int_equal(
		fake_dial(&broker, &(struct chan_dial_options){.no_keeper = true}, &c), 0);
	fake_read(&broker, MESSAGE_HELLO);
	return c;
}

/* Its connection ends first, so that it waits for nobody. */
static void give_up(struct chan_client *c)
{
	fake_cut(&broker);
	chan_hangup(c);
}

static void start(struct chan *ch, const char *text)
{
	struct chan_value v = chan_value_string(text, strlen(text));

	assert_int_equal(chan_start_send(ch, &v, 1, CHAN_FOREVER, NULL, NULL), 0);
}

static void write_seen(void)
{
	struct message m = {.kind = MESSAGE_SEEN};

	m.ping.frames_received = broker.frames;
	fake_write(&broker, &m, 0);
}

/* ---- what came is said with what is written anyway ------------------------------------------ */

/* A client of a broker that may keep so much, and that has answered so many sends on *ret_ch; the client
 * has not looked yet. */
static struct chan_client *answered(uint32_t unseen_bytes, unsigned sends, struct chan **ret_ch)
{
	struct chan_client *c;

	broker.limits.unseen_bytes = unseen_bytes;
	c = client();
	*ret_ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 100, NULL);
	for (unsigned i = 0; i < sends; i++)
		start(*ret_ch, "before");
	chan_events(c);
	for (unsigned i = 0; i < sends; i++)
		fake_read(&broker, MESSAGE_SEND);
	for (unsigned i = 0; i < sends; i++)
		fake_done(&broker, 2 + i, 1);
	return c;
}

/* A sixty-fourth of what the broker may keep has come: that is said, and not by a write of its own. */
static void test_seen_waits_for_company(void **state)
{
	struct chan_client *c;
	struct chan *ch;
	unsigned before;

	(void)state;
	c = answered(64 * 100, 20, &ch); /* by 12 bytes each: above 100, and below 800 */
	client_fd = chan_fd(c);
	before = writes;
	fake_turn(c);
	assert_int_equal(writes, before);

	start(ch, "behind");
	chan_events(c);
	assert_int_equal(writes, before + 1);
	assert_true(fake_wait_any(&broker));
	assert_int_equal(broker.m.kind, MESSAGE_SEEN);
	assert_int_equal(broker.m.ping.frames_received, 21); /* and OPENED */
	fake_read(&broker, MESSAGE_SEND);
	give_up(c);
}

/* An eighth: nothing else need be written. */
static void test_seen_goes_alone_in_the_end(void **state)
{
	struct chan_client *c;
	struct chan *ch;

	(void)state;
	c = answered(8 * 100, 10, &ch);
	fake_turn(c);
	assert_true(fake_wait_any(&broker));
	assert_int_equal(broker.m.kind, MESSAGE_SEEN);
	assert_true(broker.m.ping.frames_received >= 9);
	give_up(c);
}

/* ---- a socket that takes little ------------------------------------------------------------- */

enum { VALUES = 3000 };

static const char *text_of(unsigned i)
{
	static char text[400];

	memset(text, 'x', sizeof(text));
	snprintf(text + 16 + i * 37 % 300, 16, "%u", i);
	return text;
}

/* Reads some of what has come, which is the next values in order, and answers it. */
static void read_some(unsigned *read)
{
	for (unsigned n = (unsigned)rand_r(&seed) % 20; n > 0 && fake_wait(&broker, false); n--) {
		const char *text = text_of(*read);
		struct wire_value v;

		assert_int_equal(broker.m.kind, MESSAGE_SEND);
		v = fake_value(&broker, 0);
		assert_int_equal(v.len, strlen(text));
		assert_memory_equal(v.bytes, text, v.len);
		fake_done(&broker, broker.m.seq, 1);
		++*read;
	}
	if (rand_r(&seed) % 2)
		write_seen();
}

/* In the middle of what is being written; what the client was sent has come. */
static void lose_connection(struct chan_client *c)
{
	static const struct fake_greeting resumes[] = {{.answer = FAKE_RESUMES}};

	assert_int_equal(chan_process(c), 0);
	client_fd = -1;
	fake_cut(&broker);
	assert_int_equal(fake_resume(&broker, c, resumes), 0);
	client_fd = chan_fd(c);
}

/* Frames and what rides with them arrive whole, once, in order, however they were cut up, and by
 * whichever connection. */
static void test_short_writes(void **state)
{
	unsigned started = 0, read = 0, done = 0;
	struct chan_completion completion;
	struct chan_client *c;
	struct chan *ch;

	(void)state;
	seed = 1;
	broker.limits.unseen_bytes = 64 * 50;
	c = client();
	ch = fake_open(&broker, c, 1, 5, CHAN_TYPE_STRING, 100, NULL);
	client_fd = chan_fd(c);
	takes_little = true;
	while (done < VALUES) {
		for (unsigned n = rand_r(&seed) % 8; n > 0 && started < VALUES; n--)
			start(ch, text_of(started++));
		assert_int_equal(chan_process(c), 0);
		read_some(&read);
		while (chan_next_completion(c, &completion) > 0) {
			assert_int_equal(completion.status, 0);
			done++;
		}
		if (rand_r(&seed) % 100 == 0)
			lose_connection(c);
	}
	assert_int_equal(read, VALUES);
	give_up(c);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_seen_waits_for_company),
		TEST(test_seen_goes_alone_in_the_end),
		TEST(test_short_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
