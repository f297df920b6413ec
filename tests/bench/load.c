/*
 * load.c - many clients at once through a daemon, each a process with libchan as a user would write
 * it. One load a run, which prints lines `NAME VALUE UNIT`:
 *
 *	load flow PRODUCERS CONSUMERS CHANNELS N
 *		N values of 16 B over buffered channels, each of which closes when its producers have
 *		closed it
 *	load fair PRODUCERS CONSUMERS SECONDS
 *		one buffered channel for so long: what the slowest of the side with more clients had of
 *		what the fastest had
 *	load mixed N
 *		one producer, one consumer, values of 16 B to 64 KiB
 *	load rendezvous SENDERS RECEIVERS N
 *		an unbuffered channel, each send waits to be taken
 *	load select SELECTORS CHANNELS N
 *		selects over so many channels, one producer
 *	load steady SECONDS
 *		4 producers, 4 consumers, 100 channels, mixed sizes: the memory of the daemon
 *		$BENCH_DAEMON (its pid) before, in the middle, at the end and after
 *
 * The daemon: $BENCH_ADDR as for peer. A producer on one channel has a window of some thousand
 * values, one on many a few on each; capacities are at most 4096.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chan/chan.h"
#include "tests/bench/clients.h"
#include "tests/bench/crew.h"
#include "tests/support/dice.h"

enum {
	SMALL_BYTES = 16,
	LARGE_BYTES = 64 << 10,
	BATCH_MAX = 256,
	ALARM_S = 120,
	STEADY_CHANNELS = 100,
	STEADY_CLIENTS = 4,
};

/* What flows: the producers share the channels, and so do the consumers; where there are more
 * clients than channels, several have the same one. */
struct flow {
	int producers, consumers, channels;
	long n;          /* values on each channel from each of its producers; 0: until ends_ns */
	int64_t ends_ns; /* of the clock */
	int64_t capacity;
	uint32_t credit;
	int batch;              /* values of one send */
	size_t sends_in_flight; /* of a producer, over all its channels */
	bool mixed;
};

static struct flow flow_of(int producers, int consumers, int channels)
{
	bool deep = channels == 1;

	return (struct flow){
		.producers = producers,
		.consumers = consumers,
		.channels = channels,
		.capacity = deep ? 4096 : 64,
		.credit = deep ? 512 : 16,
		.batch = deep ? BATCH_MAX : 16,
		.sends_in_flight = deep ? 8 : 64,
	};
}

static int most(int a, int b)
{
	return a > b ? a : b;
}

/* How many of the channels are those of number `client` among so many. */
static int share_of(int client, int clients, int channels)
{
	return clients >= channels ? 1 : (channels - client + clients - 1) / clients;
}

static const char *channel_name(int i)
{
	static char name[32];

	snprintf(name, sizeof(name), "load-%d", i);
	return name;
}

/* They are gone when who holds them has hung up. Who makes them is no producer. */
static struct chan_client *make_channels(int channels, int64_t capacity, int producers)
{
	struct chan_make_options options = {
		.temporary = true, .producers = producers, .direction = CHAN_RECV};
	struct chan_client *client = dial(NULL);

	for (int i = 0; i < channels; i++)
		must(chan_start_make(
			client, channel_name(i), CHAN_TYPE_BYTES, capacity, &options, NULL, NULL));
	await_all(client);
	return client;
}

/* Ends of the `share` channels of number `number` among `clients`, as soon as these are made. */
static struct chan **open_share(const struct flow *f, int number, int clients, int share,
	enum chan_direction direction, uint32_t credit)
{
	struct chan_open_options options = {.wait_create = true, .end = {.credit = credit}};
	struct chan **ends = calloc((size_t)share, sizeof(*ends));
	struct chan_client *client = dial(NULL);

