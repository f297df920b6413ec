/*
 * What goroutines and channels cost in the process.
 *
 *	inproc -procs P ROW...          prints `NAME VALUE UNIT` a measurement; smaller is better
 *	inproc                          lists the rows
 *
 * Every row does a fixed amount of work, so that a program for another runtime which has the same
 * rows can be laid beside this one.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/channel/hchan.h"
#include "server/channel/select.h"
#include "server/runtime/go.h"
#include "server/runtime/runtime.h"
#include "tests/support/waitgroup.h"

static void print_result(const char *name, double value, const char *unit)
{
	printf("%s %.2f %s\n", name, value, unit);
}

static void print_per_op(const char *name, int64_t since_ns, long n)
{
	print_result(name, (double)(clock_now_ns() - since_ns) / (double)n, "ns");
}

static void fail(const char *name, const char *what)
{
	fprintf(stderr, "inproc: %s: %s\n", name, what);
	exit(1);
}

static struct hchan *make_or_die(size_t elem_bytes, size_t capacity)
{
	struct hchan *c = hchan_new(elem_bytes, capacity, NULL);

	if (!c)
		fail("hchan_new", "no memory");
	return c;
}

#define make(type, capacity) make_or_die(sizeof(type), (capacity))

/* go(), where nothing else than success makes a measurement. */
#define go_or_die(...)                                                                             \
	do {                                                                                       \
		if (go(__VA_ARGS__))                                                               \
			fail("go", "no goroutine could be started");                               \
	} while (0)

/* ---- yield ---- */

struct yielders {
	struct waitgroup ready, done;
	struct hchan *start;
	long each;
};

static void yielder(struct yielders *y)
{
	waitgroup_done(&y->ready);
	hchan_recv(y->start, NULL);
	for (long i = 0; i < y->each; i++)
		go_yield();
	waitgroup_done(&y->done);
}

/* Each of `goroutines` yields; the cost is wall time over all yields. */
static void yield(const char *name, long goroutines, long total)
{
	struct yielders y = {
		.ready = WAITGROUP_INIT,
		.done = WAITGROUP_INIT,
		.start = make(struct {}, 0),
		.each = total / goroutines,
	};
	int64_t start_ns;

	waitgroup_add(&y.ready, goroutines);
	waitgroup_add(&y.done, goroutines);
	for (long i = 0; i < goroutines; i++)
		go_or_die(yielder, &y);
	waitgroup_wait(&y.ready);
	start_ns = clock_now_ns();
	hchan_close(y.start);
	waitgroup_wait(&y.done);
	print_per_op(name, start_ns, y.each * goroutines);
	hchan_unref(y.start);
}

/* ---- spawn ---- */

static atomic_long spawned;

static void spawnee(struct waitgroup *done)
{
	atomic_fetch_add(&spawned, 1);
	waitgroup_done(done);
}

static void spawn_round(long batch)
{
	struct waitgroup done = WAITGROUP_INIT;

	waitgroup_add(&done, batch);
	for (long i = 0; i < batch; i++)
		go_or_die(spawnee, &done);
	waitgroup_wait(&done);
}

/* Create, run, exit: `batch` goroutines in flight, then join them all. */
static void spawn(const char *name, long batch, long total)
{
	long rounds = total / batch;
	int64_t start_ns;

	for (long i = 0; i < rounds / 10 + 1; i++)
		spawn_round(batch);
	start_ns = clock_now_ns();
	for (long i = 0; i < rounds; i++)
		spawn_round(batch);
	print_per_op(name, start_ns, rounds * batch);
}

/* ---- ping-pong ---- */

static void ponger(struct hchan *a, struct hchan *b)
{
	long v;

	hchan_range (a, v)
		hchan_send(b, &v);
	hchan_close(b);
}

static void pingpong_rounds(struct hchan *a, struct hchan *b, long n)
{
	long v;

	for (long i = 0; i < n; i++) {
		hchan_send(a, &i);
		hchan_recv(b, &v);
	}
}

