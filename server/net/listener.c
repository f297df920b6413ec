#include "server/net/listener.h"

#include "server/base/lock.h"
#include "server/net/handshakes.h"
#include "server/runtime/runtime.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Connections that wait for accept: a burst of clients at start-up; the kernel caps it. */
#define LISTEN_BACKLOG 4096

/* How long accepting rests when the kernel has no memory or the whole system no descriptors. */
#define ACCEPT_REST_NS (100 * NS_PER_MS)

/* How often and how long to wait for one's turn to bind: a second in all. */
#define TURN_LOOKS 100
#define TURN_REST_US 10000

/* The kernel asks a TCP peer whether it is there after so long an idle time, and again so often; it
 * is lost when it has acknowledged nothing that was sent, or taken nothing of it, for so long.
 * Sooner would cut lines that only stall; later keep the sends of the dead standing. */
#define PROBE_IDLE_S 20
#define PROBE_INTERVAL_S 5
#define LOST_MS 30000

struct listener {
	int fd;
	int reserve_fd; /* given up for a moment to accept, and so refuse, when there are no others
			 */
	struct netpoll_desc *poll; /* NULL until started */
	listener_accept_fn *accept_fn;
	void *arg;
	struct handshakes_options tls; /* without a context: none */
	struct handshakes *handshakes; /* with TLS, once it is started */
	int family;
	dev_t dev; /* of a Unix socket's file, to remove only our own */
	ino_t ino;
	struct lock lock;
	atomic_bool stopping;      /* set by listener_stop */
	bool ended;                /* guarded by lock: the accepting goroutine is done */
	struct goroutine *stopper; /* guarded by lock: who waits for that */
	char url[ADDRESS_TEXT_BYTES_MAX];
};

/* Whether somebody answers on the Unix socket: 0 no (the file may go), or -errno. */
static int probe_unix(const struct sockaddr *sa, socklen_t len)
{
	const char *path = ((const struct sockaddr_un *)sa)->sun_path;
	struct stat st;
	int fd, rc;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	rc = connect(fd, sa, len) == 0 ? 0 : -errno;
	close(fd);
	if (rc != -ECONNREFUSED)
		return rc == 0 || rc == -EAGAIN ? -EADDRINUSE : rc;
	return unlink(path) == 0 ? 0 : -errno;
}

/* Makes the last directory of a socket's path if it is missing. */
static void make_parent(const char *path)
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash && slash != dir) {
		*slash = '\0';
		mkdir(dir, 0755); /* bind tells what is wrong if this did not help */
	}
}

/*
 * Two daemons that start at once on a file that a third has left would both find that nobody
 * answers, and the second would remove the socket of the first. So they take turns from the look to
 * listen(2), by a lock on the directory; without one, because it cannot be opened or somebody else
 * sits on it, they go on. A descriptor to be closed, or -1.
 */
static int lock_parent(const char *path)
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char *slash;
	int fd;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (!slash)
		strcpy(dir, ".");
	else
		slash[slash == dir] = '\0'; /* "/" stays */
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; fd >= 0 && i < TURN_LOOKS && flock(fd, LOCK_EX | LOCK_NB) < 0; i++)
		usleep(TURN_REST_US);
	return fd;
}

static int bind_unix(struct listener *l, const struct sockaddr *sa, socklen_t len, uint32_t mode)
{
	const char *path = ((const struct sockaddr_un *)sa)->sun_path;
	mode_t old_mask;
	struct stat st;
	int rc;

	rc = probe_unix(sa, len);
	if (rc < 0)
		return rc;
	old_mask = umask(0777 & ~mode);
	rc = bind(l->fd, sa, len) == 0 ? 0 : -errno;
	umask(old_mask);
	if (rc == 0 && lstat(path, &st) == 0) {
		l->dev = st.st_dev;
		l->ino = st.st_ino;
	}
	return rc;
}

static int listen_unix(struct listener *l, const struct sockaddr *sa, socklen_t len, uint32_t mode)
{
	const char *path = ((const struct sockaddr_un *)sa)->sun_path;
	int turn, rc;

	make_parent(path);
	turn = lock_parent(path);
	rc = bind_unix(l, sa, len, mode);
	if (rc == 0 && listen(l->fd, LISTEN_BACKLOG) < 0)
		rc = -errno;
	if (turn >= 0)
		close(turn);
	return rc;
}

static int bind_tcp(struct listener *l, const struct sockaddr *sa, socklen_t len)
{
	int one = 1;

	setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* "Every interface" is two sockets, one a family; without this the IPv6 one takes both. */
	if (sa->sa_family == AF_INET6)
		setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	/* Those who come from this machine need no better algorithm: see client/stream_socket.c. What is
	 * accepted inherits it; said later it would leave a pacing that has begun. */
	if (address_is_loopback(sa))
		setsockopt(l->fd, IPPROTO_TCP, TCP_CONGESTION, "reno", strlen("reno"));
	return bind(l->fd, sa, len) == 0 ? 0 : -errno;
}

static int listen_tcp(struct listener *l, const struct sockaddr *sa, socklen_t len)
{
	int rc = bind_tcp(l, sa, len);

	return rc == 0 && listen(l->fd, LISTEN_BACKLOG) < 0 ? -errno : rc;
}

static void note_url(struct listener *l)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getsockname(l->fd, (struct sockaddr *)&ss, &len) == 0)
		address_format((struct sockaddr *)&ss, len, l->url);
}

static void listener_free(struct listener *l)
{
	if (l->fd >= 0)
		close(l->fd);
	if (l->reserve_fd >= 0)
		close(l->reserve_fd);
	free(l);
}

