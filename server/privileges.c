#include "server/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int privileges_find(const char *user, const char *group, struct privileges *ret_privileges,
	char *why, size_t why_bytes)
{
	const struct passwd *pw = *user ? getpwnam(user) : NULL;
	const struct group *gr = *group ? getgrnam(group) : NULL;
	struct privileges p;

	memset(&p, 0, sizeof(p));
	p.change = *user != '\0';
	if (p.change && !pw) {
		snprintf(why, why_bytes, "user: there is no user '%.64s'", user);
		return -EINVAL;
	}
	if (*group && !p.change) {
		snprintf(why, why_bytes, "group: it is only changed together with user");
		return -EINVAL;
	}
	if (*group && !gr) {
		snprintf(why, why_bytes, "group: there is no group '%.64s'", group);
		return -EINVAL;
	}
	if (pw) {
		p.uid = pw->pw_uid;
		p.gid = gr ? gr->gr_gid : pw->pw_gid;
		snprintf(p.user, sizeof(p.user), "%s", pw->pw_name);
	}
	*ret_privileges = p;
	return 0;
}

/* Whether all ids are those, the saved ones too. */
static bool is_only(const struct privileges *p)
{
	uid_t uid[3];
	gid_t gid[3];

	if (getresuid(&uid[0], &uid[1], &uid[2]) < 0 || getresgid(&gid[0], &gid[1], &gid[2]) < 0)
		return false;
	for (int i = 0; i < 3; i++)
		if (uid[i] != p->uid || gid[i] != p->gid)
			return false;
	return true;
}

static int change(const struct privileges *p)
{
	if (initgroups(p->user, p->gid) < 0 || setresgid(p->gid, p->gid, p->gid) < 0 ||
		setresuid(p->uid, p->uid, p->uid) < 0)
		return -errno;
	/* Capabilities went with the last id that was 0; if any stayed, root could be had again. */
	if (!is_only(p) || (p->uid != 0 && (setuid(0) == 0 || seteuid(0) == 0)))
		return -ENOTRECOVERABLE;
	return 0;
}

int privileges_drop(const struct privileges *p, char *why, size_t why_bytes)
{
	int rc = 0;

	if (p->change && !is_only(p))
		rc = change(p);
	if (rc == -ENOTRECOVERABLE)
		snprintf(why, why_bytes, "user: '%s' could become root again", p->user);
	else if (rc < 0)
		snprintf(why, why_bytes, "user: cannot become '%s': %s", p->user, strerror(-rc));
	else if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		rc = -errno;
		snprintf(why, why_bytes, "cannot give up new privileges: %s", strerror(-rc));
	}
	return rc;
}
