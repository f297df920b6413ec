#include "tests/torture/faults.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- the page ----------------------------------------------------------------------------- */

static struct fault_page own_page;
static struct fault_page *_Atomic page_in_use;

static struct fault_page *map_page(const char *path, int flags)
{
	int fd = open(path, flags | O_RDWR | O_CLOEXEC, 0600);
	void *page = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, sizeof(struct fault_page)) == 0)
		page = mmap(NULL, sizeof(struct fault_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			0);
	if (page == MAP_FAILED) {
		fprintf(stderr, "cannot map %s\n", path);
		abort();
	}
	close(fd);
	return page;
}

struct fault_page *fault_page_new(const char *path)
{
	return map_page(path, O_CREAT | O_TRUNC);
}

/* The wrapped calls look here, so mapping it must not be caught: until it is mapped the page in use
 * is the program's own, where nothing is armed. */
struct fault_page *fault_page(void)
{
	struct fault_page *page = atomic_load(&page_in_use);
	const char *path;

	if (page)
		return page;
	atomic_store(&page_in_use, &own_page);
	path = getenv("CHAND_FAULTS");
	if (path)
		atomic_store(&page_in_use, map_page(path, 0));
	return atomic_load(&page_in_use);
}

void fault_arm(struct fault_page *page, enum fault kind, int64_t n, int64_t run)
{
	atomic_store(&page->hits, 0);
	atomic_store(&page->every, 0);
	atomic_store(&page->run, run);
	atomic_store(&page->left, n - 1);
	atomic_store(&page->kind, kind);
}

void fault_arm_every(struct fault_page *page, enum fault kind, int64_t n, int64_t every)
{
	fault_arm(page, kind, n, 0);
	atomic_store(&page->every, every);
}

int64_t fault_disarm(struct fault_page *page)
{
	atomic_store(&page->kind, FAULT_NONE);
	return atomic_load(&page->hits);
}

const char *fault_name(enum fault kind)
{
#define FAULT_NAME(name, what) [FAULT_##name] = #name ": " what,
	static const char *const names[] = {FAULT_LIST(FAULT_NAME)};
#undef FAULT_NAME

	return names[kind];
}

static atomic_bool client_came;

/* With a period: between two calls that fail as many succeed, from the first client on. */
static bool fails_periodically(struct fault_page *page, int64_t every)
{
	if (!atomic_load(&client_came) || atomic_fetch_sub(&page->left, 1) > 0)
		return false;
	atomic_store(&page->left, every - 1);
	atomic_fetch_add(&page->hits, 1);
	return true;
}

/* Whether this call of that kind is to fail. */
static bool fails(enum fault kind)
{
	struct fault_page *page = fault_page();
	int64_t every;

	if (atomic_load(&page->kind) != (uint32_t)kind)
		return false;
	every = atomic_load(&page->every);
	if (every)
		return fails_periodically(page, every);
	if (atomic_fetch_sub(&page->left, 1) > 0)
		return false;
	if (atomic_fetch_add(&page->hits, 1) < atomic_load(&page->run))
		return true;
	atomic_fetch_sub(&page->hits, 1);
	return false;
}

static bool fails_with(enum fault kind, int error)
{
	if (!fails(kind))
		return false;
	errno = error;
	return true;
}

/* ---- the calls ----------------------------------------------------------------------------
 *
 * WRAP(result of failing, fault and errno ..., type, name, parameters, arguments): the linker gives
 * our objects __wrap_name for name (--wrap), and __real_name is what it was.
 */
#define WRAP(failed, condition, Type, name, parameters, arguments)                                 \
	Type __real_##name parameters;                                                             \
	Type __wrap_##name parameters;                                                             \
	Type __wrap_##name parameters                                                              \
	{                                                                                          \
		return (condition) ? (failed) : __real_##name arguments;                           \
	}

#define NO_MEMORY fails_with(FAULT_MEMORY, ENOMEM)
#define NO_DESCRIPTOR fails_with(FAULT_DESCRIPTORS, EMFILE)
#define INTERRUPTED fails_with(FAULT_INTERRUPTS, EINTR)
#define RESET fails_with(FAULT_RESET, ECONNRESET)
#define REFUSED fails_with(FAULT_KERNEL, EINVAL)

