#include "server/base/panic.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static _Atomic(void (*)(void)) panic_hook;

void panic_set_hook(void (*hook)(void))
{
	atomic_store(&panic_hook, hook);
}

void panic_at(const char *file, int line, const char *format, ...)
{
	void (*hook)(void) = atomic_exchange(&panic_hook, NULL);
	char text[512];
	va_list args;
	int n;

	n = snprintf(text, sizeof(text), "panic: %s:%d: ", file, line);
	if (n < 0 || n >= (int)sizeof(text))
		n = 0;
	va_start(args, format);
	vsnprintf(text + n, sizeof(text) - (size_t)n, format, args);
	va_end(args);
	dprintf(STDERR_FILENO, "%s\n", text);
	if (hook)
		hook();
	abort();
}