/* What to do about it. */
static const char *remedy(const struct listener *l, int error)
{
	if (error == EADDRINUSE)
		return l->family == AF_UNIX
			       ? "; a daemon answers there: stop it, or take another path"
			       : "; stop who has it, or take another port";
	if (error == EACCES)
		return l->family == AF_UNIX
			       ? "; its directory has to be writable for the daemon's user"
			       : "; ports below 1024 are for root and CAP_NET_BIND_SERVICE";
	if (error == EEXIST && l->family == AF_UNIX)
		return " and is not a socket";
	return "";
}

int listener_bind(const struct sockaddr *sa, socklen_t len, uint32_t unix_mode,
	struct listener **ret_listener, char *why, size_t why_bytes)
{
	struct listener *l = calloc(1, sizeof(*l));
	int rc;

	if (!l) {
		snprintf(why, why_bytes, "out of memory");
		return -ENOMEM;
	}
	lock_init(&l->lock, LOCK_RANK_OUTER);
	l->family = sa->sa_family;
	address_format(sa, len, l->url);
	l->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	l->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0) {
		rc = -errno;
		goto fail;
	}
	rc = sa->sa_family == AF_UNIX ? listen_unix(l, sa, len, unix_mode) : listen_tcp(l, sa, len);
	if (rc < 0)
		goto fail;
	note_url(l);
	*ret_listener = l;
	return 0;
fail:
	snprintf(
		why, why_bytes, "cannot listen on %s: %s%s", l->url, strerror(-rc), remedy(l, -rc));
	listener_free(l);
	return rc;
}

void listener_use_tls(struct listener *l, struct tls_context *context, int64_t timeout_ns,
	void (*failed)(const struct stream_peer *peer, const char *why))
{
	l->tls = (struct handshakes_options){
		.context = context, .timeout_ns = timeout_ns, .failed = failed};
	memcpy(l->url, "tls", 3);
}

const char *listener_url(const struct listener *l)
{
	return l->url;
}

static void prepare_socket(const struct listener *l, int fd)
{
	int one = 1, idle_s = PROBE_IDLE_S, interval_s = PROBE_INTERVAL_S, lost_ms = LOST_MS;

	if (l->family == AF_UNIX)
		return;
	/* Frames leave whole, by one writev a turn: nothing is gained by holding the last back. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	/* A peer whose machine or line is gone is noticed even while nobody waits for anything. */
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &lost_ms, sizeof(lost_ms));
}

/* No descriptor is left: refuses the next connection, which else would wait unanswered. */
static void refuse_one(struct listener *l)
{
	int fd;

	close(l->reserve_fd);
	fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		close(fd);
	l->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	/* Others race for the descriptor; without one to give up, only waiting is left. */
	if (l->reserve_fd < 0 || fd < 0)
		go_sleep(ACCEPT_REST_NS);
}

static void accept_failed(struct listener *l, int error)
{
	switch (error) {
	case EAGAIN:
		netpoll_wait(l->poll, NETPOLL_READ, DEADLINE_NEVER);
		break;
	case EMFILE:
		refuse_one(l);
		break;
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		go_sleep(ACCEPT_REST_NS);
		break;
	default: /* the connection was gone before it was accepted: next */
		break;
	}
}

static void give_stream(struct listener *l, int fd)
{
	struct stream *s;

	if (l->handshakes)
		handshakes_begin(l->handshakes, fd);
	else if (stream_socket_new(fd, &s) == 0)
		l->accept_fn(l->arg, s);
}

static void accept_loop(struct listener *l)
{
	struct goroutine *stopper;

	while (!atomic_load(&l->stopping)) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0) {
			accept_failed(l, errno);
			continue;
		}
		prepare_socket(l, fd);
		give_stream(l, fd);
	}
	lock_acquire(&l->lock);
	l->ended = true;
	stopper = l->stopper;
	lock_release(&l->lock);
	if (stopper)
		go_ready(stopper);
}

int listener_start(struct listener *l, listener_accept_fn *accept_fn, void *arg)
{
	int rc = netpoll_open(l->fd, &l->poll);

	if (rc < 0)
		return rc;
	l->accept_fn = accept_fn;
	l->arg = arg;
	if (l->tls.context) {
		l->tls.done = accept_fn;
		l->tls.done_arg = arg;
		l->handshakes = handshakes_new(&l->tls);
		rc = l->handshakes ? 0 : -ENOMEM;
	}
	if (rc == 0)
		rc = go(accept_loop, l);
	if (rc < 0) {
		handshakes_stop(l->handshakes);
		netpoll_close(l->poll);
		l->poll = NULL;
	}
	return rc;
}

static void wait_until_ended(struct listener *l)
{
	atomic_store(&l->stopping, true);
	shutdown(l->fd, SHUT_RDWR); /* wakes an accept that waits, and fails those that follow */
	lock_acquire(&l->lock);
	if (l->ended) {
		lock_release(&l->lock);
		return;
	}
	l->stopper = go_self();
	go_park_unlock(&l->lock, WAIT_SEMACQUIRE);
}

void listener_stop(struct listener *l)
{
	struct stat st;

	if (l->poll) {
		wait_until_ended(l);
		netpoll_close(l->poll);
		handshakes_stop(l->handshakes);
	}
	if (l->family == AF_UNIX && lstat(l->url + strlen("unix:"), &st) == 0 &&
		st.st_dev == l->dev && st.st_ino == l->ino)
		unlink(l->url + strlen("unix:"));
	listener_free(l);
}
