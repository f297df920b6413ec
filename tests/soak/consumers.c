/*
 * consumers.c - a hundred consumers killed at random lose no value, and who sees one again is told.
 *
 * The parent sends, and kills a consumer by SIGKILL each time that another hundredth is on its way:
 * wherever it is by then, waiting, with a value in hand, or half through confirming it.
 * CONSUMERS_SEED repeats the choices.
 */
#include "chan/chan.h"
#include "tests/soak/journal.h"
#include "tests/support/daemon.h"
#include "tests/support/dice.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { CONSUMERS = 100, VALUES = 4000, CAPACITY = 50, EVENTS_MAX = 20 * VALUES };

static struct test_daemon chand;
static struct journal *journal;

static struct consumer {
	pid_t pid;
	uint32_t session;
} consumers[CONSUMERS];
static int consumers_left;

/* What its program does with values. */
struct manner {
	uint32_t credit;
	int64_t lease_ns;
};

static void must(int rc)
{
	if (rc < 0)
		fail_msg("%s", chan_error_text());
}

static uint64_t seed(void)
{
	const char *text = getenv("CONSUMERS_SEED");

	return text && *text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);
}

/* ---- a consumer ---- */

static void consumer_enter(uint32_t session, struct event e)
{
	e.session = session;
	journal_enter(journal, e);
}

/* Works on a value for a moment, enters that it has, and only then confirms. */
static void consume(
	uint32_t session, uint32_t op, struct chan *ch, struct chan_value *v, bool leased)
{
	uint32_t value = v->i;

	consumer_enter(session, (struct event){.kind = EVENT_GOT,
					.op = op,
					.channel = 1,
					.value = value,
					.number = v->attempt});
	nanosleep(&(struct timespec){.tv_nsec = 1000 * (long)(value % 2000)}, NULL);
	consumer_enter(session, (struct event){.kind = EVENT_TAKEN, .value = value});
	if ((leased ? chan_ack : chan_confirm)(ch, v, 1) < 0)
		_exit(1);
	consumer_enter(session, (struct event){.kind = EVENT_SETTLED, .value = value});
}

/* Until the channel is closed and drained. */
_Noreturn static void consumer_run(uint32_t session, const char *name, struct manner m)
{
	struct chan_dial_options dial = {.linger_ns = -1, .ring_after = session % 2 ? 1 : -1};
	struct chan_open_options open = {.wait_create = true,
		.end = {.manual = !m.lease_ns, .credit = m.credit, .lease_ns = m.lease_ns}};
	struct chan_client *client;
	struct chan *ch;

	if (chan_dial(chand.url, &dial, &client) < 0 ||
		chan_open(client, name, CHAN_RECV, &open, &ch) < 0)
		_exit(1);
	for (;;) {
		uint32_t op = journal_next(journal, NEXT_OP, 1);
		struct chan_value v;
		int rc;

		consumer_enter(session,
			(struct event){.kind = EVENT_RECV, .op = op, .channel = 1, .number = 1});
		rc = chan_recv(ch, &v);
		if (rc < 0)
			_exit(1);
		if (rc == 0)
			break;
		consume(session, op, ch, &v, m.lease_ns > 0);
	}
	_exit(0);
}

static struct consumer consumer_start(const char *name, struct manner m)
{
	struct consumer c = {.session = journal_next(journal, NEXT_SESSION, 1)};

	c.pid = fork();
	assert_true(c.pid >= 0);
	if (c.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		consumer_run(c.session, name, m);
	}
	return c;
}

static void consumer_kill(struct consumer *c)
{
	int status;

	consumer_enter(c->session, (struct event){.kind = EVENT_DOUBT});
	kill(c->pid, SIGKILL);
	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	consumer_enter(c->session, (struct event){.kind = EVENT_LOST});
	*c = consumers[--consumers_left];
	assert_true(WIFSIGNALED(status)); /* it had not ended by itself */
}

/* After a test that failed. */
static int kill_all(void **state)
{
	(void)state;
	while (consumers_left > 0) {
		kill(consumers[--consumers_left].pid, SIGKILL);
		waitpid(consumers[consumers_left].pid, NULL, 0);
	}
	return 0;
}

/* ---- the producer ---- */

static void produce_one(uint32_t session, struct chan *ch)
{
	struct event e = {.kind = EVENT_SEND,
		.op = journal_next(journal, NEXT_OP, 1),
		.channel = 1,
		.value = journal_next(journal, NEXT_VALUE, 1)};

	consumer_enter(session, e);
	must(chan_send_int(ch, e.value));
	e.kind = EVENT_SENT;
	consumer_enter(session, e);
}

/* Sends everything, and kills the consumers one after another on the way. */
static void produce(struct dice *dice, struct chan *ch)
{
	uint32_t session = journal_next(journal, NEXT_SESSION, 1);

	for (int i = 1; i <= VALUES; i++) {
		produce_one(session, ch);
		/* The last stays: somebody has to make room. */
		if (i % (VALUES / CONSUMERS) == 0 && consumers_left > 1)
			consumer_kill(&consumers[dice_choose(dice, consumers_left)]);
	}
}

/* ---- what is expected ---- */

static void judge(const struct history *h)
{
	struct verdict v = history_check(h);
	uint32_t *processed = calloc(VALUES + 1, sizeof(*processed)), again = 0;
	FILE *out;

	for (size_t i = 0; i < h->count; i++) {
		if (h->events[i].kind == EVENT_TAKEN)
			processed[h->events[i].value]++;
		again += h->events[i].kind == EVENT_GOT && h->events[i].number > 1;
	}
	printf("# %u values were marked as redelivered\n", again);
	if (v.rule != RULE_NONE && (out = fopen("consumers.history", "w"))) {
		history_explain(h, &v, stdout);
		history_print(h, out);
		fclose(out);
	}
	fflush(stdout);
	assert_int_equal(v.rule, RULE_NONE); /* marked, among other things */
	for (int i = 1; i <= VALUES; i++)
		assert_true(processed[i] >= 1);
	assert_true(again > 0); /* else it has proved little */
	free(processed);
}