	for (int i = 0; i < share; i++) {
		const char *name = channel_name((number + i * clients) % f->channels);

		must(chan_start_open(client, name, direction, &options, NULL, NULL));
	}
	for (int i = 0; i < share; i++)
		ends[i] = await(client).chan;
	return ends;
}

/* ---- producers ---- */

/* Most values are small, and most bytes are in large ones. */
static size_t mixed_bytes(struct dice *d)
{
	uint32_t roll = dice_choose(d, 1000);

	return roll < 600   ? SMALL_BYTES
	       : roll < 850 ? 128
	       : roll < 950 ? 1024
	       : roll < 995 ? 8192
			    : LARGE_BYTES;
}

static void fill_batch(const struct flow *f, struct dice *d, struct chan_value *values, int n)
{
	static uint8_t payload[LARGE_BYTES];

	for (int i = 0; i < n; i++)
		values[i] = chan_value_bytes(payload, f->mixed ? mixed_bytes(d) : SMALL_BYTES);
}

static bool flow_over(const struct flow *f, long sent)
{
	return f->n ? sent >= f->n : now_ns() >= f->ends_ns;
}

/* A batch on each channel in turn. Returns how many values each had. */
static long produce(const struct flow *f, struct chan **ends, int share, struct dice *d)
{
	struct chan_client *client = chan_client_of(ends[0]);
	struct chan_value values[BATCH_MAX];
	long sent;

	for (sent = 0; !flow_over(f, sent); sent += f->batch) {
		int n = f->n && f->n - sent < f->batch ? (int)(f->n - sent) : f->batch;

		for (int i = 0; i < share; i++) {
			fill_batch(f, d, values, n);
			must(chan_start_send(ends[i], values, (size_t)n, CHAN_FOREVER, NULL, NULL));
			if (chan_ops_pending(client) >= f->sends_in_flight)
				await(client);
		}
	}
	await_all(client);
	return sent;
}

static void producer(struct crew *c, int number, const void *load)
{
	const struct flow *f = load;
	int share = share_of(number, f->producers, f->channels);
	struct chan **ends = open_share(f, number, f->producers, share, CHAN_SEND, 0);
	struct chan_client *client = chan_client_of(ends[0]);
	struct dice d = {(uint64_t)number};
	long sent;

	crew_begin(c);
	sent = produce(f, ends, share, &d);
	if (f->producers > f->consumers)
		crew_compare(c, sent);
	for (int i = 0; i < share; i++)
		must(chan_start_close(ends[i], NULL, NULL, NULL));
	await_all(client);
	chan_hangup(client);
}

/* ---- consumers ---- */

struct received {
	int64_t values, bytes;
};

static void count(struct received *r, struct chan_value *v)
{
	r->values++;
	r->bytes += (int64_t)v->len;
	chan_value_clear(v);
}

static void consume_one(struct chan *ch, struct received *r)
{
	struct chan_value values[BATCH_MAX];
	int n;

	while ((n = must(chan_recvv(ch, values, BATCH_MAX, CHAN_FOREVER))) > 0)
		for (int i = 0; i < n; i++)
			count(r, &values[i]);
}

/* A receive stands on each until it is closed. */
static void consume_several(struct chan **ends, int share, struct received *r)
{
	struct chan_client *client = chan_client_of(ends[0]);

	for (int i = 0; i < share; i++)
		must(chan_start_recv(ends[i], CHAN_FOREVER, NULL, NULL));
	for (int open = share; open > 0;) {
		struct chan_completion done = await(client);

		if (done.closed) {
			open--;
			continue;
		}
		count(r, &done.value);
		must(chan_start_recv(done.chan, CHAN_FOREVER, NULL, NULL));
	}
}

static void consumer(struct crew *c, int number, const void *load)
{
	const struct flow *f = load;
	int share = share_of(number, f->consumers, f->channels);
	struct chan **ends = open_share(f, number, f->consumers, share, CHAN_RECV, f->credit);
	struct received r = {0, 0};

	crew_begin(c);
	if (share == 1)
		consume_one(ends[0], &r);
	else
		consume_several(ends, share, &r);
	if (f->consumers > f->producers)
		crew_compare(c, r.values);
	crew_report(c, r.values, r.bytes);
	chan_hangup(chan_client_of(ends[0]));
}

