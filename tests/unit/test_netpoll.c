#include "server/runtime/netpoll.h"

#include "server/runtime/netpoll_sched.h"
#include "server/runtime/sched.h"
#include "server/runtime/timer_sched.h"
#include "tests/support/run.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* Both ends of a pair: ours is registered, the peer's is written to. */
struct pair {
	int fd, peer;
	struct netpoll_desc *desc;
};

static void pair_init(struct pair *p)
{
	int fds[2];

	expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	p->fd = fds[0];
	p->peer = fds[1];
	expect(netpoll_open(p->fd, &p->desc) == 0);
}

static void pair_fini(struct pair *p)
{
	netpoll_close(p->desc);
	close(p->fd);
	if (p->peer >= 0)
		close(p->peer);
}

static void put(struct pair *p, const char *bytes, size_t n)
{
	expect(write(p->peer, bytes, n) == (ssize_t)n);
}

/* Reads one byte, waiting as long as it takes; -1 at the end of the stream. */
static int get(struct pair *p)
{
	for (;;) {
		char c;
		ssize_t n = read(p->fd, &c, 1);

		if (n == 1)
			return c;
		if (n == 0)
			return -1;
		expect(errno == EAGAIN);
		expect(netpoll_wait(p->desc, NETPOLL_READ, DEADLINE_NEVER) == 0);
	}
}

static void on_all_procs(int (*main_fn)(void *))
{
	run(1, main_fn, NULL);
	run(2, main_fn, NULL);
	run(4, main_fn, NULL);
}

/* ---- Waiting ---- */

static struct countdown all;

static void echo(struct pair *p)
{
	for (int c; (c = get(p)) >= 0;) {
		char byte = (char)c;

		expect(write(p->fd, &byte, 1) == 1);
	}
	countdown_done(&all);
}

static int echoes(void *arg)
{
	enum { PAIRS = 20 };
	struct pair ours[PAIRS], theirs[PAIRS];

	(void)arg;
	all = (struct countdown)COUNTDOWN(PAIRS);
	for (int i = 0; i < PAIRS; i++) {
		pair_init(&ours[i]);
		theirs[i] = (struct pair){.fd = ours[i].peer, .peer = ours[i].fd};
		expect(netpoll_open(theirs[i].fd, &theirs[i].desc) == 0);
		expect(go(echo, &theirs[i]) == 0);
	}
	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < PAIRS; i++)
			expect(write(ours[i].fd, &(char){(char)('a' + i)}, 1) == 1);
		for (int i = 0; i < PAIRS; i++)
			expect(get(&ours[i]) == 'a' + i);
	}
	for (int i = 0; i < PAIRS; i++)
		shutdown(ours[i].fd, SHUT_WR);
	countdown_wait(&all);
	for (int i = 0; i < PAIRS; i++) {
		netpoll_close(theirs[i].desc);
		pair_fini(&ours[i]);
	}
	return 0;
}

static void readers_park_until_bytes_come(void **state)
{
	(void)state;
	on_all_procs(echoes);
}

static void drain(struct pair *p, size_t bytes)
{
	char block[4096];

	while (bytes > 0) {
		ssize_t n = read(p->fd, block, sizeof(block));

		if (n > 0)
			bytes -= (size_t)n;
		else
			expect(netpoll_wait(p->desc, NETPOLL_READ, DEADLINE_NEVER) == 0);
	}
	countdown_done(&all);
}

static int fill(void *arg)
{
	static const char block[65536];
	size_t bytes = 8 << 20, left = bytes;
	struct pair in, out;

	(void)arg;
	pair_init(&out);
	in = (struct pair){.fd = out.peer};
	expect(netpoll_open(in.fd, &in.desc) == 0);
	all = (struct countdown)COUNTDOWN(1);
	expect(go(drain, &in, bytes) == 0);
	while (left > 0) {
		ssize_t n = write(out.fd, block, left < sizeof(block) ? left : sizeof(block));

		if (n > 0)
			left -= (size_t)n;
		else
			expect(netpoll_wait(out.desc, NETPOLL_WRITE, DEADLINE_NEVER) == 0);
	}
	countdown_wait(&all);
	netpoll_close(in.desc);
	pair_fini(&out);
	return 0;
}

