/*
 * stat_json.h - a channel's state as JSON: of stat, ls and top.
 */
#ifndef CHANCTL_STAT_JSON_H
#define CHANCTL_STAT_JSON_H

#include <jansson.h>

#include "chan/chan.h"

/* An object of the caller's; NULL: out of memory. */
json_t *stat_json(const struct chan_stat *stat);

#endif