/* One round trip over two unbuffered channels. */
static void pingpong(const char *name, long n)
{
	struct hchan *a = make(long, 0), *b = make(long, 0);
	int64_t start_ns;

	go_or_die(ponger, a, b);
	pingpong_rounds(a, b, n / 10);
	start_ns = clock_now_ns();
	pingpong_rounds(a, b, n);
	print_per_op(name, start_ns, n);
	hchan_close(a);
	hchan_recv(b, NULL);
	hchan_unref(a);
	hchan_unref(b);
}

/* ---- pipe ---- */

struct pipe {
	struct hchan *c;
	struct waitgroup producers, consumers;
	long each;
	atomic_long received;
};

static void producer(struct pipe *p)
{
	for (long i = 0; i < p->each; i++)
		hchan_send(p->c, &i);
	waitgroup_done(&p->producers);
}

static void consumer(struct pipe *p)
{
	long v, received = 0;

	hchan_range (p->c, v)
		received++;
	atomic_fetch_add(&p->received, received);
	waitgroup_done(&p->consumers);
}

/* Producers and consumers on one channel, `n` values in all. */
static void pipe_through(const char *name, size_t capacity, long producers, long consumers, long n)
{
	struct pipe p = {
		.c = make(long, capacity),
		.producers = WAITGROUP_INIT,
		.consumers = WAITGROUP_INIT,
		.each = n / producers,
	};
	int64_t start_ns;

	waitgroup_add(&p.producers, producers);
	waitgroup_add(&p.consumers, consumers);
	start_ns = clock_now_ns();
	for (long i = 0; i < consumers; i++)
		go_or_die(consumer, &p);
	for (long i = 0; i < producers; i++)
		go_or_die(producer, &p);
	waitgroup_wait(&p.producers);
	hchan_close(p.c);
	waitgroup_wait(&p.consumers);
	print_per_op(name, start_ns, p.each * producers);
	if (p.received != p.each * producers)
		fail(name, "values were lost");
	hchan_unref(p.c);
}

/* ---- select ---- */

enum { SELECT_WAYS_MAX = 8 };

struct ways {
	struct hchan *c[SELECT_WAYS_MAX];
	struct select_case cases[SELECT_WAYS_MAX];
	long value;
};

static void ways_init(struct ways *w, int n, size_t capacity)
{
	for (int i = 0; i < n; i++) {
		w->c[i] = make(long, capacity);
		w->cases[i] = select_recv(w->c[i], &w->value);
	}
}

static void ways_fini(struct ways *w, int n)
{
	for (int i = 0; i < n; i++)
		hchan_unref(w->c[i]);
}

/* One goroutine sends into buffered channel i mod k; its select finds it. */
static void select_ready(const char *name, int k, long n)
{
	struct ways w;
	int64_t start_ns;

	ways_init(&w, k, 1);
	start_ns = clock_now_ns();
	for (long i = 0; i < n; i++) {
		hchan_send(w.c[i % k], &i);
		hchan_select(w.cases, k, DEADLINE_NEVER);
	}
	print_per_op(name, start_ns, n);
	ways_fini(&w, k);
}

static void round_robin(struct ways *w, int k, long n, struct waitgroup *done)
{
	for (long i = 0; i < n; i++)
		hchan_send(w->c[i % k], &i);
	waitgroup_done(done);
}

/* A producer sends round-robin over k unbuffered channels; select receives. */
static void select_block(const char *name, int k, long n)
{
	struct waitgroup done = WAITGROUP_INIT;
	struct ways w;
	int64_t start_ns;

	ways_init(&w, k, 0);
	waitgroup_add(&done, 1);
	go_or_die(round_robin, &w, k, n, &done);
	start_ns = clock_now_ns();
	for (long i = 0; i < n; i++)
		hchan_select(w.cases, k, DEADLINE_NEVER);
	print_per_op(name, start_ns, n);
	waitgroup_wait(&done);
	ways_fini(&w, k);
}