static void writers_park_until_there_is_room(void **state)
{
	(void)state;
	on_all_procs(fill);
}

static int deadlines(void *arg)
{
	int64_t begin_ns = clock_now_ns();
	struct pair p;

	(void)arg;
	pair_init(&p);
	/* A new descriptor may be reported writable, not readable. */
	expect(netpoll_wait(p.desc, NETPOLL_READ, 0) == -ETIMEDOUT);
	expect(netpoll_wait(p.desc, NETPOLL_READ, clock_deadline_ns(5 * NS_PER_MS)) == -ETIMEDOUT);
	expect(clock_now_ns() - begin_ns >= 5 * NS_PER_MS);
	put(&p, "x", 1);
	expect(netpoll_wait(p.desc, NETPOLL_READ, clock_deadline_ns(10 * NS_PER_S)) == 0);
	expect(get(&p) == 'x');
	expect(netpoll_wait(p.desc, NETPOLL_READ, clock_deadline_ns(NS_PER_MS)) == -ETIMEDOUT);
	pair_fini(&p);
	return 0;
}

static void a_wait_ends_at_its_deadline(void **state)
{
	(void)state;
	on_all_procs(deadlines);
}

/* ---- Races of bytes, deadlines and close ---- */

static void wait_for(struct pair *p, int64_t span_ns, int *ret)
{
	*ret = netpoll_wait(p->desc, NETPOLL_READ, clock_deadline_ns(span_ns));
	countdown_done(&all);
}

static void write_later(struct pair *p, int yields)
{
	for (int i = 0; i < yields; i++)
		go_yield();
	put(p, "x", 1);
	countdown_done(&all);
}

static int race_deadlines(void *arg)
{
	(void)arg;
	for (int i = 0; i < 300; i++) {
		struct pair p;
		int rc = 1;

		pair_init(&p);
		all = (struct countdown)COUNTDOWN(2);
		expect(go(wait_for, &p, i % 10 * NS_PER_US * 10, &rc) == 0);
		expect(go(write_later, &p, i % 7) == 0);
		countdown_wait(&all);
		expect(rc == 0 || rc == -ETIMEDOUT);
		expect(get(&p) == 'x'); /* whatever the wait said, the byte is there */
		pair_fini(&p);
	}
	return 0;
}

static void bytes_race_deadlines(void **state)
{
	(void)state;
	on_all_procs(race_deadlines);
}

static int race_close(void *arg)
{
	(void)arg;
	for (int i = 0; i < 300; i++) {
		struct pair p;
		int rc = 1;

		pair_init(&p);
		all = (struct countdown)COUNTDOWN(1);
		expect(go(wait_for, &p, INT64_MAX, &rc) == 0);
		while (!netpoll_has_waiters())
			go_yield();
		if (i % 3 == 0)
			put(&p, "x", 1);
		netpoll_close(p.desc);
		p.desc = NULL;
		countdown_wait(&all);
		expect(rc == -ECANCELED || (rc == 0 && i % 3 == 0));
		pair_fini(&p);
	}
	return 0;
}

static int race_close_and_deadline(void *arg)
{
	(void)arg;
	for (int i = 0; i < 300; i++) {
		struct pair p;
		int rc = 1;

		pair_init(&p);
		all = (struct countdown)COUNTDOWN(1);
		expect(go(wait_for, &p, i * NS_PER_US, &rc) == 0);
		go_yield(); /* one processor: the call has begun, it may be over */
		go_yield();
		netpoll_close(p.desc);
		p.desc = NULL;
		countdown_wait(&all);
		expect(rc == -ECANCELED || rc == -ETIMEDOUT);
		pair_fini(&p);
	}
	return 0;
}

static void close_wakes_who_waits(void **state)
{
	(void)state;
	on_all_procs(race_close);
	run(1, race_close_and_deadline, NULL);
}

/* ---- Arming ---- */

struct armed {
	struct pair p;
	_Atomic int starts;
	int wanted;
};

static void on_bytes(void *arg)
{
	struct armed *a = arg;
	char block[16];

	while (read(a->p.fd, block, sizeof(block)) > 0)
		;
	if (atomic_fetch_add(&a->starts, 1) + 1 < a->wanted)
		netpoll_on_readable(a->p.desc, on_bytes, a);
	countdown_done(&all);
}

