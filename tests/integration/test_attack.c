/*
 * test_attack.c - what a crowd of hostile clients can do: take memory up to a stated ceiling, and
 *no more, while a well-behaved client goes on being served.
 *
 * Every attack has a daemon of its own. Its memory is what no file backs (RssAnon); the peak is the
 * kernel's (VmHWM). Each prints a line:
 *
 *	# NAME: before, peak, after and ceiling in KiB; how long the other client waited at most
 */
#include "tests/support/crowd.h"
#include "tests/support/daemon.h"
#include "tests/support/peer.h"

#include "proto/limits.h"
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)

/* The ceiling that the daemons are given. Small, so that attacks can reach it; a quarter of it,
 * where the level rises, is still more than the daemon takes for its own work. */
#define MEMORY_MAX_MIB 256u

/*
 * What the daemon may have above it: what 16 readers hold (CONNECTION_READERS_TIGHT: 256 KiB of
 * input and the batch that it becomes), the batches on their way (96 of them), and what is taken
 * between two looks at the level.
 */
#define ABOVE_MAX_MIB 48u

/* How long the other client may wait for a send and a receive, on a machine that does much else. */
#define WAIT_MAX_MS 15000

static struct test_daemon d;
static struct peer bystander;
static uint64_t bystanders_channel;
static int64_t longest_wait_ms;
static uint64_t before_kib;

/* Sanitizers take several times as much, and keep what was freed; there the figures are printed,
 * and the daemon only has to live and to serve. */
static bool is_sanitized(void)
{
	const char *sanitizer = getenv("TEST_SANITIZER"), *wrapper = getenv("TEST_WRAPPER");

	return (sanitizer && *sanitizer) || (wrapper && *wrapper);
}

/* So many; a tenth where each connection takes a hundred times as much (ThreadSanitizer: 1 MiB for
 * a goroutine). */
static int crowd_of(int count)
{
	return is_sanitized() ? count / 10 : count;
}

/* ---- figures ------------------------------------------------------------------------------ */

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* A line of the daemon's /proc/PID/status, in KiB. */
static uint64_t status_kib(const char *name)
{
	char path[64], line[256];
	unsigned long kib = 0;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)d.pid);
	in = fopen(path, "re");
	assert_non_null(in);
	while (fgets(line, sizeof(line), in))
		if (strncmp(line, name, strlen(name)) == 0)
			assert_int_equal(sscanf(line + strlen(name), ": %lu", &kib), 1);
	fclose(in);
	return kib;
}

/* Has the kernel forget the peak so far. */
static void forget_peak(void)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/clear_refs", (int)d.pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0 && write(fd, "5", 1) == 1);
	close(fd);
}

/* ---- the other client --------------------------------------------------------------------- */

/* It sends and receives a value, whatever goes on. */
static void serve(void)
{
	int64_t began_ms = now_ms(), took_ms;
	uint64_t recv;

	peer_expect_done(&bystander, peer_send(&bystander, bystanders_channel, "still here"));
	recv = peer_recv(&bystander, bystanders_channel);
	peer_taken(&bystander, peer_expect_deliver(&bystander, recv, "still here"));
	took_ms = now_ms() - began_ms;
	if (took_ms > longest_wait_ms)
		longest_wait_ms = took_ms;
}

/* A daemon with the ceiling and up to two more arguments, and the other client. */
static void begin(const char *argument, const char *another)
{
	char max[32];
	const char *const arguments[] = {max, argument, another, NULL};

	snprintf(max, sizeof(max), "--memory-max=%uM", MEMORY_MAX_MIB * (is_sanitized() ? 16 : 1));
	daemon_start(&d, arguments);
	peer_dial(&bystander, d.url);
	bystanders_channel = peer_channel(&bystander, "bystander", CHAN_TYPE_STRING, 1);
	longest_wait_ms = 0;
	serve();
	forget_peak();
	before_kib = status_kib("RssAnon");
}

