/* crew.c - see crew.h. */
#include "tests/bench/crew.h"

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/clients.h"

void crew_init(struct crew *c)
{
	*c = (struct crew){
		.board = mmap(NULL, sizeof(*c->board), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0),
	};
	if (c->board == MAP_FAILED)
		err(1, "mmap");
	c->board->least = INT64_MAX;
}

void crew_hire(struct crew *c, int n, void (*work)(struct crew *c, int number, const void *load),
	const void *load)
{
	if (c->size + n > CREW_MAX)
		errx(1, "more than %d clients", CREW_MAX);
	for (int i = 0; i < n; i++)
		c->members[c->size++] = (struct crew_member){work, i, load, 0};
}

static void member_start(struct crew *c, struct crew_member *m)
{
	m->pid = fork();
	if (m->pid < 0)
		err(1, "fork");
	if (m->pid > 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	m->work(c, m->number, m->load);
	_exit(0);
}

void crew_start(struct crew *c)
{
	pthread_barrierattr_t shared;

	pthread_barrierattr_init(&shared);
	pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&c->board->ready, &shared, (unsigned)c->size + 1);
	fflush(NULL);
	for (int i = 0; i < c->size; i++)
		member_start(c, &c->members[i]);
}

void crew_join(struct crew *c)
{
	int status;

	for (int i = 0; i < c->size; i++)
		if (wait(&status) < 0 || status != 0)
			errx(1, "a client failed"); /* which takes the others with us */
}

void crew_begin(struct crew *c)
{
	int64_t not_yet = 0;

	pthread_barrier_wait(&c->board->ready);
	atomic_compare_exchange_strong(&c->board->began_ns, &not_yet, now_ns());
}

void crew_report(struct crew *c, int64_t values, int64_t bytes)
{
	int64_t ns = now_ns(), last = c->board->ended_ns;

	c->board->values += values;
	c->board->bytes += bytes;
	while (last < ns && !atomic_compare_exchange_weak(&c->board->ended_ns, &last, ns))
		continue;
}

void crew_compare(struct crew *c, int64_t values)
{
	int64_t least = c->board->least, most = c->board->most;

	while (values < least &&
		!atomic_compare_exchange_weak(&c->board->least, &least, values))
		continue;
	while (values > most && !atomic_compare_exchange_weak(&c->board->most, &most, values))
		continue;
}

double crew_slowest_share(const struct crew *c)
{
	return c->board->most ? (double)c->board->least / (double)c->board->most : 0;
}

double crew_seconds(const struct crew *c)
{
	return (double)(c->board->ended_ns - c->board->began_ns) / 1e9;
}

void crew_dismiss(struct crew *c)
{
	pthread_barrier_destroy(&c->board->ready);
	munmap(c->board, sizeof(*c->board));
}
