#include "server/broker/admission.h"

#include "chan/status.h"
#include "server/base/clock.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void admission_init(struct admission *a, struct access *access)
{
	lock_init(&a->lock, LOCK_RANK_OUTER);
	a->access = access_ref(access);
	quota_table_init(&a->accounts, random_seed());
}

void admission_fini(struct admission *a)
{
	quota_table_fini(&a->accounts);
	access_unref(a->access);
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
static int identify_hello(struct access *access, struct stream *stream, const struct message *hello,
	struct identity **ret_identity, char *why, size_t why_bytes)
{
	const char *mechanism = hello->hello.mechanism;

	if (strcmp(mechanism, "token") == 0)
		return access_authenticate(access, hello->hello.token.bytes, hello->hello.token.len,
			ret_identity, why, why_bytes);
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

/* ---- counting ---------------------------------------------------------------------------------
 */

static int check_account(
	struct quota_account *account, const char *who, int64_t now_ns, char *why, size_t why_bytes)
{
	int64_t wait_ns;

	if (account->connections >= account->limits.connections) {
		snprintf(why, why_bytes,
			"%.200s has %" PRIu64 " connections, its limit (connections of its quota); "
			"close some first",
			who, account->connections);
		return CHAN_ELIMIT;
	}
	if (quota_take_rate(account, now_ns, &wait_ns))
		return 0;
	snprintf(why, why_bytes,
		"%.200s connects more often than %" PRIu64
		" times a second (connection_rate of its quota); try again in %" PRId64 " ms",
		who, account->limits.connection_rate, wait_ns / NS_PER_MS + 1);
	return CHAN_ELIMIT;
}

/* Counts one more connection of an identity, by the limits of now. */
static int enter_account(struct admission *a, const struct access *access,
	const struct identity *identity, struct quota_account **ret_account, char *why,
	size_t why_bytes)
{
	struct quota_limits limits = access_limits(access, identity);
	int64_t now_ns = clock_now_ns();
	struct quota_account *account;
	int rc = CHAN_ENOMEM;

	snprintf(why, why_bytes, "the broker is out of memory");
	lock_acquire(&a->lock);
	account = quota_get(&a->accounts, identity_account(identity), &limits);
	if (account) {
		account->limits = limits;
		rc = check_account(account, identity_label(identity), now_ns, why, why_bytes);
		if (rc == 0)
			account->connections++;
		else
			quota_put(&a->accounts, account, now_ns);
	}
	lock_release(&a->lock);
	if (rc == 0)
		*ret_account = account;
	return rc;
}

void admission_leave(struct admission *a, struct admitted *m)
{
	if (m->account) {
		lock_acquire(&a->lock);
		m->account->connections--;
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
	struct admitted m = {.identity = identify(stream)};
	int rc = CHAN_ENOMEM;

	if (m.identity)
		rc = enter_account(a, access, m.identity, &m.account, why, why_bytes);
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
	struct admitted *m, char *why, size_t why_bytes)
{
	struct admitted now = {.identity = identity_ref(identity)};
	bool same = strcmp(identity_account(identity), identity_account(m->identity)) == 0;
	int rc = 0;

	if (same) {
		now.account = m->account;
		m->account = NULL;
	} else {
		rc = enter_account(a, access, identity, &now.account, why, why_bytes);
	}
	if (rc < 0) {
		identity_unref(now.identity);
		return rc;
	}
	admission_leave(a, m);
	*m = now;
	return 0;
}

int admission_greet(struct admission *a, struct stream *stream, const struct message *hello,
	struct admitted *m, char *why, size_t why_bytes)
{
	struct access *access = admission_access(a);
	struct identity *identity = NULL;
	int rc = identify_hello(access, stream, hello, &identity, why, why_bytes);

	if (rc == 0)
		rc = check_welcome(access, identity, why, why_bytes);
	if (rc == 0)
		rc = move(a, access, identity, m, why, why_bytes);
	identity_unref(identity);
	access_unref(access);
	return rc;
}
