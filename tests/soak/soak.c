/*
 * soak.c - rounds of client processes that are killed, stopped, cut off and slowed down, against a
 * real daemon that is killed, too; the history of each is judged.
 *
 * SOAK_SECONDS        of playing, in all (default 4)
 * SOAK_ROUND_SECONDS  of a round (default 30)
 * SOAK_SEED           of the first round (default: the clock); the next have the numbers after it
 *
 * SOAK_PLAYERS        how many at a time (default 12)
 *
 * A seed repeats the choices, not the interleaving: a round that failed leaves its history in
 * soak-SEED.history, which `stress --check` judges again.
 */
#include "chan/chan.h"
#include "tests/soak/nemesis.h"
#include "tests/support/daemon.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define MS INT64_C(1000000)

enum { EVENTS_MAX = 3000000, LEAVING_MS = 60000 };

static struct soak {
	struct test_daemon chand;
	struct proxy proxy;
	struct network network;
	struct stage *stage;
	uint64_t tallies[TALLIES]; /* of all rounds */
	size_t events;
	int rounds;
} soak;

static uint64_t environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

static void rest_ms(int ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * MS}, NULL);
}

/* ---- the supervisor as a client, without faults: closes everything and takes what is left ---- */

struct closer {
	struct stage *stage;
	struct chan_client *client;
	uint32_t session;
};

static void closer_enter(struct closer *c, struct event e)
{
	e.session = c->session;
	journal_enter(c->stage->journal, e);
}

static void closer_failed(struct closer *c, uint32_t op, int status)
{
	if (status != CHAN_ECLOSED && status != CHAN_EABORTED)
		stage_problem(c->stage, "at the end: %s", chan_error_text());
	closer_enter(c, (struct event){.kind = EVENT_FAILED, .op = op, .number = -status});
}

/* Its end of a channel; NULL: nobody has made it. */
static struct chan *closer_open(struct closer *c, uint32_t channel, enum chan_direction direction)
{
	struct chan_open_options options = {.end = {.manual = true}};
	char name[CHANNEL_NAME_MAX];
	struct chan *end = NULL;
	int status;

	stage_channel_name(c->stage, channel, name);
	status = chan_open(c->client, name, direction, &options, &end);
	if (status < 0 && status != CHAN_ENOCHANNEL)
		stage_problem(c->stage, "at the end: %s", chan_error_text());
	return end;
}

static void closer_close(struct closer *c, uint32_t channel)
{
	struct chan *end = closer_open(c, channel, CHAN_SEND);
	uint32_t op = journal_next(c->stage->journal, NEXT_OP, 1);
	bool counted = places[stage_place_of(channel)].counted;
	int status;

	if (!end)
		return;
	closer_enter(c,
		(struct event){
			.kind = counted ? EVENT_ABORT : EVENT_CLOSE, .op = op, .channel = channel});
	status = (counted ? chan_abort : chan_close)(end, NULL); /* whoever has not closed it */
	if (status < 0)
		closer_failed(c, op, status);
	else
		closer_enter(c, (struct event){.kind = EVENT_CLOSED, .op = op});
	chan_release(end);
}

/* Receives a value; false: there is none any more. */
static bool closer_receive(struct closer *c, struct chan *end, uint32_t channel)
{
	uint32_t op = journal_next(c->stage->journal, NEXT_OP, 1);
	struct event e = {.kind = EVENT_RECV, .op = op, .channel = channel, .number = 1};
	struct chan_value v;
	int status;

	closer_enter(c, e);
	status = chan_recv_timeout(end, &v, LEAVING_MS * MS);
	if (status <= 0) {
		closer_failed(c, op, status ? status : CHAN_ECLOSED);
		return false;
	}
	e.kind = EVENT_GOT;
	e.value = v.i;
	e.number = v.attempt;
	closer_enter(c, e);
	stage_count(c->stage, TALLY_RECEIVED);
	if (v.attempt > 1)
		stage_count(c->stage, TALLY_REDELIVERED);
	closer_enter(c, (struct event){.kind = EVENT_TAKEN, .value = v.i});
	status = chan_confirm(end, &v, 1);
	if (status < 0)
		stage_problem(c->stage, "at the end: %s", chan_error_text());
	closer_enter(c, (struct event){.kind = EVENT_SETTLED, .value = e.value});
	return status == 0;
}

static void closer_drain(struct closer *c, uint32_t channel)
{
	struct chan *end = closer_open(c, channel, CHAN_RECV);
	char name[CHANNEL_NAME_MAX];

	if (!end)
		return;
	while (closer_receive(c, end, channel))
		;
	chan_release(end);
	stage_channel_name(c->stage, channel, name);
	chan_remove(c->client, name);
}

static void closer_drain_all(struct closer *c)
{
	struct history h = {0};

	journal_read(c->stage->journal, &h);
	for (size_t i = 0; i < h.count; i++)
		if (h.events[i].kind == EVENT_CHANNEL && !atomic_load(&c->stage->has_problem))
			closer_drain(c, h.events[i].channel);
	history_fini(&h);
}

/* Players may wait at a channel for ever, and the last of them may still make one. */
static void close_until_all_have_left(struct closer *c, struct troupe *t)
{
	int64_t end_ms = now_ms() + LEAVING_MS;
	uint32_t closed[PLACES] = {0};

	do {
		for (int i = 0; i < PLACES; i++) {
			uint32_t channel = atomic_load(&c->stage->channels[i]);

			if (closed[i] != channel)
				closer_close(c, channel);
			closed[i] = channel;
		}
		rest_ms(5);
	} while (troupe_leaving(t) > 0 && now_ms() < end_ms);
	troupe_end(t);
}