static int arm_many(void *arg)
{
	enum { MANY = 100, ROUNDS = 20 };
	static struct armed armed[MANY];

	(void)arg;
	for (int i = 0; i < MANY; i++) {
		pair_init(&armed[i].p);
		atomic_store(&armed[i].starts, 0);
		armed[i].wanted = ROUNDS;
		netpoll_on_readable(armed[i].p.desc, on_bytes, &armed[i]);
	}
	for (int round = 1; round <= ROUNDS; round++) {
		all = (struct countdown)COUNTDOWN(MANY);
		for (int i = 0; i < MANY; i++)
			put(&armed[i].p, "abc", 3);
		countdown_wait(&all);
		for (int i = 0; i < MANY; i++)
			expect(atomic_load(&armed[i].starts) == round);
	}
	for (int i = 0; i < MANY; i++)
		pair_fini(&armed[i].p);
	return 0;
}

static void arming_starts_one_goroutine_each_time(void **state)
{
	(void)state;
	on_all_procs(arm_many);
}

static int arm_ready(void *arg)
{
	static struct armed a;

	(void)arg;
	atomic_store(&a.starts, 0);
	a.wanted = 0;
	pair_init(&a.p);
	put(&a.p, "x", 1);
	expect(netpoll_wait(a.p.desc, NETPOLL_READ, DEADLINE_NEVER) == 0);
	put(&a.p, "y", 1);
	go_sleep(NS_PER_MS); /* a poll sees it: it is remembered */
	all = (struct countdown)COUNTDOWN(1);
	netpoll_on_readable(a.p.desc, on_bytes, &a);
	countdown_wait(&all);
	expect(atomic_load(&a.starts) == 1);
	pair_fini(&a.p);
	return 0;
}

static void arming_what_is_ready_starts_at_once(void **state)
{
	(void)state;
	on_all_procs(arm_ready);
}

static int disarm(void *arg)
{
	static struct armed a;

	(void)arg;
	atomic_store(&a.starts, 0);
	a.wanted = 0;
	pair_init(&a.p);
	expect(!netpoll_off(a.p.desc, NETPOLL_READ));
	netpoll_on_readable(a.p.desc, on_bytes, &a);
	expect(netpoll_off(a.p.desc, NETPOLL_READ));
	expect(!netpoll_off(a.p.desc, NETPOLL_READ));
	put(&a.p, "x", 1);
	go_sleep(2 * NS_PER_MS);
	expect(atomic_load(&a.starts) == 0);
	expect(get(&a.p) == 'x');
	/* The edge was remembered; whoever waits next finds out, and may try in vain. */
	expect(netpoll_wait(a.p.desc, NETPOLL_READ, DEADLINE_NEVER) == 0);
	netpoll_on_readable(a.p.desc, on_bytes, &a);
	netpoll_close(a.p.desc); /* withdraws it as well */
	a.p.desc = NULL;
	put(&a.p, "x", 1);
	go_sleep(2 * NS_PER_MS);
	expect(atomic_load(&a.starts) == 0);
	pair_fini(&a.p);
	return 0;
}

static void what_is_disarmed_does_not_start(void **state)
{
	(void)state;
	on_all_procs(disarm);
}

/* A poke is readiness: for who is armed, for who waits, and for who comes later. */
static int poke(void *arg)
{
	static struct armed a;

	(void)arg;
	atomic_store(&a.starts, 0);
	a.wanted = 0;
	pair_init(&a.p);
	all = (struct countdown)COUNTDOWN(1);
	netpoll_on_readable(a.p.desc, on_bytes, &a);
	netpoll_poke(a.p.desc, NETPOLL_READ);
	countdown_wait(&all);
	expect(atomic_load(&a.starts) == 1);
	netpoll_poke(a.p.desc, NETPOLL_READ);
	netpoll_poke(a.p.desc, NETPOLL_READ);
	expect(netpoll_wait(a.p.desc, NETPOLL_READ, DEADLINE_NEVER) == 0);
	expect(netpoll_wait(a.p.desc, NETPOLL_READ, clock_now_ns()) == -ETIMEDOUT);
	go(netpoll_poke, a.p.desc, NETPOLL_READ);
	expect(netpoll_wait(a.p.desc, NETPOLL_READ, DEADLINE_NEVER) == 0);
	pair_fini(&a.p);
	return 0;
}

