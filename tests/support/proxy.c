/* proxy.c - one loop over poll: listeners, pairs of sockets, and the socket with the orders. */
#include "tests/support/proxy.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	PAIRS_MAX = 512,                /* connections at a time; more are refused */
	CHUNK_BYTES = 16 * 1024,        /* of one read */
	WAITING_BYTES_MAX = 256 * 1024, /* in one direction of a connection */
};

enum order_kind { CUT, CUT_AFTER, REFUSE, SWALLOW, DELAY, THROTTLE, HEAL };

struct order {
	enum order_kind kind;
	int link;
	int64_t amount;
};

/* What was read and is to be written when it is due. */
struct chunk {
	struct chunk *next;
	int64_t due_ns;
	size_t begin, end;
	char bytes[];
};

/* One direction of a pair: from fds[i] to fds[!i]. */
struct way {
	struct chunk *first, **last;
	size_t waiting_bytes;
	int64_t last_due_ns;
	bool ended; /* its reader has seen the end */
};

struct pair {
	int link;
	int fds[2]; /* the client's, the daemon's */
	struct way ways[2];
};

struct link {
	int listener;
	bool refuses, swallows;
	int64_t delay_ns, bytes_per_s;
	uint64_t cut_after; /* 0: never */
};

/* The proxy process itself. */
static struct {
	struct sockaddr_storage target;
	socklen_t target_bytes;
	struct link links[PROXY_LINKS_MAX];
	int link_count, pair_count, control;
	struct pair *pairs[PAIRS_MAX];
} self;

