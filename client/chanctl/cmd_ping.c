/*
 * cmd_ping.c - is the broker there, and how far away.
 */
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "client/chanctl/chanctl.h"
#include "client/chanctl/clock.h"
#include "client/chanctl/duration.h"
#include "client/chanctl/exit_codes.h"

/* Between two attempts to reach a broker that is not there yet. */
#define RETRY_NS 20000000

static int dial_patiently(struct ctl *ctl)
{
	const struct timespec pause = {.tv_nsec = RETRY_NS};
	const struct chan_dial_options dial = ctl_dial_options(ctl);
	int64_t give_up_ns = clock_now_ns() + ctl->options.timeout_ns;
	int rc;

	for (;;) {
		rc = chan_dial(ctl->options.url, &dial, &ctl->client);
		if (rc != CHAN_EUNREACHABLE || clock_now_ns() >= give_up_ns)
			break;
		nanosleep(&pause, NULL);
	}
	return rc < 0 ? ctl_failed(rc) : 0;
}

static void print(const struct ctl *ctl, int64_t rtt_ns)
{
	char time[DURATION_TEXT_BYTES];
	json_t *json;

	if (!ctl->options.json) {
		printf("%s: %s, round trip %s\n", chan_url(ctl->client), chan_broker(ctl->client),
			duration_format(time, rtt_ns));
		return;
	}
	json = json_pack("{s:s, s:s, s:I}", "url", chan_url(ctl->client), "broker",
		chan_broker(ctl->client), "round_trip_ns", (json_int_t)rtt_ns);
	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(json);
}

static int run(struct ctl *ctl)
{
	uint64_t count = ctl->options.count > 0 ? ctl->options.count : 1;
	int code = ctl->options.timeout_ns >= 0 ? dial_patiently(ctl) : ctl_dial(ctl);
	int64_t rtt_ns;
	int rc;

	for (uint64_t i = 0; i < count && code == 0; i++) {
		rc = chan_ping(ctl->client, &rtt_ns);
		if (rc < 0)
			return ctl_failed(rc);
		print(ctl, rtt_ns);
		code = ctl_flush(ctl);
	}
	return code;
}

static const enum option_key ping_options[] = {OPTION_COUNT, OPTION_TIMEOUT, 0};

const struct command command_ping = {
	.name = "ping",
	.brief = "ask the broker for a sign of life",
	.usage = {"",
		"Ask the broker for an answer, and print how long that took. --timeout: how long "
		"to "
		"try to reach one that is not there yet.",
		ping_options, 0, 0},
	.run = run,
};
