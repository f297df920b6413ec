/*
 * nursery.c - see nursery.h.
 *
 * Who counts. The processor that fills a nursery counts what it cuts, for itself; whoever begins a
 * newborn takes one off `balance`, which therefore falls below zero while the nursery is open. Closing
 * it adds what was cut. So the step that makes it zero, closing or the last beginning, comes after all
 * others (each is release, and that one acquire), and frees the page.
 *
 * Dumps read nurseries that may end at any time, and whose page then holds frames. They copy a newborn's
 * facts, and believe them if the holder is still the nursery that it was, by its number.
 */
#include "config.h"

#include "server/runtime/nursery.h"

#include "server/runtime/sched.h"
#include "server/runtime/stack.h"
#include "server/runtime/stackpool.h"

struct nursery {
	struct goroutine *holder;
	_Atomic int32_t balance;
	int32_t cut;
	_Atomic uint32_t filled_bytes; /* stored with release after the newborns below it */
};

/* Each nursery has a number, its holder's id. */
static _Atomic uint64_t nurseries;

static size_t round_up(size_t bytes)
{
	return (bytes + _Alignof(struct newborn) - 1) & -_Alignof(struct newborn);
}

static size_t first_offset(void)
{
	return round_up(sizeof(struct nursery));
}

static struct nursery *nursery_of(const struct goroutine *holder)
{
	return stack_first_page(holder);
}

static struct nursery *nursery_open(struct processor *p)
{
	struct goroutine *holder = stack_pool_take(p);
	struct nursery *nursery = nursery_of(holder);

	sanitizer_stack_as_memory(nursery, (size_t)((char *)holder - (char *)nursery));
	nursery->holder = holder;
	nursery->cut = 0;
	atomic_init(&nursery->balance, 0);
	atomic_init(&nursery->filled_bytes, (uint32_t)first_offset());
	__atomic_store_n(&holder->id,
		atomic_fetch_add_explicit(&nurseries, 1, memory_order_relaxed), __ATOMIC_RELAXED);
	atomic_store_explicit(&holder->state, G_NURSERY, memory_order_release); /* nursery_walk */
	return nursery;
}

/* What was its newborns' is a stack's again: acquire, for what follows must not come before. */
static void nursery_free(struct processor *p, struct nursery *nursery)
{
	struct goroutine *holder = nursery->holder;

	atomic_exchange_explicit(&holder->state, G_DEAD, memory_order_acq_rel);
	stack_pool_put(p, holder);
}

/* Adds n to the balance; true when that made it zero. A run's only processor needs no locked
 * instruction. */
static bool balance_add(struct processor *p, struct nursery *nursery, int32_t n)
{
	int32_t now;

	if (!p || !p->runq.alone)
		return atomic_fetch_add_explicit(&nursery->balance, n, memory_order_acq_rel) == -n;
	now = atomic_load_explicit(&nursery->balance, memory_order_relaxed) + n;
	atomic_store_explicit(&nursery->balance, now, memory_order_relaxed);
	return now == 0;
}

static void nursery_close(struct processor *p, struct nursery *nursery)
{
	if (balance_add(p, nursery, nursery->cut))
		nursery_free(p, nursery);
}

static bool has_room(const struct nursery *nursery, size_t bytes)
{
	size_t room = (size_t)((char *)nursery->holder - (char *)nursery);

	return room - atomic_load_explicit(&nursery->filled_bytes, memory_order_relaxed) >= bytes;
}

static struct newborn *nursery_cut(struct nursery *nursery, size_t bytes)
{
	struct newborn *n = (struct newborn *)((char *)nursery +
		atomic_load_explicit(&nursery->filled_bytes, memory_order_relaxed));

	n->nursery = nursery;
	n->bytes = (uint32_t)bytes;
	nursery->cut++;
	return n;
}

struct newborn *newborn_new(struct processor *p, size_t args_bytes)
{
	size_t bytes = round_up(sizeof(struct newborn) + args_bytes);
	struct nursery *nursery = p ? p->nursery : nursery_open(NULL);
	struct newborn *n;

	if (p && (!nursery || !has_room(nursery, bytes))) {
		if (nursery)
			nursery_close(p, nursery);
		nursery = p->nursery = nursery_open(p);
	}
	n = nursery_cut(nursery, bytes);
	n->args_bytes = (uint32_t)args_bytes;
	if (!p)
		nursery_close(NULL, nursery);
	return n;
}

void newborn_publish(struct newborn *n)
{
	atomic_store_explicit(&n->nursery->filled_bytes,
		(uint32_t)((char *)n + n->bytes - (char *)n->nursery), memory_order_release);
}

void newborn_free(struct processor *p, struct newborn *n)
{
	struct nursery *nursery = n->nursery;

	atomic_store_explicit(&n->g.state, G_IDLE, memory_order_relaxed);
	if (balance_add(p, nursery, -1))
		nursery_free(p, nursery);
}

/* ---- For dumps ---- */

/* The newborn at *cursor, copied, and the cursor moved on; false past the last. All that is read may
 * have become something else: the sizes are checked against the page. */
static SANITIZER_RACY bool copy_newborn(const struct goroutine *holder, uint32_t *cursor, uint8_t *state, uint64_t *id,
	const struct go_site **site)
{
	const struct nursery *nursery = nursery_of(holder);
	const struct newborn *n = (const struct newborn *)((const char *)nursery + *cursor);
	size_t room = (size_t)((const char *)holder - (const char *)nursery);
	uint32_t bytes;

	if (*cursor >= atomic_load_explicit(&nursery->filled_bytes, memory_order_acquire) ||
		*cursor + sizeof(*n) > room)
		return false;
	*state = atomic_load_explicit(&n->g.state, memory_order_acquire);
	*id = __atomic_load_n(&n->g.id, __ATOMIC_ACQUIRE);
	*site = __atomic_load_n(&n->g.site, __ATOMIC_ACQUIRE);
	bytes = __atomic_load_n(&n->bytes, __ATOMIC_ACQUIRE);
	*cursor += bytes;
	return bytes >= sizeof(*n) && bytes < room && *cursor % _Alignof(struct newborn) == 0;
}

static bool is_nursery(const struct goroutine *holder, uint64_t number)
{
	return atomic_load_explicit(&holder->state, memory_order_acquire) == G_NURSERY &&
		__atomic_load_n(&holder->id, __ATOMIC_ACQUIRE) == number;
}

SANITIZER_RACY bool nursery_walk(const struct goroutine *holder, uint32_t *cursor, uint64_t *ret_id,
	const struct go_site **ret_site)
{
	uint64_t number = __atomic_load_n(&holder->id, __ATOMIC_ACQUIRE);
	uint8_t state = G_IDLE;

	if (*cursor == 0)
		*cursor = (uint32_t)first_offset();
	while (is_nursery(holder, number) &&
		copy_newborn(holder, cursor, &state, ret_id, ret_site) && is_nursery(holder, number))
		if (state == G_NEW)
			return true;
	return false;
}
