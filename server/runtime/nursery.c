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

/* Each nursery has a number, its holder's id. */
static _Atomic uint64_t nurseries;

static size_t first_offset(void)
{
	return newborn_round_up(sizeof(struct nursery));
}

static struct nursery *nursery_of(const struct goroutine *holder)
{
	return stack_first_page(holder);
}

static struct nursery *nursery_open(struct processor *p)
{
	struct goroutine *holder = stack_pool_take(p ? &p->stacks : NULL);
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
void nursery_free(struct processor *p, struct nursery *nursery)
{
	struct goroutine *holder = nursery->holder;

	atomic_exchange_explicit(&holder->state, G_DEAD, memory_order_acq_rel);
	stack_pool_put(&p->stacks, holder);
}

static void nursery_close(struct processor *p, struct nursery *nursery)
{
	if (nursery_balance(p, nursery, nursery->cut))
		nursery_free(p, nursery);
}

struct newborn *newborn_new_slow(struct processor *p, size_t bytes)
{
	struct nursery *nursery = nursery_open(p);
	struct newborn *n = nursery_cut(nursery, bytes);

	if (!p) {
		nursery_close(NULL, nursery);
		return n;
	}
	if (p->nursery)
		nursery_close(p, p->nursery);
	p->nursery = nursery;
	return n;
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