static void a_poke_is_readiness(void **state)
{
	(void)state;
	on_all_procs(poke);
}

static int hang_up(void *arg)
{
	static struct armed a;

	(void)arg;
	atomic_store(&a.starts, 0);
	a.wanted = 0;
	pair_init(&a.p);
	all = (struct countdown)COUNTDOWN(1);
	netpoll_on_readable(a.p.desc, on_bytes, &a);
	close(a.p.peer);
	a.p.peer = -1;
	countdown_wait(&all);
	expect(atomic_load(&a.starts) == 1);
	expect(get(&a.p) == -1);
	pair_fini(&a.p);
	return 0;
}

static void a_hang_up_is_readiness(void **state)
{
	(void)state;
	on_all_procs(hang_up);
}

/* Less than there was room for, and then no EAGAIN: what comes later is told all the same, and an
 * end that came with the bytes is known. */
static int read_short(void *arg)
{
	struct pair p;
	char bytes[8];

	(void)arg;
	pair_init(&p);
	put(&p, "a", 1);
	expect(netpoll_wait(p.desc, NETPOLL_READ, DEADLINE_NEVER) == 0);
	expect(read(p.fd, bytes, sizeof(bytes)) == 1);
	expect(!netpoll_is_closed(p.desc));
	go(put, &p, "bc", 2);
	expect(netpoll_wait(p.desc, NETPOLL_READ, DEADLINE_NEVER) == 0);
	expect(read(p.fd, bytes, sizeof(bytes)) == 2);
	put(&p, "d", 1);
	expect(shutdown(p.peer, SHUT_WR) == 0);
	expect(netpoll_wait(p.desc, NETPOLL_READ, DEADLINE_NEVER) == 0);
	expect(read(p.fd, bytes, sizeof(bytes)) == 1);
	expect(netpoll_is_closed(p.desc));
	pair_fini(&p);
	return 0;
}

static void what_follows_a_short_read_is_told(void **state)
{
	(void)state;
	on_all_procs(read_short);
}

static void hang_up_later(struct pair *p)
{
	go_yield();
	expect(shutdown(p->fd, SHUT_RDWR) == 0);
}

/* Who waits for room does not wait for a peer that will never read. */
static int hang_up_on_a_writer(void *arg)
{
	static char bytes[4096];
	struct pair p;

	(void)arg;
	pair_init(&p);
	while (write(p.fd, bytes, sizeof(bytes)) > 0)
		;
	expect(errno == EAGAIN);
	go(hang_up_later, &p);
	expect(netpoll_wait(p.desc, NETPOLL_WRITE, DEADLINE_NEVER) == 0);
	pair_fini(&p);
	return 0;
}

static void a_hang_up_wakes_writers(void **state)
{
	(void)state;
	on_all_procs(hang_up_on_a_writer);
}

/* ---- Neglect ---- */

static _Atomic bool got_it;

static void get_one(struct pair *p)
{
	expect(get(p) == 'x');
	atomic_store(&got_it, true);
}

static void spin(void)
{
	while (!atomic_load(&got_it))
		go_yield();
}

static int busy_beside_a_socket(void *arg)
{
	int64_t end_ns = clock_deadline_ns(20 * NS_PER_S);
	struct pair p;

	(void)arg;
	atomic_store(&got_it, false);
	pair_init(&p);
	expect(go(get_one, &p) == 0);
	for (int i = 0; i < 4; i++)
		expect(go(spin) == 0);
	for (int i = 0; i < 10; i++)
		go_yield();
	put(&p, "x", 1);
	while (!atomic_load(&got_it) && clock_now_ns() < end_ns)
		go_yield();
	expect(atomic_load(&got_it));
	go_sleep(NS_PER_MS);
	pair_fini(&p);
	return 0;
}

static void sockets_are_looked_at_beside_busy_goroutines(void **state)
{
	(void)state;
	on_all_procs(busy_beside_a_socket);
}

