/*
 * blocks.c - all that go() needs of a blocks runtime, with clang: the class of blocks that capture
 * nothing. Nobody looks into it.
 */
#ifdef __clang__

extern void *_NSConcreteGlobalBlock[32];
void *_NSConcreteGlobalBlock[32];

#else

/* gcc has nested functions instead. */
typedef int blocks_unused;

#endif
