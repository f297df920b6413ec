/*
 * reconnect.c - attempts, pauses, and giving up.
 */
#include "client/client.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* One attempt, with looking up a name and greeting. */
#define ATTEMPT_NS (5 * NS_PER_S)

/* The broker may notice a loss later than we do, by two heartbeats without a sign of life, and so
 * keep the session for longer than we think. */
#define NOTICES_LATER_NS(s) (2 * (s)->heartbeat_ns)

void reconnect_init(struct reconnect *r)
{
	r->timer_fd = -1;
	if (getrandom(&r->chance, sizeof(r->chance), GRND_NONBLOCK) != sizeof(r->chance))
		r->chance = (uint64_t)clock_now_ns() ^ (uintptr_t)r;
}

void reconnect_fini(struct reconnect *r)
{
	if (r->timer_fd >= 0)
		close(r->timer_fd);
	free(r->why);
}

/* splitmix64 */
static uint64_t draw(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15u;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

int64_t reconnect_pause_ns(struct reconnect *r, unsigned attempts)
{
	int64_t bound_ns = RECONNECT_PAUSE_MIN_NS;

	while (--attempts > 0 && bound_ns < RECONNECT_PAUSE_MAX_NS)
		bound_ns *= 2;
	if (bound_ns > RECONNECT_PAUSE_MAX_NS)
		bound_ns = RECONNECT_PAUSE_MAX_NS;
	return (int64_t)(draw(&r->chance) % (uint64_t)(bound_ns + 1));
}

/* ---- the descriptor of event loops -------------------------------------------------------- */

/* Has whoever polls it look at that time; NEVER: not before it is set again. */
#define NOW 1 /* a moment that has passed; 0 stops the timer */
#define NEVER 0

static void ring(struct chan_client *c, int64_t at_ns)
{
	struct itimerspec at = {.it_value = {at_ns / NS_PER_S, at_ns % NS_PER_S}};

	if (c->reconnect.timer_fd >= 0)
		timerfd_settime(c->reconnect.timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

/* The keeper rings when it has come to something; without one the event loop has to come by for
 * the next attempt. */
void client_process_down(struct chan_client *c)
{
	ring(c, c->keeper.running ? NEVER : client_reconnect(c));
}

/* ---- losing ------------------------------------------------------------------------------- */

/* When the session must have ended, or the program wants to be told. */
static int64_t give_up_ns(const struct chan_client *c, int64_t now_ns)
{
	const struct session *s = &c->session;
	int64_t left_ns = s->linger_ns + NOTICES_LATER_NS(s);

	if (c->reconnect.max_ns > 0 && c->reconnect.max_ns < left_ns)
		left_ns = c->reconnect.max_ns;
	return now_ns + left_ns;
}

/* Frames that have come, or are known to have arrived. */
static uint64_t progress(const struct session *s)
{
	return s->frames_received + s->resend.seen;
}

/* Whether the connection that was lost was worth nothing: what accepts us, and only to drop us, is
 * neither to be asked without a pause nor for ever. */
static bool was_fruitless(const struct chan_client *c)
{
	const struct session *s = &c->session;

	return s->heard_ns == HEARD_NEVER && progress(s) == c->reconnect.frames;
}

static void begin(struct chan_client *c)
{
	struct reconnect *r = &c->reconnect;
	int64_t now_ns = clock_now_ns();

	if (was_fruitless(c)) {
		r->attempts++;
		r->next_ns = now_ns + reconnect_pause_ns(r, r->attempts);
	} else {
		r->attempts = 0;
		r->next_ns = now_ns;
		r->give_up_ns = give_up_ns(c, now_ns);
	}
}

void client_lost(struct chan_client *c, int greet_status, const char *why)
{
	char text[URL_BYTES_MAX + STREAM_WORDS_BYTES_MAX + 64];
	struct reconnect *r = &c->reconnect;

	snprintf(text, sizeof(text), "the connection to %s was lost: %s",
		c->urls.list[c->url_at].text, why);
	if (c->link == LINK_GREETING)
		failure_set(&c->refusal, greet_status, text);
	if (c->link != LINK_UP || c->session.end.status < 0)
		return;
	if (!session_lingers(&c->session)) {
		client_fail(c, CHAN_EUNKNOWN, text);
		return;
	}
	c->link = LINK_DOWN;
	c->rings.state = RINGS_NONE;
	session_detach(&c->session);
	stream_cut(&c->stream);
	free(r->why);
	r->why = strdup(text);
	begin(c);
	if (r->timer_fd < 0)
		r->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	ring(c, c->keeper.running ? NEVER : r->next_ns);
	keeper_wake(c);
	client_wake_any(c);
}

void client_broke(struct chan_client *c, int error)
{
	char why[STREAM_WORDS_BYTES_MAX];
	int status = stream_explain(&c->stream, error, why);

	client_lost(c, status, why);
}

/* ---- coming back -------------------------------------------------------------------------- */

/* Whether what a broker said means that to ask again is of no use: the session is no more, or not
 * for us. By another URL we may be who began it. */
static bool is_final(const struct chan_client *c, int status)
{
	if (status == CHAN_EAUTH)
		return c->urls.count == 1;
	return status == CHAN_EUNKNOWN || status == CHAN_ERESTARTED || status == CHAN_EPERM ||
	       status == CHAN_ENOTSUP;
}

static void give_up(struct chan_client *c, int status, const char *last)
{
	const char *why = c->reconnect.why ? c->reconnect.why : "the connection was lost";
	size_t size = strlen(why) + strlen(last) + 64;
	char *text = malloc(size);

	if (text)
		snprintf(text, size, "%s, and the session could not be resumed: %s", why, last);
	client_fail(c, status, text ? text : why);
	free(text);
	ring(c, NOW);
}

static void attempt_failed(struct chan_client *c, int status)
{
	struct reconnect *r = &c->reconnect;

	if (c->session.end.status < 0) {
		ring(c, NOW);
		return;
	}
	if (is_final(c, c->refusal.status)) {
		give_up(c, status, chan_error_text());
		return;
	}
	r->attempts++;
	r->next_ns = clock_now_ns() + reconnect_pause_ns(r, r->attempts);
	if (r->next_ns >= r->give_up_ns) {
		give_up(c, CHAN_EUNKNOWN, chan_error_text());
		return;
	}
	c->url_at = (c->url_at + 1) % c->urls.count;
}

static void attempt(struct chan_client *c)
{
	int64_t until_ns = clock_now_ns() + ATTEMPT_NS;
	int rc;

	c->reading = c->writing = true;
	rc = client_connect(
		c, until_ns < c->reconnect.give_up_ns ? until_ns : c->reconnect.give_up_ns);
	c->reading = c->writing = false;
	c->choked = false;
	if (rc < 0) {
		attempt_failed(c, rc);
		return;
	}
	c->reconnect.frames = progress(&c->session);
	client_flush(c);
	ring(c, NOW);
}

int64_t client_reconnect(struct chan_client *c)
{
	struct reconnect *r = &c->reconnect;
	int64_t next_ns;

	if (clock_now_ns() >= r->give_up_ns) {
		give_up(c, CHAN_EUNKNOWN, "its time is up");
	} else if (clock_now_ns() >= r->next_ns && !c->reading && !c->writing) {
		attempt(c);
		client_hand_on(c);
	}
	if (c->link != LINK_DOWN || c->session.end.status < 0)
		return 0;
	next_ns = session_expire(&c->session, clock_now_ns());
	if (c->completions)
		ring(c, NOW);
	if (c->reading || c->writing) /* whoever is it comes back and hands on */
		return next_ns < r->give_up_ns ? next_ns : r->give_up_ns;
	return next_ns < r->next_ns ? next_ns : r->next_ns;
}