WRAP(NULL, NO_MEMORY, void *, malloc, (size_t n), (n))
WRAP(NULL, NO_MEMORY, void *, calloc, (size_t k, size_t n), (k, n))
WRAP(NULL, NO_MEMORY, void *, realloc, (void *p, size_t n), (p, n))
WRAP(NULL, NO_MEMORY, void *, aligned_alloc, (size_t a, size_t n), (a, n))
WRAP(NULL, NO_MEMORY, char *, strdup, (const char *s), (s))
WRAP(MAP_FAILED, NO_MEMORY, void *, mmap, (void *p, size_t n, int prot, int flags, int fd, off_t at),
	(p, n, prot, flags, fd, at))

WRAP(-1, NO_DESCRIPTOR, int, socket, (int family, int type, int protocol), (family, type, protocol))
WRAP(-1, NO_DESCRIPTOR, int, eventfd, (unsigned int n, int flags), (n, flags))
WRAP(-1, NO_DESCRIPTOR, int, epoll_create1, (int flags), (flags))
WRAP(-1, NO_DESCRIPTOR || fails_with(FAULT_RINGS, EMFILE), int, memfd_create,
	(const char *name, unsigned int flags), (name, flags))
WRAP(NULL, NO_DESCRIPTOR, FILE *, fopen, (const char *path, const char *mode), (path, mode))

int __real_accept4(int fd, struct sockaddr *a, socklen_t *n, int flags);
int __wrap_accept4(int fd, struct sockaddr *a, socklen_t *n, int flags);
int __wrap_accept4(int fd, struct sockaddr *a, socklen_t *n, int flags)
{
	int accepted = NO_DESCRIPTOR || INTERRUPTED ? -1 : __real_accept4(fd, a, n, flags);

	if (accepted >= 0)
		atomic_store(&client_came, true);
	return accepted;
}

/* A broken invariant, a panic and a fault in memory end here, after their dump. */
_Noreturn void __real_abort(void);
_Noreturn void __wrap_abort(void);
_Noreturn void __wrap_abort(void)
{
	atomic_fetch_add(&fault_page()->deaths, 1);
	__real_abort();
}

_Noreturn void __real__exit(int status);
_Noreturn void __wrap__exit(int status);
_Noreturn void __wrap__exit(int status)
{
	atomic_fetch_add(&fault_page()->deaths, 1);
	__real__exit(status);
}

WRAP(-1, INTERRUPTED || fails_with(FAULT_MEMORY, ENOSPC), int, fallocate,
	(int fd, int mode, off_t at, off_t n), (fd, mode, at, n))

WRAP(-1, INTERRUPTED, int, poll, (struct pollfd * p, nfds_t n, int ms), (p, n, ms))
WRAP(EAGAIN, fails(FAULT_THREADS), int, pthread_create,
	(pthread_t * t, const pthread_attr_t *a, void *(*f)(void *), void *arg), (t, a, f, arg))
WRAP(-1, REFUSED, ssize_t, getrandom, (void *p, size_t n, unsigned int flags), (p, n, flags))
WRAP(-1, REFUSED, int, madvise, (void *p, size_t n, int advice), (p, n, advice))
WRAP(-1, REFUSED, int, setsockopt, (int fd, int level, int name, const void *v, socklen_t n),
	(fd, level, name, v, n))

/* Reads and writes also come short. */
static size_t moved(size_t n)
{
	return n > 1 && fails(FAULT_SHORT) ? 1 : n;
}

WRAP(-1, INTERRUPTED, ssize_t, read, (int fd, void *p, size_t n), (fd, p, moved(n)))
WRAP(-1, INTERRUPTED || RESET, ssize_t, recv, (int fd, void *p, size_t n, int flags),
	(fd, p, moved(n), flags))
WRAP(-1, INTERRUPTED || RESET, ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags))
WRAP(-1, INTERRUPTED || fails_with(FAULT_SPACE, ENOSPC), ssize_t, write,
	(int fd, const void *p, size_t n), (fd, p, moved(n)))
WRAP(-1, INTERRUPTED || RESET, ssize_t, send, (int fd, const void *p, size_t n, int flags),
	(fd, p, moved(n), flags))

ssize_t __real_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
	struct iovec first;
	struct msghdr one = *m;

	if (INTERRUPTED || RESET ||
		(m->msg_controllen > 0 && fails_with(FAULT_RINGS, ETOOMANYREFS)))
		return -1;
	if (m->msg_iovlen == 0 || moved(m->msg_iov[0].iov_len) == m->msg_iov[0].iov_len)
		return __real_sendmsg(fd, m, flags);
	first = (struct iovec){m->msg_iov[0].iov_base, 1};
	one.msg_iov = &first;
	one.msg_iovlen = 1;
	return __real_sendmsg(fd, &one, flags);
}
