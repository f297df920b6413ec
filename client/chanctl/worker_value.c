/*
 * worker_value.c - a command for a value, and what becomes of the value: see cmd_worker.c.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/chanctl/complain.h"
#include "client/chanctl/exit_codes.h"
#include "client/chanctl/substitute.h"
#include "client/chanctl/text.h"
#include "client/chanctl/worker.h"

/* A value that fails again and again is tried no less often than this. */
#define BACKOFF_MAX_NS INT64_C(60000000000)

/* ---- what becomes of a value ----------------------------------------------------------------- */

/* A value in a sentence. Returns shown, which has room for TEXT_SHOWN_BYTES. */
static const char *show(const struct slot *s, char *shown)
{
	struct bytes text = {0};

	if (text_append(&text, &s->job.value) < 0)
		text.used = 0;
	text_shown(shown, text.at, text.used);
	bytes_fini(&text);
	return shown;
}

/* The slot's next value must not get the answer to what was asked for this one. */
static void leave(struct slot *s)
{
	s->state = s->job.asked_ns != 0 ? SLOT_LEAVING : SLOT_FREE;
	if (s->state == SLOT_FREE)
		job_fini(&s->job);
}

void worker_value_extended(struct slot *s, struct chan_completion *c)
{
	job_extended(&s->job, c);
	if (s->state == SLOT_LEAVING)
		leave(s);
}

void worker_value_settled(struct slot *s, struct chan_completion *c)
{
	char shown[TEXT_SHOWN_BYTES];

	if (c->status == CHAN_EGONE)
		complain("worker %s: '%s': the lease was over; somebody else gets the value",
			worker_name(s->worker), show(s, shown));
	else if (c->status < 0)
		worker_stop(s->worker, ctl_failed_with(c->error));
	leave(s);
}

/* The value's operation has begun, or could not. */
static void settling(struct slot *s, int rc)
{
	s->state = SLOT_SETTLING;
	if (rc == 0)
		return;
	worker_stop(s->worker, ctl_failed(rc));
	leave(s);
}

static void acknowledge(struct slot *s)
{
	settling(s, chan_start_ack(s->worker->ch, &s->job.value, 1, &s->settling, NULL));
}

static void give_back(struct slot *s, int64_t delay_ns)
{
	settling(s, chan_start_nack(s->worker->ch, &s->job.value, 1, delay_ns, &s->settling, NULL));
}

void worker_value_buried(struct slot *s, struct chan_completion *c)
{
	if (c->status == 0) {
		acknowledge(s);
		return;
	}
	if (c->status != CHAN_ECANCELED && c->status != CHAN_EWOULDBLOCK &&
		c->status != CHAN_ETIMEDOUT)
		worker_stop(s->worker, ctl_failed_with(c->error));
	give_back(s, 0);
}

/* The value is not tried again. It may be seen in the dead channel and once more here, if we die
 * between the two steps; never in neither. */
static void retire(struct slot *s)
{
	struct worker *w = s->worker;
	char shown[TEXT_SHOWN_BYTES];
	int rc;

	if (w->dead == NULL) {
		complain("worker %s: '%s' is dropped: it was tried %" PRIu32 " times",
			worker_name(w), show(s, shown), s->job.value.attempt);
		w->dropped++;
		acknowledge(s);
		return;
	}
	rc = chan_start_send(w->dead, &s->job.value, 1, w->stopping ? CHAN_TRY : CHAN_FOREVER,
		&s->burying, &s->op);
	if (rc == 0) {
		s->state = SLOT_BURYING;
		return;
	}
	worker_stop(w, ctl_failed(rc));
	give_back(s, 0);
}

/* ---- the command ----------------------------------------------------------------------------- */

static int64_t rest_ns(const struct slot *s)
{
	int64_t ns = s->worker->backoff_ns;

	for (uint32_t i = 1; i < s->job.value.attempt && ns < BACKOFF_MAX_NS; i++)
		ns *= 2;
	return ns < BACKOFF_MAX_NS ? ns : BACKOFF_MAX_NS;
}