/* ---- flow, mixed ---- */

/* Runs a crew, whose clients wait for the channels, over them. */
static void crew_run_over(struct crew *c, const struct flow *f, int producers)
{
	struct chan_client *client;

	crew_start(c);
	client = make_channels(f->channels, f->capacity, producers);
	crew_begin(c);
	crew_join(c);
	chan_hangup(client);
}

/* Clients on each channel. */
static int on_each(int clients, int channels)
{
	return most(clients / channels, 1);
}

static void flow_run(const struct flow *f, struct crew *c)
{
	crew_init(c);
	crew_hire(c, f->consumers, consumer, f);
	crew_hire(c, f->producers, producer, f);
	crew_run_over(c, f, on_each(f->producers, f->channels));
	if (c->board->values != f->n * f->channels * on_each(f->producers, f->channels))
		errx(1, "%lld values came through", (long long)c->board->values);
}

static void flow(char **argument)
{
	struct flow f = flow_of(atoi(argument[0]), atoi(argument[1]), atoi(argument[2]));
	struct crew c;

	f.n = atol(argument[3]) / f.channels / on_each(f.producers, f.channels);
	flow_run(&f, &c);
	printf("flow_%dto%d_over_%d %.0f values/s\n", f.producers, f.consumers, f.channels,
		(double)c.board->values / crew_seconds(&c));
	crew_dismiss(&c);
}

static void fair(char **argument)
{
	struct flow f = flow_of(atoi(argument[0]), atoi(argument[1]), 1);
	struct crew c;

	f.batch = 16;
	f.ends_ns = now_ns() + atol(argument[2]) * INT64_C(1000000000);
	crew_init(&c);
	crew_hire(&c, f.consumers, consumer, &f);
	crew_hire(&c, f.producers, producer, &f);
	crew_run_over(&c, &f, f.producers);
	printf("fair_%dto%d %.2f slowest/fastest\n", f.producers, f.consumers,
		crew_slowest_share(&c));
	crew_dismiss(&c);
}

static void mixed(char **argument)
{
	struct flow f = flow_of(1, 1, 1);
	struct crew c;

	f.mixed = true;
	f.batch = 16;
	f.n = atol(argument[0]);
	flow_run(&f, &c);
	printf("mixed_sizes %.0f values/s\n", (double)c.board->values / crew_seconds(&c));
	printf("mixed_sizes_bytes %.1f MB/s\n", (double)c.board->bytes / crew_seconds(&c) / 1e6);
	crew_dismiss(&c);
}

/* ---- rendezvous ---- */

static void sender(struct crew *c, int number, const void *load)
{
	const struct flow *f = load;
	struct chan *ch = *open_share(f, number, f->producers, 1, CHAN_SEND, 0);

	crew_begin(c);
	for (long i = 0; i < f->n; i++)
		must(chan_send_bytes(ch, "0123456789abcdef", SMALL_BYTES));
	must(chan_close(ch, NULL));
	chan_hangup(chan_client_of(ch));
}

static void receiver(struct crew *c, int number, const void *load)
{
	const struct flow *f = load;
	struct chan *ch = *open_share(f, number, f->consumers, 1, CHAN_RECV, 0);
	struct received r = {0, 0};
	struct chan_value v;

	crew_begin(c);
	while (must(chan_recv(ch, &v)) > 0)
		count(&r, &v);
	crew_report(c, r.values, r.bytes);
	chan_hangup(chan_client_of(ch));
}

