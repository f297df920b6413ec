/*
 * wait_reason.h - why a goroutine is parked, in Go's words. Dumps and gdb show them.
 *
 * Give each place that parks its own reason, so that a dump alone says where a goroutine stands.
 */
#ifndef CHAND_RUNTIME_WAIT_REASON_H
#define CHAND_RUNTIME_WAIT_REASON_H

#define WAIT_REASON_LIST(X)                                                                         \
	X(WAIT_NONE, "")                                                                            \
	X(WAIT_CHAN_SEND, "chan send")                                                              \
	X(WAIT_CHAN_SEND_NIL, "chan send (nil chan)")                                               \
	X(WAIT_CHAN_RECEIVE, "chan receive")                                                        \
	X(WAIT_CHAN_RECEIVE_NIL, "chan receive (nil chan)")                                         \
	X(WAIT_SELECT, "select")                                                                    \
	X(WAIT_SELECT_NO_CASES, "select (no cases)")                                                \
	X(WAIT_SLEEP, "sleep")                                                                      \
	X(WAIT_IO, "IO wait")                                                                       \
	X(WAIT_SEMACQUIRE, "semacquire")                                                            \
	X(WAIT_TEST, "test")

enum wait_reason {
#define WAIT_REASON_ENUM(name, words) name,
	WAIT_REASON_LIST(WAIT_REASON_ENUM)
#undef WAIT_REASON_ENUM
	WAIT_REASON_COUNT,
};

/* The words of a reason; a static string. */
const char *wait_reason_words(enum wait_reason reason);

#endif