/* The attackers go, all at once. Prints the figures and asserts them. */
static void end(const char *name, struct crowd *c, uint64_t ceiling_kib)
{
	uint64_t answers = c->answers, limits = c->limits, ceilings = c->ceilings, peak_kib;
	int ended = c->ended;

	crowd_drop(c);
	serve();
	peak_kib = status_kib("VmHWM") - status_kib("RssFile");
	print_message("# %s: before %lu, peak %lu, after %lu, ceiling %lu KiB; the other client "
		      "waited %ld ms at most; %lu answers, %lu of them ELIMIT, %lu of these for "
		      "memory, %d connections ended\n",
		name, (unsigned long)before_kib, (unsigned long)peak_kib,
		(unsigned long)status_kib("RssAnon"), (unsigned long)ceiling_kib,
		(long)longest_wait_ms, (unsigned long)answers, (unsigned long)limits,
		(unsigned long)ceilings, ended);
	if (!is_sanitized()) {
		assert_in_range(peak_kib, 0, ceiling_kib);
		assert_in_range(longest_wait_ms, 0, WAIT_MAX_MS);
	}
	peer_drop(&bystander);
	daemon_stop(&d);
}

static uint64_t memory_max_kib(void)
{
	return (MEMORY_MAX_MIB + ABOVE_MAX_MIB) * KIB;
}

/* Of an attack that a bound of its own stops long before the ceiling: so much for each attacker,
 * and for all together what the daemon needs to be at work. */
static uint64_t each_kib(int attackers, uint64_t kib)
{
	return before_kib + 16 * KIB + (uint64_t)attackers * kib;
}

/* ---- slowness ----------------------------------------------------------------------------- */

enum { SLOW = 500 };

static const uint8_t hello[] = {0, 0, 0, 8, 1, 0, 0, 4, 8, 1, 16, 1};

/* A byte of the HELLO each time, and never the last. */
static void say_hello_slowly(struct attacker *a)
{
	if (a->last < sizeof(hello) - 1)
		buf_append(&a->out, hello + a->last++, 1);
}

/* Who says nothing, and who says HELLO byte by byte and never ends, is closed after hello_timeout.
 */
static void test_slow_greetings(void **state)
{
	struct crowd silent = {0}, slow = {.say = say_hello_slowly};

	(void)state;
	begin("--hello-timeout=1s", NULL);
	crowd_connect(&silent, d.url, SLOW);
	crowd_attack(&silent, test_patience_ms(), serve);
	assert_int_equal(silent.ended, SLOW);
	crowd_drop(&silent);
	crowd_connect(&slow, d.tcp_url, SLOW);
	crowd_attack(&slow, 100, serve);
	slow.say = NULL;
	crowd_attack(&slow, test_patience_ms(), serve);
	assert_int_equal(slow.ended, SLOW);
	end("slow greetings", &slow, each_kib(SLOW, 16));
}

/* Attacks for so long, and on until what is counted has come (NULL: it need not). */
static void attack_until(struct crowd *c, int ms, const uint64_t *count)
{
	crowd_attack(c, ms, serve);
	if (!count)
		return;
	for (int more = 0; !*count && more < test_patience_ms(); more += 100) {
		poll(NULL, 0, 10);
		crowd_attack(c, 100, serve);
	}
	assert_true(*count > 0);
}

/* What attack_until waits for where memory is the bound; sanitizers have another ceiling, far away. */
static const uint64_t *ceilings_to_come(const struct crowd *c)
{
	return is_sanitized() ? NULL : &c->ceilings;
}

/* The largest frame but for its last byte: 82 KiB that the daemon has to keep. */
static void say_half_a_frame(struct attacker *a)
{
	struct message m = {.kind = MESSAGE_SEND, .seq = 1};
	static const char zeros[FRAME_PAYLOAD_BYTES_MAX];

	if (a->last++)
		return;
	m.send.count = 1;
	m.send.payload_bytes = sizeof(zeros);
	attacker_say(a, &m, 0, zeros, sizeof(zeros));
	a->out.end--;
}

static void test_half_frames(void **state)
{
	struct crowd c = {.say = say_half_a_frame};

	(void)state;
	begin(NULL, NULL);
	crowd_dial(&c, d.url, crowd_of(4000));
	attack_until(&c, 2000, ceilings_to_come(&c));
	end("half frames", &c, memory_max_kib());
}

