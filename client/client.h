/*
 * client.h - a client: its session, its connection, and the threads that share them.
 *
 * One lock guards everything. It is not held across a system call: a thread that reads holds the
 * role `reading`, one that writes holds `writing`, and the other threads that block wait on a
 * condition of their own until their operation is answered or the reader's role is free. So what
 * gathers while one thread writes leaves in one piece.
 *
 * A connection that is lost is made again by a thread of the keeper's (keeper.h), or, in a client
 * without one, by whoever waits; the others wait meanwhile. Whoever does it has both roles.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "chan/chan.h"
#include "client/clock.h"
#include "client/credentials.h"
#include "client/keeper.h"
#include "client/reconnect.h"
#include "client/rings.h"
#include "client/session.h"
#include "client/stream.h"
#include "client/tls.h"
#include <pthread.h>
#include <stdatomic.h>

/*
 * A thread that blocks in a call. Taken from the client's pool and given back to it, never freed
 * before the client: threads are woken after the lock is given up, and whoever does that may come
 * late (the next user of the waiter is then woken for nothing).
 */
struct waiter {
	struct waiter *prev, *next; /* of client.waiters; next alone of client.idle_waiters */
	struct waiter *next_waking; /* of client.waking */
	pthread_cond_t cond;
	bool waking; /* on that list */
	bool ready;  /* what it waits for may have happened */
	bool any;    /* it waits for whatever happens, not for one operation */
	bool hears;  /* what it waits for may be the answer of a send */
};

enum link {
	LINK_DOWN,     /* there is no connection; the stream may still have to be closed */
	LINK_GREETING, /* the stream is open, and HELLO is being said */
	LINK_UP,       /* WELCOME has come */
};

struct chan_client {
	pthread_mutex_t lock;
	struct session session;
	struct url_list urls;
	size_t url_at;         /* of urls: that of the connection, or the next to try */
	char *program, *group; /* what HELLO says */
	int64_t linger_ns;     /* what HELLO asks for */
	bool withdraw_on_signal;
	struct credentials credentials;

	enum link link;
	struct failure refusal;     /* why greeting failed; of LINK_GREETING */
	struct reconnect reconnect; /* of LINK_DOWN */
	struct keeper keeper;
	bool said_goodbye; /* BYE has left, so an end is not a loss */

	struct tls *tls; /* of tls:// URLs */
	struct stream stream;
	struct rings rings;
	bool reading; /* a thread reads, alone owns in and scratch, and may be blocked in it */
	struct waiter *reader; /* of the thread that is in a system call for it; else NULL */
	uint64_t turns;        /* times that the role was taken */
	bool drained;          /* the last read had room for more than there was */
	bool writing;          /* a thread writes, and alone owns leaving */
	bool choked;           /* the socket took no more: wait until it is writable */
	struct buf in;         /* bytes that came */
	struct buf leaving;    /* frames that do not count, on their way out, then company */
	size_t company_bytes;  /* at its end: what is written next of session.resend */
	struct wire_scratch *scratch;

	struct waiter *waiters;
	struct waiter *idle_waiters;
	struct waiter *waking; /* to be signalled when the lock is given up */
	struct chan *ends;
	struct chan_op *completions; /* async operations that are done, oldest first */
	atomic_bool has_completions; /* set with the lock, read without: see async.c */
	struct chan_op *done; /* the others that are done; their threads are about to take them */
	size_t async_pending; /* async operations that were started and not taken */
	struct chan_op *idle_ops; /* to be used again, by next */
	unsigned idle_op_count;
	struct buf spare_payload; /* the same for what one of them sends */
};

void client_lock(struct chan_client *c);
void client_unlock(struct chan_client *c); /* and wakes who is to be woken */

/*
 * Everything below needs the lock, and gives it up while it is in a system call.
 */

/* Waits until the operation is done; after a signal withdraws it, where that was asked for. */
void client_wait_op(struct chan_client *c, struct chan_op *op);

/* Waits until anything happened that a caller's condition may depend on, for conditions that are
 * rarely waited for: 0, CHAN_ETIMEDOUT, or -EINTR after a signal. At once when the session is
 * over. */
int client_wait_any(struct chan_client *c, int64_t deadline_ns);

/* The thread is about to wait, and not for the sends that have gathered: these may leave with the
 * word that their answers can wait, if no other thread waits for one. */
void client_let_ride(struct chan_client *c);

/* Writes what is to be written, as far as the socket takes it; nothing if another thread does. */
void client_flush(struct chan_client *c);

/* The same where so much has gathered that it is worth a write of its own: so the broker works
 * while the program still starts operations, of which it may have many before it waits. */
void client_flush_much(struct chan_client *c);

/* Whether something may be written now; whether something is to be, now or later. */
bool client_has_output(const struct chan_client *c);
bool client_has_unsent(const struct chan_client *c);

