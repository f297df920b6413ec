#include "config.h"

#include "server/runtime/stack.h"

#include "server/base/lock.h"
#include "server/base/panic.h"
#include "server/runtime/guard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

/* Few enough mappings for millions of stacks, small enough to reserve one for a few. */
#define SLAB_BYTES ((size_t)64 << 20)

enum { CACHE_LINE_BYTES = 64, COLOURS = 16, SLAB_STACKS_MAX = SLAB_BYTES / (16 << 10) };

struct slab {
	char *base;
	uint64_t cold[SLAB_STACKS_MAX / 64]; /* a bit a stack */
};

static struct {
	struct lock lock; /* guards `cold` of all slabs, `in_use`, `first_cold` and growth */
	size_t page_bytes;
	size_t stack_bytes;
	uint32_t stacks_a_slab;
	uint32_t in_use;
	uint32_t in_use_max;
	uint32_t first_cold;         /* no slab before this one has a cold stack */
	_Atomic uint32_t slab_count; /* stored with release after slabs[] was */
	uint32_t slabs_max;
	struct slab **slabs;
} stacks = {.lock = LOCK_INIT(LOCK_RANK_STACK)};

static bool is_cold(const struct slab *slab, uint32_t i)
{
	return __atomic_load_n(&slab->cold[i / 64], __ATOMIC_RELAXED) >> (i % 64) & 1;
}

static void set_cold(struct slab *slab, uint32_t i, bool cold)
{
	uint64_t bit = UINT64_C(1) << (i % 64), word = slab->cold[i / 64];

	__atomic_store_n(&slab->cold[i / 64], cold ? word | bit : word & ~bit, __ATOMIC_RELAXED);
}

/* The lowest byte of stack i, where its guard begins. */
static char *stack_base(const struct slab *slab, uint32_t i)
{
	return slab->base + i * stacks.stack_bytes;
}

static struct goroutine *stack_goroutine(const struct slab *slab, uint32_t i)
{
	size_t room = (sizeof(struct goroutine) + CACHE_LINE_BYTES - 1) & -(size_t)CACHE_LINE_BYTES;
	char *high = stack_base(slab, i) + stacks.stack_bytes;

	return (struct goroutine *)(high - i % COLOURS * CACHE_LINE_BYTES - room);
}

static char *goroutine_base(const struct goroutine *g)
{
	return stack_base(
		stacks.slabs[g->slot / stacks.stacks_a_slab], g->slot % stacks.stacks_a_slab);
}

void *stack_low(const struct goroutine *g)
{
	return goroutine_base(g) + stacks.page_bytes;
}

struct goroutine *stack_guarded_at(const void *address)
{
	uint32_t count = atomic_load_explicit(&stacks.slab_count, memory_order_acquire);

	for (uint32_t s = 0; s < count; s++) {
		const struct slab *slab = stacks.slabs[s];
		size_t at = (size_t)((uintptr_t)address - (uintptr_t)slab->base);

		if (at < SLAB_BYTES && at % stacks.stack_bytes < stacks.page_bytes)
			return stack_goroutine(slab, (uint32_t)(at / stacks.stack_bytes));
	}
	return NULL;
}

size_t stack_usable_bytes(void)
{
	return stacks.stack_bytes - stacks.page_bytes;
}

int stack_protect(struct goroutine *g, bool guarded)
{
	int protection = guarded ? PROT_NONE : PROT_READ | PROT_WRITE;

	return mprotect(goroutine_base(g), stacks.page_bytes, protection) < 0 ? -errno : 0;
}

static struct slab *slab_new(void)
{
	struct slab *slab = malloc(sizeof(*slab));

