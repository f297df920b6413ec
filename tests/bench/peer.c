/*
 * peer.c - clients that measure a daemon through libchan. One process, one role:
 *
 *   peer setup                 makes the channels anew
 *   peer produce N BYTES       sends N values, many in flight; prints start_ns
 *   peer consume N BYTES       receives them in order; prints ready, at last end_ns
 *   peer ping N BYTES          N times: sends to X, waits for Y; prints p50_ns p99_ns p999_ns
 *   peer pong N BYTES          the other side; prints ready
 *   peer sync CONNS N BYTES    N sends of which each waits for its answer, over CONNS connections
 *                              (or, with CONNS negative, that many at once over one); prints rate
 *   peer idle CONNS REPS       CONNS connections wait in a receive; REPS times one value
 *   peer many CHANNELS         a value through each of so many channels; prints many_ns a channel
 *
 * The daemon: $BENCH_ADDR (unix:PATH or tcp:HOST:PORT), else as chan_dial finds it. Results are
 * lines `key value`, times CLOCK_MONOTONIC. `empty`, `filled` and the `ready` of idle wait for a
 * line on stdin, so that a driver can look at the daemon's memory meanwhile. Every program
 * ends with cpu_us, its own processor time.
 */
#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "chan/chan.h"
#include "tests/bench/clients.h"

/*
 * What is sent or received by one call, how many sends are in flight, and what a consumer lets come
 * before it has confirmed: as many values as so many bytes hold, and no more than so many. With a
 * credit of two batches (1024 values of 16 B, 20 KiB) each side woke the other for every 500
 * values, and half of the time both waited.
 */
enum { BATCH_MAX = 256, BATCH_BYTES = 256 * 1024 };
enum { IN_FLIGHT_MAX = 4096, IN_FLIGHT_BYTES = 2 * 1024 * 1024 };
enum { CREDIT_MAX = 4096, CREDIT_BYTES = 1024 * 1024 };

/* TRIP_CREDIT lets the confirmation of a value leave with the answer to it: see confirm_late. */
enum { CAPACITY = 4096, TRIP_CREDIT = 16, ALARM_S = 90 };

static void mark(const char *key)
{
	char line[64];

	puts(key);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		exit(1);
}

static struct chan *open_end(struct chan_client *client, const char *name,
	enum chan_direction direction, uint32_t credit)
{
	struct chan_open_options options = {.end = {.credit = credit, .confirm_late = true}};
	struct chan *ch;

	must(chan_open(client, name, direction, &options, &ch));
	return ch;
}

/* On a connection of its own. */
static struct chan *end_of(const char *name, enum chan_direction direction, uint32_t credit)
{
	return open_end(dial(NULL), name, direction, credit);
}

static void make_anew(struct chan_client *client, const char *name, int64_t capacity)
{
	int rc = chan_remove(client, name);

	if (rc != CHAN_ENOCHANNEL)
		must(rc);
	must(chan_make(client, name, CHAN_TYPE_BYTES, capacity, NULL, NULL));
}

static void setup(long a, long b, long c)
{
	struct chan_client *client = dial(NULL);

	(void)a, (void)b, (void)c;
	make_anew(client, "bench-q", CAPACITY);
	make_anew(client, "bench-x", CAPACITY);
	make_anew(client, "bench-y", CAPACITY);
	chan_hangup(client);
}

/* ---- throughput ---- */

static long at_most(long n, long max)
{
	return n < max ? n : max;
}

static long batch_of(long bytes)
{
	return at_most(BATCH_BYTES / bytes, BATCH_MAX);
}

/* Of such batches. */
static long in_flight_max(long batch, long bytes)
{
	return at_most(IN_FLIGHT_BYTES / bytes, IN_FLIGHT_MAX) / batch;
}

