/*
 * fuzz.h - what the fuzzers have in common.
 *
 * A fuzzer is one file, fuzz_NAME.c, with the function that libFuzzer calls; AFL++ and `make check`
 * call it from standalone.c. It may be called any number of times and must leave nothing behind.
 * What must hold beyond what sanitizers see is said with fuzz_require.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Runs one input. 0. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define fuzz_require(condition)                                                                    \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* The next byte of an input, which the bytes are then behind; 0 at its end. */
static inline uint8_t fuzz_byte(const uint8_t **bytes, size_t *n)
{
	if (*n == 0)
		return 0;
	--*n;
	return *(*bytes)++;
}

#endif
