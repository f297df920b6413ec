/*
 * dump.c - every goroutine as text, and the fatal ends that print it.
 *
 * Callable from signal handlers: no lock, no allocation, no stdio. The fields are read as they are at
 * that moment, which is why those of struct goroutine that are read here are written atomically.
 */
#include "config.h"

#include "server/base/clock.h"
#include "server/runtime/nursery.h"
#include "server/runtime/sched.h"
#include "server/runtime/stack.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A piece of text that is cut where it would not fit. */
struct text {
	size_t length;
	char bytes[1024];
};

static void text_add(struct text *t, const char *s)
{
	size_t n = strlen(s), room = sizeof(t->bytes) - t->length;

	if (n > room)
		n = room;
	memcpy(t->bytes + t->length, s, n);
	t->length += n;
}

static void text_add_number(struct text *t, uint64_t n)
{
	char digits[24], *p = digits + sizeof(digits);

	*--p = '\0';
	do
		*--p = (char)('0' + n % 10);
	while (n /= 10);
	text_add(t, p);
}

static void text_write(const struct text *t, int fd)
{
	for (size_t at = 0; at < t->length;) {
		ssize_t n = write(fd, t->bytes + at, t->length - at);

		if (n < 0 && errno != EINTR)
			return;
		if (n > 0)
			at += (size_t)n;
	}
}

static void write_text(int fd, const char *s)
{
	struct text t = {0};

	text_add(&t, s);
	text_write(&t, fd);
}

static const char *state_words(const struct goroutine *g)
{
	switch (atomic_load_explicit(&g->state, memory_order_relaxed)) {
	case G_NEW:
	case G_RUNNABLE:
		return "runnable";
	case G_RUNNING:
		return "running";
	case G_BLOCKING:
		return "syscall";
	case G_WAITING:
		return wait_reason_words(__atomic_load_n(&g->wait_reason, __ATOMIC_RELAXED));
	default:
		return NULL; /* no goroutine now */
	}
}

/* As Go does it, and finer below a minute. */
static void text_add_age(struct text *t, int64_t age_ns)
{
	if (age_ns < 0)
		age_ns = 0;
	text_add(t, ", ");
	if (age_ns >= 60 * NS_PER_S) {
		text_add_number(t, (uint64_t)(age_ns / (60 * NS_PER_S)));
		text_add(t, " minutes");
	} else if (age_ns >= NS_PER_S) {
		text_add_number(t, (uint64_t)(age_ns / NS_PER_S));
		text_add(t, " s");
	} else {
		text_add_number(t, (uint64_t)(age_ns / NS_PER_MS));
		text_add(t, " ms");
	}
}

static void text_add_site(struct text *t, const struct go_site *site)
{
	if (!site)
		return;
	text_add(t, "\tcreated at ");
	text_add(t, site->file);
	text_add(t, ":");
	text_add_number(t, (uint64_t)site->line);
	text_add(t, " (");
	text_add(t, site->callee);
	text_add(t, ")\n");
}

/* One block; now_ns is 0 where ages are not wanted. False if g is none now. */
static bool dump_block(int fd, const struct goroutine *g, int64_t now_ns)
{
	const char *state = state_words(g), *label = __atomic_load_n(&g->label, __ATOMIC_RELAXED);
	struct text t = {0};

	if (!state)
		return false;
	text_add(&t, "goroutine ");
	text_add_number(&t, __atomic_load_n(&g->id, __ATOMIC_RELAXED));
	text_add(&t, " [");
	text_add(&t, state);
	if (now_ns && atomic_load_explicit(&g->state, memory_order_relaxed) == G_WAITING)
		text_add_age(&t, now_ns - __atomic_load_n(&g->since_ns, __ATOMIC_RELAXED));
	text_add(&t, "]:");
	if (label) {
		text_add(&t, " ");
		text_add(&t, label);
	}
	text_add(&t, "\n");
	text_add_site(&t, __atomic_load_n(&g->site, __ATOMIC_RELAXED));
	text_write(&t, fd);
	return true;
}

/* One block, and an empty line before all but the first. */
static void dump_one(int fd, const struct goroutine *g, int64_t now_ns, bool *some)
{
	if (!state_words(g))
		return;
	if (*some)
		write_text(fd, "\n");
	*some = dump_block(fd, g, now_ns) || *some;
}

static void dump_newborns(int fd, const struct goroutine *holder, bool *some)
{
	struct goroutine g = {.state = G_NEW};
	uint32_t cursor = 0;

	while (nursery_walk(holder, &cursor, &g.id, &g.site))
		dump_one(fd, &g, 0, some);
}

static void dump_all(int fd, int64_t now_ns)
{
	const struct goroutine *g;
	uint32_t cursor = 0;
	bool some = false;

	while ((g = stack_walk(&cursor))) {
		if (atomic_load_explicit(&g->state, memory_order_acquire) == G_NURSERY)
			dump_newborns(fd, g, &some);
		else
			dump_one(fd, g, now_ns, &some);
	}
}

void go_dump_all(int fd)
{
	int saved_errno = errno;

	dump_all(fd, clock_now_ns());
	errno = saved_errno;
}

void fatal(const char *message)
{
	struct text t = {0};

	text_add(&t, "fatal error: ");
	text_add(&t, message);
	text_add(&t, "\n\n");
	text_write(&t, STDERR_FILENO);
	dump_all(STDERR_FILENO, 0);
	_exit(2);
}

void go_fatal(const char *message)
{
	fflush(NULL);
	fatal(message);
}

void deadlock(void)
{
	go_fatal("all goroutines are asleep - deadlock!");
}

void go_panic(const char *message)
{
	const struct goroutine *g = go_self();
	struct text t = {0};

	fflush(NULL);
	text_add(&t, "panic: ");
	text_add(&t, message);
	text_add(&t, "\n\n");
	text_write(&t, STDERR_FILENO);
	if (g)
		dump_block(STDERR_FILENO, g, 0);
	_exit(2);
}
