/*
 * frames.c - a round played over raw frames, by many agents in one thread: they send, receive,
 * select, withdraw, confirm, give back, close, and drop their connections in the middle of things.
 */
#include "chan/status.h"
#include "tests/stress/agent.h"
#include "tests/stress/play.h"
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { AGENTS = 12, STEPS = 4000, SILENCE_MS = 10000 };

struct round {
	struct stage stage;
	struct agent agents[AGENTS];
	int agent_count; /* that are connected */
	struct dice dice;
	uint64_t seed;
	const char *const *urls;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

static uint32_t choose(struct round *r, uint32_t below)
{
	return dice_choose(&r->dice, below);
}

static bool failed(const struct round *r)
{
	return r->stage.problem[0] != '\0';
}

static int connect_unix(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? fd : -1;
}

static int connect_tcp(const char *port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *found;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

	if (getaddrinfo("127.0.0.1", port, &hints, &found) != 0)
		return -1;
	rc = connect(fd, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return rc == 0 ? fd : -1;
}

/* The agent begins a session, over this URL or that. */
static void agent_connect(struct round *r, struct agent *a)
{
	const char *url = r->urls[choose(r, 2)];
	bool local = strncmp(url, "unix:", 5) == 0;
	int fd = local ? connect_unix(url + 5) : connect_tcp(strrchr(url, ':') + 1);

	if (fd < 0)
		snprintf(r->stage.problem, sizeof(r->stage.problem), "cannot connect to %s: %s", url,
			strerror(errno));
	agent_begin(a, &r->stage, fd);
}

/* Moves bytes; waits up to timeout_ms for some to come. */
static void exchange(struct round *r, int timeout_ms)
{
	struct pollfd fds[AGENTS];

	for (int i = 0; i < r->agent_count; i++) {
		agent_flush(&r->agents[i]);
		fds[i] = (struct pollfd){.fd = r->agents[i].fd, .events = POLLIN};
		if (buf_len(&r->agents[i].out) > 0)
			fds[i].events |= POLLOUT;
	}
	if (poll(fds, r->agent_count, timeout_ms) <= 0)
		return;
	for (int i = 0; i < r->agent_count && !failed(r); i++)
		if (fds[i].revents)
			agent_read(&r->agents[i]);
}

/* ---- what agents do ---- */

static struct patience choose_patience(struct round *r)
{
	switch (choose(r, 4)) {
	case 0:
		return (struct patience){.try = true};
	case 1:
		return (struct patience){.timeout_ns = (1 + choose(r, 5000)) * UINT64_C(1000)};
	default:
		return (struct patience){0};
	}
}

static uint32_t choose_channel(struct round *r)
{
	return 1 + choose(r, r->stage.channel_count);
}

static void do_send(struct round *r, struct agent *a)
{
	if (agent_may_ask(a, 0))
		agent_send(a, choose_channel(r), 1 + choose(r, CASES_MAX - 1), choose_patience(r));
}

/* None, one that outlasts the round, or one that may end before it is acknowledged. */
static uint64_t choose_lease(struct round *r)
{
	switch (choose(r, 6)) {
	case 0:
		return LEASE_LONG_NS;
	case 1:
		return (1 + choose(r, 20000)) * UINT64_C(1000);
	default:
		return 0;
	}
}

static void do_recv(struct round *r, struct agent *a)
{
	uint32_t channel = choose_channel(r);
	uint32_t credit = r->stage.channels[channel].capacity ? 1 + choose(r, 4) : 1;

	if (agent_may_ask(a, credit))
		agent_recv(a, channel, credit, choose_lease(r), choose_patience(r));
}

static void do_select(struct round *r, struct agent *a)
{
	struct asked_case cases[CASES_MAX] = {0};
	int count = 1 + choose(r, CASES_MAX);

	for (int i = 0; i < count; i++)
		cases[i] = (struct asked_case){
			.channel = choose_channel(r), .value = choose(r, 2)};
	if (agent_may_ask(a, 1))
		agent_select(a, cases, count, choose_patience(r));
}

static void do_cancel(struct round *r, struct agent *a)
{
	int index = a->asked_count ? choose(r, a->asked_count) : 0;

	if (a->asked_count && a->asked_count < OPS_MAX + 16 && a->asked[index].op)
		agent_cancel(a, index);
}

static void do_settle(struct round *r, struct agent *a)
{
	int index = a->held_count ? choose(r, a->held_count) : 0;

	if (a->held_count && !a->held[index].settling)
		agent_settle(a, index, choose(r, 5) == 0);
}

static void do_drop(struct round *r, struct agent *a)
{
	if (choose(r, 4) > 0)
		return;
	agent_drop(a, choose(r, 2));
	agent_connect(r, a);
}

static void do_close(struct round *r, struct agent *a)
{
	if (choose(r, 150) == 0 && agent_may_ask(a, 0))
		agent_close(a, choose_channel(r), choose(r, 2));
}

/* Drawn from uniformly: a row as often as it is likely. */
static void (*const actions[])(struct round *, struct agent *) = {
	do_send, do_send, do_send, do_send, do_recv, do_recv, do_recv, do_recv, do_select, do_select,
	do_settle, do_settle, do_settle, do_settle, do_settle, do_settle, do_settle, do_settle,
	do_cancel, do_cancel, do_drop, do_close,
};

enum { ACTIONS = sizeof(actions) / sizeof(actions[0]) };

/* ---- a round ---- */

static void round_begin(struct round *r)
{
	static const uint32_t capacities[] = {0, 0, 1, 2, 5, 20};
	int64_t deadline_ms = now_ms() + SILENCE_MS;
	struct stage *s = &r->stage;

	s->channel_count = 2 + choose(r, CHANNELS_MAX - 1);
	for (uint32_t c = 1; c <= s->channel_count; c++) {
		s->channels[c].capacity = capacities[choose(r, sizeof(capacities) / sizeof(uint32_t))];
		snprintf(s->channels[c].name, sizeof(s->channels[c].name), "stress-%llx-%u",
			(unsigned long long)r->seed, c);
		history_add(&s->history, (struct event){.kind = EVENT_CHANNEL,
						 .channel = c,
						 .number = s->channels[c].capacity});
	}
	/* The first makes them; then their ids are known to all. */
	agent_connect(r, &r->agents[0]);
	r->agent_count = 1;
	while (r->agents[0].asked_count > 0 && !failed(r) && now_ms() < deadline_ms)
		exchange(r, 100);
	while (r->agent_count < AGENTS)
		agent_connect(r, &r->agents[r->agent_count++]);
}

static void round_run(struct round *r)
{
	for (int step = 0; step < STEPS && !failed(r); step++) {
		struct agent *a = &r->agents[choose(r, r->agent_count)];

		actions[choose(r, ACTIONS)](r, a);
		if (choose(r, 4) == 0)
			exchange(r, choose(r, 8) == 0 ? 1 : 0);
	}
}

static bool settled(const struct round *r)
{
	for (int i = 0; i < r->agent_count; i++)
		if (r->agents[i].asked_count || r->agents[i].held_count)
			return false;
	for (uint32_t c = 1; c <= r->stage.channel_count; c++)
		if (!r->stage.channels[c].drained)
			return false;
	return true;
}

static void settle_all(struct agent *a)
{
	for (int i = 0; i < a->held_count; i++)
		if (!a->held[i].settling)
			agent_settle(a, i, false);
}

/* Receives what is left of every channel, one value at a time. */
static void drain(struct round *r, struct agent *a)
{
	for (uint32_t c = 1; c <= r->stage.channel_count; c++) {
		bool asked = r->stage.channels[c].drained || !agent_may_ask(a, 1);

		for (int i = 0; i < a->asked_count; i++)
			asked |= a->asked[i].kind == ASKED_RECV && a->asked[i].channel == c;
		if (!asked)
			agent_recv(a, c, 1, 0, (struct patience){0});
	}
}

static void remove_channels(struct round *r, struct agent *a)
{
	int64_t deadline_ms = now_ms() + SILENCE_MS;

	for (uint32_t c = 1; c <= r->stage.channel_count; c++)
		agent_remove(a, c);
	while (a->asked_count > 0 && !failed(r) && now_ms() < deadline_ms)
		exchange(r, 100);
}

/* Everything is closed, taken and answered, or the broker has been silent for too long. */
static void round_end(struct round *r)
{
	int64_t heard_ms = now_ms();
	uint64_t frames_read = r->stage.frames_read;

	for (uint32_t c = 1; c <= r->stage.channel_count && !failed(r); c++)
		agent_close(&r->agents[0], c, false);
	while (!failed(r) && !settled(r) && now_ms() - heard_ms < SILENCE_MS) {
		for (int i = 0; i < r->agent_count; i++)
			settle_all(&r->agents[i]);
		drain(r, &r->agents[0]);
		exchange(r, 100);
		if (r->stage.frames_read != frames_read)
			heard_ms = now_ms();
		frames_read = r->stage.frames_read;
	}
	history_add(&r->stage.history, (struct event){.kind = EVENT_END});
	if (!failed(r) && settled(r))
		remove_channels(r, &r->agents[0]);
}

bool frames_play(const char *const urls[2], uint64_t seed, size_t *events)
{
	static struct round r;
	bool good;

	r = (struct round){.urls = urls, .seed = seed, .dice = {seed}};
	r.stage.scratch = wire_scratch_new();
	round_begin(&r);
	round_run(&r);
	round_end(&r);
	good = round_judge(&r.stage.history, r.stage.problem, seed);
	*events += r.stage.history.count;
	for (int i = 0; i < r.agent_count; i++)
		agent_fini(&r.agents[i]);
	history_fini(&r.stage.history);
	wire_scratch_free(r.stage.scratch);
	return good;
}
