#include "client/chanctl/chanctl.h"

#include "client/chanctl/guard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/chanctl/complain.h"
#include "client/chanctl/exit_codes.h"

int64_t ctl_timeout_ns(const struct ctl *ctl)
{
	const struct options *o = &ctl->options;

	if (o->try)
		return CHAN_TRY;
	if (o->timeout_ns < 0)
		return CHAN_FOREVER;
	/* No time at all is still a deadline, not a try: the broker answers "timed out". */
	return o->timeout_ns > 0 ? o->timeout_ns : 1;
}

struct chan_dial_options ctl_dial_options(const struct ctl *ctl)
{
	const struct options *o = &ctl->options;
	int64_t linger_ns = o->reconnect_ns >= 0 ? o->reconnect_ns : ctl->linger_ns;

	/* One-shot commands cannot come back for their session: it shall end with us. Others fork,
	 * and do so without a second thread; they call libchan often enough. */
	return (struct chan_dial_options){
		.program = "chanctl",
		.linger_ns = linger_ns > 0 ? linger_ns : -1,
		.reconnect_ns = ctl->outlived && o->reconnect_ns < 0 ? 1 : 0, /* one attempt at most */
		.no_keeper = true,
		.tls_ca = o->tls_ca,
		.tls_certificate = o->tls_certificate,
		.tls_key = o->tls_key,
		.tls_insecure = o->insecure,
		.token_file = o->token_file,
	};
}

void ctl_linger(struct ctl *ctl, int64_t linger_ns)
{
	const char *url = ctl->options.url != NULL ? ctl->options.url : getenv("CHAN_URL");

	if (url != NULL && (strstr(url, "tcp://") != NULL || strstr(url, "tls://") != NULL))
		ctl->linger_ns = linger_ns;
}

/* For the guard to be told, and for processes to go. */
#define GUARD_MARGIN_NS INT64_C(1000000000)

void ctl_linger_for_commands(struct ctl *ctl, int64_t lease_ns)
{
	ctl_linger(ctl, lease_ns);
	if (ctl->linger_ns > 0)
		return;
	ctl->linger_ns = GUARD_LAST_GRACE_NS + GUARD_MARGIN_NS;
	ctl->outlived = true;
}

int ctl_dial(struct ctl *ctl)
{
	const struct options *o = &ctl->options;
	const struct chan_dial_options dial = ctl_dial_options(ctl);
	int rc;

	if (o->insecure)
		complain("warning: --insecure: whoever answers is taken for the broker, and may "
			 "read and change everything");
	rc = chan_dial(o->url, &dial, &ctl->client);

	/* Who does not greet in time is not reachable; 124 is for operations that had a deadline.
	 */
	return rc == CHAN_ETIMEDOUT ? ctl_failed(CHAN_EUNREACHABLE) : rc < 0 ? ctl_failed(rc) : 0;
}

static int open_existing(struct ctl *ctl, const char *name, enum chan_direction direction,
	const struct chan_end_options *end, struct chan **ret_chan)
{
	struct chan_open_options open = {.wait_create = ctl->options.wait_create, .end = *end};
	int64_t timeout_ns = ctl_timeout_ns(ctl);

	open.timeout_ns = timeout_ns > 0 ? timeout_ns : 0;
	return chan_open(ctl->client, name, direction, &open, ret_chan);
}

static int make_and_open(struct ctl *ctl, const char *name, enum chan_direction direction,
	const struct chan_end_options *end, struct chan **ret_chan)
{
	const struct options *o = &ctl->options;
	struct chan_make_options make = {.direction = direction, .end = *end};

	return chan_make(ctl->client, name, o->type != 0 ? o->type : CHAN_TYPE_STRING, o->capacity,
		&make, ret_chan);
}

/*
 * --create with attributes insists on them; without, any channel of the name will do, and only
 * where there is none the defaults count. Somebody may make it between our two questions.
 */
static int create_and_open(struct ctl *ctl, const char *name, enum chan_direction direction,
	const struct chan_end_options *end, struct chan **ret_chan)
{
	bool any = ctl->options.type == 0 && !ctl->options.capacity_given;
	int rc = any ? open_existing(ctl, name, direction, end, ret_chan) : CHAN_ENOCHANNEL;

	if (rc == CHAN_ENOCHANNEL)
		rc = make_and_open(ctl, name, direction, end, ret_chan);
	if (rc == CHAN_EEXIST && any)
		rc = open_existing(ctl, name, direction, end, ret_chan);
	return rc;
}

int ctl_open(struct ctl *ctl, const char *name, enum chan_direction direction,
	const struct chan_end_options *end, struct chan **ret_chan)
{
	static const struct chan_end_options plain;
	int rc = ctl->client == NULL ? ctl_dial(ctl) : 0;

	if (rc != 0)
		return rc;
	if (end == NULL)
		end = &plain;
	if (ctl->options.create)
		rc = create_and_open(ctl, name, direction, end, ret_chan);
	else
		rc = open_existing(ctl, name, direction, end, ret_chan);
	return rc < 0 ? ctl_failed(rc) : 0;
}

int ctl_failed(int status)
{
	complain("%s", chan_error_text());
	return exit_code_of(status);
}

int ctl_failed_with(const struct chan_error *error)
{
	complain("%s", error->text);
	return exit_code_of(error->status);
}

int ctl_flush(const struct ctl *ctl)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_DONE;
	complain("%s: stdout: %s", ctl->command->name, strerror(errno));
	return EXIT_IO;
}
