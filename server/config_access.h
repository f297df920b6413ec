/*
 * config_access.h - the sections of the configuration file that say who may do what.
 *
 *	token "ci" { digest = "sha256:..." }
 *	rule "producers" { who = {"token:ci", "user:alice"}  may = {send, close}  channels =
 *{"jobs.*"} } quota "users" { who = {"user:*"}  connections = 100  buffered_bytes = 64M }
 *
 * chand.conf(5) says what each means. They exist in the file only.
 */
#ifndef SERVER_CONFIG_ACCESS_H
#define SERVER_CONFIG_ACCESS_H

#include "server/broker/access.h"
#include "server/config.h"
#include <confuse.h>

enum { CONFIG_SECTIONS = 3 };

/* Describes the sections to libconfuse. */
void config_access_options(cfg_opt_t options[static CONFIG_SECTIONS]);

/*
 * Makes what the sections of a file that was parsed say: one reference, or NULL where there are
 * none. Looks up users and groups, so it blocks. 0, or -EINVAL or -ENOMEM with "PATH:LINE: ..." in
 * why.
 */
int config_access_read(cfg_t *file, const char *path, struct access **ret_access,
	char why[static CONFIG_WHY_BYTES_MAX]);

#endif
