#include "tests/soak/nemesis.h"
#include <signal.h>
#include <time.h>

#define MS INT64_C(1000000)

/* The mean time between two deeds. */
enum { PAUSE_MS = 60 };

/*
 * A fault: what is done, for how long, and what may come of it. Ten seconds is the broker's
 * patience with who is silent, of which a player that was about to say something may have used
 * half.
 */
struct fault {
	void (*begin)(struct nemesis *n, struct actor *a);
	enum { ANYWHERE, AT_PROXY, AT_NETWORK } road; /* of the players that can suffer it */
	int min_ms, max_ms;
	enum { UNNOTICED, NOTICED_BY_DEADLINES, DOUBTED } effect;
	enum tally tally;
	int weight;
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int link_of(const struct nemesis *n, const struct actor *a)
{
	return troupe_proxy_link(n->troupe, a);
}

static void stop(struct nemesis *n, struct actor *a)
{
	(void)n;
	kill(a->pid, SIGSTOP);
}

static void cut(struct nemesis *n, struct actor *a)
{
	proxy_cut(n->troupe->proxy, link_of(n, a));
}

static void cut_in_a_frame(struct nemesis *n, struct actor *a)
{
	proxy_cut_after(n->troupe->proxy, link_of(n, a), 1 + dice_choose(&n->dice, 2000));
}

static void unplug(struct nemesis *n, struct actor *a)
{
	proxy_refuse(n->troupe->proxy, link_of(n, a));
}

static void swallow(struct nemesis *n, struct actor *a)
{
	proxy_swallow(n->troupe->proxy, link_of(n, a));
}

static void delay(struct nemesis *n, struct actor *a)
{
	proxy_delay(n->troupe->proxy, link_of(n, a), 1 + (int)dice_choose(&n->dice, 60));
}

static void throttle(struct nemesis *n, struct actor *a)
{
	proxy_throttle(n->troupe->proxy, link_of(n, a), 2000 + dice_choose(&n->dice, 200000));
}

static void pull(struct nemesis *n, struct actor *a)
{
	network_cut(n->troupe->network, troupe_network_link(n->troupe, a));
}

static void lose(struct nemesis *n, struct actor *a)
{
	network_lose(n->troupe->network, troupe_network_link(n->troupe, a));
}

static const struct fault faults[] = {
	{stop, ANYWHERE, 20, 2500, UNNOTICED, TALLY_STOPS, 6},
	{stop, ANYWHERE, 4000, 14000, DOUBTED, TALLY_STOPS, 4},
	{cut, AT_PROXY, 1, 1, NOTICED_BY_DEADLINES, TALLY_CUTS, 8},
	{cut_in_a_frame, AT_PROXY, 500, 500, NOTICED_BY_DEADLINES, TALLY_CUTS, 8},
	{unplug, AT_PROXY, 10, 1500, NOTICED_BY_DEADLINES, TALLY_OUTAGES, 4},
	{unplug, AT_PROXY, 12000, 15000, DOUBTED, TALLY_OUTAGES, 1},
	{swallow, AT_PROXY, 10, 2500, NOTICED_BY_DEADLINES, TALLY_OUTAGES, 4},
	{swallow, AT_PROXY, 4000, 12500, DOUBTED, TALLY_OUTAGES, 1},
	{delay, AT_PROXY, 500, 3000, UNNOTICED, TALLY_SLOWS, 3},
	{throttle, AT_PROXY, 500, 3000, UNNOTICED, TALLY_SLOWS, 3},
	{pull, AT_NETWORK, 10, 1500, NOTICED_BY_DEADLINES, TALLY_PULLS, 16},
	{pull, AT_NETWORK, 4000, 15000, DOUBTED, TALLY_PULLS, 3},
	{lose, AT_NETWORK, 500, 2500, NOTICED_BY_DEADLINES, TALLY_LOSSES, 12},
};

enum { FAULTS = sizeof(faults) / sizeof(faults[0]) };

/* When TCP has sent in vain for so long, it waits for as long again at most before the next time;
 * and a little, for the answer. */
enum { ANSWER_MS = 1000 };

/* What outlasts the broker's patience. */
enum { LONG_MS = 3000 };

/* One deed in so many is a kill. */
enum { KILL_DEEDS = 10 };

/* 0: none of that actor. */
static uint32_t weight_for(const struct nemesis *n, const struct actor *a, const struct fault *f)
{
	bool at_network = troupe_network_link(n->troupe, a) >= 0;

	if (f->begin == lose && !n->troupe->network->bad_line)
		return 0;
	return f->road == ANYWHERE || (f->road == AT_NETWORK) == at_network ? f->weight : 0;
}

static const struct fault *choose_fault(struct nemesis *n, const struct actor *a)
{
	uint32_t sum = 0, drawn;
	int i = 0;

	for (int k = 0; k < FAULTS; k++)
		sum += weight_for(n, a, &faults[k]);
	drawn = dice_choose(&n->dice, sum);
	while (drawn >= weight_for(n, a, &faults[i]))
		drawn -= weight_for(n, a, &faults[i++]);
	return faults[i].max_ms <= LONG_MS || n->long_faults ? &faults[i] : NULL;
}

static void enter(struct nemesis *n, struct actor *a, enum event_kind kind)
{
	journal_enter(
		n->troupe->stage->journal, (struct event){.kind = kind, .session = a->session});
}

/* ---- the broker ---- */

/* About so often it is killed; every third time it is away for a while, else back at once. */
enum { KILLS_A_ROUND = 2, AWAY_EVERY = 3, AWAY_MS = 1500 };

static void plan_kill(struct nemesis *n)
{
	n->kill_ns =
		now_ns() + (n->kill_every_ms / 2 + dice_choose(&n->dice, n->kill_every_ms)) * MS;
}

/* Sessions that are not there yet are of the next one. */
static void kill_broker(struct nemesis *n)
{
	struct stage *s = n->troupe->stage;

	for (int i = 0; i < n->troupe->count; i++)
		if (n->troupe->actors[i].pid)
			journal_enter(s->journal, (struct event){.kind = EVENT_DOUBT,
							  .session = n->troupe->actors[i].session,
							  .number = 1});
	stage_count(s, TALLY_RESTARTS);
	daemon_kill(n->broker);
	journal_enter(s->journal, (struct event){.kind = EVENT_RESTART});
	stage_renew_all(s);
	n->kill_ns = now_ns();
	if (dice_choose(&n->dice, AWAY_EVERY) == 0)
		n->kill_ns += dice_choose(&n->dice, AWAY_MS) * MS;
}

static void start_broker(struct nemesis *n)
{
	daemon_start_again(n->broker, n->broker_arguments);
	plan_kill(n);
}

/* ---- players and their connections ---- */

static void fault_begin(struct nemesis *n, struct actor *a, const struct fault *f)
{
	int64_t ms = f->min_ms + dice_choose(&n->dice, f->max_ms - f->min_ms + 1);

	if (f->effect == DOUBTED)
		enter(n, a, EVENT_DOUBT);
	else if (f->effect == NOTICED_BY_DEADLINES)
		enter(n, a, EVENT_CUT);
	stage_count(n->troupe->stage, f->tally);
	a->fault = f;
	a->fault_end_ns = now_ns() + ms * MS;
	a->recovery_ns = f->road == AT_NETWORK ? (ms + ANSWER_MS) * MS : 0;
	f->begin(n, a);
}

static void heal(struct nemesis *n, struct actor *a)
{
	int link = troupe_network_link(n->troupe, a);

	if (link >= 0)
		network_heal(n->troupe->network, link);
	else
		proxy_heal(n->troupe->proxy, link_of(n, a));
}

static void fault_end(struct nemesis *n, struct actor *a)
{
	if (!a->fault)
		return;
	if (a->pid)
		kill(a->pid, SIGCONT);
	heal(n, a);
	if (a->fault->effect == DOUBTED)
		enter(n, a, EVENT_CALM);
	a->fault = NULL;
}

/* The reason for it is gone, and once its connection has recovered, all of it. */
static void fault_over(struct nemesis *n, struct actor *a)
{
	if (a->recovery_ns == 0)
		return fault_end(n, a);
	heal(n, a);
	a->fault_end_ns += a->recovery_ns;
	a->recovery_ns = 0;
}

static void kill_player(struct nemesis *n, struct actor *a)
{
	enter(n, a, EVENT_DOUBT);
	stage_count(n->troupe->stage, TALLY_KILLS);
	troupe_kill(n->troupe, a);
	heal(n, a);
}

/* At most half of the players suffer at a time; whoever does may be killed as well. */
static void do_something(struct nemesis *n)
{
	struct actor *a = &n->troupe->actors[dice_choose(&n->dice, n->troupe->count)];
	const struct fault *f = choose_fault(n, a);
	int suffering = 0;

	for (int i = 0; i < n->troupe->count; i++)
		suffering += n->troupe->actors[i].fault != NULL;
	if (!a->pid)
		return;
	if (dice_choose(&n->dice, KILL_DEEDS) == 0)
		kill_player(n, a);
	else if (f && !a->fault && suffering < n->troupe->count / 2)
		fault_begin(n, a, f);
}

void nemesis_start(struct nemesis *n, struct troupe *t, struct test_daemon *broker,
	const char *const *broker_arguments, int64_t round_ms, uint64_t seed)
{
	*n = (struct nemesis){.troupe = t,
		.long_faults = round_ms >= LONG_ROUND_MS,
		.dice = {seed},
		.broker = broker,
		.broker_arguments = broker_arguments,
		.kill_every_ms = round_ms / KILLS_A_ROUND};
	n->next_ns = now_ns() + 200 * MS;
	plan_kill(n);
}

void nemesis_step(struct nemesis *n)
{
	int64_t now = now_ns();

	for (int i = 0; i < n->troupe->count; i++)
		if (n->troupe->actors[i].fault && n->troupe->actors[i].fault_end_ns <= now)
			fault_over(n, &n->troupe->actors[i]);
	if (now >= n->kill_ns)
		(n->broker->pid ? kill_broker : start_broker)(n);
	if (now < n->next_ns)
		return;
	do_something(n);
	n->next_ns = now + (1 + dice_choose(&n->dice, 2 * PAUSE_MS)) * MS;
}

void nemesis_end(struct nemesis *n)
{
	if (!n->broker->pid)
		start_broker(n);
	for (int i = 0; i < n->troupe->count; i++)
		fault_end(n, &n->troupe->actors[i]);
}
