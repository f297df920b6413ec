#include "server/broker/admission.h"

#include "chan/status.h"
#include "server/base/clock.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void admission_init(struct admission *a, struct access *access, uint32_t connections_max,
	uint32_t sessions_max, uint32_t rings_max)
{
	lock_init(&a->lock, LOCK_RANK_OUTER);
	a->access = access_ref(access);
	a->connections_max = connections_max;
	a->sessions_max = sessions_max;
	a->rings_max = rings_max;
	quota_table_init(&a->accounts);
}

void admission_fini(struct admission *a)
{
	for (size_t i = 0; i < ADMISSION_KNOWN; i++)
		identity_unref(a->known[i]);
	quota_table_fini(&a->accounts);
	access_unref(a->access);
}

void admission_set_connections_max(struct admission *a, uint32_t connections_max)
{
	lock_acquire(&a->lock);
	a->connections_max = connections_max;
	lock_release(&a->lock);
}

void admission_replace(struct admission *a, struct access *access)
{
	struct access *old;

	access_ref(access);
	lock_acquire(&a->lock);
	old = a->access;
	a->access = access;
	lock_release(&a->lock);
	access_unref(old);
}

struct access *admission_access(struct admission *a)
{
	struct access *access;

	lock_acquire(&a->lock);
	access = access_ref(a->access);
	lock_release(&a->lock);
	return access;
}

/* ---- who a peer is ----------------------------------------------------------------------------
 */

static struct identity *identify_user(struct stream *stream, const struct stream_peer *peer)
{
	gid_t groups[IDENTITY_GROUPS_MAX];
	int count = stream_peer_groups(stream, groups, IDENTITY_GROUPS_MAX);

	return identity_user(peer->uid, peer->gid, groups, (size_t)count);
}

static struct identity *identify_certificate(const struct stream_peer *peer)
{
	const char *names[STREAM_NAMES_MAX];
	char subject[STREAM_NAME_BYTES_MAX + 4] = "";

	for (int i = 0; i < peer->name_count; i++)
		names[i] = peer->names[i];
	if (*peer->common_name)
		snprintf(subject, sizeof(subject), "CN=%s", peer->common_name);
	return identity_certificate(subject, names, (size_t)peer->name_count);
}

/* What the stream alone shows. NULL: out of memory. */
static struct identity *identify(struct stream *stream)
{
	struct stream_peer peer;

	stream_peer(stream, &peer);
	if (peer.kind == STREAM_UNIX && peer.uid != (uid_t)-1)
		return identify_user(stream, &peer);
	if (*peer.common_name || peer.name_count > 0)
		return identify_certificate(&peer);
	return identity_anonymous(peer.address);
}

/* Who a HELLO says to be: 0 with one reference, or the status and sentence to refuse it with. */
static int identify_hello(struct access *access, struct stream *stream,
	const struct wire_hello *hello, struct identity **ret_identity, char *why, size_t why_bytes)
{
	const char *mechanism = hello->mechanism;

	if (strcmp(mechanism, "token") == 0)
		return access_authenticate(
			access, hello->token.bytes, hello->token.len, ret_identity, why, why_bytes);
	if (*mechanism) {
		snprintf(why, why_bytes,
			"credentials of mechanism '%.64s' are not supported; there is \"token\"",
			mechanism);
		return CHAN_ENOTSUP;
	}
	*ret_identity = identify(stream);
	if (*ret_identity)
		return 0;
	snprintf(why, why_bytes, "the broker is out of memory");
	return CHAN_ENOMEM;
}

static struct identity *find_known(const struct admission *a, const struct identity *i)
{
	for (size_t k = 0; k < ADMISSION_KNOWN; k++)
		if (a->known[k] && identity_same(a->known[k], i))
			return a->known[k];
	return NULL;
}

/* The one that is known and the same, in its place; else it is known from here on. NULL is fine. */
static struct identity *recognize(struct admission *a, struct identity *i)
{
	struct identity *known, *forgotten, **place;

	if (!i)
		return NULL;
	lock_acquire(&a->lock);
	known = identity_ref(find_known(a, i));
	place = &a->known[a->known_next % ADMISSION_KNOWN];
	forgotten = known ? i : *place;
	if (!known) {
		*place = identity_ref(i);
		a->known_next++;
	}
	lock_release(&a->lock);
	identity_unref(forgotten);
	return known ? known : i;
}

/* ---- counting ---------------------------------------------------------------------------------
 */

static int check_total(const struct admission *a, char *why, size_t why_bytes)
{
	if (a->connections < a->connections_max)
		return 0;
	snprintf(why, why_bytes,
		"the broker has %" PRIu32
		" connections, its limit (connections_max); try again later",
		a->connections);
	return CHAN_ELIMIT;
}

static int check_account(
	const struct quota_account *account, const char *who, char *why, size_t why_bytes)
{
	if (account->connections < account->limits.connections)
		return 0;
	snprintf(why, why_bytes,
		"%.200s has %" PRIu64 " connection%s, its limit (connections of its quota); close "
		"some first",
		who, account->connections, account->connections == 1 ? "" : "s");
	return CHAN_ELIMIT;
}

