/*
 * stream.c - a stream of values across cut connections: the same values, in the same order, none
 * twice, and neither program notices.
 *
 * A producer and a consumer are processes of their own, each behind a proxy, which cuts the one or
 * the other whenever another part of the stream has arrived: at once, in the middle of a frame, or
 * for a moment during which nobody gets through.
 *
 * STREAM_VALUES  (default 200000)  STREAM_CUTS  (default 12)  STREAM_SEED
 */
#include "chan/chan.h"
#include "tests/support/daemon.h"
#include "tests/support/dice.h"
#include "tests/support/proxy.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { CAPACITY = 1000, BATCH = 500, CREDIT = 1024 };
enum link { PRODUCER, CONSUMER, LINKS };

static struct test_daemon chand;

/* In memory that the processes share. */
static struct shared {
	_Atomic uint64_t received;
	char failure[LINKS][256];
} * shared;

static uint64_t environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

/* ---- the two programs ---- */

__attribute__((format(printf, 2, 3))) _Noreturn static void give_up(
	enum link who, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(shared->failure[who], sizeof(shared->failure[who]), format, args);
	va_end(args);
	_exit(1);
}

static struct chan *open_end(enum link who, const char *url, struct chan_client **ret_client)
{
	struct chan_open_options options = {.end = {.credit = CREDIT}};
	struct chan *ch;

	if (chan_dial(url, NULL, ret_client) < 0 ||
		chan_open(*ret_client, "stream", who == PRODUCER ? CHAN_SEND : CHAN_RECV, &options,
			&ch) < 0)
		give_up(who, "%s", chan_error_text());
	return ch;
}

static void produce(const char *url, uint64_t count)
{
	struct chan_value values[BATCH];
	struct chan_client *client;
	struct chan *ch = open_end(PRODUCER, url, &client);

	for (uint64_t next = 0; next < count;) {
		size_t n = 0;

		while (n < BATCH && next < count)
			values[n++] = chan_value_int((int64_t)next++);
		if (chan_sendv(ch, values, n, CHAN_FOREVER, NULL) < 0)
			give_up(PRODUCER, "before value %llu: %s", (unsigned long long)next,
				chan_error_text());
	}
	if (chan_close(ch, NULL) < 0)
		give_up(PRODUCER, "%s", chan_error_text());
	chan_hangup(client);
}

static void consume(const char *url, uint64_t count)
{
	struct chan_client *client;
	struct chan *ch = open_end(CONSUMER, url, &client);
	struct chan_value v;
	uint64_t next = 0;
	int rc;

	while ((rc = chan_recv(ch, &v)) > 0) {
		if ((uint64_t)v.i != next || v.attempt != 1)
			give_up(CONSUMER, "value %lld came as attempt %u, where %llu was due",
				(long long)v.i, v.attempt, (unsigned long long)next);
		atomic_store_explicit(&shared->received, ++next, memory_order_relaxed);
	}
	if (rc < 0)
		give_up(CONSUMER, "before value %llu: %s", (unsigned long long)next,
			chan_error_text());
	if (next != count)
		give_up(CONSUMER, "the end came after %llu values", (unsigned long long)next);
	chan_hangup(client);
}

static pid_t start_program(
	void (*run)(const char *url, uint64_t count), const char *url, uint64_t count)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run(url, count);
		_exit(0);
	}
	return pid;
}

/* ---- the network ---- */

static void rest_ms(int ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
}

static void cut(struct proxy *p, struct dice *dice)
{
	int link = dice_choose(dice, LINKS);

	switch (dice_choose(dice, 3)) {
	case 0:
		proxy_cut(p, link);
		break;
	case 1:
		proxy_cut_after(p, link, 1 + dice_choose(dice, 20000));
		break;
	case 2:
		proxy_refuse(p, link);
		rest_ms(1 + (int)dice_choose(dice, 300));
		proxy_heal(p, link);
		break;
	}
}

/* Whether it has ended; it is still to be waited for. */
static bool has_ended(pid_t pid)
{
	siginfo_t info = {0};

	return waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

/* Cuts whenever another share of the stream has arrived, as long as both programs run. */
static int cut_along(
	struct proxy *p, struct dice *dice, uint64_t values, uint64_t cuts, const pid_t pids[LINKS])
{
	int done = 0;

	for (uint64_t i = 1; i <= cuts; i++) {
		while (atomic_load(&shared->received) < i * values / (cuts + 1)) {
			if (has_ended(pids[CONSUMER]) || shared->failure[PRODUCER][0])
				return done;
			rest_ms(1);
		}
		cut(p, dice);
		done++;
	}
	return done;
}

/* Waits until both have ended. When one has failed the other would wait for ever, and is ended. */
static void expect_good_ends(pid_t pids[LINKS])
{
	int statuses[LINKS], failed = -1;

	for (int left = LINKS; left > 0; rest_ms(1)) {
		for (int i = 0; i < LINKS; i++) {
			if (pids[i] == 0 || waitpid(pids[i], &statuses[i], WNOHANG) != pids[i])
				continue;
			pids[i] = 0;
			left--;
			if (statuses[i] == 0 || failed >= 0)
				continue;
			failed = i;
			if (pids[!i])
				kill(pids[!i], SIGKILL);
		}
	}
	if (failed >= 0)
		fail_msg("the %s: %s", failed == PRODUCER ? "producer" : "consumer",
			shared->failure[failed]);
}

static void stream(const char *url, const char *words)
{
	uint64_t values = environment("STREAM_VALUES", 200000),
		 cuts = environment("STREAM_CUTS", 12);
	struct dice dice = {environment("STREAM_SEED", (uint64_t)time(NULL))};
	pid_t pids[LINKS];
	struct proxy p;
	int done;

	printf("# STREAM_SEED=%llu\n", (unsigned long long)dice.state);
	memset(shared, 0, sizeof(*shared));
	proxy_start(&p, url, LINKS);
	pids[PRODUCER] = start_program(produce, p.urls[PRODUCER], values);
	pids[CONSUMER] = start_program(consume, p.urls[CONSUMER], values);
	done = cut_along(&p, &dice, values, cuts, pids);
	expect_good_ends(pids);
	proxy_stop(&p);
	printf("# %llu values across %d cuts, %s\n", (unsigned long long)values, done, words);
	fflush(stdout);
	assert_int_equal(done, cuts);
}

/* ---- */

static void make_channel(void)
{
	struct chan_client *client;

	assert_int_equal(chan_dial(chand.url, NULL, &client), 0);
	chan_remove(client, "stream");
	assert_int_equal(chan_make(client, "stream", CHAN_TYPE_INT, CAPACITY, NULL, NULL), 0);
	chan_hangup(client);
}

static void test_unix_sockets(void **state)
{
	(void)state;
	make_channel();
	stream(chand.url, "Unix sockets");
}

static void test_tcp(void **state)
{
	(void)state;
	make_channel();
	stream(chand.tcp_url, "TCP");
}

static int start(void **state)
{
	(void)state;
	daemon_start(&chand, NULL);
	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return shared == MAP_FAILED;
}

static int stop(void **state)
{
	(void)state;
	daemon_stop(&chand);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unix_sockets),
		cmocka_unit_test(test_tcp),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