/* What is said of a command that did not do its work. */
static void complain_of(const struct slot *s, int code)
{
	static const char *const why[] = {
		[JOB_GOES_ON] = "",
		[JOB_TIMED_OUT] = ", having run longer than --timeout",
		[JOB_LEASE_LOST] = ", having lost its lease",
		[JOB_CALLED_OFF] = ", called off",
	};
	char shown[TEXT_SHOWN_BYTES];

	complain("worker %s: '%s': %s ended with %d%s (attempt %" PRIu32 ")",
		worker_name(s->worker), show(s, shown), s->worker->words[0].text, code,
		why[s->job.end], s->job.value.attempt);
}

void worker_command_ended(struct slot *s, int code)
{
	const struct worker *w = s->worker;

	if (code == 0 && s->job.end == JOB_GOES_ON) {
		acknowledge(s);
		return;
	}
	complain_of(s, code);
	if (s->job.lost)
		leave(s);
	else if (s->job.end == JOB_CALLED_OFF || s->job.end == JOB_LEASE_LOST)
		give_back(s, 0);
	else if (w->attempts_max > 0 && s->job.value.attempt >= w->attempts_max)
		retire(s);
	else
		give_back(s, rest_ns(s));
}

/* The value as a file to read; it needs nobody to feed it. -errno. */
static int value_file(const struct bytes *text)
{
	size_t written = 0;
	int fd = memfd_create("value", MFD_CLOEXEC);
	ssize_t bytes;

	while (fd >= 0 && written < text->used) {
		bytes = write(fd, text->at + written, text->used - written);
		if (bytes < 0 && errno != EINTR) {
			close(fd);
			return -errno;
		}
		written += bytes > 0 ? (size_t)bytes : 0;
	}
	if (fd >= 0)
		lseek(fd, 0, SEEK_SET);
	return fd < 0 ? -errno : fd;
}

static int run_command(struct slot *s, const struct bytes *text)
{
	const struct worker *w = s->worker;
	struct child_spec spec = {.terminal_fd = -1};
	int rc = substitute(w->words, w->word_count, text->at, text->used, &spec.arguments);

	if (rc < 0)
		return rc;
	spec.stdin_fd = w->as_argument ? open("/dev/null", O_RDONLY | O_CLOEXEC) : value_file(text);
	rc = spec.stdin_fd < 0 ? -errno : job_run(&s->job, &spec);
	if (spec.stdin_fd >= 0)
		close(spec.stdin_fd);
	substitute_free(spec.arguments);
	return rc;
}

/* A value that no command can get as an argument, now or ever. */
static bool unfit(const struct worker *w, int rc)
{
	return w->as_argument && (rc == -EINVAL || rc == -E2BIG);
}

static void could_not_run(struct slot *s, int rc)
{
	struct worker *w = s->worker;
	char shown[TEXT_SHOWN_BYTES];

	if (!unfit(w, rc)) {
		complain("worker %s: %s: %s; the value goes back", worker_name(w), w->words[0].text,
			strerror(-rc));
		worker_stop(w, child_exit_code(rc));
		give_back(s, 0);
		return;
	}
	complain("worker %s: '%s' cannot be an argument: %s; without {} it would be on stdin",
		worker_name(w), show(s, shown),
		rc == -EINVAL ? "it holds a zero byte" : strerror(-rc));
	if (w->dead != NULL || w->attempts_max > 0) {
		retire(s);
		return;
	}
	worker_stop(w, EXIT_DATA);
	give_back(s, 0);
}

void worker_value_came(struct slot *s, const struct chan_value *value)
{
	struct worker *w = s->worker;
	struct bytes text = {0};
	int rc;

	job_init(&s->job, &w->rules, w->ch, value);
	/* A signal came first: it was too late to withdraw the receive. */
	if (w->stopping) {
		give_back(s, 0);
		return;
	}
	/* Its last attempt was not seen to end: it may be what ended us, or the machine. */
	if (w->attempts_max > 0 && value->attempt > w->attempts_max) {
		retire(s);
		return;
	}
	rc = text_append(&text, value);
	rc = rc == 0 ? run_command(s, &text) : rc;
	bytes_fini(&text);
	s->state = SLOT_RUNNING;
	if (rc < 0)
		could_not_run(s, rc);
}