static int compute_beside_a_socket(void *arg)
{
	int64_t end_ns = clock_deadline_ns(20 * NS_PER_S);
	struct pair p;

	(void)arg;
	atomic_store(&got_it, false);
	pair_init(&p);
	expect(go(get_one, &p) == 0);
	go_sleep(NS_PER_MS);
	put(&p, "x", 1);
	while (!atomic_load(&got_it) && clock_now_ns() < end_ns)
		; /* no scheduling point at all: sysmon polls */
	expect(atomic_load(&got_it));
	pair_fini(&p);
	return 0;
}

static void sockets_are_looked_at_beside_a_computing_one(void **state)
{
	(void)state;
	run(2, compute_beside_a_socket, NULL);
	run(4, compute_beside_a_socket, NULL);
}

static _Atomic int came;

/* On its processor nothing else runs from now on, until the other one has come. */
static void come_and_compute(void)
{
	int64_t end_ns = clock_deadline_ns(20 * NS_PER_S);

	atomic_fetch_add(&came, 1);
	while (atomic_load(&came) < 2 && clock_now_ns() < end_ns)
		;
	expect(atomic_load(&came) == 2);
	countdown_done(&all);
}

static void come_when_woken(struct pair *p)
{
	expect(get(p) == 'x');
	come_and_compute();
}

static void come_when_started(void *arg)
{
	(void)arg;
	come_and_compute();
}

/* One poll may bring both, and then they are one processor's. */
static int two_at_once(void *arg)
{
	bool armed = *(bool *)arg;
	struct pair pairs[2];

	all = (struct countdown)COUNTDOWN(2);
	atomic_store(&came, 0);
	for (int i = 0; i < 2; i++) {
		pair_init(&pairs[i]);
		if (armed)
			netpoll_on_readable(pairs[i].desc, come_when_started, NULL);
		else
			expect(go(come_when_woken, &pairs[i]) == 0);
	}
	for (int i = 0; i < 10; i++)
		go_yield();
	for (int i = 0; i < 2; i++)
		put(&pairs[i], "x", 1);
	countdown_wait(&all);
	for (int i = 0; i < 2; i++)
		pair_fini(&pairs[i]);
	return 0;
}

static void who_computes_keeps_nobody_who_came_with_it(void **state)
{
	(void)state;
	for (int procs = 2; procs <= 4; procs += 2) {
		run(procs, two_at_once, &(bool){true});
		run(procs, two_at_once, &(bool){false});
	}
}

static void call_and_compute(void *arg)
{
	go_takes_long();
	put(arg, "x", 1);
	come_and_compute();
}

/* The second's bytes come while the first, which said that it takes long, is at work. */
static int one_after_the_other(void *arg)
{
	struct pair first, second;

	(void)arg;
	for (int round = 0; round < 100; round++) {
		all = (struct countdown)COUNTDOWN(2);
		atomic_store(&came, 0);
		pair_init(&first);
		pair_init(&second);
		netpoll_on_readable(first.desc, call_and_compute, &second);
		netpoll_on_readable(second.desc, come_when_started, NULL);
		put(&first, "x", 1);
		countdown_wait(&all);
		pair_fini(&first);
		pair_fini(&second);
	}
	return 0;
}

static void who_takes_long_leaves_the_sockets_to_others(void **state)
{
	(void)state;
	run(2, one_after_the_other, NULL);
	run(4, one_after_the_other, NULL);
}

static int files(void *arg)
{
	struct netpoll_desc *desc;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)arg;
	expect(fd >= 0);
	expect(netpoll_open(fd, &desc) == -EPERM);
	expect(netpoll_open(-1, &desc) == -EBADF);
	close(fd);
	netpoll_close(NULL);
	return 0;
}

static void regular_files_are_refused(void **state)
{
	(void)state;
	run(1, files, NULL);
}

/* ---- Races, step by step ---- */

static void wait_until(struct pair *p, int64_t deadline_ns)
{
	expect(netpoll_wait(p->desc, NETPOLL_READ, deadline_ns) == 0);
	countdown_done(&all);
}

