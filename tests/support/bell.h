/*
 * bell.h - the client's bell, as a broker makes it that offers rings.
 */
#ifndef SUPPORT_BELL_H
#define SUPPORT_BELL_H

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct bell {
	int ring; /* the broker's: an eventfd */
	int hear; /* what is passed to the client: an epoll descriptor that tells of it */
};

/* 0 or -1. */
static inline int bell_init(struct bell *b)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLET};

	b->ring = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	b->hear = epoll_create1(EPOLL_CLOEXEC);
	return b->ring < 0 || b->hear < 0 ? -1 : epoll_ctl(b->hear, EPOLL_CTL_ADD, b->ring, &e);
}

static inline void bell_fini(struct bell *b)
{
	close(b->ring);
	close(b->hear);
}

#endif
