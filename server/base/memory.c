#include "server/base/memory.h"

#include "server/base/clock.h"
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A look costs 5 us, or 14 where the time of calls is taken. So it is taken as often as what is left until
 * memory is tight could be filled, by several cores at once; no more often than that, and not much more
 * rarely. With 10 ms at most, a look fell into one of 300 round trips. */
#define LOOK_NS NS_PER_MS
#define LOOK_NS_MAX (100 * NS_PER_MS)
#define FILLED_BYTES_PER_MS (16u * 1024u * 1024u)

/* Giving back walks the whole heap. */
#define TRIM_NS NS_PER_S

/* What the allocator keeps for itself is not worth a walk if it is less, or less than an eighth of all. */
#define WASTE_BYTES_MIN (4u * 1024u * 1024u)

static struct {
	atomic_uint_fast64_t max_bytes; /* 0: none */
	atomic_int level;
	_Atomic int64_t next_look_ns, next_trim_ns;

	atomic_bool active;   /* somebody has looked since memory_settle last did */
	atomic_bool settling; /* somebody has claimed it, whose these are: */
	uint64_t waste_bytes, settled_bytes; /* at the last look; what trimming leaves */
} memory;

/* ---- what there is ------------------------------------------------------------------------ */

/* The text of a small file; false where there is none. */
static bool read_text(const char *path, char *text, size_t text_bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, text_bytes - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* What our control group (version 2) may have; UINT64_MAX: as much as there is. */
static uint64_t group_max(void)
{
	char group[512], path[600], text[64];
	uint64_t bytes;

	if (!read_text("/proc/self/cgroup", group, sizeof(group)) || strncmp(group, "0::/", 4) != 0)
		return UINT64_MAX;
	snprintf(path, sizeof(path), "/sys/fs/cgroup%.*s/memory.max", (int)strcspn(group + 3, "\n"),
		group + 3);
	if (!read_text(path, text, sizeof(text)) || sscanf(text, "%" SCNu64, &bytes) != 1)
		return UINT64_MAX;
	return bytes;
}

uint64_t memory_max_default(void)
{
	uint64_t all = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t ours = group_max();

	return (ours < all ? ours : all) / 4 * 3;
}

uint64_t memory_max(void)
{
	return atomic_load_explicit(&memory.max_bytes, memory_order_relaxed);
}

/* ---- what we hold ------------------------------------------------------------------------- */

/* Kept open, as there may be no descriptor left when it matters. */
static int statm(void)
{
	static atomic_int kept = -1;
	int fd = atomic_load(&kept), none = -1;

	if (fd >= 0)
		return fd;
	fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && !atomic_compare_exchange_strong(&kept, &none, fd)) {
		close(fd);
		return none;
	}
	return fd;
}

void memory_set_max(uint64_t bytes)
{
	statm();
	if (!bytes)
		bytes = memory_max_default();
	atomic_store(&memory.max_bytes, bytes);
	atomic_store(&memory.next_look_ns, 0);
}

/* "size resident shared ..." in pages. By strtoul: what sscanf takes was a tenth of a turn's
 * instructions on a broker that is looked at every millisecond. */
uint64_t memory_held_bytes(void)
{
	char text[128], *end;
	ssize_t n = pread(statm(), text, sizeof(text) - 1, 0);
	uint64_t resident, shared;

	text[n > 0 ? n : 0] = '\0';
	strtoull(text, &end, 10);
	resident = strtoull(end, &end, 10);
	shared = strtoull(end, &end, 10);
	return resident > shared ? (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

enum memory_level memory_level(void)
{
	return (enum memory_level)atomic_load_explicit(&memory.level, memory_order_relaxed);
}

static enum memory_level level_of(uint64_t bytes)
{
	uint64_t max = atomic_load(&memory.max_bytes);

	if (bytes > max)
		return MEMORY_FULL;
	if (bytes > max / 4 * 3)
		return MEMORY_SCARCE;
	return bytes > max / 8 * 5 ? MEMORY_TIGHT : MEMORY_FREE;
}

/* Whether it is time, and this caller is the one to do it. */
static bool is_due(_Atomic int64_t *next_ns, int64_t now_ns, int64_t every_ns)
{
	int64_t next = atomic_load_explicit(next_ns, memory_order_relaxed);

	return now_ns >= next && atomic_compare_exchange_strong(next_ns, &next, now_ns + every_ns);
}

static int64_t look_span_ns(uint64_t bytes)
{
	uint64_t tight = memory_max() / 8 * 5;
	uint64_t span_ns = bytes < tight ? (tight - bytes) / FILLED_BYTES_PER_MS * NS_PER_MS : 0;

	if (span_ns < LOOK_NS)
		return LOOK_NS;
	return span_ns < LOOK_NS_MAX ? (int64_t)span_ns : LOOK_NS_MAX;
}

static enum memory_level look(int64_t now_ns)
{
	uint64_t bytes = memory_held_bytes();
	enum memory_level level = level_of(bytes);

	if (bytes > WASTE_BYTES_MIN)
		atomic_store_explicit(&memory.active, true, memory_order_relaxed);
	atomic_store_explicit(&memory.level, level, memory_order_relaxed);
	atomic_store(&memory.next_look_ns, now_ns + look_span_ns(bytes));
	return level;
}

enum memory_level memory_look(int64_t now_ns)
{
	if (!memory_max() || !is_due(&memory.next_look_ns, now_ns, LOOK_NS))
		return memory_level();
	if (look(now_ns) != MEMORY_FREE && is_due(&memory.next_trim_ns, now_ns, TRIM_NS)) {
		malloc_trim(0);
		return look(now_ns);
	}
	return memory_level();
}

/* ---- after a burst ------------------------------------------------------------------------ */

bool memory_is_unsettled(void)
{
	return atomic_load_explicit(&memory.active, memory_order_relaxed) &&
	       !atomic_load_explicit(&memory.settling, memory_order_relaxed) &&
	       !atomic_exchange(&memory.settling, true);
}

void memory_put_off(void)
{
	atomic_store(&memory.settling, false);
}

/* What we hold and nobody has; goroutines' stacks are in it, too. */
static uint64_t waste_bytes(uint64_t held)
{
	struct mallinfo2 info = mallinfo2();
	uint64_t used = info.uordblks + info.hblkhd;

	return held > used ? held - used : 0;
}

bool memory_settle(void)
{
	bool active = atomic_exchange(&memory.active, false);
	uint64_t held = memory_held_bytes(), waste = waste_bytes(held), last = memory.waste_bytes;
	uint64_t much = memory.settled_bytes + held / 8 + WASTE_BYTES_MIN;

	memory.waste_bytes = waste;
	if (waste > much && last > much) {
		malloc_trim(0);
		memory.waste_bytes = memory.settled_bytes = waste_bytes(memory_held_bytes());
	} else if (active || waste > much) {
		return false;
	}
	if (waste < memory.settled_bytes)
		memory.settled_bytes = waste;
	memory_put_off();
	return true;
}
