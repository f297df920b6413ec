/* clients.c - see clients.h. */
#include "tests/bench/clients.h"

#include <err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "chan/chan.h"

enum { EVENTS = 64 };

int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

void say(const char *key, int64_t value)
{
	printf("%s %lld\n", key, (long long)value);
	fflush(stdout);
}

void say_ready(void)
{
	puts("ready");
	fflush(stdout);
}

static int compare_ns(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

void say_percentiles(int64_t *ns, long n)
{
	qsort(ns, (size_t)n, sizeof(*ns), compare_ns);
	say("p50_ns", ns[n / 2]);
	say("p99_ns", ns[n * 99 / 100]);
	say("p999_ns", ns[n * 999 / 1000]);
}

static int64_t time_us(struct timeval t)
{
	return t.tv_sec * INT64_C(1000000) + t.tv_usec;
}

void say_cpu(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	say("cpu_us", time_us(used.ru_utime) + time_us(used.ru_stime));
}

int must(int rc)
{
	if (rc < 0)
		errx(1, "%s", chan_error_text());
	return rc;
}

struct chan_client *dial(const struct chan_dial_options *options)
{
	const char *address = getenv("BENCH_ADDR");
	struct chan_client *client;
	char url[256];

	if (address && strncmp(address, "tcp:", 4) == 0)
		snprintf(url, sizeof(url), "tcp://%s", address + 4);
	else if (address)
		snprintf(url, sizeof(url), "%s", address);
	must(chan_dial(address ? url : NULL, options, &client));
	return client;
}

struct chan_completion await(struct chan_client *client)
{
	struct chan_completion done;

	must(chan_wait_completion(client, &done, CHAN_FOREVER));
	must(done.status);
	return done;
}

void await_all(struct chan_client *client)
{
	while (chan_ops_pending(client) > 0) {
		struct chan_completion done = await(client);

		chan_value_clear(&done.value);
	}
}

void need_descriptors(rlim_t n)
{
	struct rlimit limit = {.rlim_cur = n + 64, .rlim_max = n + 64}, now;

	getrlimit(RLIMIT_NOFILE, &now);
	if (now.rlim_cur >= limit.rlim_cur)
		return;
	if (now.rlim_max > limit.rlim_max)
		limit.rlim_max = now.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		err(1, "raise ulimit -n to %ld", (long)n + 64);
}

/* A client by one of its ends, and the descriptor by which it is watched. */
struct watched {
	struct chan *ch;
	int fd;
};

/* What is sent here never fills a socket, so there is something else to wait for only with another
 * descriptor, as when the client goes over to shared memory. */
static void follow(int epoll, struct watched *w)
{
	struct chan_client *client = chan_client_of(w->ch);
	struct epoll_event e = {.data.ptr = w};
	int fd = chan_fd(client);

	if (fd == w->fd)
		return;
	if (w->fd >= 0)
		epoll_ctl(epoll, EPOLL_CTL_DEL, w->fd, NULL);
	w->fd = fd;
	e.events = chan_events(client) & POLLOUT ? EPOLLIN | EPOLLOUT : EPOLLIN;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) < 0)
		err(1, "epoll");
}

void watch(int epoll, struct chan *ch)
{
	struct watched *w = calloc(1, sizeof(*w)); /* until the program ends */

	*w = (struct watched){ch, -1};
	follow(epoll, w);
}

/* A client that is watched and has something to say. */
static struct watched *next_ready(int epoll)
{
	static struct epoll_event events[EVENTS];
	static int count, at;

	if (at == count) {
		count = epoll_wait(epoll, events, EVENTS, -1);
		at = 0;
		if (count < 1)
			err(1, "epoll");
	}
	return events[at++].data.ptr;
}

struct chan_completion next_completion(int epoll)
{
	static struct watched *w; /* of which there may be more */
	struct chan_completion done;

	while (!w || chan_next_completion(chan_client_of(w->ch), &done) == 0) {
		if (w)
			follow(epoll, w);
		w = next_ready(epoll);
		must(chan_process(chan_client_of(w->ch)));
	}
	must(done.status);
	return done;
}

int64_t daemon_resident_bytes(void)
{
	const char *pid = getenv("BENCH_DAEMON");
	char path[64], line[256];
	long kib = 0;
	FILE *f;

	if (!pid)
		errx(1, "BENCH_DAEMON is not set");
	snprintf(path, sizeof(path), "/proc/%s/status", pid);
	f = fopen(path, "r");
	if (!f)
		err(1, "%s", path);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "VmRSS: %ld", &kib);
	fclose(f);
	return kib * INT64_C(1024);
}
