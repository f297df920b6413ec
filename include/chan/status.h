/*
 * chan/status.h - every outcome of a call or an operation, in one list.
 *
 * X(NAME, number, sentence). The C constant is CHAN_NAME with the negative of the number;
 * the number itself travels in the protocol (proto/PROTOCOL.md) and never changes its meaning.
 * The exit codes that chanctl makes of them stand in its manual page.
 */
#ifndef CHAN_STATUS_H
#define CHAN_STATUS_H

#define CHAN_STATUS_LIST(X)                                                                        \
	X(ECLOSED, 1, "the channel is closed")                                                     \
	X(EWOULDBLOCK, 2, "the operation would have to wait")                                      \
	X(ETIMEDOUT, 3, "the deadline passed; the operation had no effect")                        \
	X(ECANCELED, 4, "the operation was withdrawn; it had no effect")                           \
	X(ENOCHANNEL, 5, "there is no channel of that name")                                       \
	X(EEXIST, 6, "the channel exists with other attributes")                                   \
	X(ESTALE, 7, "that incarnation of the channel is no more")                                 \
	X(EREMOVED, 8, "the channel was removed meanwhile")                                        \
	X(EABORTED, 9, "the other side of the channel has died")                                   \
	X(EGONE, 10, "the delivery was revoked before it was confirmed")                           \
	X(ETYPE, 11, "the value does not fit the channel's type")                                  \
	X(ETOOLARGE, 12, "the value is larger than the broker allows")                             \
	X(EINVAL, 13, "an argument is not valid")                                                  \
	X(EWRONGEND, 14, "the end was not opened for that direction")                              \
	X(EPERM, 15, "not permitted")                                                              \
	X(ELIMIT, 16, "a configured limit is reached")                                             \
	X(ENOTSUP, 17, "not supported by this broker")                                             \
	X(EPROTOCOL, 18, "the other side broke the protocol")                                      \
	X(ESHUTDOWN, 19, "the broker is shutting down")                                            \
	X(ERESTARTED, 20, "the broker has restarted; it knows nothing of the session")             \
	X(EUNKNOWN, 21, "the session was lost before the outcome was known")                       \
	X(EREDIRECT, 22, "the channel is served by another broker")                                \
	X(EUNREACHABLE, 23, "the broker cannot be reached")                                        \
	X(ENOMEM, 24, "out of memory")                                                             \
	X(EAUTH, 25, "the credentials were not accepted")                                          \
	X(EDEADLOCK, 26, "all participants are asleep")

enum chan_status {
	CHAN_OK = 0,
#define CHAN_STATUS_CONSTANT(name, number, sentence) CHAN_##name = -(number),
	CHAN_STATUS_LIST(CHAN_STATUS_CONSTANT)
#undef CHAN_STATUS_CONSTANT
};

#endif
