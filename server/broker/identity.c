#include "server/broker/identity.h"

#include "server/broker/glob.h"
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct identity {
	atomic_uint refs;
	enum identity_kind kind;
	uint32_t uid;
	uint32_t *gids;
	char **names; /* of a certificate: the subject, then the others; of a token: its name */
	size_t gid_count, name_count;
	uint8_t digest[TOKEN_DIGEST_BYTES];
	char *label, *account;
};

/* ---- making ------------------------------------------------------------------------------- */

static struct identity *identity_new(enum identity_kind kind, size_t gids, size_t names)
{
	struct identity *i = calloc(1, sizeof(*i));

	if (!i)
		return NULL;
	i->kind = kind;
	atomic_init(&i->refs, 1);
	if (gids)
		i->gids = calloc(gids, sizeof(*i->gids));
	if (names)
		i->names = calloc(names, sizeof(*i->names));
	if ((i->gids || !gids) && (i->names || !names))
		return i;
	identity_unref(i);
	return NULL;
}

/* One that is too long counts as empty: a part of it could look like another's name. */
static void add_name(struct identity *i, const char *name)
{
	bool fits = strlen(name) <= IDENTITY_NAME_BYTES_MAX;

	i->names[i->name_count] = strdup(fits ? name : "");
	if (i->names[i->name_count])
		i->name_count++;
}

/* Writes a text piece by piece; what is missing for want of memory makes it NULL. */
struct text {
	char *bytes;
	size_t size;
	FILE *out;
};

static FILE *text_begin(struct text *t)
{
	*t = (struct text){0};
	t->out = open_memstream(&t->bytes, &t->size);
	return t->out;
}

static char *text_end(struct text *t)
{
	bool whole;

	if (!t->out)
		return NULL;
	whole = !ferror(t->out);
	if (fclose(t->out) == 0 && whole)
		return t->bytes;
	free(t->bytes);
	return NULL;
}

/* The identity, or NULL where something of it could not be kept. */
static struct identity *complete(struct identity *i, size_t names)
{
	if (i && i->label && i->account && i->name_count == names)
		return i;
	identity_unref(i);
	return NULL;
}

static char *printed(const char *format, const char *text)
{
	char *p;

	return asprintf(&p, format, text) < 0 ? NULL : p;
}

struct identity *identity_anonymous(const char *address)
{
	struct identity *i = identity_new(IDENTITY_ANONYMOUS, 0, 0);

	if (!i)
		return NULL;
	i->label = printed(*address ? "an anonymous client at %s" : "an anonymous client", address);
	i->account = printed("anonymous@%s", address);
	return complete(i, 0);
}

static char *user_label(const struct identity *i)
{
	struct text t;

	if (text_begin(&t)) {
		fprintf(t.out, "user %" PRIu32 " (groups", i->uid);
		for (size_t k = 0; k < i->gid_count; k++)
			fprintf(t.out, " %" PRIu32, i->gids[k]);
		fputc(')', t.out);
	}
	return text_end(&t);
}

struct identity *identity_user(uint32_t uid, uint32_t gid, const uint32_t *gids, size_t count)
{
	struct identity *i;

	if (count > IDENTITY_GROUPS_MAX)
		count = IDENTITY_GROUPS_MAX;
	i = identity_new(IDENTITY_USER, count + 1, 0);
	if (!i)
		return NULL;
	i->uid = uid;
	i->gids[i->gid_count++] = gid;
	for (size_t k = 0; k < count; k++)
		if (gids[k] != gid)
			i->gids[i->gid_count++] = gids[k];
	i->label = user_label(i);
	if (asprintf(&i->account, "user:%" PRIu32, uid) < 0)
		i->account = NULL;
	return complete(i, 0);
}

static char *certificate_account(const struct identity *i)
{
	struct text t;

	if (text_begin(&t)) {
		fputs("cert:", t.out);
		for (size_t k = 0; k < i->name_count; k++)
			fprintf(t.out, "%s%s", k ? "\n" : "", i->names[k]);
	}
	return text_end(&t);
}

struct identity *identity_certificate(const char *subject, const char *const *names, size_t count)
{
	struct identity *i;

	if (count > IDENTITY_NAMES_MAX)
		count = IDENTITY_NAMES_MAX;
	i = identity_new(IDENTITY_CERT, 0, count + 1);
	if (!i)
		return NULL;
	add_name(i, subject);
	for (size_t k = 0; k < count; k++)
		add_name(i, names[k]);
	i->label = printed("certificate %s", *subject || !count ? subject : names[0]);
	i->account = certificate_account(i);
	return complete(i, count + 1);
}

struct identity *identity_token(const char *name, const uint8_t digest[static TOKEN_DIGEST_BYTES])
{
	struct identity *i = identity_new(IDENTITY_TOKEN, 0, 1);

	if (!i)
		return NULL;
	add_name(i, name);
	memcpy(i->digest, digest, TOKEN_DIGEST_BYTES);
	i->label = printed("token %s", name);
	i->account = printed("token:%s", name);
	return complete(i, 1);
}

struct identity *identity_ref(struct identity *i)
{
	if (i)
		atomic_fetch_add_explicit(&i->refs, 1, memory_order_relaxed);
	return i;
}

void identity_unref(struct identity *i)
{
	if (!i || atomic_fetch_sub(&i->refs, 1) != 1)
		return;
	for (size_t k = 0; k < i->name_count; k++)
		free(i->names[k]);
	free(i->names);
	free(i->gids);
	free(i->label);
	free(i->account);
	free(i);
}

/* ---- asking ------------------------------------------------------------------------------- */

