/*
 * status.c - what a status is called and what it says.
 */
#include "proto/status.h"
#include <stddef.h>

static const struct {
	const char *name;
	const char *text;
} statuses[] = {{"OK", "success"},
#define STATUS_ROW(name, number, sentence) [number] = {#name, sentence},
	CHAN_STATUS_LIST(STATUS_ROW)
#undef STATUS_ROW
};

int status_known(int status)
{
	size_t count = sizeof(statuses) / sizeof(statuses[0]);

	return status <= 0 && status > -(int)count && statuses[-status].name;
}

const char *status_name(int status)
{
	return status_known(status) ? statuses[-status].name : "?";
}

const char *status_text(int status)
{
	return status_known(status) ? statuses[-status].text : "unknown status";
}
