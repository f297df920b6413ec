/*
 * stress.c - many clients do whatever clients may do, and then the history is judged.
 *
 *   stress                   rounds for $STRESS_SECONDS (default 3) against a private ./chand
 *   stress --check FILE      judges a history that a failed run has left
 *
 * A round: a few new channels of random capacities; agents that send, receive, select, withdraw,
 * confirm, give back, close, and drop their connections at random; then everything is closed
 * and drained, every answer awaited, and the history judged (check.c). What an agent does next
 * depends on the seed and on the answers so far, and those on the daemon's threads: a seed
 * repeats the choices, not every interleaving. A failed round leaves its history in a file.
 *
 * STRESS_SEED      of the first round; the next have the numbers after it. Default: from the clock
 * STRESS_AGENTS    clients at once, default 12
 * STRESS_URL       unix:PATH of a daemon that runs already, for example in gdb
 */
#include "chan/status.h"
#include "tests/stress/agent.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { AGENTS_MAX = 64, STEPS = 4000, SILENCE_MS = 10000 };

struct round {
	struct stage stage;
	struct agent agents[AGENTS_MAX];
	int agent_count;
	uint64_t random;
	uint64_t seed;
	struct sockaddr_un address;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

/* splitmix64: any seed will do. */
static uint32_t choose(struct round *r, uint32_t below)
{
	uint64_t z = r->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return ((z ^ (z >> 31)) >> 32) * (uint64_t)below >> 32;
}

static bool failed(const struct round *r)
{
	return r->stage.problem[0] != '\0';
}

static void agent_connect(struct round *r, struct agent *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&r->address, sizeof(r->address)) < 0)
		snprintf(r->stage.problem, sizeof(r->stage.problem), "cannot connect: %s",
			strerror(errno));
	agent_begin(a, &r->stage, fd);
}

