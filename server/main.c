/*
 * main.c - chand: configuration, sockets, privileges; then goroutine 1, which starts the broker and
 * its listeners, waits for signals, and ends all in order.
 */
#define LOG_SUBSYSTEM "main"

#include "server/base/log.h"
#include "server/base/memory.h"
#include "server/broker/broker.h"
#include "server/broker/token.h"
#include "server/config.h"
#include "server/net/address.h"
#include "server/net/listener.h"
#include "server/net/tls.h"
#include "server/runtime/netpoll.h"
#include "server/runtime/runtime.h"
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

/* Descriptors beside those of connections_max and rings_max: listeners, the poller, signals, standard streams;
 * and connections beyond a bound that resume, or are told that they may not stay. */
#define DESCRIPTORS_OWN 160

/* Of a connection's rings: its bell and the client's, what the client gets of that until it is offered, and the
 * memory of both pairs, until the client has gone over to each. */
#define DESCRIPTORS_OF_RINGS 5

enum { LISTENERS_MAX = CONFIG_LISTEN_MAX * ADDRESS_SOCKETS_MAX };

struct daemon {
	struct config_arguments arguments;
	struct config config;
	struct listener *listeners[LISTENERS_MAX];
	int listener_count;
	struct tls_context *tls; /* NULL: no certificate is configured */
	struct broker *broker;
	int signal_fd;
	struct netpoll_desc *signal_poll;
};

/* ---- before the goroutines ----------------------------------------------------------------- */

/*
 * glibc gives the top of its heap back whenever 128 KiB of it are free; buffers that come and go
 * with every turn would then cross into the kernel each time.
 *
 * And it has a heap for each thread, all but the first of which grow by a system call for each
 * page: a thousand of them for 10,000 channels, a tenth of the time. One heap is enough, as most is
 * allocated by whoever is at the helm, small pieces come from a thread's cache, and a reader takes
 * one piece for some hundred values. What a thread frees is then of use to all.
 */
static void tune_malloc(void)
{
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_TRIM_THRESHOLD, 8 * 1024 * 1024);
	mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
}

/* As many descriptors as the hard limit allows; connections_max follows if that is too few. */
static void raise_descriptors(struct config *c)
{
	struct rlimit r;
	int64_t room, rings;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return;
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur == RLIM_INFINITY)
		return;
	room = r.rlim_cur > DESCRIPTORS_OWN ? (int64_t)r.rlim_cur - DESCRIPTORS_OWN : 1;
	rings = room * DESCRIPTORS_OF_RINGS / (1 + DESCRIPTORS_OF_RINGS); /* if each has them */
	if (rings > DESCRIPTORS_OF_RINGS * c->rings_max)
		rings = DESCRIPTORS_OF_RINGS * c->rings_max;
	room -= rings;
	if (c->connections_max <= room)
		return;
	log_info("connections_max is %" PRId64 ", but only %" PRId64
		 " descriptors may be open (ulimit -Hn, LimitNOFILE=), of which %" PRId64
		 " are kept for rings_max and %d for ourselves: %" PRId64 " connections it is",
		c->connections_max, (int64_t)r.rlim_cur, rings, DESCRIPTORS_OWN, room);
	c->connections_max = room;
}

/* Reads the certificate, if there is to be one. 0, or -errno with why. */
static int load_tls(
	const struct config *c, struct tls_context **ret_tls, char why[static CONFIG_WHY_BYTES_MAX])
{
	struct tls_settings settings = config_tls_settings(c);

	*ret_tls = NULL;
	if (!*c->tls_certificate)
		return 0;
	return tls_context_new(&settings, ret_tls, why, CONFIG_WHY_BYTES_MAX);
}

/* A line a second at most: whoever can connect can make handshakes fail. */
static void log_failed_handshake(const struct stream_peer *peer, const char *why)
{
	static _Atomic int64_t silent_until_ns;
	static _Atomic uint32_t untold;
	int64_t now_ns = clock_now_ns(), until_ns = atomic_load(&silent_until_ns);

	if (now_ns < until_ns ||
		!atomic_compare_exchange_strong(&silent_until_ns, &until_ns, now_ns + NS_PER_S)) {
		atomic_fetch_add(&untold, 1);
		return;
	}
	log_info("TLS handshake with %s port %u failed: %s (%u others since the last such line)",
		*peer->address ? peer->address : "a client", peer->port, why,
		atomic_exchange(&untold, 0));
}

/* Binds every socket of one URL. 0 or an exit status. */
static int listen_on(struct daemon *d, const char *url)
{
	char why[CONFIG_WHY_BYTES_MAX];
	struct address address;

	if (address_parse(url, &address, why, sizeof(why)) < 0) {
		log_error("listen: %s", why);
		return EX_CONFIG;
	}
	for (int i = 0; i < address.count; i++) {
		if (listener_bind((struct sockaddr *)&address.sockets[i], address.lengths[i],
			    (uint32_t)d->config.socket_mode, &d->listeners[d->listener_count], why,
			    sizeof(why)) < 0) {
			log_error("%s", why);
			return EX_UNAVAILABLE;
		}
		if (address.tls)
			listener_use_tls(d->listeners[d->listener_count], d->tls,
				d->config.hello_timeout_ns, log_failed_handshake);
		d->listener_count++;
	}
	return 0;
}

static int listen_on_all(struct daemon *d)
{
	int rc = 0;

	for (int64_t i = 0; rc == 0 && i < d->config.listen_count; i++)
		rc = listen_on(d, d->config.listen[i]);
	return rc;
}