/* Payloads of 1 MB in pieces of 60 KB whose last piece never comes; the next one then. */
#define PIECES 17u

static void say_pieces(struct attacker *a)
{
	struct message send = {.kind = MESSAGE_SEND}, piece = {.kind = MESSAGE_PIECE};
	static const char zeros[60000];

	if (a->last == 15 * PIECES)
		return;
	if (a->last++ % PIECES == 0) {
		send.seq = ++a->seq;
		send.send.channel = 1;
		send.send.count = 1;
		send.send.payload_bytes = 1024 * 1024 + VALUE_PREFIX_BYTES;
		attacker_say(a, &send, FRAME_MORE, zeros, sizeof(zeros));
	} else {
		piece.seq = a->seq;
		attacker_say(a, &piece, FRAME_MORE, zeros, sizeof(zeros));
	}
}

static void test_half_payloads(void **state)
{
	struct crowd c = {.say = say_pieces};

	(void)state;
	begin(NULL, NULL);
	crowd_dial(&c, d.url, 40);
	attack_until(&c, 2500, ceilings_to_come(&c));
	end("half payloads", &c, memory_max_kib());
}

/* ---- frames at their limits --------------------------------------------------------------- */

/* A PING of so many bytes of header and payload, as its prefix says. */
static void say_frame(struct peer *p, uint32_t header_bytes, uint32_t payload_bytes)
{
	uint8_t prefix[FRAME_PREFIX_BYTES];
	static uint8_t bytes[FRAME_BYTES_MAX];

	frame_put_prefix(prefix, MESSAGE_PING, 0, (uint16_t)header_bytes, payload_bytes);
	peer_say_bytes(p, prefix, sizeof(prefix));
	if (header_bytes + payload_bytes <= sizeof(bytes))
		peer_say_bytes(p, bytes, header_bytes ? 0 : payload_bytes);
}

static void expect_goaway(struct peer *p)
{
	peer_expect(p, MESSAGE_GOAWAY);
	assert_int_equal(p->m.goaway.status, CHAN_EPROTOCOL);
	peer_drop(p);
	serve();
}

/* The largest frame is taken; one that is longer by a byte, or by 4 GiB, is refused by its prefix,
 * before a byte of it is waited for. */
static void test_frames_at_over_and_far_over(void **state)
{
	struct crowd nobody = {0};
	struct peer p;

	(void)state;
	begin(NULL, NULL);
	for (int i = 0; i < 50; i++) {
		peer_dial(&p, d.url);
		say_frame(&p, 0, FRAME_PAYLOAD_BYTES_MAX);
		peer_expect(&p, MESSAGE_PONG);
		say_frame(&p, 0, FRAME_PAYLOAD_BYTES_MAX + 1);
		expect_goaway(&p);
		peer_dial(&p, d.url);
		say_frame(&p, FRAME_HEADER_BYTES_MAX + 1, 0);
		expect_goaway(&p);
		peer_dial(&p, d.url);
		say_frame(&p, 0, UINT32_MAX - FRAME_PREFIX_BYTES);
		expect_goaway(&p);
	}
	end("frames at, over and far over the limit", &nobody, each_kib(1, 1024));
}

/* ---- floods ------------------------------------------------------------------------------- */

enum { FLOODERS = 20, FLOOD_MS = 1200 };

/* Frames of one turn. */
#define FLOOD_FRAMES 200

static void flood_make(struct attacker *a)
{
	char name[64];
	struct message m = {.kind = MESSAGE_MAKE,
		.make = {.name = name, .type = CHAN_TYPE_INT, .direction = CHAN_SEND}};

	for (int i = 0; i < FLOOD_FRAMES; i++) {
		m.seq = ++a->seq;
		snprintf(name, sizeof(name), "flood/%d/%lu", a->index, (unsigned long)m.seq);
		attacker_say(a, &m, 0, NULL, 0);
	}
}