static int check_room(
	const struct admission *a, const struct admitted *m, char *why, size_t why_bytes)
{
	int rc = check_total(a, why, why_bytes);

	return rc < 0 ? rc : check_account(m->account, identity_label(m->identity), why, why_bytes);
}

static int check_rate(
	struct quota_account *account, const char *who, int64_t now_ns, char *why, size_t why_bytes)
{
	int64_t wait_ns;

	if (quota_take_rate(account, now_ns, &wait_ns))
		return 0;
	snprintf(why, why_bytes,
		"%.200s connects more often than %" PRIu64
		" times a second (connection_rate of its quota); try again in %" PRId64 " ms",
		who, account->limits.connection_rate, wait_ns / NS_PER_MS + 1);
	return CHAN_ELIMIT;
}

static void count_regular(struct admission *a, struct admitted *m)
{
	a->connections++;
	m->account->connections++;
}

static void count_extra(struct admission *a, struct admitted *m)
{
	a->extras++;
	m->account->extras++;
	m->extra = true;
}

static void uncount_extra(struct admission *a, struct admitted *m)
{
	a->extras--;
	m->account->extras--;
	m->extra = false;
}

/* Counts one more connection, which has an account: among the others, or where there is no room for
 * it as an extra, if it may be one. */
static int enter(
	struct admission *a, struct admitted *m, bool may_be_extra, char *why, size_t why_bytes)
{
	const char *who = identity_label(m->identity);
	int rc = check_room(a, m, why, why_bytes);

	if (rc < 0 && (!may_be_extra || a->extras >= ADMISSION_EXTRAS_MAX ||
			      m->account->extras >= ADMISSION_ACCOUNT_EXTRAS_MAX))
		return rc;
	m->extra = rc < 0;
	rc = check_rate(m->account, who, clock_now_ns(), why, why_bytes);
	if (rc == 0 && m->extra)
		count_extra(a, m);
	else if (rc == 0)
		count_regular(a, m);
	return rc;
}

/* The same by the limits of now, of a connection that has an identity and gets an account. */
static int enter_account(struct admission *a, const struct access *access, struct admitted *m,
	bool may_be_extra, char *why, size_t why_bytes)
{
	struct quota_limits limits = access_limits(access, m->identity);
	int rc = CHAN_ENOMEM;

	snprintf(why, why_bytes, "the broker is out of memory");
	lock_acquire(&a->lock);
	m->account = quota_get(&a->accounts, identity_account(m->identity), &limits);
	if (m->account) {
		m->account->limits = limits;
		rc = enter(a, m, may_be_extra, why, why_bytes);
		if (rc < 0)
			quota_put(&a->accounts, m->account, clock_now_ns());
	}
	lock_release(&a->lock);
	return rc;
}

/* Nothing where there are none. */
static void uncount_rings(struct admission *a, struct admitted *m)
{
	a->rings -= m->rings;
	m->account->rings -= m->rings;
	m->rings = false;
}

void admission_leave(struct admission *a, struct admitted *m)
{
	if (m->account) {
		lock_acquire(&a->lock);
		uncount_rings(a, m);
		if (m->extra) {
			uncount_extra(a, m);
		} else {
			a->connections--;
			m->account->connections--;
		}
		quota_put(&a->accounts, m->account, clock_now_ns());
		lock_release(&a->lock);
	}
	identity_unref(m->identity);
	*m = (struct admitted){0};
}

/* ---- coming in --------------------------------------------------------------------------------
 */

int admission_enter(struct admission *a, struct stream *stream, struct admitted *ret_admitted,
	char *why, size_t why_bytes)
{
	struct access *access = admission_access(a);
	struct admitted m = {.identity = recognize(a, identify(stream))};
	int rc = CHAN_ENOMEM;

	if (m.identity)
		rc = enter_account(a, access, &m, true, why, why_bytes);
	else
		snprintf(why, why_bytes, "the broker is out of memory");
	access_unref(access);
	if (rc == 0)
		*ret_admitted = m;
	else
		identity_unref(m.identity);
	return rc;
}

/* Whom no rule is about cannot do anything here, and is told at once. */
static int check_welcome(
	struct access *access, const struct identity *identity, char *why, size_t why_bytes)
{
	struct access_grants *grants = access_grants_new(access, identity);
	bool any = grants && access_grants_any(grants);

	access_grants_free(grants);
	if (any)
		return 0;
	snprintf(why, why_bytes,
		grants ? "no rule of the broker's configuration is about %.200s; ask who runs the "
			 "broker for one, or come as somebody else (with a token, say)"
		       : "the broker is out of memory",
		identity_label(identity));
	return grants ? CHAN_EAUTH : CHAN_ENOMEM;
}

/* The connection is that identity's from here on; where that is the same account it stays counted.
 */
