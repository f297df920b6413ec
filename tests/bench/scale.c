/*
 * scale.c - what an operation costs when there are many of something. Prints lines `NAME VALUE
 * UNIT`; the cost of one is to stay the same as the number grows.
 *
 *   scale channels N       makes N channels; then a value through one after another, 64 at once
 *   scale connections N    N connections; then a send and a receive over one after another, 50 at
 * once
 *
 * The daemon: $BENCH_ADDR as for peer; its pid, for its memory: $BENCH_DAEMON.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "chan/chan.h"
#include "tests/bench/clients.h"

/* STRIDE has no divisor in common with what is counted here: steps of it visit all, never
 * neighbours. */
enum {
	VALUES = 100000,
	CHANNELS_AT_ONCE = 64,
	CONNECTIONS_AT_ONCE = 50,
	STRIDE = 7919,
	ALARM_S = 120
};

static const struct chan_value value = {
	.type = CHAN_TYPE_BYTES, .bytes = "0123456789abcdef", .len = 16};

static void print_cost(const char *what, long n, const char *part, double cost, const char *unit)
{
	printf("%s_%ld_%s %.2f %s\n", what, n, part, cost, unit);
}

static double us_each(int64_t began_ns, long n)
{
	return (double)(now_ns() - began_ns) / 1e3 / (double)n;
}

/* ---- channels ---- */

/* A session holds 65,536 ends at most, so it takes two for 100,000 channels. */
enum { CHANNELS_OF_ONE_CLIENT = 50000, CLIENTS_MAX = 8 };

static struct chan_client *clients[CLIENTS_MAX];
static int client_count;

static void await_all_clients(void)
{
	for (int i = 0; i < client_count; i++)
		await_all(clients[i]);
}

static void make_channels(struct chan **ends, long n)
{
	struct chan_make_options options = {.temporary = true};
	char name[32];

	for (long i = 0; i < n; i++) {
		struct chan_client *client = clients[i / CHANNELS_OF_ONE_CLIENT];

		snprintf(name, sizeof(name), "scale-%ld", i);
		must(chan_start_make(client, name, CHAN_TYPE_BYTES, 1, &options, NULL, NULL));
	}
	for (long i = 0; i < n; i++)
		ends[i] = await(clients[i / CHANNELS_OF_ONE_CLIENT]).chan;
}

static void pass_values(struct chan **ends, long n)
{
	for (long at = 0; at < VALUES; at += CHANNELS_AT_ONCE) {
		for (long i = at; i < at + CHANNELS_AT_ONCE; i++)
			must(chan_start_send(
				ends[i * STRIDE % n], &value, 1, CHAN_FOREVER, NULL, NULL));
		await_all_clients();
		for (long i = at; i < at + CHANNELS_AT_ONCE; i++)
			must(chan_start_recv(ends[i * STRIDE % n], CHAN_FOREVER, NULL, NULL));
		await_all_clients();
	}
}

static void channels(long n)
{
	struct chan **ends = calloc((size_t)n, sizeof(struct chan *));
	int64_t before_bytes = daemon_resident_bytes(), began_ns;

	for (long i = 0; i < n; i += CHANNELS_OF_ONE_CLIENT)
		clients[client_count++] = dial(NULL);
	began_ns = now_ns();
	make_channels(ends, n);
	print_cost("channels", n, "make", us_each(began_ns, n), "us");
	began_ns = now_ns();
	pass_values(ends, n);
	print_cost("channels", n, "value", us_each(began_ns, VALUES), "us");
	print_cost("channels", n, "memory",
		(double)(daemon_resident_bytes() - before_bytes) / (double)n, "B");
	for (int i = 0; i < client_count; i++)
		chan_hangup(clients[i]);
}

/* ---- connections ---- */

static struct chan *connect_to(const char *name, int epoll)
{
	struct chan_dial_options options = {.no_keeper = true};
	struct chan *ch;

	must(chan_open(dial(&options), name, CHAN_BOTH, NULL, &ch));
	watch(epoll, ch);
	return ch;
}

static void send_over(struct chan *ch)
{
	must(chan_start_send(ch, &value, 1, CHAN_FOREVER, NULL, NULL));
	chan_events(chan_client_of(ch)); /* sends it off */
}

/* Each that has sent receives; each that has received passes its turn on. */
static void take_turns(int epoll, struct chan **ends, long n)
{
	long started = 0, ended = 0;

	for (; started < CONNECTIONS_AT_ONCE; started++)
		send_over(ends[started * STRIDE % n]);
	while (ended < VALUES) {
		struct chan_completion done = next_completion(epoll);

		if (done.value.len == 0) {
			must(chan_start_recv(done.chan, CHAN_FOREVER, NULL, NULL));
			chan_events(chan_client_of(done.chan));
			continue;
		}
		chan_value_clear(&done.value);
		chan_events(chan_client_of(done.chan)); /* confirms it */
		ended++;
		if (started < VALUES)
			send_over(ends[started++ * STRIDE % n]);
	}
}

static void connections(long n)
{
	struct chan_make_options options = {.temporary = true};
	struct chan_client *maker = dial(NULL);
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct chan **ends = calloc((size_t)n, sizeof(struct chan *)), *held;
	int64_t before_bytes = daemon_resident_bytes(), began_ns = now_ns();

	need_descriptors((rlim_t)n);
	must(chan_make(maker, "scale", CHAN_TYPE_BYTES, 4096, &options, &held));
	for (long i = 0; i < n; i++)
		ends[i] = connect_to("scale", epoll);
	print_cost("connections", n, "connect", us_each(began_ns, n), "us");
	print_cost("connections", n, "memory",
		(double)(daemon_resident_bytes() - before_bytes) / (double)n, "B");
	began_ns = now_ns();
	take_turns(epoll, ends, n);
	print_cost("connections", n, "value", us_each(began_ns, VALUES), "us");
	for (long i = 0; i < n; i++)
		chan_hangup(chan_client_of(ends[i]));
	chan_hangup(maker);
}

int main(int argc, char **argv)
{
	long n = argc == 3 ? atol(argv[2]) : 0;

	alarm(ALARM_S);
	if (n >= CHANNELS_AT_ONCE && n <= (long)CLIENTS_MAX * CHANNELS_OF_ONE_CLIENT &&
		strcmp(argv[1], "channels") == 0)
		channels(n);
	else if (n >= CONNECTIONS_AT_ONCE && strcmp(argv[1], "connections") == 0)
		connections(n);
	else
		errx(2, "see the top of scale.c");
	return 0;
}