bool identity_equal(const struct identity *a, const struct identity *b)
{
	if (!a || !b || a->kind != b->kind)
		return a == b;
	return a->kind == IDENTITY_ANONYMOUS || strcmp(a->account, b->account) == 0;
}

static bool same_names(const struct identity *a, const struct identity *b)
{
	if (a->name_count != b->name_count)
		return false;
	for (size_t k = 0; k < a->name_count; k++)
		if (strcmp(a->names[k], b->names[k]) != 0)
			return false;
	return true;
}

/* The label of a user shows all groups; the account of a certificate shows all names, but not where
 * one ends, as a name may have a line break in it. */
bool identity_same(const struct identity *a, const struct identity *b)
{
	return a->kind == b->kind && strcmp(a->account, b->account) == 0 &&
	       strcmp(a->label, b->label) == 0 && same_names(a, b) &&
	       memcmp(a->digest, b->digest, TOKEN_DIGEST_BYTES) == 0;
}

enum identity_kind identity_kind(const struct identity *i)
{
	return i->kind;
}

const uint8_t *identity_digest(const struct identity *i)
{
	return i->digest;
}

const char *identity_label(const struct identity *i)
{
	return i ? i->label : "nobody that is known";
}

const char *identity_account(const struct identity *i)
{
	return i ? i->account : "";
}

/* ---- patterns ----------------------------------------------------------------------------- */

static int find_user(const char *name, uint32_t *ret_id)
{
	const struct passwd *pw = getpwnam(name);

	if (pw)
		*ret_id = pw->pw_uid;
	return pw ? 0 : -ENOENT;
}

static int find_group(const char *name, uint32_t *ret_id)
{
	const struct group *gr = getgrnam(name);

	if (gr)
		*ret_id = gr->gr_gid;
	return gr ? 0 : -ENOENT;
}

static bool parse_id(const char *text, uint32_t *ret_id)
{
	unsigned long n;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoul(text, &end, 10);
	*ret_id = (uint32_t)n;
	return errno == 0 && *end == '\0' && n < UINT32_MAX;
}

static const struct who_row {
	const char *prefix;
	enum who_kind kind;
	int (*find)(const char *name, uint32_t *ret_id); /* NULL: what follows is a glob */
	const char *word;
} who_rows[] = {
	{"user:", WHO_USER, find_user, "user"},
	{"group:", WHO_GROUP, find_group, "group"},
	{"cert:", WHO_CERT, NULL, NULL},
	{"token:", WHO_TOKEN, NULL, NULL},
};

static int parse_rest(
	const struct who_row *row, const char *rest, struct who *w, char *why, size_t why_bytes)
{
	if (!*rest) {
		snprintf(why, why_bytes, "nothing stands behind '%s'", row->prefix);
		return -EINVAL;
	}
	w->any = strcmp(rest, "*") == 0;
	if (!row->find) {
		w->glob = strdup(rest);
		if (!w->glob)
			snprintf(why, why_bytes, "out of memory");
		return w->glob ? 0 : -ENOMEM;
	}
	if (w->any || parse_id(rest, &w->id) || row->find(rest, &w->id) == 0)
		return 0;
	snprintf(why, why_bytes, "there is no %s '%.64s'", row->word, rest);
	return -EINVAL;
}

int who_parse(const char *text, struct who *ret_who, char *why, size_t why_bytes)
{
	*ret_who = (struct who){.kind = WHO_EVERYBODY};
	if (strcmp(text, "*") == 0)
		return 0;
	ret_who->kind = WHO_ANONYMOUS;
	if (strcmp(text, "anonymous") == 0)
		return 0;
	for (size_t i = 0; i < sizeof(who_rows) / sizeof(who_rows[0]); i++) {
		const struct who_row *row = &who_rows[i];

		ret_who->kind = row->kind;
		if (strncmp(text, row->prefix, strlen(row->prefix)) == 0)
			return parse_rest(row, text + strlen(row->prefix), ret_who, why, why_bytes);
	}
	snprintf(why, why_bytes,
		"'%.64s' is not one of *, anonymous, user:NAME, group:NAME, cert:NAME, token:NAME",
		text);
	return -EINVAL;
}

void who_fini(struct who *w)
{
	free(w->glob);
	w->glob = NULL;
}

static bool in_group(const struct identity *i, uint32_t gid)
{
	for (size_t k = 0; k < i->gid_count; k++)
		if (i->gids[k] == gid)
			return true;
	return false;
}

/* Which of a certificate's names a pattern is about shows in its form, so that a name of one kind
 * cannot pass for one of another. */
static bool has_name(const struct identity *i, const char *glob)
{
	char sign = glob[strcspn(glob, "=:")];
	size_t skip = sign == ':' ? 0 : strlen("DNS:");

	if (sign == '=')
		return glob_match(glob, i->names[0]);
	for (size_t k = 1; k < i->name_count; k++)
		if ((skip == 0 || strncmp(i->names[k], "DNS:", skip) == 0) &&
			glob_match(glob, i->names[k] + skip))
			return true;
	return false;
}

bool who_matches(const struct who *w, const struct identity *i)
{
	if (w->kind == WHO_EVERYBODY || !i)
		return w->kind == WHO_EVERYBODY;
	switch (w->kind) {
	case WHO_ANONYMOUS:
		return i->kind == IDENTITY_ANONYMOUS;
	case WHO_USER:
		return i->kind == IDENTITY_USER && (w->any || i->uid == w->id);
	case WHO_GROUP:
		return i->kind == IDENTITY_USER && (w->any || in_group(i, w->id));
	case WHO_CERT:
		return i->kind == IDENTITY_CERT && (w->any || has_name(i, w->glob));
	default:
		return i->kind == IDENTITY_TOKEN && glob_match(w->glob, i->names[0]);
	}
}