static void finish(struct troupe *t)
{
	struct closer c = {
		.stage = t->stage, .session = journal_next(t->stage->journal, NEXT_SESSION, 1)};

	assert_int_equal(chan_dial(soak.chand.url, NULL, &c.client), 0);
	close_until_all_have_left(&c, t);
	closer_drain_all(&c);
	closer_enter(&c, (struct event){.kind = EVENT_END});
	chan_hangup(c.client);
}

/* ---- a round ---- */

static void keep_history(const struct history *h, uint64_t seed)
{
	char path[64];
	FILE *out;

	snprintf(path, sizeof(path), "soak-%llx.history", (unsigned long long)seed);
	printf("# SOAK_SEED=0x%llx; its history is in %s\n", (unsigned long long)seed, path);
	out = fopen(path, "w");
	if (!out)
		return;
	history_print(h, out);
	fclose(out);
}

static bool judge(struct stage *s)
{
	struct history h = {0};
	struct verdict v;
	bool good;

	journal_read(s->journal, &h);
	v = history_check(&h);
	soak.events += h.count;
	if (journal_overflowed(s->journal))
		stage_problem(s, "the journal is full");
	good = v.rule == RULE_NONE && !atomic_load(&s->has_problem);
	if (atomic_load(&s->has_problem))
		printf("# %s\n", s->problem);
	if (v.rule != RULE_NONE)
		history_explain(&h, &v, stdout);
	if (!good)
		keep_history(&h, s->seed);
	history_fini(&h);
	return good;
}

static void print_tallies(const char *of, const uint64_t *tallies)
{
	static const char *const words[] = {
#define TALLY_WORD(name, word) word,
		TALLY_LIST(TALLY_WORD)
#undef TALLY_WORD
	};

	printf("# %s:", of);
	for (int i = 0; i < TALLIES; i++)
		printf("%s %llu %s", i ? "," : "", (unsigned long long)tallies[i], words[i]);
	printf("\n");
	fflush(stdout);
}

static int player_count(void)
{
	int players = environment("SOAK_PLAYERS", 12);

	return players < ACTORS_MAX ? players : ACTORS_MAX;
}

/* For players behind the network the daemon listens in its middle. */
static const char *const *broker_arguments(void)
{
	static char url[64];
	static const char *const arguments[] = {"--listen", url, NULL};

	snprintf(url, sizeof(url), "tcp://0.0.0.0:%d", NETWORK_PORT);
	return soak.network.links ? arguments : NULL;
}

static bool play_round(uint64_t seed, int64_t ms, int players)
{
	int64_t linger_ns = (ms >= LONG_ROUND_MS ? 10000 : 5000) * MS;
	int64_t end_ms = now_ms() + ms;
	struct stage *s = soak.stage;
	struct nemesis nemesis;
	struct troupe troupe;
	char of[64];

	stage_begin(s, seed);
	troupe_start(&troupe, s, &soak.proxy, &soak.network, players, linger_ns, seed);
	nemesis_start(&nemesis, &troupe, &soak.chand, broker_arguments(), ms, ~seed);
	while (now_ms() < end_ms && !atomic_load(&s->stopping) && !journal_fills(s->journal)) {
		nemesis_step(&nemesis);
		troupe_tend(&troupe);
		rest_ms(5);
	}
	nemesis_end(&nemesis);
	atomic_store(&s->stopping, true);
	finish(&troupe);
	for (int i = 0; i < TALLIES; i++)
		soak.tallies[i] += atomic_load(&s->tallies[i]);
	snprintf(of, sizeof(of), "round %d, seed 0x%llx", ++soak.rounds, (unsigned long long)seed);
	print_tallies(of, (uint64_t *)s->tallies);
	return judge(s);
}

static void test_histories_under_faults(void **state)
{
	uint64_t seed = environment("SOAK_SEED", (uint64_t)time(NULL) << 16);
	int64_t left_ms = environment("SOAK_SECONDS", 4) * 1000;
	int64_t round_ms = environment("SOAK_ROUND_SECONDS", 30) * 1000;
	bool good = true;
	char of[64];

	(void)state;
	for (; left_ms > 0 && good; left_ms -= round_ms)
		good = play_round(seed + soak.rounds, left_ms < round_ms ? left_ms : round_ms,
			player_count());
	snprintf(of, sizeof(of), "%d rounds from SOAK_SEED=0x%llx, %zu events", soak.rounds,
		(unsigned long long)seed, soak.events);
	print_tallies(of, soak.tallies);
	assert_true(good);
}

/* A daemon that somebody else has started is out of its reach. */
static void start_network(void)
{
	if (getenv("CHAND_TEST_URL"))
		return;
	if (network_start(&soak.network, player_count() / 2))
		printf("# network namespaces: on, for every second player; lines lose packets by "
		       "%s\n",
			soak.network.bad_line ? soak.network.bad_line : "nothing that is here");
	else
		printf("# network namespaces: off: %s\n", soak.network.why_not);
	fflush(stdout);
}

static int start(void **state)
{
	(void)state;
	start_network();
	daemon_start(&soak.chand, broker_arguments());
	proxy_start(&soak.proxy, soak.chand.url, ACTORS_MAX);
	soak.stage = stage_new(EVENTS_MAX);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	proxy_stop(&soak.proxy);
	daemon_stop(&soak.chand);
	network_stop(&soak.network);
	stage_free(soak.stage);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_histories_under_faults),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