/* Names that nobody makes, waited for. */
static void flood_open(struct attacker *a)
{
	char name[NAME_BYTES_MAX + 1];
	struct message m = {.kind = MESSAGE_OPEN,
		.open = {.name = name, .direction = CHAN_RECV, .wait_create = true}};

	for (int i = 0; i < FLOOD_FRAMES; i++) {
		m.seq = ++a->seq;
		snprintf(name, sizeof(name), "wanted/%d/%0240lu", a->index, (unsigned long)m.seq);
		attacker_say(a, &m, 0, NULL, 0);
	}
}

/* A channel of its own, first. */
static bool open_own(struct attacker *a, int64_t capacity)
{
	char name[64];
	struct message m = {.kind = MESSAGE_MAKE,
		.seq = 1,
		.make = {.name = name,
			.type = CHAN_TYPE_BYTES,
			.capacity = capacity,
			.direction = CHAN_BOTH}};

	if (a->seq)
		return a->channel != 0;
	a->seq = 1;
	snprintf(name, sizeof(name), "own/%d", a->index);
	attacker_say(a, &m, 0, NULL, 0);
	a->waits = true;
	return false;
}

static void flood_select(struct attacker *a)
{
	struct wire_case cases[200];
	struct message m = {.kind = MESSAGE_SELECT, .select = {.cases = cases, .case_count = 200}};

	if (!open_own(a, 0))
		return;
	for (int i = 0; i < 200; i++)
		cases[i] = (struct wire_case){.channel = a->channel, .direction = CHAN_RECV};
	for (int i = 0; i < FLOOD_FRAMES / 10; i++) {
		m.seq = ++a->seq;
		attacker_say(a, &m, 0, NULL, 0);
	}
}

/* Receives, and a CANCEL for each twice. */
static void flood_cancel(struct attacker *a)
{
	struct message recv = {.kind = MESSAGE_RECV}, cancel = {.kind = MESSAGE_CANCEL};

	if (!open_own(a, 0))
		return;
	for (int i = 0; i < FLOOD_FRAMES; i++) {
		recv.seq = ++a->seq;
		recv.recv.channel = a->channel;
		attacker_say(a, &recv, 0, NULL, 0);
		cancel.cancel.target = recv.seq;
		for (int k = 0; k < 2; k++) {
			cancel.seq = ++a->seq;
			attacker_say(a, &cancel, 0, NULL, 0);
		}
	}
}

/* Many receives that wait, and then an end of another channel, opened and given up again and again:
 * what waits through that end has to be found among all that waits. */
static void flood_release(struct attacker *a)
{
	struct message recv = {.kind = MESSAGE_RECV}, release = {.kind = MESSAGE_RELEASE};
	struct message open = {
		.kind = MESSAGE_OPEN, .open = {.name = "bystander", .direction = CHAN_RECV}};

	if (!open_own(a, 0))
		return;
	recv.recv.channel = a->last ? a->last : (a->last = a->channel);
	for (int i = 0; i < FLOOD_FRAMES && a->seq < 20000; i++) {
		recv.seq = ++a->seq;
		attacker_say(a, &recv, 0, NULL, 0);
	}
	release.release.channel = bystanders_channel;
	for (int i = 0; i < FLOOD_FRAMES && a->seq >= 20000; i++) {
		open.seq = ++a->seq;
		attacker_say(a, &open, 0, NULL, 0);
		release.seq = ++a->seq;
		attacker_say(a, &release, 0, NULL, 0);
	}
}

static void flood_values(struct attacker *a)
{
	if (open_own(a, CAPACITY_MAX_DEFAULT))
		for (int i = 0; i < 10; i++)
			attacker_send(a, a->channel, 8000);
}

static void flood_small_values(struct attacker *a)
{
	if (open_own(a, CAPACITY_MAX_DEFAULT))
		for (int i = 0; i < FLOOD_FRAMES; i++)
			attacker_send(a, a->channel, 1);
}

static void test_floods(void **state)
{
	static const struct {
		const char *name;
		void (*say)(struct attacker *a);
	} floods[] = {
		{"flood of make", flood_make},
		{"flood of open", flood_open},
		{"flood of select", flood_select},
		{"flood of cancel", flood_cancel},
		{"flood of release", flood_release},
		{"flood of values", flood_values},
		{"flood of small values", flood_small_values},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
		struct crowd c = {.say = floods[i].say};

		begin(NULL, NULL);
		crowd_dial(&c, d.url, FLOODERS);
		crowd_attack(&c, FLOOD_MS, serve);
		end(floods[i].name, &c, memory_max_kib());
	}
}

