/*
 * stress.c - rounds of random clients against a real daemon, and their histories judged.
 *
 *   stress                   both kinds of rounds, against a private chand
 *   stress --check FILE      judges a history that a failed round has left
 *
 * STRESS_SECONDS   of each kind (default 3); 0: one round
 * STRESS_SEED      of the first round, the next have the numbers after it. Default: from the clock
 * CHAND_TEST_URL   unix:PATH of a daemon that runs already, for example in gdb
 */
#include "tests/stress/play.h"
#include "tests/support/daemon.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct test_daemon chand;

bool round_judge(const struct history *h, const char *problem, uint64_t seed)
{
	struct verdict v = history_check(h);
	char path[64];
	FILE *out;

	if (!*problem && v.rule == RULE_NONE)
		return true;
	if (*problem)
		printf("# %s\n", problem);
	if (v.rule != RULE_NONE)
		history_explain(h, &v, stdout);
	snprintf(path, sizeof(path), "stress-%llx.history", (unsigned long long)seed);
	printf("# STRESS_SEED=0x%llx; its history is in %s\n", (unsigned long long)seed, path);
	out = fopen(path, "w");
	if (out) {
		history_print(h, out);
		fclose(out);
	}
	return false;
}

static uint64_t environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static void play(bool (*round)(const char *const urls[2], uint64_t seed, size_t *events))
{
	const char *urls[] = {chand.url, *chand.tcp_url ? chand.tcp_url : chand.url};
	uint64_t seed = environment("STRESS_SEED", (uint64_t)time(NULL) << 16);
	time_t end = time(NULL) + environment("STRESS_SECONDS", 3);
	size_t events = 0;
	int rounds = 0;
	bool good;

	do
		good = round(urls, seed + rounds++, &events);
	while (good && time(NULL) < end);
	printf("# %d rounds from STRESS_SEED=0x%llx, %zu events\n", rounds,
		(unsigned long long)seed, events);
	fflush(stdout);
	assert_true(good);
}

static void test_clients_that_speak_frames(void **state)
{
	(void)state;
	play(frames_play);
}

static void test_threads_that_use_libchan(void **state)
{
	(void)state;
	play(threads_play);
}

static int start(void **state)
{
	(void)state;
	daemon_start(&chand, NULL);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	daemon_stop(&chand);
	return 0;
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
	if (v.rule != RULE_NONE)
		history_explain(&h, &v, stdout);
	else
		printf("# %s\n", history_rule_sentence(v.rule));
	history_fini(&h);
	return v.rule != RULE_NONE;
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clients_that_speak_frames),
		cmocka_unit_test(test_threads_that_use_libchan),
	};

	if (argc == 3 && strcmp(argv[1], "--check") == 0)
		return check_file(argv[2]);
	return cmocka_run_group_tests(tests, start, stop);
}