static void declare_channel(struct manner m)
{
	journal_enter(
		journal, (struct event){.kind = EVENT_CHANNEL, .channel = 1, .number = CAPACITY});
	if (m.credit > 1)
		journal_enter(journal, (struct event){.kind = EVENT_AHEAD, .channel = 1});
	if (m.lease_ns)
		journal_enter(journal, (struct event){.kind = EVENT_LENDS, .channel = 1});
}

static void kill_a_hundred(const char *name, struct manner m)
{
	struct consumer last;
	struct history h = {0};
	struct dice dice = {seed()};
	struct chan_client *client;
	struct chan *ch;
	int status;

	printf("# CONSUMERS_SEED=%llu\n", (unsigned long long)dice.state);
	journal_begin(journal);
	declare_channel(m);
	while (consumers_left < CONSUMERS)
		consumers[consumers_left++] = consumer_start(name, m);
	must(chan_dial(chand.url, NULL, &client));
	must(chan_make(client, name, CHAN_TYPE_INT, CAPACITY, NULL, &ch));
	produce(&dice, ch);
	consumer_kill(&consumers[0]);
	last = consumer_start(name, m);
	must(chan_close(ch, NULL));
	assert_int_equal(waitpid(last.pid, &status, 0), last.pid);
	assert_int_equal(status, 0);
	journal_enter(journal, (struct event){.kind = EVENT_LOST, .session = last.session});
	journal_enter(journal, (struct event){.kind = EVENT_END});
	chan_hangup(client);
	journal_read(journal, &h);
	judge(&h);
	history_fini(&h);
}

static void test_confirming_by_hand(void **state)
{
	(void)state;
	kill_a_hundred("by-hand", (struct manner){.credit = 1});
}

static void test_fetching_ahead(void **state)
{
	(void)state;
	kill_a_hundred("ahead", (struct manner){.credit = 16});
}

static void test_leases(void **state)
{
	(void)state;
	kill_a_hundred("leased", (struct manner){.credit = 1, .lease_ns = INT64_C(60000000000)});
}

/* ---- chanctl, which confirms what it has printed ---- */

enum { TOOLS = 30, TOOL_VALUES = 3000 };

static void tool_path(char path[96], int index)
{
	snprintf(path, 96, "%s/range-%d", chand.dir, index);
}

static pid_t tool_start(int index)
{
	const char *dir = getenv("top_builddir");
	char program[512], path[96];
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	tool_path(path, index);
	snprintf(program, sizeof(program), "%s/chanctl", dir ? dir : ".");
	if (!freopen(path, "w", stdout))
		_exit(127);
	execl(program, "chanctl", "--url", chand.url, "range", "tools", "--format", "%v %a\\n",
		NULL);
	_exit(127);
}

/* Every line of every tool: which value was printed as which attempt. */
static void read_printed(uint32_t attempts[TOOL_VALUES + 1])
{
	for (int i = 0; i <= TOOLS; i++) {
		unsigned value, attempt;
		char path[96];
		FILE *in;

		tool_path(path, i);
		in = fopen(path, "r");
		assert_non_null(in);
		while (fscanf(in, "%u %u", &value, &attempt) == 2) {
			assert_in_range(value, 1, TOOL_VALUES);
			assert_in_range(attempt, 1, 31);
			assert_false(attempts[value] & 1U << attempt); /* again, and not marked */
			attempts[value] |= 1U << attempt;
		}
		fclose(in);
	}
}

/* Each is killed when it has printed a line at least. */
static void tool_kill(pid_t pid, int index)
{
	struct stat st = {0};
	char path[96];

	tool_path(path, index);
	for (int looks = 0; st.st_size == 0 && looks < test_patience_ms(); looks++) {
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		stat(path, &st);
	}
	assert_true(st.st_size > 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_chanctl_range(void **state)
{
	uint32_t attempts[TOOL_VALUES + 1] = {0};
	struct chan_value values[TOOL_VALUES];
	struct chan_client *client;
	struct chan *ch;
	pid_t pid;
	int status;

	(void)state;
	must(chan_dial(chand.url, NULL, &client));
	must(chan_make(client, "tools", CHAN_TYPE_INT, TOOL_VALUES, NULL, &ch));
	for (int i = 0; i < TOOL_VALUES; i++)
		values[i] = chan_value_int(i + 1);
	for (int i = 0; i < TOOLS; i++) {
		const int share = TOOL_VALUES / TOOLS;

		pid = tool_start(i);
		must(chan_sendv(ch, &values[i * share], share, CHAN_FOREVER, NULL));
		tool_kill(pid, i);
	}
	must(chan_close(ch, NULL));
	pid = tool_start(TOOLS);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	chan_hangup(client);
	read_printed(attempts);
	for (int i = 1; i <= TOOL_VALUES; i++)
		assert_true(attempts[i] != 0);
}

/* ---- */

static int start(void **state)
{
	(void)state;
	daemon_start(&chand, NULL);
	journal = journal_new(EVENTS_MAX);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	daemon_stop(&chand);
	journal_free(journal);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_confirming_by_hand, kill_all),
		cmocka_unit_test_teardown(test_fetching_ahead, kill_all),
		cmocka_unit_test_teardown(test_leases, kill_all),
		cmocka_unit_test(test_chanctl_range),
	};

	test_time_limit();
	return cmocka_run_group_tests(tests, start, stop);
}