/* Everybody sends at once, more than the broker keeps up with: readers take turns. */
static void test_all_at_once(void **state)
{
	struct crowd c = {.say = flood_values};

	(void)state;
	begin(NULL, NULL);
	crowd_dial(&c, d.url, crowd_of(1000));
	crowd_attack(&c, 2000, serve);
	end("a thousand senders at once", &c, memory_max_kib());
}

/* ---- credit and confirmations ------------------------------------------------------------- */

/* Values into its own channel, and streams on it with all the credit there is, granted again and
 * again; nothing is confirmed. */
static void abuse_credit(struct attacker *a)
{
	struct message recv = {.kind = MESSAGE_RECV}, grant = {.kind = MESSAGE_GRANT};

	if (!open_own(a, CAPACITY_MAX_DEFAULT))
		return;
	recv.seq = ++a->seq;
	recv.recv.channel = a->channel;
	recv.recv.credit = CREDIT_MAX;
	recv.recv.stream = true;
	attacker_say(a, &recv, 0, NULL, 0);
	for (int i = 0; i < 10; i++) {
		attacker_send(a, a->channel, 4000);
		grant.seq = recv.seq;
		grant.grant.credit = i % 2 ? CREDIT_MAX : UINT32_MAX;
		attacker_say(a, &grant, 0, NULL, 0);
	}
}

static void test_credit_abuse(void **state)
{
	struct crowd c = {.say = abuse_credit};

	(void)state;
	begin(NULL, NULL);
	crowd_dial(&c, d.url, FLOODERS);
	attack_until(&c, FLOOD_MS, &c.limits);
	end("credit abuse", &c, memory_max_kib());
}

/* Receives one value after another, and confirms none. */
static void receive_only(struct attacker *a)
{
	struct message recv = {.kind = MESSAGE_RECV};

	if (!open_own(a, CAPACITY_MAX_DEFAULT))
		return;
	for (int i = 0; i < FLOOD_FRAMES; i++) {
		recv.seq = ++a->seq;
		recv.recv.channel = a->channel;
		attacker_say(a, &recv, 0, NULL, 0);
		attacker_send(a, a->channel, 2000);
	}
}

static void test_receivers_that_never_confirm(void **state)
{
	struct crowd c = {.say = receive_only};

	(void)state;
	begin("--silence-timeout=1s", NULL);
	crowd_dial(&c, d.url, FLOODERS);
	attack_until(&c, FLOOD_MS, &c.delivered);
	end("receivers that never confirm", &c, memory_max_kib());
}

/* ---- sessions left behind ------------------------------------------------------------------ */

/* Asks for a session that lingers, and has the broker send it all that it keeps for a resume. */
static void fill_session(struct attacker *a)
{
	struct message greeting = {.kind = MESSAGE_HELLO,
		.hello = &(struct wire_hello){
			.version_min = 1, .version_max = 1, .linger_ms = 60000}};
	struct message recv = {
		.kind = MESSAGE_RECV, .recv = {.credit = CREDIT_MAX, .stream = true}};

	if (a->last++ == 0)
		attacker_say(a, &greeting, 0, NULL, 0);
	if (!open_own(a, CAPACITY_MAX_DEFAULT))
		return;
	if (a->seq == 1) {
		recv.seq = ++a->seq;
		recv.recv.channel = a->channel;
		attacker_say(a, &recv, 0, NULL, 0);
	}
	for (int i = 0; i < 10; i++)
		attacker_send(a, a->channel, 8000);
}

/* One crowd after another fills its sessions and hangs up; they linger. */
static void test_sessions_left_behind(void **state)
{
	struct crowd c = {.say = fill_session};

	(void)state;
	begin("--silence-timeout=1m", NULL);
	for (int i = 0; i < 10; i++) {
		crowd_connect(&c, d.url, 50);
		crowd_attack(&c, 300, serve);
		crowd_drop(&c);
	}
	end("sessions left behind", &c, memory_max_kib());
}

