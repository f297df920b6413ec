/*
 * client.c - dialling and hanging up.
 */
#include "client/client.h"
#include "proto/limits.h"
#include <config.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#define DIAL_TIMEOUT_NS (10 * NS_PER_S)
#define HANGUP_TIMEOUT_NS (2 * NS_PER_S)
#define LINGER_NS (30 * NS_PER_S)
#define HEARTBEAT_NS (5 * NS_PER_S) /* until the broker says */

static const struct chan_dial_options no_options;

/* Frees whatever there is, of a client that may be half built. */
static void client_free(struct chan_client *c)
{
	struct chan_op *op, *next;

	client_fail(c, CHAN_EUNREACHABLE, "the client has hung up");
	DL_FOREACH_SAFE (c->completions, op, next) {
		DL_DELETE(c->completions, op);
		op_unref(op);
	}
	while (c->ends) {
		c->ends->refs = 1;
		end_unref(c->ends);
	}
	session_fini(&c->session);
	if (c->stream.ops)
		c->stream.ops->close(&c->stream);
	tls_free(c->tls);
	client_free_waiters(c);
	wire_scratch_free(c->scratch);
	credentials_fini(&c->credentials);
	buf_fini(&c->in);
	buf_fini(&c->leaving);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static struct chan_client *client_new(const struct chan_dial_options *options)
{
	struct chan_client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	pthread_mutex_init(&c->lock, NULL);
	c->session.heartbeat_ns = HEARTBEAT_NS;
	c->session.limits.frame_payload_bytes = FRAME_PAYLOAD_BYTES_MAX;
	c->withdraw_on_signal = options->withdraw_on_signal;
	c->scratch = wire_scratch_new();
	c->tls = tls_new(options);
	if (!c->scratch || !c->tls) {
		client_free(c);
		return NULL;
	}
	return c;
}

/* ---- dialling ----------------------------------------------------------------------------- */

static int find_url(struct chan_client *c, const char *text)
{
	char found[URL_BYTES_MAX];

	if (!text)
		url_default(found);
	return url_parse(text ? text : found, &c->url);
}

static int say_hello(struct chan_client *c, const struct chan_dial_options *options)
{
	int64_t linger_ns = options->linger_ns ? options->linger_ns : LINGER_NS;
	struct message m = {.kind = MESSAGE_HELLO};
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	m.hello.version_min = m.hello.version_max = PROTOCOL_VERSION;
	m.hello.speaker.host = host;
	m.hello.speaker.pid = (uint64_t)getpid();
	m.hello.speaker.program =
		options->program ? options->program : program_invocation_short_name;
	m.hello.speaker.group = options->group;
	m.hello.speaker.library = "libchan " PACKAGE_VERSION;
	m.hello.linger_ms = linger_ns > 0 ? (uint64_t)(linger_ns / NS_PER_MS) : 0;
	credentials_show(&c->credentials, &m);
	return session_put(&c->session, &m);
}

/* 0, or why the broker did not greet us, with the thread's error set. */
static int await_welcome(struct chan_client *c, int64_t deadline_ns)
{
	struct session *s = &c->session;
	int status, rc = 0;

	while (!s->greeted && s->end.status == 0 && rc != CHAN_ETIMEDOUT)
		rc = client_wait_any(c, deadline_ns);
	if (s->greeted && s->end.status == 0)
		return 0;
	if (s->end.status == 0)
		return error_say(
			CHAN_ETIMEDOUT, "dial %s: the broker did not greet in time", c->url.text);
	status = s->end.status == CHAN_EUNKNOWN ? c->greet_status : s->end.status;
	return error_say(
		status, "dial %s: %s", c->url.text, s->end.text ? s->end.text : "out of memory");
}

static int connect_and_greet(struct chan_client *c, const struct chan_dial_options *options)
{
	int64_t deadline_ns =
		clock_deadline_ns(options->timeout_ns > 0 ? options->timeout_ns : DIAL_TIMEOUT_NS);
	int rc;

	c->stream.tls = c->tls;
	rc = stream_dial(&c->stream, &c->url, deadline_ns);

	if (rc < 0)
		return rc;
	c->stream.ops->wait_max(&c->stream, c->session.heartbeat_ns);
	client_lock(c);
	rc = say_hello(c, options);
	if (rc < 0)
		error_say(rc, "dial %s: %s", c->url.text,
			rc == CHAN_ENOMEM ? "out of memory"
					  : "the program's or the group's name is too long");
	else
		rc = await_welcome(c, deadline_ns);
	client_unlock(c);
	if (rc == 0)
		c->stream.ops->wait_max(&c->stream, c->session.heartbeat_ns);
	return rc;
}

int chan_dial(
	const char *url, const struct chan_dial_options *options, struct chan_client **ret_client)
{
	struct chan_client *c;
	int rc;

	if (!options)
		options = &no_options;
	c = client_new(options);
	if (!c)
		return error_say(CHAN_ENOMEM, "dial: out of memory");
	rc = find_url(c, url);
	if (rc == 0)
		rc = credentials_find(options, &c->credentials);
	if (rc == 0)
		rc = connect_and_greet(c, options);
	if (rc < 0) {
		client_free(c);
		return rc;
	}
	*ret_client = c;
	return 0;
}

/* ---- hanging up --------------------------------------------------------------------------- */

/* Gives back and confirms, and says goodbye. */
static void put_farewell(struct chan_client *c)
{
	struct message bye = {.kind = MESSAGE_BYE};
	struct delivery *d;
	struct chan *ch;

	DL_FOREACH (c->ends, ch) {
		DL_FOREACH (ch->inbox, d)
			session_return(&c->session, d->id);
		end_drop_inbox(ch);
	}
	session_confirm(&c->session);
	session_put(&c->session, &bye);
}

/* Waits for the socket in hangup, where the client has one thread only. */
static void await_socket(struct chan_client *c, short events, int64_t deadline_ns)
{
	struct pollfd p = {.fd = c->stream.fd, .events = events};

	poll(&p, 1, clock_poll_ms(deadline_ns, (int)(HANGUP_TIMEOUT_NS / NS_PER_MS)));
}

/* Until the broker has ended its side: closing a socket before it, with bytes unread in it, could
 * take back what we said last. */
static void say_goodbye(struct chan_client *c)
{
	int64_t deadline_ns = clock_deadline_ns(HANGUP_TIMEOUT_NS);
	struct session *s = &c->session;

	put_farewell(c);
	client_flush(c);
	while (s->end.status == 0 && client_has_output(c) && clock_now_ns() < deadline_ns) {
		await_socket(c, POLLIN | POLLOUT, deadline_ns);
		client_poll(c);
		client_flush(c);
	}
	c->stream.ops->finish(&c->stream);
	while (s->end.status == 0 && clock_now_ns() < deadline_ns) {
		await_socket(c, POLLIN, deadline_ns);
		client_poll(c);
	}
}

void chan_hangup(struct chan_client *c)
{
	if (!c)
		return;
	client_lock(c);
	say_goodbye(c);
	client_unlock(c);
	client_free(c);
}

/* ---- what is known of the connection ------------------------------------------------------ */

const char *chan_url(const struct chan_client *c)
{
	return c->url.text;
}

const char *chan_broker(const struct chan_client *c)
{
	return c->session.broker;
}

uint64_t chan_incarnation(const struct chan_client *c)
{
	return c->session.incarnation;
}

uint32_t chan_value_bytes_max(const struct chan_client *c)
{
	return c->session.limits.value_bytes;
}

int64_t chan_heartbeat_ns(const struct chan_client *c)
{
	return c->session.heartbeat_ns;
}

uint32_t chan_batch_values_max(const struct chan_client *c)
{
	return c->session.limits.batch_values;
}
