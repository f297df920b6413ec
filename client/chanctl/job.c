#include "client/chanctl/job.h"

#include <stddef.h>

#include "client/chanctl/clock.h"
#include "client/chanctl/facts.h"

#define LEASE_DEFAULT_NS INT64_C(30000000000)
#define GRACE_DEFAULT_NS INT64_C(5000000000)

/* The part of a lease after which it is extended: two thirds are left for the answer. */
#define LEASE_PARTS 3

static int64_t earlier(int64_t a_ns, int64_t b_ns)
{
	return a_ns < b_ns ? a_ns : b_ns;
}

/* A time from now, GUARD_NEVER if that is further than a clock goes. */
static int64_t after(int64_t time_ns, int64_t span_ns)
{
	return span_ns > GUARD_NEVER - time_ns ? GUARD_NEVER : time_ns + span_ns;
}

void job_rules_init(struct job_rules *rules, struct guard *guard, const struct options *options)
{
	*rules = (struct job_rules){
		.guard = guard,
		.lease_ns = options->lease_ns >= 0 ? options->lease_ns : LEASE_DEFAULT_NS,
		.timeout_ns = -1,
		.grace_ns = options->grace_ns >= 0 ? options->grace_ns : GRACE_DEFAULT_NS,
	};
}

void job_init(struct job *j, const struct job_rules *rules, struct chan *ch,
	const struct chan_value *value)
{
	*j = (struct job){.rules = rules, .ch = ch, .value = *value};
	j->lease_end_ns = clock_now_ns() + rules->lease_ns;
	j->timeout_end_ns = GUARD_NEVER;
}

void job_fini(struct job *j)
{
	chan_value_clear(&j->value);
}

static int64_t extension_due_ns(const struct job *j)
{
	return j->lease_end_ns - j->rules->lease_ns + j->rules->lease_ns / LEASE_PARTS;
}

/* What the lease leaves of the grace: the last part of it, where the grace is longer. */
static int64_t told_ns(const struct job *j)
{
	return j->lease_end_ns - earlier(j->rules->grace_ns, j->rules->lease_ns / LEASE_PARTS);
}

static struct guard_times times(const struct job *j)
{
	return (struct guard_times){
		.term_ns = earlier(told_ns(j), j->timeout_end_ns),
		.kill_ns = earlier(j->lease_end_ns, after(j->timeout_end_ns, j->rules->grace_ns)),
	};
}

int job_run(struct job *j, struct child_spec *spec)
{
	struct facts facts;
	int rc = facts_init(&facts, j->ch, &j->value);

	if (rc < 0)
		return rc;
	if (j->rules->timeout_ns >= 0)
		j->timeout_end_ns = after(clock_now_ns(), j->rules->timeout_ns);
	spec->facts = facts.entries;
	spec->times = times(j);
	rc = child_start(spec, j->rules->guard, &j->pid);
	facts_fini(&facts);
	return rc;
}

/* The guard's death is seen where SIGCHLD is handled. */
static void end(struct job *j, enum job_end why)
{
	int64_t now_ns = clock_now_ns();
	const struct guard_times now = {now_ns, after(now_ns, j->rules->grace_ns)};

	if (j->pid == 0 || j->end != JOB_GOES_ON)
		return;
	j->end = why;
	guard_order(j->rules->guard, j->pid, &now);
}

void job_call_off(struct job *j)
{
	end(j, JOB_CALLED_OFF);
}

static void lose(struct job *j)
{
	j->lost = true;
	end(j, JOB_LEASE_LOST);
}

void job_extended(struct job *j, const struct chan_completion *c)
{
	struct guard_times until;

	if (c->status < 0) {
		j->asked_ns = 0;
		lose(j);
		return;
	}
	j->lease_end_ns = j->asked_ns + j->rules->lease_ns;
	j->asked_ns = 0;
	until = times(j);
	if (j->pid != 0)
		guard_order(j->rules->guard, j->pid, &until);
}

static void extend(struct job *j, int64_t now_ns, void *tag)
{
	j->asked_ns = now_ns;
	if (chan_start_extend(j->ch, &j->value, 1, j->rules->lease_ns, tag, NULL) < 0) {
		j->asked_ns = 0;
		lose(j);
	}
}

/* When something is to be done next. */
static int64_t next_ns(const struct job *j)
{
	bool runs = j->pid != 0 && j->end == JOB_GOES_ON;

	if (j->lost)
		return GUARD_NEVER;
	if (j->asked_ns == 0)
		return earlier(extension_due_ns(j), runs ? j->timeout_end_ns : GUARD_NEVER);
	return runs ? earlier(told_ns(j), j->timeout_end_ns) : GUARD_NEVER;
}

int64_t job_tick(struct job *j, void *tag)
{
	int64_t now_ns = clock_now_ns();

	if (!j->lost && chan_lease_lost(j->ch, &j->value))
		lose(j);
	if (now_ns >= j->timeout_end_ns)
		end(j, JOB_TIMED_OUT);
	if (now_ns >= told_ns(j))
		end(j, JOB_LEASE_LOST);
	if (!j->lost && j->asked_ns == 0 && now_ns >= extension_due_ns(j))
		extend(j, now_ns, tag);
	return next_ns(j);
}

enum child_news job_look(struct job *j, int *ret_code)
{
	enum child_news news = child_look(j->pid, ret_code);

	if (news != CHILD_ENDED)
		return news;
	/* Where the guard was faster than we, it is by the clock that we know why. */
	if (clock_now_ns() >= times(j).term_ns && j->end == JOB_GOES_ON)
		j->end = clock_now_ns() >= j->timeout_end_ns ? JOB_TIMED_OUT : JOB_LEASE_LOST;
	child_bury(j->pid, j->rules->guard, j->end != JOB_GOES_ON);
	j->pid = 0;
	return news;
}
