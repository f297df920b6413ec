#include "config.h"

#include "client/chanctl/complain.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/chanctl/printable.h"

void complain_v(const char *format, va_list arguments)
{
	char *text;

	if (vasprintf(&text, format, arguments) < 0) {
		fputs("chanctl: out of memory\n", stderr);
		return;
	}
	printable(text);
	fprintf(stderr, "chanctl: %s\n", text);
	free(text);
}

void complain(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	complain_v(format, arguments);
	va_end(arguments);
}
