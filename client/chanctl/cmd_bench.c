/*
 * cmd_bench.c - how fast the broker is from here: one stream, and round trips.
 *
 * Two threads, each with a connection of its own, as two programs would have. The channels are
 * temporary and named for this process.
 */
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/chanctl/chanctl.h"
#include "client/chanctl/clock.h"
#include "client/chanctl/complain.h"
#include "client/chanctl/duration.h"
#include "client/chanctl/exit_codes.h"

#define VALUES_DEFAULT 200000
#define BYTES_DEFAULT 16
#define CAPACITY_DEFAULT 1024
#define ROUND_TRIPS_DEFAULT 5000

/* Values of one call, each way. */
#define BATCH 256

/* Round trips before those that count: both ends are awake then. */
#define WARM_UP 100

/* One end of the pair: its connection, and how its thread fared. */
struct peer {
	struct chan_client *client;
	struct chan *in, *out;
	int rc;
	char error[512];
};

struct bench {
	struct ctl *ctl;
	uint64_t values, bytes, round_trips;
	int64_t capacity;
	struct peer near, far;
	int64_t stream_ns;
	int64_t *trip_ns; /* of each round trip, sorted at the end; ours */
};

/* Remembers the first failure of the peer with its sentence, which belongs to the thread. */
static bool peer_fails(struct peer *p, int rc)
{
	if (rc < 0 && p->rc == 0) {
		p->rc = rc;
		snprintf(p->error, sizeof(p->error), "%s", chan_error_text());
	}
	return rc < 0;
}

static bool peer_dial(struct peer *p, const struct ctl *ctl)
{
	struct chan_dial_options dial = ctl_dial_options(ctl);

	dial.program = "chanctl bench";
	return !peer_fails(p, chan_dial(ctl->options.url, &dial, &p->client));
}

/* Opens one end of the channel "chanctl.bench.PID.WHAT"; the first of the two makes it. */
static bool peer_open(struct peer *p, const char *what, enum chan_type type, int64_t capacity,
	enum chan_direction direction, uint32_t credit, struct chan **ret_chan)
{
	struct chan_make_options make = {
		.temporary = true, .direction = direction, .end = {.credit = credit}};
	char name[64];

	snprintf(name, sizeof(name), "chanctl.bench.%ld.%s", (long)getpid(), what);
	return !peer_fails(p, chan_make(p->client, name, type, capacity, &make, ret_chan));
}

static void peer_fini(struct peer *p)
{
	chan_release(p->in);
	chan_release(p->out);
	p->in = p->out = NULL;
}

/* ---- the stream --------------------------------------------------------------------------- */

static void *drain(void *arg)
{
	struct bench *b = arg;
	struct chan_value values[BATCH];
	uint64_t received = 0;
	int n;

	do {
		n = chan_recvv(b->far.in, values, BATCH, CHAN_FOREVER);
		for (int i = 0; i < n; i++)
			chan_value_clear(&values[i]);
		received += n > 0 ? (uint64_t)n : 0;
	} while (n > 0);
	peer_fails(&b->far, n);
	if (n == 0 && received != b->values && b->far.rc == 0) {
		b->far.rc = CHAN_EPROTOCOL;
		snprintf(b->far.error, sizeof(b->far.error),
			"%" PRIu64 " values were sent and %" PRIu64 " received", b->values,
			received);
	}
	return NULL;
}

static void fill(struct bench *b, void *payload)
{
	struct chan_value values[BATCH];
	uint64_t left = b->values;

	for (size_t i = 0; i < BATCH; i++)
		values[i] = chan_value_bytes(payload, b->bytes);
	while (left > 0) {
		size_t n = left < BATCH ? (size_t)left : BATCH;

		if (peer_fails(&b->near, chan_sendv(b->near.out, values, n, CHAN_FOREVER, NULL)))
			break;
		left -= n;
	}
	peer_fails(&b->near, chan_close(b->near.out, "the bench is over"));
}

static void stream(struct bench *b)
{
	void *payload = calloc(1, b->bytes);
	int64_t start_ns;
	pthread_t thread;

	if (payload == NULL ||
		!peer_open(&b->near, "stream", CHAN_TYPE_BYTES, b->capacity, CHAN_SEND, 0,
			&b->near.out) ||
		!peer_open(&b->far, "stream", CHAN_TYPE_BYTES, b->capacity, CHAN_RECV, BATCH,
			&b->far.in))
		goto out;
	start_ns = clock_now_ns();
	if (pthread_create(&thread, NULL, drain, b) != 0)
		goto out;
	fill(b, payload);
	pthread_join(thread, NULL);
	b->stream_ns = clock_now_ns() - start_ns;
out:
	free(payload);
	peer_fini(&b->near);
	peer_fini(&b->far);
}

/* ---- round trips -------------------------------------------------------------------------- */

static void *echo(void *arg)
{
	struct peer *p = arg;
	int64_t number;
	int rc;

	while ((rc = chan_recv_int(p->in, &number)) > 0)
		if (peer_fails(p, chan_send_int(p->out, number)))
			break;
	peer_fails(p, rc);
	/* Whoever waits for our answer must not wait for ever. */
	chan_close(p->out, p->error);
	return NULL;
}