static void produce(long n, long bytes, long unused)
{
	struct chan *ch = end_of("bench-q", CHAN_SEND, 0);
	struct chan_client *client = chan_client_of(ch);
	long batch = batch_of(bytes), most = in_flight_max(batch, bytes), in_flight = 0;
	uint8_t *memory = calloc(batch, bytes);
	struct chan_value values[BATCH_MAX];
	struct chan_completion done;

	(void)unused;
	say("start_ns", now_ns());
	for (long sent = 0; sent < n; sent += batch) {
		for (long i = 0; i < batch; i++) {
			memcpy(memory + i * bytes, &(uint64_t){sent + i}, 8);
			values[i] = chan_value_bytes(memory + i * bytes, bytes);
		}
		must(chan_start_send(
			ch, values, n - sent < batch ? n - sent : batch, CHAN_FOREVER, NULL, NULL));
		if (++in_flight < most)
			continue;
		must(chan_wait_completion(client, &done, CHAN_FOREVER));
		must(done.status);
		in_flight--;
	}
	for (; in_flight > 0; in_flight--)
		must(chan_wait_completion(client, &done, CHAN_FOREVER));
	free(memory);
	chan_hangup(client);
}

static void consume(long n, long bytes, long unused)
{
	long batch = batch_of(bytes), credit = at_most(CREDIT_BYTES / bytes, CREDIT_MAX);
	struct chan *ch = end_of("bench-q", CHAN_RECV, credit);
	struct chan_value values[BATCH_MAX];

	(void)unused;
	say_ready();
	for (long received = 0; received < n;) {
		int got = must(chan_recvv(ch, values, batch, CHAN_FOREVER));

		for (int i = 0; i < got; i++, received++) {
			if (values[i].len != (size_t)bytes ||
				memcmp(values[i].bytes, &(uint64_t){received}, 8) != 0)
				errx(1, "another value than %ld", received);
			chan_value_clear(&values[i]);
		}
	}
	say("end_ns", now_ns());
	chan_hangup(chan_client_of(ch));
}

/* ---- round trips ---- */

/* Sends and goes on: what comes of it shows when the next value is received, as a rule. */
static void send_on(struct chan *to, const struct chan_value *v)
{
	struct chan_client *client = chan_client_of(to);
	struct chan_completion done;

	must(chan_start_send(to, v, 1, CHAN_FOREVER, NULL, NULL));
	while (chan_next_completion(client, &done) > 0)
		must(done.status);
}

static void end_trips(struct chan_client *client)
{
	struct chan_completion done;

	while (chan_ops_pending(client) > 0) {
		must(chan_wait_completion(client, &done, CHAN_FOREVER));
		must(done.status);
	}
	chan_hangup(client);
}

static void ping(long n, long bytes, long unused)
{
	struct chan_client *client = dial(NULL);
	struct chan *to = open_end(client, "bench-x", CHAN_SEND, 0);
	struct chan *from = open_end(client, "bench-y", CHAN_RECV, TRIP_CREDIT);
	int64_t *ns = calloc(n, sizeof(*ns));
	struct chan_value out = chan_value_bytes(calloc(1, bytes), bytes), in;

	(void)unused;
	for (long i = -n / 10; i < n; i++) {
		int64_t began_ns = now_ns();

		memcpy((void *)out.bytes, &i, sizeof(i));
		send_on(to, &out);
		must(chan_recv(from, &in));
		if (memcmp(in.bytes, &i, sizeof(i)) != 0)
			errx(1, "another value than %ld", i);
		chan_value_clear(&in);
		if (i >= 0)
			ns[i] = now_ns() - began_ns;
	}
	say_percentiles(ns, n);
	end_trips(client);
}

static void pong(long n, long bytes, long unused)
{
	struct chan_client *client = dial(NULL);
	struct chan *from = open_end(client, "bench-x", CHAN_RECV, TRIP_CREDIT);
	struct chan *to = open_end(client, "bench-y", CHAN_SEND, 0);
	struct chan_value v;

	(void)bytes, (void)unused;
	say_ready();
	for (long i = -n / 10; i < n; i++) {
		must(chan_recv(from, &v));
		send_on(to, &v);
		chan_value_clear(&v);
	}
	end_trips(client);
}

/* ---- many connections, many channels ---- */

/* Nobody receives what is sent in this role, so it goes to as many channels as hold it, made before
 * the clock starts. They are temporary: the daemon is as before when all that use them hung up. */
static void make_sync_channels(struct chan_client *client, long n)
{
	struct chan_make_options options = {.temporary = true};
	struct chan *held;
	char name[32];

	for (long i = 0; i * CAPACITY < n; i++) {
		snprintf(name, sizeof(name), "bench-s%ld", i);
		must(chan_make(client, name, CHAN_TYPE_BYTES, CAPACITY, &options, &held));
	}
}