static void rendezvous(char **argument)
{
	struct flow f = flow_of(atoi(argument[0]), atoi(argument[1]), 1);
	struct crew c;

	f.n = atol(argument[2]) / f.producers;
	f.capacity = 0;
	crew_init(&c);
	crew_hire(&c, f.consumers, receiver, &f);
	crew_hire(&c, f.producers, sender, &f);
	crew_run_over(&c, &f, f.producers);
	printf("rendezvous_%dto%d %.0f values/s\n", f.producers, f.consumers,
		(double)c.board->values / crew_seconds(&c));
	crew_dismiss(&c);
}

/* ---- select ---- */

/* Until all are closed: a case that is, waits no more. */
static void selector(struct crew *c, int number, const void *load)
{
	const struct flow *f = load;
	struct chan **ends = open_share(f, 0, 1, f->channels, CHAN_RECV, 0);
	struct chan_client *client = chan_client_of(ends[0]);
	struct chan_case *cases = calloc((size_t)f->channels, sizeof(*cases));
	struct received r = {0, 0};

	(void)number;
	for (int i = 0; i < f->channels; i++)
		cases[i] = (struct chan_case){.chan = ends[i], .direction = CHAN_RECV};
	crew_begin(c);
	for (int open = f->channels; open > 0;) {
		int i = must(chan_select(client, cases, (size_t)f->channels, CHAN_FOREVER));

		if (cases[i].result > 0) {
			count(&r, &cases[i].value);
			continue;
		}
		cases[i].chan = NULL;
		open--;
	}
	crew_report(c, r.values, r.bytes);
	chan_hangup(client);
}

static void selects(char **argument)
{
	struct flow f = flow_of(1, atoi(argument[0]), atoi(argument[1]));
	struct crew c;

	f.n = atol(argument[2]) / f.channels;
	crew_init(&c);
	crew_hire(&c, f.consumers, selector, &f);
	crew_hire(&c, 1, producer, &f);
	crew_run_over(&c, &f, 1);
	printf("select_%d_by_%d %.0f selects/s\n", f.channels, f.consumers,
		(double)c.board->values / crew_seconds(&c));
	crew_dismiss(&c);
}

/* ---- steady ---- */

static void print_memory(const char *when)
{
	printf("steady_%s %.1f MiB\n", when, (double)daemon_resident_bytes() / (1 << 20));
}

static void steady(char **argument)
{
	struct flow f = flow_of(STEADY_CLIENTS, STEADY_CLIENTS, STEADY_CHANNELS);
	long seconds = atol(argument[0]);
	struct chan_client *client;
	struct crew c;

	print_memory("before");
	f.mixed = true;
	f.ends_ns = now_ns() + seconds * INT64_C(1000000000);
	crew_init(&c);
	crew_hire(&c, f.consumers, consumer, &f);
	crew_hire(&c, f.producers, producer, &f);
	crew_start(&c);
	client = make_channels(f.channels, f.capacity, 1);
	crew_begin(&c);
	usleep((useconds_t)(seconds * 500000));
	print_memory("middle");
	usleep((useconds_t)(seconds * 400000));
	print_memory("end");
	crew_join(&c);
	chan_hangup(client);
	print_memory("after");
	printf("steady_flow %.0f values/s\n", (double)c.board->values / crew_seconds(&c));
	crew_dismiss(&c);
}

static const struct {
	const char *name;
	int arguments;
	void (*run)(char **argument);
} loads[] = {
	{"flow", 4, flow},
	{"fair", 3, fair},
	{"mixed", 1, mixed},
	{"rendezvous", 3, rendezvous},
	{"select", 3, selects},
	{"steady", 1, steady},
};

int main(int argc, char **argv)
{
	alarm(ALARM_S);
	for (size_t i = 0; argc > 1 && i < sizeof(loads) / sizeof(loads[0]); i++) {
		if (strcmp(argv[1], loads[i].name) != 0 || argc != 2 + loads[i].arguments)
			continue;
		loads[i].run(argv + 2);
		return 0;
	}
	fputs("load: see the top of load.c\n", stderr);
	return 2;
}
