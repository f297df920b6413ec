#include "tests/soak/troupe.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int troupe_proxy_link(const struct troupe *t, const struct actor *a)
{
	return (int)(a - t->actors);
}

int troupe_network_link(const struct troupe *t, const struct actor *a)
{
	int index = (int)(a - t->actors);

	return index % 2 && index / 2 < t->network->links ? index / 2 : -1;
}

/* In its process: the way to the broker. */
static const char *take_road(const struct troupe *t, const struct actor *a)
{
	static char url[NETWORK_ADDRESS_MAX + 16];
	char address[NETWORK_ADDRESS_MAX];
	int link = troupe_network_link(t, a);

	if (link < 0)
		return t->proxy->urls[troupe_proxy_link(t, a)];
	network_enter(t->network, link);
	network_address(link, address);
	snprintf(url, sizeof(url), "tcp://%s:%d", address, NETWORK_PORT);
	return url;
}

static void actor_start(struct troupe *t, struct actor *a)
{
	struct player_options o = {.session = journal_next(t->stage->journal, NEXT_SESSION, 1),
		.seed = (uint64_t)dice_choose(&t->dice, UINT32_MAX) << 32 |
			dice_choose(&t->dice, UINT32_MAX),
		.linger_ns = t->linger_ns};

	*a = (struct actor){.session = o.session, .pid = fork()};
	if (a->pid < 0)
		abort();
	if (a->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		o.url = take_road(t, a);
		player_run(t->stage, &o);
	}
	stage_count(t->stage, TALLY_SESSIONS);
}

/* What it does is over, whatever it was told. */
static void actor_ended(struct troupe *t, struct actor *a)
{
	journal_enter(t->stage->journal, (struct event){.kind = EVENT_LOST, .session = a->session});
	a->pid = 0;
}

/* Whether it has ended. */
static bool actor_reap(struct troupe *t, struct actor *a)
{
	int status;

	if (a->pid == 0)
		return true;
	if (waitpid(a->pid, &status, WNOHANG) != a->pid)
		return false;
	if (WIFSIGNALED(status))
		stage_problem(t->stage, "session %u: its process was ended by signal %d",
			a->session, WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		stage_problem(t->stage, "session %u: its process has ended with status %d",
			a->session, WEXITSTATUS(status));
	actor_ended(t, a);
	return true;
}

void troupe_start(struct troupe *t, struct stage *s, struct proxy *proxy, struct network *network,
	int count, int64_t linger_ns, uint64_t seed)
{
	*t = (struct troupe){.stage = s,
		.proxy = proxy,
		.network = network,
		.dice = {seed},
		.linger_ns = linger_ns,
		.count = count};
	for (int i = 0; i < count; i++)
		actor_start(t, &t->actors[i]);
}

void troupe_tend(struct troupe *t)
{
	for (int i = 0; i < t->count; i++)
		if (!t->actors[i].fault && actor_reap(t, &t->actors[i]) &&
			!atomic_load(&t->stage->stopping))
			actor_start(t, &t->actors[i]);
}

void troupe_kill(struct troupe *t, struct actor *a)
{
	if (a->pid == 0)
		return;
	kill(a->pid, SIGKILL);
	waitpid(a->pid, NULL, 0);
	actor_ended(t, a);
	actor_start(t, a);
}

int troupe_leaving(struct troupe *t)
{
	int left = 0;

	for (int i = 0; i < t->count; i++)
		left += !actor_reap(t, &t->actors[i]);
	return left;
}

void troupe_end(struct troupe *t)
{
	for (int i = 0; i < t->count; i++) {
		struct actor *a = &t->actors[i];

		if (actor_reap(t, a))
			continue;
		/* It is not entered as lost: what it waits for should have been answered. */
		stage_problem(t->stage, "session %u does not come to an end", a->session);
		kill(a->pid, SIGKILL);
		waitpid(a->pid, NULL, 0);
		a->pid = 0;
	}
}
