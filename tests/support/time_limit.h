/*
 * time_limit.h - when what a test forks ends by itself.
 *
 * run-test.sh ends a test: by one limit for the whole suite, longer where all is slower, and with a
 * dump of the goroutines. Children, and programs that start some, call this first.
 */
#ifndef SUPPORT_TIME_LIMIT_H
#define SUPPORT_TIME_LIMIT_H

#include <stdlib.h>
#include <unistd.h>

static inline void test_time_limit(void)
{
	const char *seconds = getenv("TEST_TIMEOUT");

	alarm(seconds && atoi(seconds) > 0 ? (unsigned int)atoi(seconds) : 120);
}

#endif
