/*
 * privileges.h - becoming an ordinary user, for good.
 */
#ifndef SERVER_PRIVILEGES_H
#define SERVER_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Who to become. */
struct privileges {
	bool change; /* false: stay who we are */
	uid_t uid;
	gid_t gid;
	char user[256]; /* whose supplementary groups we take */
};

/*
 * Looks the names up, so it blocks. user "": stay who we are (then group is "" too); group "": the
 * user's own. 0, or -EINVAL with what is wrong in why.
 */
int privileges_find(const char *user, const char *group, struct privileges *ret_privileges,
	char *why, size_t why_bytes);

/*
 * Becomes who was found: groups, then the user, and makes sure that there is no way back. In any
 * case gives up the right to gain rights by exec (no_new_privs). Before there are threads. 0; or
 * -errno with a sentence in why, and the process must not go on.
 */
int privileges_drop(const struct privileges *p, char *why, size_t why_bytes);

#endif