/* Moves bytes; waits up to timeout_ms for some to come. */
static void exchange(struct round *r, int timeout_ms)
{
	struct pollfd fds[AGENTS_MAX];

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

static void do_recv(struct round *r, struct agent *a)
{
	uint32_t channel = choose_channel(r);
	uint32_t credit = r->stage.channels[channel].capacity ? 1 + choose(r, 4) : 1;

	if (agent_may_ask(a, credit))
		agent_recv(a, channel, credit, choose_patience(r));
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
		agent_close(a, choose_channel(r));
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
	while (r->agent_count < AGENTS_MAX && r->agents[r->agent_count].stage)
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
			agent_recv(a, c, 1, (struct patience){0});
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
		agent_close(&r->agents[0], c);
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

/* Says what was wrong, and keeps the history beside it. */
static bool round_judge(struct round *r)
{
	struct verdict v = history_check(&r->stage.history);
	char path[64];
	FILE *out;

	if (!failed(r) && v.rule == RULE_NONE)
		return true;
	snprintf(path, sizeof(path), "stress-%llx.history", (unsigned long long)r->seed);
	if (failed(r))
		printf("# %s\n", r->stage.problem);
	if (v.rule != RULE_NONE)
		printf("# broken: %s: %s\n#   event %zu: %s\n", history_rule_name(v.rule),
			history_rule_sentence(v.rule), v.at + 1, v.text);
	printf("# STRESS_SEED=0x%llx; its history is in %s\n", (unsigned long long)r->seed, path);
	out = fopen(path, "w");
	if (out) {
		history_print(&r->stage.history, out);
		fclose(out);
	}
	return false;
}

static bool round_play(const struct sockaddr_un *address, uint64_t seed, int agents, size_t *events)
{
	static struct round r;
	bool good;

	memset(&r, 0, sizeof(r));
	r.address = *address;
	r.random = r.seed = seed;
	r.stage.scratch = wire_scratch_new();
	for (int i = 0; i < agents; i++)
		r.agents[i] = (struct agent){.stage = &r.stage, .fd = -1};
	round_begin(&r);
	round_run(&r);
	round_end(&r);
	good = round_judge(&r);
	*events += r.stage.history.count;
	for (int i = 0; i < agents; i++)
		agent_fini(&r.agents[i]);
	history_fini(&r.stage.history);
	wire_scratch_free(r.stage.scratch);
	return good;
}

/* ---- the daemon, and the run ---- */

static pid_t daemon_start(struct sockaddr_un *address, char *folder)
{
	char url[128];
	pid_t pid;

	if (!mkdtemp(folder))
		exit(1);
	snprintf(address->sun_path, sizeof(address->sun_path), "%s/chand.sock", folder);
	snprintf(url, sizeof(url), "unix:%s", address->sun_path);
	pid = fork();
	if (pid == 0) {
		const char *top = getenv("top_builddir");

		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (top && chdir(top) < 0)
			_exit(127);
		execl("./chand", "chand", "--listen", url, (char *)NULL);
		_exit(127);
	}
	return pid;
}

/* Whether it listens within some seconds; looked at every 10 ms. */
static bool daemon_listens(const struct sockaddr_un *address)
{
	for (int tries = 0; tries < 2000; tries++) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int rc = connect(fd, (const struct sockaddr *)address, sizeof(*address));

		close(fd);
		if (rc == 0)
			return true;
		poll(NULL, 0, 10);
	}
	return false;
}

static bool daemon_stop(pid_t pid, const char *folder)
{
	int status = -1;

	kill(pid, SIGTERM);
	waitpid(pid, &status, 0);
	rmdir(folder);
	if (status != 0)
		printf("# chand ended with status 0x%x\n", status);
	return status == 0;
}

static uint64_t environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static int check_file(const char *path)
{
	struct history h = {0};
	FILE *in = fopen(path, "r");
	struct verdict v;
	int line;

	if (!in) {
		perror(path);
		return 66;
	}
	line = history_read(&h, in);
	fclose(in);
	if (line) {
		fprintf(stderr, "%s:%d: no event\n", path, line);
		return 65;
	}
	v = history_check(&h);
	printf("%s: %s\n", history_rule_name(v.rule), history_rule_sentence(v.rule));
	if (v.rule != RULE_NONE)
		printf("event %zu: %s\n", v.at + 1, v.text);
	history_fini(&h);
	return v.rule != RULE_NONE;
}

static bool play(const struct sockaddr_un *address)
{
	uint64_t seed = environment("STRESS_SEED", (uint64_t)time(NULL) << 16);
	int64_t end_ms = now_ms() + 1000 * environment("STRESS_SECONDS", 3);
	int agents = environment("STRESS_AGENTS", 12);
	size_t events = 0;
	int rounds = 0;
	bool good = true;

	printf("# STRESS_SEED=0x%llx\n", (unsigned long long)seed);
	fflush(stdout);
	while (good && (rounds == 0 || now_ms() < end_ms))
		good = round_play(address, seed + rounds++, agents < AGENTS_MAX ? agents : AGENTS_MAX,
			&events);
	printf("# %d rounds, %zu events\n", rounds, events);
	return good;
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *url = getenv("STRESS_URL");
	char folder[] = "/tmp/chand-stress-XXXXXX";
	pid_t daemon = 0;
	bool good;

	if (argc == 3 && strcmp(argv[1], "--check") == 0)
		return check_file(argv[2]);
	if (url && strncmp(url, "unix:", 5) == 0)
		snprintf(address.sun_path, sizeof(address.sun_path), "%s", url + 5);
	else
		daemon = daemon_start(&address, folder);
	printf("1..1\n");
	good = daemon_listens(&address) && play(&address);
	if (daemon)
		good = daemon_stop(daemon, folder) && good;
	printf("%s 1 - what clients saw can have happened\n", good ? "ok" : "not ok");
	return good ? 0 : 1;
}