static void ping_pong(struct bench *b)
{
	int64_t start_ns, number;
	int rc = 1;

	for (uint64_t i = 0; i < b->round_trips + WARM_UP && rc > 0; i++) {
		start_ns = clock_now_ns();
		if (peer_fails(&b->near, chan_send_int(b->near.out, (int64_t)i)))
			break;
		rc = chan_recv_int(b->near.in, &number);
		peer_fails(&b->near, rc);
		if (i >= WARM_UP)
			b->trip_ns[i - WARM_UP] = clock_now_ns() - start_ns;
	}
	peer_fails(&b->near, chan_close(b->near.out, "the bench is over"));
}

static void round_trips(struct bench *b)
{
	pthread_t thread;

	if (!peer_open(&b->near, "ping", CHAN_TYPE_INT, 0, CHAN_SEND, 0, &b->near.out) ||
		!peer_open(&b->near, "pong", CHAN_TYPE_INT, 0, CHAN_RECV, 0, &b->near.in) ||
		!peer_open(&b->far, "ping", CHAN_TYPE_INT, 0, CHAN_RECV, 0, &b->far.in) ||
		!peer_open(&b->far, "pong", CHAN_TYPE_INT, 0, CHAN_SEND, 0, &b->far.out))
		goto out;
	if (pthread_create(&thread, NULL, echo, &b->far) != 0)
		goto out;
	ping_pong(b);
	pthread_join(thread, NULL);
out:
	peer_fini(&b->near);
	peer_fini(&b->far);
}

/* ---- the report --------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

	return (left > right) - (left < right);
}

static int64_t percentile_ns(const struct bench *b, unsigned int percent)
{
	return b->trip_ns[(b->round_trips - 1) * percent / 100];
}

static void print(struct bench *b)
{
	double seconds = (double)b->stream_ns / 1e9, rate = (double)b->values / seconds;
	char p50[DURATION_TEXT_BYTES], p99[DURATION_TEXT_BYTES];
	json_t *json;

	qsort(b->trip_ns, b->round_trips, sizeof(*b->trip_ns), compare);
	if (!b->ctl->options.json) {
		printf("stream      %.0f values/s (%" PRIu64 " values of %" PRIu64
		       " bytes, capacity %" PRId64 ", %.2f s)\n",
			rate, b->values, b->bytes, b->capacity, seconds);
		printf("round trip  p50 %s, p99 %s (%" PRIu64
		       " of them, through two unbuffered channels)\n",
			duration_format(p50, percentile_ns(b, 50)),
			duration_format(p99, percentile_ns(b, 99)), b->round_trips);
		return;
	}
	json = json_pack("{s:f, s:I, s:I, s:I, s:I, s:I, s:I}", "values_per_second", rate, "values",
		(json_int_t)b->values, "bytes", (json_int_t)b->bytes, "cap",
		(json_int_t)b->capacity, "round_trips", (json_int_t)b->round_trips,
		"round_trip_p50_ns", (json_int_t)percentile_ns(b, 50), "round_trip_p99_ns",
		(json_int_t)percentile_ns(b, 99));
	json_dumpf(json, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(json);
}

static void measure(struct bench *b)
{
	if (!peer_dial(&b->near, b->ctl) || !peer_dial(&b->far, b->ctl))
		return;
	stream(b);
	if (b->near.rc == 0 && b->far.rc == 0)
		round_trips(b);
}

static int run(struct ctl *ctl)
{
	const struct options *o = &ctl->options;
	struct bench b = {
		.ctl = ctl,
		.values = o->values > 0 ? o->values : VALUES_DEFAULT,
		.bytes = o->bytes > 0 ? o->bytes : BYTES_DEFAULT,
		.round_trips = o->round_trips > 0 ? o->round_trips : ROUND_TRIPS_DEFAULT,
		.capacity = o->capacity_given ? o->capacity : CAPACITY_DEFAULT,
	};
	const struct peer *failed;
	int code = EXIT_DONE;

	b.trip_ns = calloc(b.round_trips, sizeof(*b.trip_ns));
	if (b.trip_ns == NULL)
		options_refuse("bench: no memory for %" PRIu64 " round trips", b.round_trips);
	measure(&b);
	failed = b.near.rc != 0 ? &b.near : &b.far;
	if (failed->rc != 0) {
		complain("bench: %s", failed->error);
		code = exit_code_of(failed->rc);
	} else {
		print(&b);
		code = ctl_flush(ctl);
	}
	chan_hangup(b.near.client);
	chan_hangup(b.far.client);
	free(b.trip_ns);
	return code;
}

static const enum option_key bench_options[] = {
	OPTION_VALUES, OPTION_BYTES, OPTION_CAP, OPTION_ROUND_TRIPS, 0};

const struct command command_bench = {
	.name = "bench",
	.brief = "measure the broker from here",
	.usage = {"",
		"Measure values a second from one producer to one consumer through the broker, and "
		"the "
		"time of a round trip through two unbuffered channels.",
		bench_options, 0, 0},
	.run = run,
};