static int move(struct admission *a, const struct access *access, struct identity *identity,
	bool may_be_extra, struct admitted *m, char *why, size_t why_bytes)
{
	struct admitted now = {.identity = identity_ref(identity)};
	bool same = strcmp(identity_account(identity), identity_account(m->identity)) == 0;
	int rc = 0;

	if (same) {
		now.account = m->account;
		now.extra = m->extra;
		m->account = NULL;
	} else {
		rc = enter_account(a, access, &now, may_be_extra, why, why_bytes);
	}
	if (rc < 0) {
		identity_unref(now.identity);
		return rc;
	}
	admission_leave(a, m);
	*m = now;
	return 0;
}

static void make_regular(struct admission *a, struct admitted *m)
{
	uncount_extra(a, m);
	count_regular(a, m);
}

int admission_come_in(struct admission *a, struct admitted *m, char *why, size_t why_bytes)
{
	int rc = 0;

	lock_acquire(&a->lock);
	if (m->extra)
		rc = check_room(a, m, why, why_bytes);
	if (m->extra && rc == 0)
		make_regular(a, m);
	lock_release(&a->lock);
	return rc;
}

int admission_greet(struct admission *a, struct stream *stream, const struct wire_hello *hello,
	struct admitted *m, char *why, size_t why_bytes)
{
	struct access *access = admission_access(a);
	struct identity *identity = NULL;
	bool resumes = hello->session_id.len > 0;
	int rc = identify_hello(access, stream, hello, &identity, why, why_bytes);

	identity = recognize(a, identity);
	if (rc == 0)
		rc = check_welcome(access, identity, why, why_bytes);
	if (rc == 0)
		rc = move(a, access, identity, resumes, m, why, why_bytes);
	if (rc == 0 && !resumes)
		rc = admission_come_in(a, m, why, why_bytes);
	identity_unref(identity);
	access_unref(access);
	return rc;
}

/* ---- going on with a session, and waiting for that ------------------------------------------ */

/* Of one that came from elsewhere, as somebody whom nobody knows, the other account loses one. */
int admission_may_replace(struct admission *a, const struct admitted *m, const struct admitted *old,
	char *why, size_t why_bytes)
{
	int rc = 0;

	lock_acquire(&a->lock);
	if (m->extra && m->account != old->account)
		rc = check_account(m->account, identity_label(m->identity), why, why_bytes);
	lock_release(&a->lock);
	return rc;
}

void admission_take_place(struct admission *a, struct admitted *m)
{
	lock_acquire(&a->lock);
	if (m->extra)
		make_regular(a, m);
	lock_release(&a->lock);
}

/* How many of an identity's sessions may be without a connection. */
static uint64_t sessions_of_one_max(const struct admission *a, const struct identity *identity)
{
	uint64_t max = access_limits(a->access, identity).sessions;

	return max == QUOTA_NONE ? (a->sessions_max + 1) / 2 : max;
}

bool admission_may_linger(
	struct admission *a, const struct admitted *m, char *why, size_t why_bytes)
{
	bool all, own;

	lock_acquire(&a->lock);
	all = a->sessions >= a->sessions_max;
	own = m->account->sessions >= sessions_of_one_max(a, m->identity);
	if (all)
		snprintf(why, why_bytes,
			"as many are without one as may be: %" PRIu32 " (sessions_max)",
			a->sessions);
	else if (own)
		snprintf(why, why_bytes,
			"%.200s has as many without one as it may: %" PRIu64
			" (sessions of its quota; where none says so, half of sessions_max)",
			identity_label(m->identity), m->account->sessions);
	lock_release(&a->lock);
	return !all && !own;
}

struct quota_account *admission_linger(struct admission *a, const struct admitted *m)
{
	lock_acquire(&a->lock);
	a->sessions++;
	m->account->sessions++;
	m->account->holds++;
	lock_release(&a->lock);
	return m->account;
}

void admission_end_linger(struct admission *a, struct quota_account *account)
{
	lock_acquire(&a->lock);
	a->sessions--;
	account->sessions--;
	quota_put(&a->accounts, account, clock_now_ns());
	lock_release(&a->lock);
}

/* ---- rings ---------------------------------------------------------------------------------- */

int admission_take_rings(struct admission *a, struct admitted *m, char *why, size_t why_bytes)
{
	uint32_t own_max = (a->rings_max + 1) / 2;
	int rc = CHAN_ELIMIT;

	lock_acquire(&a->lock);
	if (a->rings >= a->rings_max) {
		snprintf(why, why_bytes,
			"%" PRIu32 " connections have rings, as many as may (rings_max)", a->rings);
	} else if (m->account->rings >= own_max) {
		snprintf(why, why_bytes,
			"%" PRIu32 " connections of %.200s have rings, half of what there may be "
			"(rings_max)",
			m->account->rings, identity_label(m->identity));
	} else {
		a->rings++;
		m->account->rings++;
		m->rings = true;
		rc = 0;
	}
	lock_release(&a->lock);
	return rc;
}

void admission_give_rings(struct admission *a, struct admitted *m)
{
	lock_acquire(&a->lock);
	uncount_rings(a, m);
	lock_release(&a->lock);
}
