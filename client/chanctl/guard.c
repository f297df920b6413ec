#include "config.h"

#include "client/chanctl/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/chanctl/clock.h"

/* How often it is looked whether a group is gone, once chanctl is. Much less than it takes until
 * the number of a group is used again. */
#define LOOK_NS INT64_C(20000000)

/* What comes through the pipe; small enough that writers do not mix. */
struct order {
	pid_t group;
	bool forget;
	struct guard_times times;
};

struct ward {
	pid_t group;
	bool told; /* it has had its SIGTERM */
	struct guard_times times;
};

/* ---- the guard's own process ---------------------------------------------------------------- */

struct watch {
	struct ward wards[GUARD_GROUPS_MAX];
	size_t count;
	int fd; /* -1: chanctl is gone */
};

static int64_t earlier(int64_t a_ns, int64_t b_ns)
{
	return a_ns < b_ns ? a_ns : b_ns;
}

/* Stopped processes would not see the first signal. */
static void tell_to_end(pid_t group)
{
	kill(-group, SIGTERM);
	kill(-group, SIGCONT);
}

static struct ward *ward_find(struct watch *w, pid_t group)
{
	for (size_t i = 0; i < w->count; i++)
		if (w->wards[i].group == group)
			return &w->wards[i];
	return NULL;
}

static void ward_drop(struct watch *w, struct ward *ward)
{
	*ward = w->wards[--w->count];
}

static void obey(struct watch *w, const struct order *order)
{
	struct ward *ward = ward_find(w, order->group);

	if (order->forget) {
		if (ward != NULL)
			ward_drop(w, ward);
		return;
	}
	if (ward == NULL && w->count == GUARD_GROUPS_MAX)
		return;
	if (ward == NULL) {
		ward = &w->wards[w->count++];
		*ward = (struct ward){.group = order->group};
	}
	/* Who was told to end is not given more time. */
	if (ward->told)
		ward->times.kill_ns = earlier(ward->times.kill_ns, order->times.kill_ns);
	else
		ward->times = order->times;
}

/* Ends what is due, and returns when something is due next. */
static int64_t keep_time(struct watch *w)
{
	int64_t now_ns = clock_now_ns(), next_ns = GUARD_NEVER;

	for (size_t i = w->count; i-- > 0;) {
		struct ward *ward = &w->wards[i];

		if (!ward->told && ward->times.term_ns <= now_ns) {
			ward->told = true;
			tell_to_end(ward->group);
		}
		if (ward->told && ward->times.kill_ns <= now_ns) {
			kill(-ward->group, SIGKILL);
			ward_drop(w, ward);
			continue;
		}
		next_ns = earlier(next_ns, ward->told ? ward->times.kill_ns : ward->times.term_ns);
	}
	return next_ns;
}

/* chanctl is gone: nobody needs what its commands do any more. */
static void end_all(struct watch *w)
{
	int64_t now_ns = clock_now_ns();

	w->fd = -1;
	for (size_t i = 0; i < w->count; i++) {
		struct guard_times *times = &w->wards[i].times;

		times->term_ns = now_ns;
		times->kill_ns = earlier(times->kill_ns, now_ns + GUARD_LAST_GRACE_NS);
	}
}

static void drop_gone(struct watch *w)
{
	for (size_t i = w->count; i-- > 0;)
		if (kill(-w->wards[i].group, 0) < 0 && errno == ESRCH)
			ward_drop(w, &w->wards[i]);
}

static void wait_until(struct watch *w, int64_t next_ns)
{
	struct pollfd fd = {.fd = w->fd, .events = POLLIN};
	int64_t left_ns = next_ns - clock_now_ns();
	struct timespec left = {.tv_sec = left_ns / 1000000000, .tv_nsec = left_ns % 1000000000};

	if (left_ns > 0)
		ppoll(&fd, 1, next_ns == GUARD_NEVER ? NULL : &left, NULL);
}

static void hear(struct watch *w)
{
	struct order order;
	ssize_t bytes = read(w->fd, &order, sizeof(order));

	if (bytes == sizeof(order))
		obey(w, &order);
	else if (bytes == 0 || (errno != EAGAIN && errno != EINTR))
		end_all(w);
}

static _Noreturn void watch_over(int fd)
{
	/* Its own copy of a large thing, and not on the stack of a caller. */
	static struct watch w;
	int64_t next_ns;

	w.fd = fd;
	while (w.fd >= 0 || w.count > 0) {
		next_ns = keep_time(&w);
		if (w.fd < 0 && w.count > 0)
			next_ns = earlier(next_ns, clock_now_ns() + LOOK_NS);
		if (w.fd >= 0 || w.count > 0)
			wait_until(&w, next_ns);
		if (w.fd >= 0)
			hear(&w);
		else
			drop_gone(&w);
	}
	_exit(0);
}

/* Leaves chanctl's session, descriptors and folder. */
static void stand_apart(int *fd)
{
	setsid();
	/* Whoever ends chanctl by its name must not hit what is there for that case. */
	prctl(PR_SET_NAME, "chan-guard");
	*fd = dup2(*fd, 0);
	close_range(1, ~0U, 0);
	if (chdir("/") < 0)
		return; /* then a file system stays busy for as long as we live */
}

/* ---- chanctl's side -------------------------------------------------------------------------- */

/* The new process hears no signal from its beginning on: it is of chanctl's group until it stands
 * apart, and what comes to that is not meant for it. Its number, 0 in itself, or -errno. */
static pid_t fork_deaf(void)
{
	sigset_t all, old;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid < 0)
		pid = -errno;
	if (pid != 0)
		sigprocmask(SIG_SETMASK, &old, NULL);
	return pid;
}

int guard_start(struct guard *ret_guard)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	pid = fork_deaf();
	if (pid == 0) {
		stand_apart(&ends[0]);
		watch_over(ends[0]);
	}
	close(ends[0]);
	if (pid < 0) {
		close(ends[1]);
		return pid;
	}
	*ret_guard = (struct guard){.pid = pid, .fd = ends[1]};
	return 0;
}

void guard_stop(struct guard *g)
{
	if (g->pid == 0)
		return;
	close(g->fd);
	while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
		;
	g->pid = 0;
}

static int say(const struct guard *g, const struct order *order)
{
	return write(g->fd, order, sizeof(*order)) == sizeof(*order) ? 0 : -errno;
}

int guard_order(const struct guard *g, pid_t group, const struct guard_times *times)
{
	const struct order order = {.group = group, .times = *times};

	return say(g, &order);
}

int guard_forget(const struct guard *g, pid_t group)
{
	const struct order order = {.group = group, .forget = true};

	return say(g, &order);
}
