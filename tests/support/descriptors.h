/*
 * descriptors.h - descriptors that go over a Unix socket, and those that are open.
 */
#ifndef SUPPORT_DESCRIPTORS_H
#define SUPPORT_DESCRIPTORS_H

#include <dirent.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#define DESCRIPTORS_PASSED_MAX 8

/* Sends n bytes, and with the first of them so many descriptors. As sendmsg. */
static inline ssize_t descriptors_send(
	int socket, const void *bytes, size_t n, const int *fds, size_t count)
{
	union {
		struct cmsghdr header; /* for its alignment */
		char space[CMSG_SPACE(DESCRIPTORS_PASSED_MAX * sizeof(int))];
	} control = {.header = {CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec iov = {(void *)bytes, n};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (count > 0) {
		memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(count * sizeof(int));
	}
	return sendmsg(socket, &m, MSG_NOSIGNAL);
}

/* How many this process has open, and a few more. */
static inline int descriptors_open(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(folder))
		n++;
	closedir(folder);
	return n;
}

#endif