/* ---- many parked ---- */

struct sleepers {
	struct waitgroup up, done;
	struct hchan *c;
};

static void sleeper(struct sleepers *s)
{
	waitgroup_done(&s->up);
	hchan_recv(s->c, NULL);
	waitgroup_done(&s->done);
}

static void sleepers_start(struct sleepers *s, long n)
{
	*s = (struct sleepers){
		.up = WAITGROUP_INIT,
		.done = WAITGROUP_INIT,
		.c = make(long, 0),
	};
	waitgroup_add(&s->up, n);
	waitgroup_add(&s->done, n);
	for (long i = 0; i < n; i++)
		go_or_die(sleeper, s);
	waitgroup_wait(&s->up);
}

static void sleepers_wake(struct sleepers *s)
{
	hchan_close(s->c);
	waitgroup_wait(&s->done);
}

/* A line of /proc/self/status that counts kB, in bytes. */
static double status_bytes(const char *key)
{
	char line[256];
	double kb = 0;
	FILE *f = fopen("/proc/self/status", "r");

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':')
			kb = strtod(line + strlen(key) + 1, NULL);
	fclose(f);
	return kb * 1024;
}

static void print_suffixed(const char *name, const char *suffix, double value, const char *unit)
{
	char full[64];

	snprintf(full, sizeof(full), "%s%s", name, suffix);
	print_result(full, value, unit);
}

/* n goroutines parked on one channel: time to create them, then memory and page tables. */
static void parked(const char *name, long n)
{
	double rss = status_bytes("VmRSS"), pte = status_bytes("VmPTE");
	int64_t start_ns = clock_now_ns();
	struct sleepers s;
	double create_ms;

	sleepers_start(&s, n);
	create_ms = (double)(clock_now_ns() - start_ns) / NS_PER_MS;
	go_sleep(50 * NS_PER_MS);
	print_suffixed(name, "_create", create_ms, "ms");
	print_suffixed(name, "_rss", (status_bytes("VmRSS") - rss) / (double)n, "B/goroutine");
	print_suffixed(name, "_pte", (status_bytes("VmPTE") - pte) / (double)n, "B/goroutine");
	sleepers_wake(&s);
	hchan_unref(s.c);
}

/* close wakes n receivers; until the last has run. Two rounds to warm up. */
static void close_wake(const char *name, long n)
{
	struct sleepers s;
	int64_t start_ns = 0;

	for (int round = 0; round < 3; round++) {
		sleepers_start(&s, n);
		go_sleep(20 * NS_PER_MS);
		start_ns = clock_now_ns();
		sleepers_wake(&s);
		if (round == 2)
			print_result(name, (double)(clock_now_ns() - start_ns) / NS_PER_US, "us");
		hchan_unref(s.c);
	}
}

/* ---- sieve ---- */

static void generate(struct hchan *out)
{
	for (long i = 2;; i++)
		hchan_send(out, &i);
}

static void filter(struct hchan *in, struct hchan *out, long prime)
{
	long i;

	for (;;) {
		hchan_recv(in, &i);
		if (i % prime != 0)
			hchan_send(out, &i);
	}
}

/* The first n primes through a chain of filters over unbuffered channels. The chain is left
 * waiting, as there is no end to it. */
static void sieve(const char *name, long n)
{
	int64_t start_ns = clock_now_ns();
	struct hchan *c = make(long, 0);
	long prime = 0;

	go_or_die(generate, c);
	for (long i = 0; i < n; i++) {
		struct hchan *next = make(long, 0);

		hchan_recv(c, &prime);
		go_or_die(filter, c, next, prime);
		c = next;
	}
	print_result(name, (double)(clock_now_ns() - start_ns) / NS_PER_MS, "ms");
	if (n == 2000 && prime != 17389)
		fail(name, "wrong prime");
}

/* ---- skynet ---- */

