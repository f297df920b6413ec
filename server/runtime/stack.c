#include "config.h"

#include "server/runtime/stack.h"

#include "server/base/lock.h"
#include "server/base/panic.h"
#include "server/runtime/guard.h"
#include "server/runtime/sched.h"
#include "server/runtime/stackpool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef PIDFD_SELF
#define PIDFD_SELF (-10000)
#endif

/* Few enough mappings for millions of stacks, small enough to reserve one for a few. */
#define SLAB_BYTES ((size_t)64 << 20)

/* Stacks that become ready together: about what one page of the kernel's page tables maps, as stacks are
 * by default. */
enum { BLOCK_STACKS = 32 };

enum {
	CACHE_LINE_BYTES = 64,
	COLOURS = 16,
	SLAB_STACKS_MAX = SLAB_BYTES / (16 << 10),
	SLAB_BLOCKS_MAX = SLAB_STACKS_MAX / BLOCK_STACKS,
};

enum block_state {
	BLOCK_BARE,
	BLOCK_BUSY, /* some thread makes it ready */
	BLOCK_READY,
};

struct slab {
	char *base;
	uint8_t blocks[SLAB_BLOCKS_MAX];      /* enum block_state */
	uint64_t ready[SLAB_STACKS_MAX / 64]; /* a bit a stack */
	uint64_t used[SLAB_STACKS_MAX / 64];
};

static struct {
	struct lock lock; /* guards all slabs, the counts, and growth */
	size_t page_bytes;
	size_t stack_bytes; /* with its guard */
	uint32_t stacks_a_slab;
	uint32_t promised;
	uint32_t promised_max;
	uint32_t spare;              /* in use beyond the promised: what pools keep */
	uint32_t prepared;           /* ready or used */
	uint32_t first_bare;         /* no slab before this one has a bare block */
	uint32_t first_ready;        /* ... a ready stack */
	_Atomic uint32_t slab_count; /* stored with release after slabs[] was */
	uint32_t slabs_max;
	struct slab **slabs;
} stacks = {.lock = LOCK_INIT(LOCK_RANK_STACK)};

static bool is_used(const struct slab *slab, uint32_t i)
{
	return __atomic_load_n(&slab->used[i / 64], __ATOMIC_RELAXED) >> (i % 64) & 1;
}

