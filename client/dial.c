/*
 * dial.c - connecting and greeting, for the first time and to resume.
 */
#include "client/client.h"
#include "proto/limits.h"
#include <config.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIAL_TIMEOUT_NS (10 * NS_PER_S)
#define LINGER_NS (30 * NS_PER_S)

static const struct chan_dial_options no_options;

/* ---- HELLO and WELCOME -------------------------------------------------------------------- */

static void put_resume(struct session *s, struct wire_hello *hello)
{
	hello->session_id = (struct wire_bytes){s->id, s->id_bytes};
	hello->session_secret = (struct wire_bytes){s->id + s->id_bytes, s->secret_bytes};
	hello->incarnation = s->incarnation;
	hello->connection_epoch = ++s->connection_epoch;
	hello->frames_received = s->frames_received;
}

static int put_hello(struct chan_client *c)
{
	struct wire_hello hello = {0};
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	hello.version_min = hello.version_max = PROTOCOL_VERSION;
	hello.features = rings_features(c);
	hello.speaker.host = host;
	hello.speaker.pid = (uint64_t)getpid();
	hello.speaker.program = c->program;
	hello.speaker.group = c->group;
	hello.speaker.library = "libchan " PACKAGE_VERSION;
	hello.linger_ms = (uint64_t)(c->linger_ns / NS_PER_MS);
	credentials_show(&c->credentials, &hello);
	if (c->session.id)
		put_resume(&c->session, &hello);
	return session_put(&c->session, &(struct message){.kind = MESSAGE_HELLO, .hello = &hello});
}

/* 0, -EAGAIN or what the stream says. */
static int write_hello(struct chan_client *c)
{
	struct buf *hello = &c->session.control;
	ssize_t n;

	while (buf_len(hello) > 0) {
		n = c->stream.ops->write(&c->stream, buf_data(hello), buf_len(hello));
		if (n < 0)
			return (int)n;
		buf_consume(hello, (size_t)n);
	}
	return 0;
}

/* Until the broker has answered, or the time is up. Not client_flush and the reader's turns:
 * nothing but HELLO may be said now. */
static void await_welcome(struct chan_client *c, int64_t deadline_ns)
{
	struct session *s = &c->session;
	int rc;

	while (!s->greeted && c->refusal.status == 0 && s->end.status == 0 &&
		clock_now_ns() < deadline_ns) {
		rc = write_hello(c);
		if (rc < 0 && rc != -EAGAIN) {
			client_broke(c, -rc);
			return;
		}
		rc = client_read(c, false);
		if (rc == -EAGAIN)
			client_await_ready(
				c, buf_len(&s->control) ? POLLIN | POLLOUT : POLLIN, deadline_ns);
	}
}

/* What greeting came to. */
static int tell_outcome(struct chan_client *c)
{
	const char *url = c->urls.list[c->url_at].text;
	const struct failure *f = c->session.end.status < 0 ? &c->session.end : &c->refusal;

	if (f->status < 0)
		return error_say(
			f->status, "dial %s: %s", url, f->text ? f->text : "out of memory");
	if (!c->session.greeted)
		return error_say(CHAN_ETIMEDOUT, "dial %s: the broker did not greet in time", url);
	return 0;
}

static int greet(struct chan_client *c, int64_t deadline_ns)
{
	int rc = put_hello(c);

	if (rc < 0)
		return error_say(rc, "dial %s: %s", c->urls.list[c->url_at].text,
			rc == CHAN_ENOMEM ? "out of memory"
					  : "the program's or the group's name is too long");
	await_welcome(c, deadline_ns);
	return tell_outcome(c);
}

/* ---- connecting --------------------------------------------------------------------------- */

/* What the connection before left; what stands in the middle of a frame has not been received. */
static void drop_connection(struct chan_client *c)
{
	if (c->stream.ops)
		c->stream.ops->close(&c->stream);
	buf_consume(&c->in, buf_len(&c->in));
	buf_consume(&c->leaving, buf_len(&c->leaving));
	session_detach(&c->session);
	failure_fini(&c->refusal);
}

int client_connect(struct chan_client *c, int64_t deadline_ns)
{
	const struct url *url = &c->urls.list[c->url_at];
	struct stream stream = {.tls = c->tls};
	int rc;

	drop_connection(c);
	client_unlock(c);
	rc = stream_dial(&stream, url, deadline_ns);
	client_lock(c);
	if (rc < 0)
		return rc;
	c->stream = stream;
	c->link = LINK_GREETING;
	rc = greet(c, deadline_ns);
	c->link = rc < 0 ? LINK_DOWN : LINK_UP;
	if (rc < 0)
		return rc;
	rings_connected(c, c->session.features);
	client_limit_reads(c);
	return rc;
}

/* ---- dialling ----------------------------------------------------------------------------- */

static int take_url(struct chan_client *c, const char *text)
{
	char found[URLS_BYTES_MAX];

	if (!text)
		url_default(found);
	return url_list_parse(text ? text : found, &c->urls);
}

static int take_options(struct chan_client *c, const struct chan_dial_options *options)
{
	const char *program = options->program ? options->program : program_invocation_short_name;

	c->withdraw_on_signal = options->withdraw_on_signal;
	c->reconnect.max_ns = options->reconnect_ns > 0 ? options->reconnect_ns : 0;
	c->linger_ns = options->linger_ns ? options->linger_ns : LINGER_NS;
	if (c->linger_ns < 0 || options->reconnect_ns < 0)
		c->linger_ns = 0;
	c->program = strdup(program);
	c->group = strdup(options->group ? options->group : "");
	c->tls = tls_new(options);
	if (!c->program || !c->group || !c->tls)
		return error_say(CHAN_ENOMEM, "dial: out of memory");
	return rings_init(&c->rings, options->ring_after);
}

/* Tries one URL after the other; those that are left share the time. */
static int connect_somewhere(struct chan_client *c, int64_t deadline_ns)
{
	int64_t now_ns, until_ns = deadline_ns;
	int rc = CHAN_EINVAL;

	for (c->url_at = 0; c->url_at < c->urls.count; c->url_at++) {
		now_ns = clock_now_ns();
		if (deadline_ns != DEADLINE_NONE)
			until_ns = now_ns +
				   (deadline_ns - now_ns) / (int64_t)(c->urls.count - c->url_at);
		rc = client_connect(c, until_ns);
		if (rc == 0 || c->session.end.status < 0)
			return rc;
	}
	c->url_at = 0;
	return rc;
}

int chan_dial(
	const char *url, const struct chan_dial_options *options, struct chan_client **ret_client)
{
	struct chan_client *c = client_new();
	int rc;

	if (!c)
		return error_say(CHAN_ENOMEM, "dial: out of memory");
	if (!options)
		options = &no_options;
	rc = take_url(c, url);
	if (rc == 0)
		rc = take_options(c, options);
	if (rc == 0)
		rc = credentials_find(options, &c->credentials);
	if (rc == 0) {
		client_lock(c);
		rc = connect_somewhere(c,
			clock_deadline_ns(
				options->timeout_ns > 0 ? options->timeout_ns : DIAL_TIMEOUT_NS));
		client_unlock(c);
	}
	if (rc < 0) {
		client_free(c);
		return rc;
	}
	if (session_lingers(&c->session) && !options->no_keeper)
		keeper_start(c);
	*ret_client = c;
	return 0;
}
