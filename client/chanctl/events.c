#include "client/chanctl/events.h"

#include "client/chanctl/clock.h"
#include "client/chanctl/interrupt.h"

static int poll_timeout_ms(const struct chan_client *client, int64_t deadline_ns)
{
	int64_t life_sign_ns = chan_heartbeat_ns(client) / 2;
	int64_t left_ns = deadline_ns - clock_now_ns();

	if (left_ns <= 0)
		return 0;
	if (left_ns > life_sign_ns)
		left_ns = life_sign_ns;
	return (int)((left_ns + 999999) / 1000000);
}

/* The session has ended and all of it was told. Its descriptor would say so again without end. */
static bool is_over(struct chan_client *client)
{
	return !chan_connected(client) && chan_process(client) < 0 && chan_ops_pending(client) == 0;
}

void events_poll(struct chan_client *client, struct pollfd *fds, size_t n, int64_t deadline_ns)
{
	int fd = is_over(client) ? -1 : chan_fd(client);

	fds[0] = (struct pollfd){.fd = fd, .events = chan_events(client)};
	poll(fds, n, poll_timeout_ms(client, deadline_ns));
	chan_process(client);
}

int events_wait(struct chan_client *client, int fd, short wanted, int64_t deadline_ns)
{
	struct pollfd fds[] = {
		{.fd = -1},
		/* A signal is told once; after that its descriptor would be of no use. */
		{.fd = interrupt_signal() == 0 ? interrupt_init() : -1, .events = POLLIN},
		{.fd = fd, .events = wanted},
	};
	int events = 0;

	events_poll(client, fds, sizeof(fds) / sizeof(fds[0]), deadline_ns);
	if (interrupt_signal() != 0)
		events |= EVENT_SIGNAL;
	if (fd >= 0 && fds[2].revents != 0)
		events |= EVENT_FD;
	return events;
}
