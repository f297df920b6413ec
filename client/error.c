/*
 * error.c - the calling thread's last error, and the words of failures.
 */
#include "client/error.h"
#include "client/clock.h"
#include "proto/limits.h"
#include "proto/status.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Copies, so that a thread's error stays readable when its client is gone. */
static _Thread_local struct {
	struct chan_error error;
	char text[2 * TEXT_BYTES_MAX];
	char closed_by[TEXT_BYTES_MAX];
	char reason[TEXT_BYTES_MAX];
} last;

static char *copy(const char *text)
{
	return text && *text ? strdup(text) : NULL;
}

void failure_fini(struct failure *f)
{
	free(f->text);
	free(f->closed_by);
	free(f->reason);
	*f = (struct failure){0};
}

void failure_set(struct failure *f, int status, const char *text)
{
	char *kept = copy(text);

	failure_fini(f);
	f->status = status;
	f->text = kept;
}

void failure_copy(struct failure *f, const struct failure *from)
{
	failure_set(f, from->status, from->text);
	f->closed_by = copy(from->closed_by);
	f->reason = copy(from->reason);
	f->closed_unix_ns = from->closed_unix_ns;
}

void failure_set_message(struct failure *f, const struct message *fail)
{
	failure_set(f, fail->fail.status, fail->fail.message);
	f->closed_by = copy(fail->fail.closed_by);
	f->reason = copy(fail->fail.reason);
	f->closed_unix_ns = fail->fail.closed_unix_ns;
}

static void last_set(int status, const char *closed_by, const char *reason, int64_t closed_unix_ns)
{
	snprintf(last.closed_by, sizeof(last.closed_by), "%s", closed_by ? closed_by : "");
	snprintf(last.reason, sizeof(last.reason), "%s", reason ? reason : "");
	last.error =
		(struct chan_error){status, last.text, last.closed_by, closed_unix_ns, last.reason};
}

int error_say(int status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(last.text, sizeof(last.text), format, arguments);
	va_end(arguments);
	last_set(status, NULL, NULL, 0);
	return status;
}

/* When the channel was closed, which the broker leaves to us to say in our time. */
static void append_age(char *text, size_t size, const struct failure *f)
{
	int64_t age_s = (int64_t)time(NULL) - f->closed_unix_ns / NS_PER_S;
	size_t len = strlen(text);

	if (f->closed_unix_ns > 0)
		snprintf(text + len, size - len, " (%lld s ago)",
			(long long)(age_s > 0 ? age_s : 0));
}

int error_say_failure(const struct failure *f, const char *asked, const char *whom)
{
	if (f->text)
		snprintf(last.text, sizeof(last.text), "%s", f->text);
	else
		snprintf(last.text, sizeof(last.text), *whom ? "%s '%s': %s" : "%s%s: %s", asked,
			whom, status_text(f->status));
	append_age(last.text, sizeof(last.text), f);
	last_set(f->status, f->closed_by, f->reason, f->closed_unix_ns);
	return f->status;
}

const struct chan_error *chan_last_error(void)
{
	if (!last.error.text)
		last_set(0, NULL, NULL, 0);
	return &last.error;
}

const char *chan_error_text(void)
{
	return last.text;
}

const char *chan_strerror(int status)
{
	return status_text(status);
}

const char *chan_error_name(int status)
{
	return status_name(status);
}