/* A stack that was the one becomes the other. */
static void set_used(struct slab *slab, uint32_t i, bool used)
{
	uint64_t bit = UINT64_C(1) << (i % 64), word = slab->used[i / 64];

	__atomic_store_n(&slab->used[i / 64], used ? word | bit : word & ~bit, __ATOMIC_RELAXED);
	slab->ready[i / 64] ^= bit;
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

void *stack_first_page(const struct goroutine *g)
{
	return (void *)((uintptr_t)g & -(uintptr_t)stacks.page_bytes);
}

struct goroutine *stack_guarded_at(const void *address)
{
	uint32_t count = atomic_load_explicit(&stacks.slab_count, memory_order_acquire);

	for (uint32_t s = 0; s < count; s++) {
		const struct slab *slab = stacks.slabs[s];
		size_t at = (size_t)((uintptr_t)address - (uintptr_t)slab->base);
		size_t i = at / stacks.stack_bytes;

		if (i < stacks.stacks_a_slab && at % stacks.stack_bytes < stacks.page_bytes)
			return stack_goroutine(slab, (uint32_t)i);
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
	struct slab *slab = calloc(1, sizeof(*slab));

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
	stacks.stack_bytes = options->stack_bytes + stacks.page_bytes;
	/* Whole blocks: what is left of a slab is address space only (a half, with stacks of 1 MiB). */
	stacks.stacks_a_slab = (uint32_t)(SLAB_BYTES / stacks.stack_bytes) & -(uint32_t)BLOCK_STACKS;
	stacks.promised = stacks.prepared = 0;
	stacks.promised_max = options->goroutines_max;
	stacks.spare = stack_pool_keeps_max(options->procs);
	stacks.first_bare = stacks.first_ready = 0;
	/* Each thread may be about to make a block ready that another's would have spared it. */
	stacks.slabs_max = (stacks.promised_max + stacks.spare + MACHINES_MAX * BLOCK_STACKS - 1) /
			stacks.stacks_a_slab +
		1;
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

/* ---- Making ready ---- */

static int find_bare(const struct slab *slab)
{
	const uint8_t *bare = memchr(slab->blocks, BLOCK_BARE, stacks.stacks_a_slab / BLOCK_STACKS);

	return bare ? (int)(bare - slab->blocks) : -1;
}

static int slab_add(void)
{
	uint32_t count = atomic_load_explicit(&stacks.slab_count, memory_order_relaxed);
	struct slab *slab = count < stacks.slabs_max ? slab_new() : NULL;

	if (!slab)
		return -ENOMEM;
	stacks.slabs[count] = slab;
	atomic_store_explicit(&stacks.slab_count, count + 1, memory_order_release);
	return 0;
}

/* Finds a bare block and makes it busy, growing by a slab where there is none; its slab's number is
 * stacks.first_bare then. Its number there, or -ENOMEM. With the lock. */
static int claim_bare(void)
{
	int i, rc;

	for (;; stacks.first_bare++) {
		if (stacks.first_bare == atomic_load_explicit(&stacks.slab_count, memory_order_relaxed)) {
			rc = slab_add();
			if (rc < 0)
				return rc;
		}
		i = find_bare(stacks.slabs[stacks.first_bare]);
		if (i >= 0)
			break;
	}
	stacks.slabs[stacks.first_bare]->blocks[i] = BLOCK_BUSY;
	return i;
}

/* All guards by one system call, which costs half a microsecond a stack, a tenth of a microsecond less
 * than one each; Linux 6.15 allows it on ourselves. False where it is not to be had. */
static bool guard_at_once(const struct iovec guards[BLOCK_STACKS])
{
	return !SANITIZER_DISLIKES_PROCESS_MADVISE &&
		syscall(SYS_process_madvise, PIDFD_SELF, guards, (size_t)BLOCK_STACKS,
			MADV_GUARD_INSTALL, 0u) == (ssize_t)(BLOCK_STACKS * stacks.page_bytes);
}

static int guard_block(const struct slab *slab, uint32_t block)
{
	struct iovec guards[BLOCK_STACKS];

	if (guard_cached)
		return 0;
	for (uint32_t i = 0; i < BLOCK_STACKS; i++)
		guards[i] = (struct iovec){stack_base(slab, block * BLOCK_STACKS + i), stacks.page_bytes};
	if (guard_at_once(guards))
		return 0;
	for (uint32_t i = 0; i < BLOCK_STACKS; i++)
		if (madvise(guards[i].iov_base, guards[i].iov_len, MADV_GUARD_INSTALL) < 0)
			return -ENOMEM;
	return 0;
}

static void block_ready(uint32_t s, uint32_t block)
{
	uint32_t i = block * BLOCK_STACKS;

	stacks.slabs[s]->blocks[block] = BLOCK_READY;
	stacks.slabs[s]->ready[i / 64] |= (uint64_t)UINT32_MAX << (i % 64);
	stacks.prepared += BLOCK_STACKS;
	if (s < stacks.first_ready)
		stacks.first_ready = s;
}

static void block_bare_again(uint32_t s, uint32_t block)
{
	stacks.slabs[s]->blocks[block] = BLOCK_BARE;
	if (s < stacks.first_bare)
		stacks.first_bare = s;
}

/* Makes one more block ready: 0 or -ENOMEM. The lock is held, but for the system calls. */
static int prepare_block(void)
{
	int block = claim_bare(), rc;
	uint32_t s = stacks.first_bare;

	if (block < 0)
		return block;
	lock_release(&stacks.lock);
	rc = guard_block(stacks.slabs[s], (uint32_t)block);
	lock_acquire(&stacks.lock);
	if (rc < 0)
		block_bare_again(s, (uint32_t)block);
	else
		block_ready(s, (uint32_t)block);
	return rc;
}

int stack_promise(uint32_t n)
{
	int rc = 0;

	lock_acquire(&stacks.lock);
	if (n > stacks.promised_max - stacks.promised)
		n = stacks.promised_max - stacks.promised;
	stacks.promised += n;
	while (rc == 0 && n > 0 && stacks.prepared < stacks.promised + stacks.spare)
		rc = prepare_block();
	if (rc < 0)
		stacks.promised -= n;
	lock_release(&stacks.lock);
	if (rc < 0)
		return rc;
	return n > 0 ? (int)n : -EAGAIN;
}

/* ---- Taking and giving back ---- */

/* The first ready stack of a slab, or -1. */
static int find_ready(const struct slab *slab)
{
	for (uint32_t w = 0; w < (stacks.stacks_a_slab + 63) / 64; w++)
		if (slab->ready[w])
			return (int)(w * 64 + (uint32_t)__builtin_ctzll(slab->ready[w]));
	return -1;
}

/* The lowest ready stack. */
static uint32_t take_ready(void)
{
	uint32_t count = atomic_load_explicit(&stacks.slab_count, memory_order_relaxed);
	int i;

	for (;; stacks.first_ready++) {
		check(stacks.first_ready < count);
		i = find_ready(stacks.slabs[stacks.first_ready]);
		if (i >= 0)
			break;
	}
	set_used(stacks.slabs[stacks.first_ready], (uint32_t)i, true);
	return stacks.first_ready * stacks.stacks_a_slab + (uint32_t)i;
}

static void give_ready(uint32_t slot)
{
	uint32_t slab = slot / stacks.stacks_a_slab;

	lock_acquire(&stacks.lock);
	set_used(stacks.slabs[slab], slot % stacks.stacks_a_slab, false);
	if (slab < stacks.first_ready)
		stacks.first_ready = slab;
	lock_release(&stacks.lock);
}

struct goroutine *stack_take(void)
{
	struct goroutine *g;
	uint32_t slot;
	char *low;

	lock_acquire(&stacks.lock);
	slot = take_ready();
	lock_release(&stacks.lock);

	g = stack_goroutine(stacks.slabs[slot / stacks.stacks_a_slab], slot % stacks.stacks_a_slab);
	g->slot = slot;
	low = stack_low(g);
	sanitizer_stack_new(&g->context.sanitizer, low, (size_t)((char *)g - low));
	return g;
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
	give_ready(slot);
}

struct goroutine *stack_walk(uint32_t *cursor)
{
	uint32_t count = atomic_load_explicit(&stacks.slab_count, memory_order_acquire);

	while (*cursor < count * stacks.stacks_a_slab) {
		const struct slab *slab = stacks.slabs[*cursor / stacks.stacks_a_slab];
		uint32_t i = *cursor % stacks.stacks_a_slab;

		++*cursor;
		if (is_used(slab, i))
			return stack_goroutine(slab, i);
	}
	return NULL;
}