/* Reads and handles what is there without waiting. */
void client_poll(struct chan_client *c);

/* Sets how long a read may wait: until the next sign of life is due, or where a keeper gives those, and looks
 * whether the broker does, for ever. (But where signals withdraw: the kernel goes on with a read that has no
 * end in time after the handler, if that was installed so.) So no wait sets a timer of the kernel's, and a
 * round trip over TCP takes 0.6 of 31 us less. For a connection that is up, and when a keeper has come or is
 * to go. */
void client_limit_reads(struct chan_client *c);

/* Reads once; wait as in stream_ops. The reader's role is the caller's. 0 or -errno. */
int client_read(struct chan_client *c, bool wait);

/* Waits until the descriptor is ready for what is wanted, the deadline, or the next sign of life.
 * 0, -EAGAIN, or -EINTR. */
int client_await_ready(struct chan_client *c, short events, int64_t deadline_ns);

/* Takes the connection for lost that has not answered for too long. */
void client_check_life(struct chan_client *c);

/* A role has become free: somebody who still waits is to take it. */
void client_hand_on(struct chan_client *c);

/* Frees the pool. */
void client_free_waiters(struct chan_client *c);

/* Tell threads that something happened; an operation that is done tells its own. */
void client_wake_any(struct chan_client *c);
void client_wake(struct chan_client *c, struct waiter *w);

/* Ends the session: see session_end. */
void client_fail(struct chan_client *c, int status, const char *text);

/* A client that is not connected, or NULL; and frees whatever there is, of one that may be half
 * built. Its keeper does not run. Not with the lock. */
struct chan_client *client_new(void);
void client_free(struct chan_client *c);

/* ---- dial.c ------------------------------------------------------------------------------- */

/* Connects to the URL whose turn it is and greets, or resumes the session that there is. Both roles
 * are the caller's. 0 and LINK_UP, or a status with the thread's error set. */
int client_connect(struct chan_client *c, int64_t deadline_ns);

/* ---- async.c ------------------------------------------------------------------------------ */

/* An operation that is done goes behind the completions; one of them is taken. */
void client_add_completion(struct chan_client *c, struct chan_op *op);
void client_remove_completion(struct chan_client *c, struct chan_op *op);

/* ---- run.c: what calls share -------------------------------------------------------------- */

/*
 * Waits for op, takes its outcome and frees it. Returns the status, as the blocking calls do, with
 * the thread's error set. *ret (may be NULL: of no interest) is filled as by chan_op_wait.
 */
int client_run(struct chan_client *c, struct chan_op *op, struct chan_completion *ret);

/* The same for one of several operations: what it hands over is not confirmed yet (session_settle),
 * and ret is wanted. */
int client_await(struct chan_client *c, struct chan_op *op, struct chan_completion *ret);

/* Hands a delivery to the program, whose memory it is then. 0, or as value_unpack: the delivery is
 * still the caller's. */
int client_hand_over(struct chan *ch, struct delivery *d, struct chan_value *ret_value);

/*
 * So many deliveries with neighbouring numbers were handed over, which confirms them, where not the
 * program does: when it has all that its call gets (client_confirm_now), as it may then work on it
 * for longer than the broker waits for a silent client. New credit is given when half of it is due
 * (where confirmations may come late: and as much is not confirmed, or the broker may soon lack
 * some), or the program is about to wait for more.
 */
void client_handed_over(struct chan *ch, uint64_t first, uint32_t n);

/* What was handed over is confirmed before the program works on it, but for an end that has asked
 * for less. */
void client_confirm_now(struct chan *ch);

/* Takes the outcome of an operation that is done, and frees it. */
void client_take(struct chan_op *op, struct chan_completion *ret);

/* Hands a started operation to the asynchronous face. */
void client_start(struct chan_op *op, void *tag, struct chan_op **ret_op);

/* Build operations, not submitted yet. 0, or the status with the thread's error set: what can be
 * told without the broker. May wait for an end that came as a value to be known. */
int send_build(struct chan *ch, const struct chan_value *values, size_t n, int64_t timeout_ns,
	struct chan_op **ret_op);
int recv_build(struct chan *ch, int64_t timeout_ns, struct chan_op **ret_op);
int select_build(struct chan_client *c, const struct chan_case *cases, size_t n, int64_t timeout_ns,
	struct chan_op **ret_op);
int make_build(struct chan_client *c, const char *name, enum chan_type type, int64_t capacity,
	const struct chan_make_options *options, bool with_end, struct chan_op **ret_op);
int open_build(struct chan_client *c, const char *name, enum chan_direction direction,
	const struct chan_open_options *options, struct chan_op **ret_op);
int close_build(struct chan *ch, enum op_kind kind, const char *reason, struct chan_op **ret_op);

/* Submits what was built; receives of an end that fetches ahead are served by its stream. */
void client_submit(struct chan_op *op);

#endif