/* ---- answers that nobody reads ------------------------------------------------------------- */

/* What is asked is short, what is answered is not. */
static void ask_for_pages(struct attacker *a)
{
	struct message m = {.kind = MESSAGE_LIST};

	for (int i = 0; i < FLOOD_FRAMES; i++) {
		m.seq = ++a->seq;
		attacker_say(a, &m, 0, NULL, 0);
	}
}

static void make_many(void)
{
	char name[NAME_BYTES_MAX + 1];

	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "listed/%0200d", i);
		peer_channel(&bystander, name, CHAN_TYPE_INT, 0);
	}
}

static void test_answers_that_nobody_reads(void **state)
{
	struct crowd lists = {.say = ask_for_pages, .deaf = true};
	struct crowd senders = {.say = flood_small_values, .deaf = true};

	(void)state;
	begin("--stall-timeout=2s", NULL);
	make_many();
	crowd_dial(&lists, d.url, 100);
	crowd_attack(&lists, FLOOD_MS, serve);
	end("deaf askers", &lists, memory_max_kib());

	begin("--stall-timeout=2s", NULL);
	crowd_dial(&senders, d.url, 100);
	for (int i = 0; i < senders.count; i++)
		senders.list[i].seq = 1, senders.list[i].channel = bystanders_channel;
	crowd_attack(&senders, FLOOD_MS, serve);
	end("deaf senders", &senders, memory_max_kib());
}

/* ---- connections -------------------------------------------------------------------------- */

enum { CONNECTIONS_MAX = 10000, DESCRIPTORS_BESIDE = 100 };

/* Twice as many as the limit, or as descriptors allow. */
static int raise_descriptors(void)
{
	struct rlimit r = {
		2 * CONNECTIONS_MAX + DESCRIPTORS_BESIDE, 2 * CONNECTIONS_MAX + DESCRIPTORS_BESIDE};

	if (setrlimit(RLIMIT_NOFILE, &r) < 0) {
		assert_int_equal(getrlimit(RLIMIT_NOFILE, &r), 0);
		r.rlim_cur = r.rlim_max;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &r), 0);
	}
	return (int)r.rlim_cur - DESCRIPTORS_BESIDE;
}

/* Who comes too late is told so, or closed; the others stay, and beside them a few of whom the daemon
 * has yet to hear whether they come to resume. */
static void test_twice_the_connections(void **state)
{
	enum { EXTRAS = 8 };
	int count = raise_descriptors(), over;
	struct crowd c = {0};
	char max[64];

	(void)state;
	count = crowd_of(count);
	over = count / 2 - EXTRAS;
	snprintf(max, sizeof(max), "--connections-max=%d", count / 2);
	begin(max, "--hello-timeout=1m");
	crowd_connect(&c, d.url, count);
	for (int ms = 0; ms < test_patience_ms() && c.ended < over; ms += 100)
		crowd_attack(&c, 100, serve);
	print_message("# %d connections against a limit of %d: %d ended, %lu of them told\n", count,
		count / 2, c.ended, (unsigned long)c.limits);
	assert_in_range(c.ended, over, over + EXTRAS + 1);
	assert_true(c.limits > 0);
	/* 2 KiB each, and a page of stack for the goroutines that see all of them end at once */
	end("twice the connections", &c, each_kib(count / 2, 8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow_greetings),
		cmocka_unit_test(test_half_frames),
		cmocka_unit_test(test_half_payloads),
		cmocka_unit_test(test_frames_at_over_and_far_over),
		cmocka_unit_test(test_floods),
		cmocka_unit_test(test_all_at_once),
		cmocka_unit_test(test_credit_abuse),
		cmocka_unit_test(test_receivers_that_never_confirm),
		cmocka_unit_test(test_sessions_left_behind),
		cmocka_unit_test(test_answers_that_nobody_reads),
		cmocka_unit_test(test_twice_the_connections),
	};

	test_time_limit();
	raise_descriptors();
	return cmocka_run_group_tests_name("attack", tests, NULL, NULL);
}
