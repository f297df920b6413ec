/*
 * log_limit.h - at most so many lines of one sort in a time, and a count of the rest.
 *
 * For lines that a client can cause as fast as it likes:
 *
 *	static struct log_limit breaches = LOG_LIMIT_INIT;
 *
 *	log_limited(&breaches, LOG_LEVEL_INFO, "session ends: %s", text);
 *
 * logs the first LOG_LIMIT_LINES of every LOG_LIMIT_NS, and tells with the first of the next how
 * many were left out. Any thread; keeps errno as log_line does.
 */
#ifndef CHAND_BASE_LOG_LIMIT_H
#define CHAND_BASE_LOG_LIMIT_H

#include "server/base/clock.h"
#include "server/base/lock.h"
#include "server/base/log.h"

/* Enough to see what happens, and a KiB a second at most. */
enum { LOG_LIMIT_LINES = 10 };
#define LOG_LIMIT_NS (10 * NS_PER_S)

struct log_limit {
	struct lock lock;  /* guards these: */
	int64_t until_ns;  /* the present time's end */
	uint32_t said;     /* lines of it */
	uint64_t left_out; /* since a line told of that */
};

#define LOG_LIMIT_INIT                                                                             \
	{                                                                                          \
		.lock = LOCK_INIT(LOCK_RANK_LOG)                                                   \
	}

/* Counts one more line: whether it is to be written, and how many to tell of that were not. */
bool log_limit_take(struct log_limit *l, int64_t now_ns, uint64_t *ret_left_out);

#define log_limited(limit, level, ...)                                                             \
	do {                                                                                       \
		uint64_t left_out_;                                                                \
                                                                                                   \
		if (log_limit_take(limit, clock_now_ns(), &left_out_)) {                           \
			if (left_out_)                                                             \
				log_left_out(level, LOG_SUBSYSTEM, left_out_);                     \
			log_line(level, LOG_SUBSYSTEM, __VA_ARGS__);                               \
		}                                                                                  \
	} while (0)

/* The line that tells of those that were left out. */
void log_left_out(enum log_level level, const char *subsystem, uint64_t count);

#endif