/* One connection's ends of those channels. */
static struct chan **open_sync_channels(struct chan_client *client, long n)
{
	struct chan **ends = calloc(n / CAPACITY + 1, sizeof(struct chan *));
	char name[32];

	for (long i = 0; i * CAPACITY < n; i++) {
		snprintf(name, sizeof(name), "bench-s%ld", i);
		ends[i] = open_end(client, name, CHAN_SEND, 0);
	}
	return ends;
}

/* One after another, each waiting for its answer. */
static void sync_alone(struct chan **ends, long n, const struct chan_value *v)
{
	for (long i = 0; i < n; i++)
		must(chan_send(ends[i / CAPACITY], v));
}

/* As many at once over one connection. */
static void sync_shared(struct chan **ends, long senders, long n, const struct chan_value *v)
{
	struct chan_client *client = chan_client_of(ends[0]);
	struct chan_completion done;
	long sent = 0, answered = 0;

	for (; sent < senders && sent < n; sent++)
		must(chan_start_send(ends[sent / CAPACITY], v, 1, CHAN_FOREVER, NULL, NULL));
	for (; answered < n; answered++) {
		must(chan_wait_completion(client, &done, CHAN_FOREVER));
		must(done.status);
		if (sent >= n)
			continue;
		must(chan_start_send(ends[sent / CAPACITY], v, 1, CHAN_FOREVER, NULL, NULL));
		sent++;
	}
}

static void start_sync(struct chan **ends, long i, const struct chan_value *v)
{
	struct chan *ch = ends[i / CAPACITY];

	must(chan_start_send(ch, v, 1, CHAN_FOREVER, ends, NULL));
	chan_events(chan_client_of(ch)); /* sends it off */
}

/* One at once over each of as many connections. */
static void sync_apart(struct chan ***ends, long conns, long n, const struct chan_value *v)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	long sent = 0;

	for (long i = 0; i < conns; i++)
		watch(epoll, ends[i][0]);
	for (; sent < conns && sent < n; sent++)
		start_sync(ends[sent], sent, v);
	for (long answered = 0; answered < n; answered++) {
		struct chan_completion done = next_completion(epoll);

		if (sent < n)
			start_sync(done.tag, sent++, v);
	}
}

/* A program that is in calls all the time gives signs of life by these. Without a keeper it has one thread,
 * and the kernel need not count who uses a descriptor in each call: 1.8 % of a send over TCP. */
static const struct chan_dial_options in_calls = {.no_keeper = true};

static void sync_sends(long conns, long n, long bytes)
{
	struct chan_value v = chan_value_bytes(calloc(1, bytes), bytes);
	struct chan_client *maker = dial(&in_calls);
	long apart = conns < 0 ? 1 : conns;
	struct chan ***ends = calloc(apart, sizeof(*ends));
	int64_t began_ns;

	need_descriptors(apart);
	make_sync_channels(maker, n);
	for (long i = 0; i < apart; i++)
		ends[i] = open_sync_channels(dial(&in_calls), n);
	began_ns = now_ns();
	if (conns == 1)
		sync_alone(ends[0], n, &v);
	else if (conns < 0)
		sync_shared(ends[0], -conns, n, &v);
	else
		sync_apart(ends, conns, n, &v);
	say("rate", n * INT64_C(1000000000) / (now_ns() - began_ns));
	for (long i = 0; i < apart; i++)
		chan_hangup(chan_client_of(ends[i][0]));
	chan_hangup(maker);
}

/* Sends a value, and takes what comes of it: how long it was until one of the receivers had it, which
 * then waits for the next. */
static int64_t wake_one(int epoll, struct chan *to, const struct chan_value *v)
{
	int64_t began_ns = now_ns(), woke_ns = 0;
	bool answered = false;

	must(chan_start_send(to, v, 1, CHAN_FOREVER, NULL, NULL));
	chan_events(chan_client_of(to));
	while (!woke_ns || !answered) {
		struct chan_completion done = next_completion(epoll);

		if (done.chan == to) {
			answered = true;
			continue;
		}
		woke_ns = now_ns();
		chan_value_clear(&done.value);
		must(chan_start_recv(done.chan, CHAN_FOREVER, NULL, NULL));
		chan_events(chan_client_of(done.chan));
	}
	return woke_ns - began_ns;
}