/* Becomes config.user, who also gets the Unix sockets. 0 or an exit status. */
static int drop_privileges(const struct daemon *d)
{
	const struct privileges *p = &d->config.privileges;
	char why[CONFIG_WHY_BYTES_MAX];

	for (int i = 0; p->change && geteuid() == 0 && i < d->listener_count; i++) {
		const char *url = listener_url(d->listeners[i]);

		if (strncmp(url, "unix:", 5) == 0 && lchown(url + 5, p->uid, p->gid) < 0)
			log_warning("%s stays ours: %s", url, strerror(errno));
	}
	if (privileges_drop(p, why, sizeof(why)) == 0)
		return 0;
	log_error("%s", why);
	return EX_NOPERM;
}

/* Signals come as readable bytes; threads that start later inherit the mask. */
static int catch_signals(struct daemon *d)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	d->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return d->signal_fd < 0 ? -errno : 0;
}

/* ---- goroutine 1 --------------------------------------------------------------------------- */

/* A slow stderr holds up the line's writer, not the goroutines that share its thread. */
static void log_blocks(bool begins)
{
	if (!go_self())
		return;
	if (begins)
		blocking_enter();
	else
		blocking_exit();
}

/* A new certificate for new connections; one that is wrong leaves the old in use. */
static void reload_tls(struct daemon *d, const struct config *now)
{
	char why[CONFIG_WHY_BYTES_MAX];
	struct tls_context *fresh;
	int rc;

	if (!d->tls)
		return;
	blocking_enter();
	rc = load_tls(now, &fresh, why);
	blocking_exit();
	if (rc < 0)
		log_error("reload: %s; the certificate in use stays", why);
	else if (fresh)
		tls_context_replace(d->tls, fresh);
}

static void reload(struct daemon *d)
{
	char why[CONFIG_WHY_BYTES_MAX], names[512];
	struct config now;
	int rc;

	blocking_enter();
	rc = config_load(&d->arguments, &now, why);
	blocking_exit();
	if (rc < 0) {
		log_error("reload: %s; nothing is changed", why);
		return;
	}
	reload_tls(d, &now);
	raise_descriptors(&now);
	log_set_level((enum log_level)now.log_level);
	broker_set_connections_max(d->broker, (uint32_t)now.connections_max);
	memory_set_max((uint64_t)now.memory_max);
	d->config.log_level = now.log_level;
	d->config.connections_max = now.connections_max;
	d->config.memory_max = now.memory_max;
	broker_set_access(d->broker, now.access);
	config_release(&now);
	if (config_needs_restart(&d->config, &now, names, sizeof(names)))
		log_warning("reload: a restart is needed for: %s", names);
	log_notice("configuration reloaded");
}

/* The next signal. */
static int next_signal(struct daemon *d)
{
	struct signalfd_siginfo info;

	while (read(d->signal_fd, &info, sizeof(info)) != sizeof(info))
		netpoll_wait(d->signal_poll, NETPOLL_READ, DEADLINE_NEVER);
	return (int)info.ssi_signo;
}

static void wait_for_end(struct daemon *d)
{
	int sig;

	while ((sig = next_signal(d)) == SIGHUP)
		reload(d);
	log_notice("%s: shutting down", sig == SIGINT ? "SIGINT" : "SIGTERM");
}

static int start(struct daemon *d)
{
	struct broker_options options = config_broker_options(&d->config);
	int rc;

	d->broker = broker_new(&options);
	if (!d->broker)
		return -ENOMEM;
	rc = netpoll_open(d->signal_fd, &d->signal_poll);
	if (rc == 0)
		rc = broker_start(d->broker);
	for (int i = 0; rc == 0 && i < d->listener_count; i++) {
		rc = listener_start(d->listeners[i], broker_accept, d->broker);
		log_notice("listening on %s", listener_url(d->listeners[i]));
	}
	return rc;
}

static int daemon_main(void *arg)
{
	struct daemon *d = arg;
	uint64_t dropped;
	int rc = start(d);

	if (rc < 0) {
		log_error("cannot start: %s", strerror(-rc));
		return EX_OSERR;
	}
	go_set_label("main");
	log_notice("ready");
	wait_for_end(d);
	for (int i = 0; i < d->listener_count; i++)
		listener_stop(d->listeners[i]);
	dropped = broker_stop(d->broker);
	broker_free(d->broker);
	netpoll_close(d->signal_poll);
	tls_context_free(d->tls);
	config_release(&d->config);
	log_notice("ended; %" PRIu64 " buffered values were dropped", dropped);
	return 0;
}

int main(int argc, char **argv)
{
	static struct daemon d;
	char why[CONFIG_WHY_BYTES_MAX];
	struct go_options options = {.dump_on_sigquit = true};
	int rc;

	config_parse_arguments(argc, argv, &d.arguments);
	if (config_load(&d.arguments, &d.config, why) < 0 || load_tls(&d.config, &d.tls, why) < 0) {
		fprintf(stderr, "chand: %s\n", why);
		return EX_CONFIG;
	}
	if (d.arguments.check_config)
		return 0;
	log_set_level((enum log_level)d.config.log_level);
	token_prepare();
	tune_malloc();
	memory_set_max((uint64_t)d.config.memory_max);
	raise_descriptors(&d.config);
	rc = listen_on_all(&d);
	if (rc == 0)
		rc = drop_privileges(&d);
	if (rc)
		return rc;
	if (catch_signals(&d) < 0) {
		log_error("cannot receive signals: %s", strerror(errno));
		return EX_OSERR;
	}
	log_set_blocking(log_blocks);
	options.procs = (int)d.config.procs;
	rc = go_run(&options, daemon_main, &d);
	if (rc < 0)
		log_error("cannot run goroutines: %s", strerror(-rc));
	return rc < 0 ? EX_OSERR : rc;
}
