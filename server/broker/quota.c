#include "server/broker/quota.h"

#include "server/base/clock.h"
#include <stdlib.h>
#include <string.h>

const struct quota_limits quota_unlimited = {
	.connections = QUOTA_NONE,
	.sessions = QUOTA_NONE,
	.connection_rate = QUOTA_NONE,
	.connection_burst = QUOTA_NONE,
	.channels = QUOTA_NONE,
	.buffered_bytes = QUOTA_NONE,
	.ops_in_flight = QUOTA_NONE,
};

void quota_table_init(struct quota_table *t)
{
	*t = (struct quota_table){0};
	list_init(&t->idle);
}

void quota_table_fini(struct quota_table *t)
{
	while (t->accounts)
		quota_forget(t, list_entry(t->accounts, struct quota_account, node));
}

static struct quota_account *account_new(
	struct quota_table *t, const char *key, const struct quota_limits *limits)
{
	size_t bytes = strlen(key) + 1;
	struct quota_account *a = calloc(1, sizeof(*a) + bytes);

	if (!a)
		return NULL;
	memcpy(a->key, key, bytes);
	a->limits = *limits;
	list_init(&a->idle);
	names_insert(&t->accounts, &a->node);
	return a;
}

static void leave_idle(struct quota_table *t, struct quota_account *a)
{
	if (list_empty(&a->idle))
		return;
	list_remove(&a->idle);
	t->idle_count--;
}

struct quota_account *quota_get(
	struct quota_table *t, const char *key, const struct quota_limits *limits)
{
	struct name_node *n = names_find(t->accounts, key);
	struct quota_account *a =
		n ? list_entry(n, struct quota_account, node) : account_new(t, key, limits);

	if (!a)
		return NULL;
	leave_idle(t, a);
	a->holds++;
	return a;
}

void quota_forget(struct quota_table *t, struct quota_account *a)
{
	leave_idle(t, a);
	names_remove(&t->accounts, &a->node);
	free(a);
}

static struct quota_account *first_idle(const struct quota_table *t)
{
	return list_entry(t->idle.next, struct quota_account, idle);
}

void quota_put(struct quota_table *t, struct quota_account *a, int64_t now_ns)
{
	if (--a->holds > 0 || a->buffered_bytes > 0)
		return;
	list_push_back(&t->idle, &a->idle);
	t->idle_count++;
	while (t->idle_count > 0 &&
		(t->idle_count > QUOTA_IDLE_MAX || first_idle(t)->paid_until_ns <= now_ns))
		quota_forget(t, first_idle(t));
}

/*
 * Each connection costs a share of a second, which is paid in advance up to the burst: one number
 * says how far the account has paid ahead of the clock.
 */
bool quota_take_rate(struct quota_account *a, int64_t now_ns, int64_t *ret_wait_ns)
{
	int64_t share_ns, ahead_ns, paid_until_ns = a->paid_until_ns;

	if (a->limits.connection_rate == QUOTA_NONE)
		return true;
	share_ns = NS_PER_S / (int64_t)a->limits.connection_rate;
	ahead_ns = share_ns * (int64_t)(a->limits.connection_burst - 1);
	if (paid_until_ns < now_ns)
		paid_until_ns = now_ns;
	if (paid_until_ns - now_ns > ahead_ns) {
		*ret_wait_ns = paid_until_ns - now_ns - ahead_ns;
		return false;
	}
	a->paid_until_ns = paid_until_ns + share_ns;
	return true;
}

void quota_each(struct quota_table *t, void (*each)(struct quota_account *a, void *arg), void *arg)
{
	struct name_node *n;

	for (n = names_after(t->accounts, "", true); n;
		n = names_after(t->accounts, name_of(n), false))
		each(list_entry(n, struct quota_account, node), arg);
}