static void must(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	abort();
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* ---- addresses ---- */

static socklen_t parse_url(const char *url, struct sockaddr_storage *ret)
{
	struct sockaddr_un *un = (struct sockaddr_un *)ret;
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	char host[64];
	unsigned port;

	memset(ret, 0, sizeof(*ret));
	if (strncmp(url, "unix:", 5) == 0) {
		un->sun_family = AF_UNIX;
		snprintf(un->sun_path, sizeof(un->sun_path), "%s", url + 5);
		return sizeof(*un);
	}
	must(sscanf(url, "tcp://%63[0-9.]:%u", host, &port) == 2, url);
	in->sin_family = AF_INET;
	in->sin_port = htons(port);
	must(inet_pton(AF_INET, host, &in->sin_addr) == 1, url);
	return sizeof(*in);
}

static int listen_at(const char *url, char ret_url[128])
{
	struct sockaddr_storage address;
	socklen_t bytes = parse_url(url, &address);
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	must(fd >= 0 && bind(fd, (struct sockaddr *)&address, bytes) == 0 && listen(fd, 128) == 0,
		url);
	snprintf(ret_url, 128, "%s", url);
	if (address.ss_family == AF_INET) {
		must(getsockname(fd, (struct sockaddr *)&address, &bytes) == 0, url);
		snprintf(ret_url, 128, "tcp://127.0.0.1:%u",
			ntohs(((struct sockaddr_in *)&address)->sin_port));
	}
	return fd;
}

/* ---- pairs ---- */

static void way_clear(struct way *w)
{
	while (w->first) {
		struct chunk *c = w->first;

		w->first = c->next;
		free(c);
	}
	w->last = &w->first;
	w->waiting_bytes = 0;
}

static void pair_free(int index)
{
	struct pair *p = self.pairs[index];

	for (int i = 0; i < 2; i++) {
		close(p->fds[i]);
		way_clear(&p->ways[i]);
	}
	free(p);
	self.pairs[index] = self.pairs[--self.pair_count];
}

static int link_cut(int link)
{
	int count = 0;

	for (int i = self.pair_count; i-- > 0;) {
		if (self.pairs[i]->link == link) {
			pair_free(i);
			count++;
		}
	}
	return count;
}

static void pair_new(int link, int client, int daemon)
{
	struct pair *p = calloc(1, sizeof(*p));
	int one = 1;

	must(p != NULL, "calloc");
	*p = (struct pair){.link = link, .fds = {client, daemon}};
	for (int i = 0; i < 2; i++) {
		p->ways[i].last = &p->ways[i].first;
		fcntl(p->fds[i], F_SETFL, O_NONBLOCK);
		setsockopt(p->fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	}
	self.pairs[self.pair_count++] = p;
}

static void link_accept(int link)
{
	int client = accept4(self.links[link].listener, NULL, NULL, SOCK_CLOEXEC), daemon;

	if (client < 0)
		return;
	daemon = socket(self.target.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!self.links[link].refuses && self.pair_count < PAIRS_MAX && daemon >= 0 &&
		connect(daemon, (struct sockaddr *)&self.target, self.target_bytes) == 0) {
		pair_new(link, client, daemon);
		return;
	}
	close(client);
	if (daemon >= 0)
		close(daemon);
}

/* ---- bytes ---- */

/* When what has just been read may be passed on: later than what came before, and no faster than
 * the link is. */
static int64_t due_ns(const struct link *l, struct way *w, size_t bytes)
{
	int64_t due = now_ns() + l->delay_ns;

	if (due < w->last_due_ns)
		due = w->last_due_ns;
	if (l->bytes_per_s)
		due += (int64_t)bytes * 1000000000 / l->bytes_per_s;
	return w->last_due_ns = due;
}

/* Reads what there is. False: the pair is broken. */
static bool way_read(struct pair *p, int side)
{
	struct way *w = &p->ways[side];
	struct chunk *c = malloc(sizeof(*c) + CHUNK_BYTES);
	ssize_t n;

	must(c != NULL, "malloc");
	n = read(p->fds[side], c->bytes, CHUNK_BYTES);
	if (n <= 0) {
		free(c);
		w->ended = n == 0;
		return n == 0 || errno == EAGAIN;
	}
	*c = (struct chunk){.end = n, .due_ns = due_ns(&self.links[p->link], w, n)};
	*w->last = c;
	w->last = &c->next;
	w->waiting_bytes += n;
	return true;
}

static void way_drop_first(struct way *w)
{
	struct chunk *c = w->first;

	w->first = c->next;
	if (!w->first)
		w->last = &w->first;
	free(c);
}

/* How many of n bytes may pass before the link is to be cut. */
static size_t link_allows(const struct link *l, size_t n)
{
	return l->cut_after && l->cut_after < n ? l->cut_after : n;
}

/* Writes what is due. False: the pair is broken, or its link is to be cut. */
static bool way_write(struct pair *p, int side)
{
	struct link *l = &self.links[p->link];
	struct way *w = &p->ways[side];

	while (w->first && w->first->due_ns <= now_ns()) {
		struct chunk *c = w->first;
		size_t allowed = link_allows(l, c->end - c->begin);
		ssize_t n = send(p->fds[!side], c->bytes + c->begin, allowed, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN;
		c->begin += n;
		w->waiting_bytes -= n;
		if (l->cut_after && (l->cut_after -= n) == 0)
			return false;
		if (c->begin == c->end)
			way_drop_first(w);
	}
	if (w->ended && !w->first)
		shutdown(p->fds[!side], SHUT_WR);
	return true;
}

static bool way_reads(const struct pair *p, int side)
{
	const struct way *w = &p->ways[side];

	return !w->ended && !self.links[p->link].swallows && w->waiting_bytes < WAITING_BYTES_MAX;
}

static bool way_writes(const struct pair *p, int side)
{
	const struct way *w = &p->ways[side];

	return !self.links[p->link].swallows && w->first && w->first->due_ns <= now_ns();
}

/* ---- orders ---- */

static int64_t obey(const struct order *o)
{
	struct link *l = &self.links[o->link];

	switch (o->kind) {
	case CUT:
		return link_cut(o->link);
	case CUT_AFTER:
		l->cut_after = o->amount;
		return 0;
	case REFUSE:
		l->refuses = true;
		return link_cut(o->link);
	case SWALLOW:
		l->swallows = true;
		return 0;
	case DELAY:
		l->delay_ns = o->amount * 1000000;
		return 0;
	case THROTTLE:
		l->bytes_per_s = o->amount;
		return 0;
	case HEAL:
		*l = (struct link){.listener = l->listener};
		return 0;
	}
	return 0;
}

static void take_order(void)
{
	struct order o;
	int64_t answer;

	if (read(self.control, &o, sizeof(o)) != sizeof(o))
		_exit(0); /* the test has ended */
	answer = obey(&o);
	must(write(self.control, &answer, sizeof(answer)) == sizeof(answer), "proxy");
}

/* ---- the loop ---- */

/* Until the next byte is due, in ms; -1: none is waiting. */
static int wait_ms(void)
{
	int64_t first = INT64_MAX;

	for (int i = 0; i < self.pair_count; i++)
		for (int side = 0; side < 2; side++) {
			const struct way *w = &self.pairs[i]->ways[side];

			if (w->first && !self.links[self.pairs[i]->link].swallows &&
				w->first->due_ns > now_ns() && w->first->due_ns < first)
				first = w->first->due_ns;
		}
	if (first == INT64_MAX)
		return -1;
	first -= now_ns();
	return first > 0 ? (int)(first / 1000000) + 1 : 0;
}

static int fill_poll(struct pollfd *fds)
{
	int n = 0;

	fds[n++] = (struct pollfd){.fd = self.control, .events = POLLIN};
	for (int i = 0; i < self.link_count; i++)
		fds[n++] = (struct pollfd){.fd = self.links[i].listener, .events = POLLIN};
	for (int i = 0; i < self.pair_count; i++)
		for (int side = 0; side < 2; side++) {
			short events = way_reads(self.pairs[i], side) ? POLLIN : 0;

			events |= way_writes(self.pairs[i], !side) ? POLLOUT : 0;
			/* one that is only wanted for what it reports by itself is left out */
			fds[n++] = (struct pollfd){
				.fd = events ? self.pairs[i]->fds[side] : -1, .events = events};
		}
	return n;
}

/* Moves what can be moved between the two; false: the pair is at its end. */
static bool pair_serve(struct pair *p, const struct pollfd fds[2])
{
	for (int side = 0; side < 2; side++)
		if (fds[side].revents && way_reads(p, side) && !way_read(p, side))
			return false;
	if (self.links[p->link].swallows)
		return true;
	for (int side = 0; side < 2; side++)
		if (!way_write(p, side))
			return false;
	return !(p->ways[0].ended && p->ways[1].ended && !p->ways[0].first && !p->ways[1].first);
}

static void serve_pairs(const struct pollfd *fds)
{
	for (int i = self.pair_count; i-- > 0;) {
		int link = self.pairs[i]->link;
		bool was_to_cut = self.links[link].cut_after > 0;

		if (pair_serve(self.pairs[i], &fds[2 * i]))
			continue;
		if (was_to_cut && self.links[link].cut_after == 0) {
			link_cut(link); /* the others too; what remains is served next time */
			return;
		}
		pair_free(i);
	}
}

_Noreturn static void serve(void)
{
	static struct pollfd fds[1 + PROXY_LINKS_MAX + 2 * PAIRS_MAX];

	for (;;) {
		int n = fill_poll(fds);

		if (poll(fds, n, wait_ms()) < 0)
			continue;
		serve_pairs(fds + 1 + self.link_count);
		for (int i = 0; i < self.link_count; i++)
			if (fds[1 + i].revents)
				link_accept(i);
		if (fds[0].revents)
			take_order();
	}
}

/* ---- the test's side ---- */

void proxy_start(struct proxy *p, const char *target, int links)
{
	int ends[2];

	must(links <= PROXY_LINKS_MAX, "too many links");
	*p = (struct proxy){.links = links, .dir = "/tmp/chand-proxy-XXXXXX"};
	must(mkdtemp(p->dir) != NULL, p->dir);
	self.link_count = links;
	self.target_bytes = parse_url(target, &self.target);
	for (int i = 0; i < links; i++) {
		char url[128] = "tcp://127.0.0.1:0";

		if (self.target.ss_family == AF_UNIX)
			snprintf(url, sizeof(url), "unix:%s/%d", p->dir, i);
		self.links[i] = (struct link){.listener = listen_at(url, p->urls[i])};
	}
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
	fflush(NULL);
	p->pid = fork();
	must(p->pid >= 0, "fork");
	if (p->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		self.control = ends[1];
		serve();
	}
	close(ends[1]);
	p->control = ends[0];
	for (int i = 0; i < links; i++)
		close(self.links[i].listener);
}

void proxy_stop(struct proxy *p)
{
	close(p->control);
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	for (int i = 0; i < p->links; i++)
		if (strncmp(p->urls[i], "unix:", 5) == 0)
			unlink(p->urls[i] + 5);
	rmdir(p->dir);
}

static int64_t order(struct proxy *p, enum order_kind kind, int link, int64_t amount)
{
	struct order o = {.kind = kind, .link = link, .amount = amount};
	int64_t answer;

	must(write(p->control, &o, sizeof(o)) == sizeof(o), "proxy");
	must(read(p->control, &answer, sizeof(answer)) == sizeof(answer), "proxy");
	return answer;
}

int proxy_cut(struct proxy *p, int link)
{
	return (int)order(p, CUT, link, 0);
}

void proxy_cut_after(struct proxy *p, int link, uint64_t n)
{
	order(p, CUT_AFTER, link, (int64_t)n);
}

void proxy_refuse(struct proxy *p, int link)
{
	order(p, REFUSE, link, 0);
}

void proxy_swallow(struct proxy *p, int link)
{
	order(p, SWALLOW, link, 0);
}

void proxy_delay(struct proxy *p, int link, int ms)
{
	order(p, DELAY, link, ms);
}

void proxy_throttle(struct proxy *p, int link, int64_t bytes_per_s)
{
	order(p, THROTTLE, link, bytes_per_s);
}

void proxy_heal(struct proxy *p, int link)
{
	order(p, HEAL, link, 0);
}
