#include "client/chanctl/events.h"

#include <poll.h>

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

int events_wait(struct chan_client *client, int fd, short wanted, int64_t deadline_ns)
{
	struct pollfd fds[] = {
		{.fd = chan_fd(client), .events = chan_events(client)},
		/* A signal is told once; after that its descriptor would be of no use. */
		{.fd = interrupt_signal() == 0 ? interrupt_init() : -1, .events = POLLIN},
		{.fd = fd, .events = wanted},
	};
	int events = 0;

	poll(fds, sizeof(fds) / sizeof(fds[0]), poll_timeout_ms(client, deadline_ns));
	chan_process(client);
	if (interrupt_signal() != 0)
		events |= EVENT_SIGNAL;
	if (fd >= 0 && fds[2].revents != 0)
		events |= EVENT_FD;
	return events;
}
