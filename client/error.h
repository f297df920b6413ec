/*
 * error.h - what went wrong, in words: of an operation, and of the calling thread's last call.
 */
#ifndef CLIENT_ERROR_H
#define CLIENT_ERROR_H

#include "chan/chan.h"
#include "proto/wire.h"

/* Why an operation failed, kept until its outcome is taken. Zeroed: it did not. */
struct failure {
	int status;             /* CHAN_E... */
	char *text;             /* NULL: only the status is known */
	char *closed_by;        /* NULL: not known */
	char *reason;           /* NULL: none was given */
	int64_t closed_unix_ns; /* 0: not known */
};

/* Each replaces what f held; without memory only the status is kept. */
void failure_set(struct failure *f, int status, const char *text);
void failure_set_message(struct failure *f, const struct message *fail);
void failure_copy(struct failure *f, const struct failure *from);
void failure_fini(struct failure *f);

/* Makes the sentence the calling thread's last error and returns status. */
int error_say(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same from a failure: in its words, or else of what was asked ("send to") of whom ("jobs"; ""
 * where of nobody). */
int error_say_failure(const struct failure *f, const char *asked, const char *whom);

#endif
