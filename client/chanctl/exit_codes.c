#include "client/chanctl/exit_codes.h"

#include "chan/status.h"

int exit_code_of(int status)
{
	static const unsigned char code_of[] = {
#define EXIT_CODE_ROW(name, code) [-CHAN_##name] = code,
		EXIT_CODE_LIST(EXIT_CODE_ROW)
#undef EXIT_CODE_ROW
	};

	if (status >= 0)
		return EXIT_DONE;
	/* A status that a newer library knows and we do not: its sentence says what it was. */
	if (status <= -(int)sizeof(code_of) || code_of[-status] == 0)
		return EXIT_PROTOCOL;
	return code_of[-status];
}