/* A goroutine was woken and has not run yet; the descriptor goes, and then its deadline comes. */
static int close_before_deadline(void *arg)
{
	int64_t deadline_ns = clock_deadline_ns(2 * NS_PER_S); /* not before all is ready for it */
	struct netpoll_ready ready = {0};
	struct pair p;

	(void)arg;
	all = (struct countdown)COUNTDOWN(1);
	pair_init(&p);
	expect(go(wait_until, &p, deadline_ns) == 0);
	go_yield();
	put(&p, "x", 1);
	while (ready.goroutines.count == 0 && atomic_load(&sched.global_count) == 0)
		netpoll_try(&ready);
	pair_fini(&p);
	while (clock_now_ns() <= deadline_ns)
		;
	timers_run();
	put_global(&ready.goroutines);
	countdown_wait(&all);
	return 0;
}

static void a_late_deadline_touches_nothing(void **state)
{
	(void)state;
	run(1, close_before_deadline, NULL);
}

/* A bell tells of its descriptor in both directions, each time it is rung, though nobody reads it;
 * and nothing once it was removed. */
static int ring_bell(void *arg)
{
	static struct armed a;
	struct netpoll_bell *bell;
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	(void)arg;
	atomic_store(&a.starts, 0);
	a.wanted = 0;
	pair_init(&a.p);
	expect(netpoll_add_bell(a.p.desc, fd, &bell) == 0);
	for (int i = 1; i <= 3; i++) {
		all = (struct countdown)COUNTDOWN(1);
		netpoll_on_readable(a.p.desc, on_bytes, &a);
		expect(eventfd_write(fd, 1) == 0);
		countdown_wait(&all);
		expect(atomic_load(&a.starts) == i);
	}
	expect(netpoll_wait(a.p.desc, NETPOLL_WRITE, DEADLINE_NEVER) == 0);
	expect(netpoll_wait(a.p.desc, NETPOLL_WRITE, DEADLINE_NEVER) == 0); /* the socket's own */
	go(eventfd_write, fd, 1);
	expect(netpoll_wait(a.p.desc, NETPOLL_WRITE, DEADLINE_NEVER) == 0);
	netpoll_wait(a.p.desc, NETPOLL_READ, clock_now_ns());
	netpoll_remove_bell(bell);
	expect(eventfd_write(fd, 1) == 0);
	expect(netpoll_wait(a.p.desc, NETPOLL_READ, clock_deadline_ns(5 * NS_PER_MS)) ==
		-ETIMEDOUT);
	pair_fini(&a.p);
	close(fd);
	return 0;
}

static void a_bell_tells_of_its_descriptor(void **state)
{
	(void)state;
	on_all_procs(ring_bell);
}

/* A look without waiting may see the timer's end, which a wait for the same point then must not
 * miss. */
static void a_past_point_is_not_waited_for(void **state)
{
	struct netpoll_ready ready = {0};
	int64_t deadline_ns;

	(void)state;
	assert_int_equal(netpoll_init(), 0);
	deadline_ns = clock_deadline_ns(30 * NS_PER_MS);
	backend_interrupt();
	backend_poll(deadline_ns, &ready);
	while (clock_now_ns() <= deadline_ns)
		;
	usleep(1000);
	backend_poll(0, &ready);
	backend_poll(deadline_ns, &ready);
	netpoll_fini();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_park_until_bytes_come),
		cmocka_unit_test(writers_park_until_there_is_room),
		cmocka_unit_test(a_wait_ends_at_its_deadline),
		cmocka_unit_test(bytes_race_deadlines),
		cmocka_unit_test(close_wakes_who_waits),
		cmocka_unit_test(arming_starts_one_goroutine_each_time),
		cmocka_unit_test(arming_what_is_ready_starts_at_once),
		cmocka_unit_test(what_is_disarmed_does_not_start),
		cmocka_unit_test(a_poke_is_readiness),
		cmocka_unit_test(a_bell_tells_of_its_descriptor),
		cmocka_unit_test(a_hang_up_is_readiness),
		cmocka_unit_test(what_follows_a_short_read_is_told),
		cmocka_unit_test(a_hang_up_wakes_writers),
		cmocka_unit_test(sockets_are_looked_at_beside_busy_goroutines),
		cmocka_unit_test(sockets_are_looked_at_beside_a_computing_one),
		cmocka_unit_test(who_computes_keeps_nobody_who_came_with_it),
		cmocka_unit_test(who_takes_long_leaves_the_sockets_to_others),
		cmocka_unit_test(regular_files_are_refused),
		cmocka_unit_test(a_late_deadline_touches_nothing),
		cmocka_unit_test(a_past_point_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