static void idle(long conns, long reps, long unused)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int64_t *ns = calloc(reps, sizeof(*ns));
	struct chan_value v = chan_value_bytes("0123456789abcdef", 16);
	struct chan_make_options options = {.temporary = true, .direction = CHAN_SEND};
	struct chan *to;

	(void)unused;
	need_descriptors(conns);
	must(chan_make(dial(NULL), "bench-idle", CHAN_TYPE_BYTES, CAPACITY, &options, &to));
	mark("empty");
	for (long i = 0; i < conns; i++) {
		struct chan *ch = end_of("bench-idle", CHAN_RECV, 0);

		must(chan_start_recv(ch, CHAN_FOREVER, NULL, NULL));
		watch(epoll, ch);
	}
	must(chan_ping(chan_client_of(to), NULL));
	watch(epoll, to);
	mark("ready");
	for (long i = 0; i < reps; i++) {
		ns[i] = wake_one(epoll, to, &v);
		usleep(500);
	}
	say_percentiles(ns, reps);
}

static void start_one_make(struct chan_client *client, struct chan **ends, long i)
{
	static const struct chan_make_options options = {.temporary = true};
	char name[32];

	snprintf(name, sizeof(name), "bench-m%ld", i);
	must(chan_start_make(client, name, CHAN_TYPE_BYTES, 1, &options, &ends[i], NULL));
}

static void start_one_recv(struct chan_client *client, struct chan **ends, long i)
{
	(void)client;
	must(chan_start_recv(ends[i], CHAN_FOREVER, NULL, NULL));
}

/* A make's tag is where its end goes, which a value is sent to at once. Whether the channel is
 * done. */
static bool go_on(struct chan_completion *done)
{
	static const struct chan_value v = {
		.type = CHAN_TYPE_BYTES, .bytes = "0123456789abcdef", .len = 16};

	must(done->status);
	chan_value_clear(&done->value);
	if (!done->tag)
		return true;
	*(struct chan **)done->tag = done->chan;
	must(chan_start_send(done->chan, &v, 1, CHAN_FOREVER, NULL, NULL));
	return false;
}

/* More wait for memory and not for the daemon; with fewer either side waits for the other. */
enum { CHANNELS_AT_ONCE = 2048, COMPLETIONS_MAX = 512 };

/* Has all n channels do what start begins. Returns how long it took. */
static int64_t run_all(struct chan_client *client, struct chan **ends, long n,
	void (*start)(struct chan_client *client, struct chan **ends, long i))
{
	struct chan_completion done[COMPLETIONS_MAX];
	int64_t began_ns = now_ns();
	long started = 0, ended = 0, got;

	while (ended < n) {
		for (; started < n && started - ended < CHANNELS_AT_ONCE; started++)
			start(client, ends, started);
		got = must(chan_wait_completions(client, done, COMPLETIONS_MAX, CHAN_FOREVER));
		for (long i = 0; i < got; i++)
			ended += go_on(&done[i]);
	}
	return now_ns() - began_ns;
}

static void many(long n, long b, long c)
{
	struct chan_client *client = dial(NULL);
	struct chan **ends = calloc(n, sizeof(struct chan *));
	int64_t spent_ns;

	(void)b, (void)c;
	mark("empty");
	spent_ns = run_all(client, ends, n, start_one_make);
	mark("filled");
	spent_ns += run_all(client, ends, n, start_one_recv);
	say("many_ns", spent_ns / n);
	chan_hangup(client);
}

static const struct {
	const char *name;
	void (*play)(long, long, long);
} roles[] = {
	{"setup", setup},
	{"produce", produce},
	{"consume", consume},
	{"ping", ping},
	{"pong", pong},
	{"sync", sync_sends},
	{"idle", idle},
	{"many", many},
};

static long number(int argc, char **argv, int i)
{
	return i < argc ? atol(argv[i]) : 0;
}

int main(int argc, char **argv)
{
	alarm(ALARM_S);
	for (size_t i = 0; argc > 1 && i < sizeof(roles) / sizeof(roles[0]); i++) {
		if (strcmp(argv[1], roles[i].name) != 0)
			continue;
		roles[i].play(number(argc, argv, 2), number(argc, argv, 3), number(argc, argv, 4));
		say_cpu();
		return 0;
	}
	return 3;
}
