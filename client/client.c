/*
 * client.c - a client's memory, hanging up, and what is known of the connection.
 */
#include "client/client.h"
#include "proto/limits.h"
#include <poll.h>
#include <stdlib.h>
#include <utlist.h>

#define HANGUP_TIMEOUT_NS (2 * NS_PER_S)
#define HEARTBEAT_NS (5 * NS_PER_S) /* until the broker says */

void client_free(struct chan_client *c)
{
	struct chan_op *op, *next;

	client_fail(c, CHAN_EUNREACHABLE, "the client has hung up");
	DL_FOREACH_SAFE (c->completions, op, next) {
		client_remove_completion(c, op);
		op_unref(op);
	}
	while (c->ends) {
		c->ends->refs = 1;
		end_unref(c->ends);
	}
	session_fini(&c->session);
	op_free_idle(c);
	if (c->stream.ops)
		c->stream.ops->close(&c->stream);
	tls_free(c->tls);
	client_free_waiters(c);
	reconnect_fini(&c->reconnect);
	failure_fini(&c->refusal);
	url_list_fini(&c->urls);
	wire_scratch_free(c->scratch);
	credentials_fini(&c->credentials);
	buf_fini(&c->in);
	buf_fini(&c->leaving);
	free(c->program);
	free(c->group);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

struct chan_client *client_new(void)
{
	struct chan_client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	pthread_mutex_init(&c->lock, NULL);
	c->session.heartbeat_ns = HEARTBEAT_NS;
	c->session.limits.frame_payload_bytes = FRAME_PAYLOAD_BYTES_MAX;
	reconnect_init(&c->reconnect);
	c->scratch = wire_scratch_new();
	if (!c->scratch) {
		client_free(c);
		return NULL;
	}
	return c;
}

/* ---- hanging up --------------------------------------------------------------------------- */

/* Gives back and confirms, and says goodbye. */
static void put_farewell(struct chan_client *c)
{
	struct message bye = {.kind = MESSAGE_BYE};
	struct delivery *d;
	struct chan *ch;

	DL_FOREACH (c->ends, ch) {
		DL_FOREACH (ch->ahead->inbox, d)
			session_return(&c->session, d->id);
		end_drop_inbox(ch);
	}
	session_confirm(&c->session);
	session_put(&c->session, &bye);
}

/* One step towards what hanging up waits for, in a client that has one thread by now. */
static void take_turn(struct chan_client *c, int64_t deadline_ns)
{
	struct pollfd nothing = {.fd = -1};
	short events = POLLIN;
	int64_t next_ns;
	int ms;

	if (c->link != LINK_UP) {
		if (c->reconnect.give_up_ns > deadline_ns)
			c->reconnect.give_up_ns = deadline_ns;
		next_ns = client_reconnect(c);
		deadline_ns = next_ns < deadline_ns ? next_ns : deadline_ns;
	} else if (client_has_output(c)) {
		events |= POLLOUT;
	}
	ms = clock_poll_ms(deadline_ns, (int)(HANGUP_TIMEOUT_NS / NS_PER_MS));
	if (c->link == LINK_UP)
		stream_await(&c->stream, events, ms);
	else
		poll(&nothing, 1, ms);
	c->choked = false;
	client_poll(c);
	client_flush(c);
}

/*
 * Until the broker has ended its side: closing a socket before it, with bytes unread in it, could
 * take back what we said last. A connection that is lost before is made again, as confirmations are
 * among that; once the session has gone, the answer to that is CHAN_EUNKNOWN.
 */
static void say_goodbye(struct chan_client *c, int64_t deadline_ns)
{
	struct session *s = &c->session;

	put_farewell(c);
	client_flush(c);
	while (s->end.status == 0 && client_has_unsent(c) && clock_now_ns() < deadline_ns)
		take_turn(c, deadline_ns);
	if (c->link == LINK_UP)
		c->stream.ops->finish(&c->stream);
	c->said_goodbye = true;
	while (s->end.status == 0 && clock_now_ns() < deadline_ns)
		take_turn(c, deadline_ns);
}

void chan_hangup(struct chan_client *c)
{
	int64_t deadline_ns = clock_deadline_ns(HANGUP_TIMEOUT_NS);

	if (!c)
		return;
	client_lock(c);
	keeper_stop(c);
	say_goodbye(c, deadline_ns);
	client_unlock(c);
	client_free(c);
}

/* ---- what is known of the connection ------------------------------------------------------ */

/* The calls that look at what a reconnect changes take the lock, which is not of what they promise
 * not to change. */
static struct chan_client *unconst(const struct chan_client *c)
{
	return (struct chan_client *)(uintptr_t)c;
}

const char *chan_url(const struct chan_client *client)
{
	struct chan_client *c = unconst(client);
	const char *text;

	client_lock(c);
	text = c->urls.list[c->url_at].text;
	client_unlock(c);
	return text;
}

bool chan_connected(const struct chan_client *client)
{
	struct chan_client *c = unconst(client);
	bool connected;

	client_lock(c);
	connected = c->link == LINK_UP && c->session.end.status == 0;
	client_unlock(c);
	return connected;
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
