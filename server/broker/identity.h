/*
 * identity.h - who a client is, as far as the broker can tell, and patterns over that.
 *
 * A client is what it proves most strictly: the owner of a token; else the subject of a
 * certificate; else, over a Unix socket, a user with groups; else nobody that is known. It is one
 * of these, not all of them: who shows a token has the token's rights and not his user's too.
 *
 * An identity never changes, and is shared by counted references between goroutines. Nothing here
 * knows sockets: who has one asks it, and makes an identity of the answer.
 */
#ifndef BROKER_IDENTITY_H
#define BROKER_IDENTITY_H

#include "server/broker/token.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum identity_kind { IDENTITY_ANONYMOUS, IDENTITY_USER, IDENTITY_CERT, IDENTITY_TOKEN };

/* Groups of a user that are looked at; few have more than a dozen. */
#define IDENTITY_GROUPS_MAX 256u

/* Names in a certificate that are looked at, and bytes of each; a longer one matches nothing. */
#define IDENTITY_NAMES_MAX 64u
#define IDENTITY_NAME_BYTES_MAX 512u

struct identity;

/* Each returns one reference, NULL: out of memory. What they are given is copied. */

/* Nobody that is known. address: whose quota it shares, "192.0.2.1"; "" where there is none. */
struct identity *identity_anonymous(const char *address);

/* The user at the other end of a Unix socket. gids: supplementary groups, of which the first
 * IDENTITY_GROUPS_MAX count. */
struct identity *identity_user(uint32_t uid, uint32_t gid, const uint32_t *gids, size_t count);

/* The subject of a verified certificate ("CN=build7,O=Example") and its alternative names
 * ("DNS:build7.example.org", "URI:spiffe://..."), of which the first IDENTITY_NAMES_MAX count. */
struct identity *identity_certificate(const char *subject, const char *const *names, size_t count);

/* The owner of a token that is configured under that name. */
struct identity *identity_token(const char *name, const uint8_t digest[static TOKEN_DIGEST_BYTES]);

struct identity *identity_ref(struct identity *i); /* NULL is fine */
void identity_unref(struct identity *i);           /* NULL is fine */

/*
 * Whether both are the same client, so that one may go on with what the other has begun: the same
 * user (whatever the groups), token name, or subject and names. All whom nobody knows are alike.
 * NULL equals NULL only.
 */
bool identity_equal(const struct identity *a, const struct identity *b);

/* Whether both say the same of the client, so that one may stand for the other. Neither is NULL. */
bool identity_same(const struct identity *a, const struct identity *b);

enum identity_kind identity_kind(const struct identity *i);

/* Of a token: its digest. */
const uint8_t *identity_digest(const struct identity *i);

/* Who it is, for people: "user 1000 (groups 1000 27)", "token ci". Lives as long as i. NULL gives
 * "nobody that is known". */
const char *identity_label(const struct identity *i);

/* What its quotas are counted under: the same for those that are equal, but that those whom nobody
 * knows are told apart by their address. Lives as long as i. */
const char *identity_account(const struct identity *i);

/* ---- patterns ---- */

/*
 * One pattern of a rule:
 *   *                everybody
 *   anonymous        who proves nothing
 *   user:NAME        who comes over a Unix socket as that user; a number is a uid, * any user
 *   group:NAME       who does so with that group, a number is a gid, * any group
 *   cert:GLOB        whose certificate has a name like that: its subject where the pattern has a =
 *                    ("CN=build*,O=Example"), an alternative name with its kind where it has a :
 *                    ("URI:spiffe:*"), else one of the DNS names ("*.example.org")
 *   token:GLOB       who shows the token of such a name
 */
enum who_kind { WHO_EVERYBODY, WHO_ANONYMOUS, WHO_USER, WHO_GROUP, WHO_CERT, WHO_TOKEN };

struct who {
	enum who_kind kind;
	bool any;    /* all of that kind */
	uint32_t id; /* uid or gid */
	char *glob;  /* of WHO_CERT and WHO_TOKEN; owned */
};

/* Looks users' and groups' names up, so it may block. 0, or -EINVAL or -ENOMEM with what is wrong
 * in why. who_fini frees. */
int who_parse(const char *text, struct who *ret_who, char *why, size_t why_bytes);
void who_fini(struct who *w);

/* i NULL: only `*` does. */
bool who_matches(const struct who *w, const struct identity *i);

#endif
