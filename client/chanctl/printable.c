#include "client/chanctl/printable.h"

void printable(char *text)
{
	unsigned char *at = (unsigned char *)text;

	for (; *at != '\0'; at++) {
		/* UTF-8 has the second control characters, U+0080 to U+009F, behind this byte. */
		if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f)
			at[0] = at[1] = '?';
		if (*at < ' ' || *at == 0x7f)
			*at = '?';
	}
}
