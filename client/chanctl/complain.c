#include "client/chanctl/complain.h"

#include <stdio.h>

void complain_v(const char *format, va_list arguments)
{
	flockfile(stderr);
	fputs("chanctl: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	funlockfile(stderr);
}

void complain(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	complain_v(format, arguments);
	va_end(arguments);
}
