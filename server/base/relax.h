/* relax.h - one step of a short busy wait. */
#ifndef CHAND_BASE_RELAX_H
#define CHAND_BASE_RELAX_H

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb" ::: "memory");
#endif
}

#endif
