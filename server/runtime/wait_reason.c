#include "server/runtime/wait_reason.h"

const char *wait_reason_words(enum wait_reason reason)
{
	static const char *const words[] = {
#define WAIT_REASON_WORDS(name, text) [name] = text,
		WAIT_REASON_LIST(WAIT_REASON_WORDS)
#undef WAIT_REASON_WORDS
	};

	return (unsigned)reason < WAIT_REASON_COUNT ? words[reason] : "unknown";
}