enum { SKYNET_CHILDREN = 10 };

static void skynet_node(struct hchan *out, long number, long size)
{
	struct hchan *in;
	long v, sum = 0;

	if (size == 1) {
		hchan_send(out, &number);
		return;
	}
	in = make(long, 0);
	size /= SKYNET_CHILDREN;
	for (long i = 0; i < SKYNET_CHILDREN; i++)
		go_or_die(skynet_node, in, number + i * size, size);
	for (long i = 0; i < SKYNET_CHILDREN; i++) {
		hchan_recv(in, &v);
		sum += v;
	}
	hchan_unref(in);
	hchan_send(out, &sum);
}

/* A tree of goroutines, ten children each, with `size` leaves that are summed up. */
static void skynet(const char *name, long size)
{
	struct hchan *c = make(long, 0);
	int64_t start_ns = clock_now_ns();
	long sum;

	go_or_die(skynet_node, c, 0L, size);
	hchan_recv(c, &sum);
	print_result(name, (double)(clock_now_ns() - start_ns) / NS_PER_MS, "ms");
	if (sum != size * (size - 1) / 2)
		fail(name, "wrong sum");
	hchan_unref(c);
}

/* ---- rows ---- */

#define ROWS(X)                                                                                    \
	X(yield_2, yield(name, 2, 4000000))                                                        \
	X(yield_1000, yield(name, 1000, 4000000))                                                  \
	X(spawn_join1, spawn(name, 1, 500000))                                                     \
	X(spawn_batch1000, spawn(name, 1000, 2000000))                                             \
	X(pingpong_rtt, pingpong(name, 1000000))                                                   \
	X(pipe_unbuf, pipe_through(name, 0, 1, 1, 2000000))                                        \
	X(pipe_cap1, pipe_through(name, 1, 1, 1, 2000000))                                         \
	X(pipe_cap10, pipe_through(name, 10, 1, 1, 4000000))                                       \
	X(pipe_cap100, pipe_through(name, 100, 1, 1, 8000000))                                     \
	X(pipe_cap1000, pipe_through(name, 1000, 1, 1, 8000000))                                   \
	X(pipe_4x4_cap100, pipe_through(name, 100, 4, 4, 4000000))                                 \
	X(select2_ready, select_ready(name, 2, 2000000))                                           \
	X(select8_ready, select_ready(name, 8, 2000000))                                           \
	X(select2_block, select_block(name, 2, 1000000))                                           \
	X(select8_block, select_block(name, 8, 1000000))                                           \
	X(parked_100k, parked(name, 100000))                                                       \
	X(parked_1m, parked(name, 1000000))                                                        \
	X(close_wake_10k, close_wake(name, 10000))                                                 \
	X(sieve_2000, sieve(name, 2000))                                                           \
	X(skynet_1m, skynet(name, 1000000))

#define ROW_FUNCTION(row, call)                                                                    \
	static void row_##row(const char *name)                                                    \
	{                                                                                          \
		call;                                                                              \
	}
ROWS(ROW_FUNCTION)

static const struct row {
	const char *name;
	void (*run)(const char *name);
} rows[] = {
#define ROW_ENTRY(row, call) {#row, row_##row},
	ROWS(ROW_ENTRY) /* a line a row */
};

static const struct row *row_find(const char *name)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	return NULL;
}

static int run_rows(void *arg)
{
	for (char **name = arg; *name; name++) {
		const struct row *row = row_find(*name);

		if (!row) {
			fprintf(stderr, "inproc: no such row: %s\n", *name);
			return 2;
		}
		row->run(row->name);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct go_options options = {.procs = 1};
	char **names = argv + 1;

	if (argc > 2 && !strcmp(argv[1], "-procs")) {
		options.procs = (int)strtol(argv[2], NULL, 10);
		names += 2;
	}
	if (!*names) {
		for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
			puts(rows[i].name);
		return 0;
	}
	return go_run(&options, run_rows, names);
}