	if (!slab)
		return NULL;
	slab->base = mmap(NULL, SLAB_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (slab->base == MAP_FAILED) {
		free(slab);
		return NULL;
	}
	/* A huge page would make the first touch of one stack resident for 32. The kernel may have
	 * none (EINVAL): then there is nothing to forbid. */
	madvise(slab->base, SLAB_BYTES, MADV_NOHUGEPAGE);
	memset(slab->cold, 0xff, sizeof(slab->cold));
	sanitizer_slab_new(slab->base, SLAB_BYTES);
	return slab;
}

static void slab_free(struct slab *slab)
{
	sanitizer_slab_gone(slab->base, SLAB_BYTES);
	munmap(slab->base, SLAB_BYTES);
	free(slab);
}

/* Is MADV_GUARD_INSTALL there? Tried where it will be used; and since emulators call any advice well
 * taken, the kernel is asked to write there, which it has to refuse. */
static bool madvise_guards_work(void)
{
	void *page = stacks.slabs[0]->base;

	if (madvise(page, stacks.page_bytes, MADV_GUARD_INSTALL) < 0)
		return false;
	return syscall(SYS_getrandom, page, 1, GRND_NONBLOCK) < 0 && errno == EFAULT;
}

static int choose_guards(const struct go_options *options)
{
	if (options->guards == GO_GUARDS_AUTO && SANITIZER_WANTS_MAPPED_GUARDS)
		return guard_init(options->guards_max);
	if (options->guards != GO_GUARDS_MPROTECT && madvise_guards_work())
		return 0;
	if (options->guards == GO_GUARDS_MADVISE)
		return -EINVAL;
	return guard_init(options->guards_max);
}

int stack_init(const struct go_options *options)
{
	int rc;

	stacks.page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	stacks.stack_bytes = options->stack_bytes;
	stacks.stacks_a_slab = (uint32_t)(SLAB_BYTES / stacks.stack_bytes);
	stacks.in_use = 0;
	stacks.in_use_max = options->goroutines_max;
	stacks.first_cold = 0;
	stacks.slabs_max = (stacks.in_use_max - 1) / stacks.stacks_a_slab + 1;
	stacks.slabs = calloc(stacks.slabs_max, sizeof(struct slab *));
	if (!stacks.slabs)
		return -ENOMEM;
	stacks.slabs[0] = slab_new();
	if (!stacks.slabs[0]) {
		free(stacks.slabs);
		return -ENOMEM;
	}
	atomic_store(&stacks.slab_count, 1);
	rc = choose_guards(options);
	if (rc < 0)
		stack_fini();
	return rc;
}

void stack_fini(void)
{
	uint32_t count, cursor = 0;
	struct goroutine *g;

	while ((g = stack_walk(&cursor)))
		sanitizer_stack_gone(&g->context.sanitizer);
	count = atomic_exchange(&stacks.slab_count, 0);
	for (uint32_t i = 0; i < count; i++)
		slab_free(stacks.slabs[i]);
	free(stacks.slabs);
	stacks.slabs = NULL;
	guard_fini();
}

/* The first cold stack of a slab, or -1. */
static int find_cold(const struct slab *slab)
{
	for (uint32_t w = 0; w < (stacks.stacks_a_slab + 63) / 64; w++)
		if (slab->cold[w])
			return (int)(w * 64 + (uint32_t)__builtin_ctzll(slab->cold[w]));
	return -1;
}

/* Takes the lowest cold stack, growing by a slab where there is none; its number or -errno. */
static int64_t take_cold(void)
{
	uint32_t count = atomic_load_explicit(&stacks.slab_count, memory_order_relaxed);
	int i = -1;

	if (stacks.in_use == stacks.in_use_max)
		return -EAGAIN;
	for (; stacks.first_cold < count; stacks.first_cold++) {
		i = find_cold(stacks.slabs[stacks.first_cold]);
		if (i >= 0)
			break;
	}
	if (i < 0) {
		struct slab *slab = count < stacks.slabs_max ? slab_new() : NULL;

		if (!slab)
			return -ENOMEM;
		stacks.slabs[count] = slab;
		atomic_store_explicit(&stacks.slab_count, count + 1, memory_order_release);
		i = 0;
	}
	set_cold(stacks.slabs[stacks.first_cold], (uint32_t)i, false);
	stacks.in_use++;
	return (int64_t)stacks.first_cold * stacks.stacks_a_slab + i;
}

static void give_cold(uint32_t slot)
{
	uint32_t slab = slot / stacks.stacks_a_slab;

	lock_acquire(&stacks.lock);
	set_cold(stacks.slabs[slab], slot % stacks.stacks_a_slab, true);
	stacks.in_use--;
	if (slab < stacks.first_cold)
		stacks.first_cold = slab;
	lock_release(&stacks.lock);
}

int stack_alloc(struct goroutine **ret_g)
{
	struct goroutine *g;
	struct slab *slab;
	int64_t slot;
	uint32_t i;
	char *low;

	lock_acquire(&stacks.lock);
	slot = take_cold();
	lock_release(&stacks.lock);
	if (slot < 0)
		return (int)slot;

	slab = stacks.slabs[slot / stacks.stacks_a_slab];
	i = (uint32_t)slot % stacks.stacks_a_slab;
	if (!guard_cached &&
		madvise(stack_base(slab, i), stacks.page_bytes, MADV_GUARD_INSTALL) < 0) {
		give_cold((uint32_t)slot);
		return -ENOMEM;
	}
	g = stack_goroutine(slab, i);
	g->slot = (uint32_t)slot;
	low = stack_low(g);
	sanitizer_stack_new(&g->context.sanitizer, low, (size_t)((char *)g - low));
	*ret_g = g;
	return 0;
}

void stack_trim(struct goroutine *g)
{
	char *base = goroutine_base(g);

	madvise(base + stacks.page_bytes, stacks.stack_bytes - 2 * stacks.page_bytes, MADV_DONTNEED);
}

void stack_free(struct goroutine *g)
{
	uint32_t slot = g->slot;
	char *base = goroutine_base(g);

	if (guard_cached)
		guard_forget(g);
	sanitizer_stack_gone(&g->context.sanitizer);
	/* Where guards are for good they survive this, and their range is not touched anyway. */
	if (madvise(base + stacks.page_bytes, stacks.stack_bytes - stacks.page_bytes,
		    MADV_DONTNEED) < 0)
		memset(g, 0, sizeof(*g)); /* locked into memory: zero all the same */
	give_cold(slot);
}

struct goroutine *stack_walk(uint32_t *cursor)
{
	uint32_t count = atomic_load_explicit(&stacks.slab_count, memory_order_acquire);

	while (*cursor < count * stacks.stacks_a_slab) {
		const struct slab *slab = stacks.slabs[*cursor / stacks.stacks_a_slab];
		uint32_t i = *cursor % stacks.stacks_a_slab;

		++*cursor;
		if (!is_cold(slab, i))
			return stack_goroutine(slab, i);
	}
	return NULL;
}
