#include "client/lease.h"
#include "client/client.h"
#include <stdlib.h>
#include <string.h>

/* The index of the first lease whose id is not below the given one. */
static size_t find(const struct session *s, uint64_t delivery)
{
	size_t low = 0, high = s->lease_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->leases[middle].delivery < delivery)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* An end for a range of deliveries: the first lease behind it. */
static size_t find_end(const struct session *s, const struct wire_range *range)
{
	if (range->count > UINT64_MAX - range->first)
		return s->lease_count;
	return find(s, range->first + range->count);
}

static bool grow(struct session *s)
{
	size_t size = s->lease_size ? s->lease_size * 2 : 16;
	struct lease *grown;

	if (s->lease_count < s->lease_size)
		return true;
	grown = realloc(s->leases, size * sizeof(*grown));
	if (!grown)
		return false;
	s->leases = grown;
	s->lease_size = size;
	return true;
}

void lease_hold(struct session *s, uint64_t delivery, int64_t lease_ns)
{
	size_t at = find(s, delivery);

	if (!grow(s)) {
		s->doomed = CHAN_ENOMEM;
		return;
	}
	memmove(s->leases + at + 1, s->leases + at, (s->lease_count - at) * sizeof(*s->leases));
	s->leases[at] = (struct lease){delivery, clock_deadline_ns(lease_ns)};
	s->lease_count++;
}

void lease_forget(struct session *s, const struct wire_range *range)
{
	size_t from = find(s, range->first), to = find_end(s, range);

	if (from == to)
		return;
	memmove(s->leases + from, s->leases + to, (s->lease_count - to) * sizeof(*s->leases));
	s->lease_count -= to - from;
}

void lease_extended(struct session *s, const struct chan_op *extend)
{
	int64_t lease_ns = (int64_t)extend->m.settle.lease_ns;
	int64_t until_ns =
		lease_ns > INT64_MAX - extend->asked_ns ? INT64_MAX : extend->asked_ns + lease_ns;
	size_t i, at, end;

	if (op_failed(extend) && extend->failure.status != CHAN_EGONE)
		return;
	for (i = 0; i < extend->range_count; i++) {
		end = find_end(s, &extend->ranges[i]);
		for (at = find(s, extend->ranges[i].first); at < end; at++)
			s->leases[at].until_ns = until_ns;
	}
}

bool chan_lease_lost(struct chan *ch, const struct chan_value *v)
{
	struct chan_client *c = ch->client;
	struct session *s = &c->session;
	size_t at;
	bool lost;

	client_lock(c);
	client_flush(c);
	client_poll(c);
	at = find(s, v->delivery);
	lost = s->end.status < 0 || at == s->lease_count || s->leases[at].delivery != v->delivery ||
	       clock_now_ns() >= s->leases[at].until_ns;
	client_unlock(c);
	return lost;
}
