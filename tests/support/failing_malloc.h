/*
 * failing_malloc.h - makes the n-th allocation of the code under test fail.
 *
 * Included by one file of a test that is linked with $(failing_malloc_ldflags); covers what is
 * linked statically.
 */
#ifndef SUPPORT_FAILING_MALLOC_H
#define SUPPORT_FAILING_MALLOC_H

#include <stddef.h>

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

/* Allocations that still succeed; negative: all of them. */
static int mallocs_left = -1;

static int malloc_fails(void)
{
	if (mallocs_left < 0)
		return 0;
	if (mallocs_left == 0)
		return 1;
	mallocs_left--;
	return 0;
}

void *__wrap_malloc(size_t bytes)
{
	return malloc_fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return malloc_fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
	return malloc_fails() ? NULL : __real_realloc(old, bytes);
}

#endif
