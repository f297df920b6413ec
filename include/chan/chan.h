/*
 * chan/chan.h - Go's channels between processes, for C programs (libchan).
 *
 *	struct chan_client *client;
 *	struct chan *nums;
 *	int64_t n;
 *
 *	if (chan_dial(NULL, NULL, &client) < 0 ||
 *	    chan_open(client, "nums", CHAN_RECV, NULL, &nums) < 0)
 *		errx(1, "%s", chan_error_text());
 *	while (chan_recv_int(nums, &n) > 0)
 *		printf("%" PRId64 "\n", n);
 *	chan_release(nums);
 *	chan_hangup(client);
 *
 * Conventions of every call below, where its comment does not say otherwise:
 *
 * - Failure is a negative CHAN_E... code of chan/status.h, and chan_error_text() then says in a
 *   sentence what was asked, what stood in the way and what to do. Success is 0. Receives return
 *   1 with a value and 0 when the channel is closed and drained. What a call returns through a
 *   ret_ argument is left alone when it fails.
 * - Times are in nanoseconds, on a monotonic clock: CHAN_TRY (0) asks for an answer without
 *   waiting for the other side, CHAN_FOREVER (any negative number) for no deadline. The broker
 *   keeps the deadline. An operation that fails with CHAN_ETIMEDOUT, CHAN_EWOULDBLOCK or
 *   CHAN_ECANCELED had no effect.
 * - "Blocks" means: until the broker has answered, which takes a round trip even where the
 *   operation itself need not wait. Calls that do not say "blocks" do not.
 * - Every call is thread-safe. Any number of threads use one client and one channel at once; one
 *   that waits does not hold up another: whichever of the callers blocks does the reading for all.
 * - A connection that is lost is made again, to any of the URLs that were dialled, and the session
 *   is resumed: calls that block stay blocked meanwhile, operations keep their numbers and their
 *   places, and nothing is sent twice or lost. It takes as long as it takes: up to linger_ns (30 s)
 *   the broker keeps the session, and 10 s more pass in which it may notice later. A deadline of
 *   what was sent is the broker's to keep, and is told when there is a connection again; what was
 *   not sent yet ends in its time, and with CHAN_TRY at once: with CHAN_ETIMEDOUT, as nobody can
 *   say whether it would block.
 * - When the session cannot be resumed it is over: its time is up, the broker has restarted, or the
 *   limit reconnect_ns was reached. Every operation that was sent and not answered then fails with
 *   CHAN_EUNKNOWN (CHAN_ERESTARTED): it may have happened or not. What was not sent, and all later
 *   calls, fail with CHAN_EUNREACHABLE: it did not. Dial again then. A broker that ends a session
 *   by itself says why (CHAN_ESHUTDOWN), which its operations fail with at once. No call raises
 *   SIGPIPE.
 * - The broker takes a client for lost that is silent while values are out to it (not confirmed,
 *   or fetched ahead): after two times chan_heartbeat_ns, 10 s as a rule, they go back and others
 *   get them. The library has a thread for all clients of a process, the keeper, that gives signs
 *   of life while the program computes, and starts another to make a connection again that was
 *   lost; they block all signals, and the last client's chan_hangup ends it. So only a program that
 *   is stopped as a whole is silent; woken, it is not handed what went to others.
 * - Without a keeper (no_keeper, or where the session does not linger) calls that wait give signs
 *   of life and reconnect, chan_process and chan_ping too; with CHAN_TRY a call makes one attempt
 *   if that is due, which may block for 5 s. A program that holds a value for longer than 10 s
 *   without such a call confirms it first, or calls from another thread.
 * - A client does not survive fork(): only the parent may go on using it. Its descriptors are
 *   close-on-exec.
 * - Strings are UTF-8. Pointers passed in need to live for the call only.
 */
#ifndef CHAN_CHAN_H
#define CHAN_CHAN_H

#include <chan/status.h>
#include <chan/value.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

struct chan_client; /* a connection to a broker, with its session */
struct chan;        /* an opened end of a channel */
struct chan_op;     /* an operation in flight, of the asynchronous face */
struct chan_value;

#define CHAN_TRY 0
#define CHAN_FOREVER (-1)

/* ---- errors ------------------------------------------------------------------------------- */

/* The last failure of a call of this thread, in detail. Strings are never NULL. */
struct chan_error {
	int status;            /* CHAN_E..., 0 when no call has failed yet */
	const char *text;      /* what was asked, what stood in the way, what to do */
	const char *closed_by; /* of CHAN_ECLOSED and _EABORTED, where known: "program[pid]@host" */
	int64_t closed_unix_ns; /* of the same, where known: nanoseconds since 1970, or 0 */
	const char *reason;     /* of the same: what chan_close or chan_abort was given */
};

/* Both are this thread's and stay as they are until its next call that fails. */
const struct chan_error *chan_last_error(void);
const char *chan_error_text(void);

/* The constant sentence of a status ("the channel is closed") and its name ("ECLOSED"). Any
 * number is allowed. */
const char *chan_strerror(int status);
const char *chan_error_name(int status);

/* ---- the connection ----------------------------------------------------------------------- */

struct chan_dial_options {
	const char *program; /* who speaks, for ps and errors of others; NULL: the program's name */
	const char *group;   /* of participants that wait for one another; NULL: none */

	/* How long the broker shall keep the session without a connection, of which it may grant
	 * less. 0: the default, 30 s; negative: not at all, and nothing is done to come back. */
	int64_t linger_ns;

	/* How long to try to come back after a loss. 0: as long as the session may live; negative:
	 * not at all, as with a negative linger_ns. */
	int64_t reconnect_ns;
	int64_t timeout_ns; /* for the connection and the greeting. 0: 10 s */

	/* Do without the keeper, the library's thread: see the conventions above. */
	bool no_keeper;

	/*
	 * Of tls:// URLs. NULL in the first three: what the environment says by $CHAN_TLS_CA,
	 * $CHAN_TLS_CERT and $CHAN_TLS_KEY, or without that what stands here.
	 */
	const char
		*tls_ca; /* authorities to trust: a file in PEM form, or a folder; the system's */
	const char *tls_certificate; /* ours, a file in PEM form; none */
	const char *tls_key;         /* its key, without a passphrase; in the certificate's file */
	const char *tls_server_name; /* what the broker's certificate must hold; the URL's host */
	bool tls_insecure; /* DANGEROUS: whoever answers is taken for the broker. For trying out */

	/* A signal handler that runs while a call of this client blocks withdraws the operation:
	 * the call returns its result if it was faster, else CHAN_ECANCELED. Otherwise calls go on
	 * waiting after signals. For programs that block in one thread. */
	bool withdraw_on_signal;

	/* Who the program is, for a broker that asks (CHAN_EAUTH): a token, or a file that holds
	 * one. NULL, both: $CHAN_TOKEN, or the file $CHAN_TOKEN_FILE; without these nothing is
	 * shown but who the connection itself tells. Whoever can read a connection can read the
	 * token in it, so it is for unix: and tls://. */
	const char *token;
	const char *token_file;

	/* Of unix: URLs: the library and a broker that grants it go over from the socket to shared
	 * memory, once so many calls on the socket have moved bytes, and on to more of it once so
	 * many have moved several KiB each. 0: what $CHAN_RING_AFTER says, or without that when the
	 * connection is busy; negative: never. */
	int ring_after;
};

/*
 * Connects to a broker and greets it. Blocks, at most options->timeout_ns (and for as long as
 * looking up a host's name takes).
 *
 * url is unix:PATH, tcp://HOST:PORT (tcp://[ADDRESS]:PORT for IPv6; without :PORT 2426) or the same
 * with tls://, where the broker's certificate is checked. NULL: $CHAN_URL; where that is not set,
 * $XDG_RUNTIME_DIR/chand.sock if it exists, else /run/chand/chand.sock. Several URLs, separated by
 * commas, are ways to one broker: they are tried in this order now, and in turn when the connection
 * is lost. A session goes on only by one that shows the same identity: with a token any does;
 * without, what began by unix: goes on by unix:, and what began otherwise does not.
 *
 * options may be NULL. *ret_client is the caller's, who ends it with chan_hangup.
 * CHAN_EUNREACHABLE: nobody listens, or the host is unknown; CHAN_ETIMEDOUT; CHAN_EINVAL: the URL;
 * CHAN_EPROTOCOL: what answers is no broker, or not by that sort of URL; CHAN_EAUTH: its
 * certificate cannot be trusted, or it wants one of ours, or it does not let us in; or what else
 * the broker refused with.
 */
int chan_dial(
	const char *url, const struct chan_dial_options *options, struct chan_client **ret_client);

/*
 * Ends the session in order and frees the client. What was received and not handed over goes back
 * to its channel; confirmations leave first, for which a connection that is lost is made again.
 * Blocks until the broker has seen it, 2 s at most; while an attempt to reconnect is under way,
 * until that has ended, too (5 s at most, and as long as looking up a name takes).
 * Every struct chan and chan_op of the client is invalid afterwards, and no thread may be inside a
 * call of it. NULL is allowed.
 */
void chan_hangup(struct chan_client *client);

/* Whether there is a connection now: not while it is being made again, nor when the session is
 * over. For people to see: it may have changed when the call returns. */
bool chan_connected(const struct chan_client *client);

/* The URL that was dialled (of several, that of the present connection), the broker's name and
 * version, and the number of its present run. */
const char *chan_url(const struct chan_client *client);
const char *chan_broker(const struct chan_client *client);
uint64_t chan_incarnation(const struct chan_client *client);

/* The largest value in bytes, and the most values of one batch, that the broker takes. */
uint32_t chan_value_bytes_max(const struct chan_client *client);
uint32_t chan_batch_values_max(const struct chan_client *client);

/* How often the broker wants to hear of a client to which values are out. */
int64_t chan_heartbeat_ns(const struct chan_client *client);

/* Asks the broker for a sign of life. Blocks. *ret_rtt_ns (may be NULL): how long it took. */
int chan_ping(struct chan_client *client, int64_t *ret_rtt_ns);

/* ---- values ------------------------------------------------------------------------------- */

/* Stands for "the bytes are the encoding of whatever type the channel has", see chan/value.h. */
#define CHAN_TYPE_RAW ((enum chan_type)0)

struct chan_value {
	enum chan_type type; /* of the value itself, so never CHAN_TYPE_ANY */
	uint32_t attempt;    /* received: 1, more when it was delivered before and came back */
	union {
		int64_t i; /* CHAN_TYPE_INT */
		double f;  /* CHAN_TYPE_FLOAT */
		bool b;    /* CHAN_TYPE_BOOL */

		/* CHAN_TYPE_CHAN. Sent: the end whose rights travel; it stays the caller's.
		 * Received: an end of the receiver's own, unless it sets NULL here to keep it,
		 * released by chan_value_clear. */
		struct chan *chan;

		/* CHAN_TYPE_STRING, _BYTES, _RAW. Received: a NUL follows, not counted. */
		struct {
			const void *bytes;
			size_t len;
		};
	};
	uint64_t delivery; /* received with manual confirmation or under a lease: what chan_confirm,
			    * chan_ack ... want; else 0 */
	uint64_t token;    /* received under a lease: the fencing token, else 0; see leases below */
	void *memory;      /* received: what bytes points into; the library's */
};

/* A value with its type and nothing else set. */
static inline struct chan_value chan_value_of(enum chan_type type)
{
	struct chan_value v;

	memset(&v, 0, sizeof(v));
	v.type = type;
	return v;
}

static inline struct chan_value chan_value_int(int64_t i)
{
	struct chan_value v = chan_value_of(CHAN_TYPE_INT);

	v.i = i;
	return v;
}

static inline struct chan_value chan_value_float(double f)
{
	struct chan_value v = chan_value_of(CHAN_TYPE_FLOAT);

	v.f = f;
	return v;
}

static inline struct chan_value chan_value_bool(bool b)
{
	struct chan_value v = chan_value_of(CHAN_TYPE_BOOL);

	v.b = b;
	return v;
}

/* These point to what they are given. */
static inline struct chan_value chan_value_bytes(const void *bytes, size_t len)
{
	struct chan_value v = chan_value_of(CHAN_TYPE_BYTES);

	v.bytes = bytes;
	v.len = len;
	return v;
}

static inline struct chan_value chan_value_string(const char *string, size_t len)
{
	struct chan_value v = chan_value_bytes(string, len);

	v.type = CHAN_TYPE_STRING;
	return v;
}

static inline struct chan_value chan_value_raw(const void *bytes, size_t len)
{
	struct chan_value v = chan_value_bytes(bytes, len);

	v.type = CHAN_TYPE_RAW;
	return v;
}

static inline struct chan_value chan_value_signal(void)
{
	return chan_value_of(CHAN_TYPE_SIGNAL);
}

static inline struct chan_value chan_value_chan(struct chan *chan)
{
	struct chan_value v = chan_value_of(CHAN_TYPE_CHAN);

	v.chan = chan;
	return v;
}

/*
 * Frees what a received value holds and empties it. It says nothing to the broker about the value:
 * with manual confirmation chan_confirm or chan_return comes first. An empty value is allowed.
 */
void chan_value_clear(struct chan_value *v);

/* "int" ... "chan", or "?"; and back: 0 where the word is no type. */
const char *chan_type_name(enum chan_type type);
enum chan_type chan_type_parse(const char *word);

/* ---- channels ----------------------------------------------------------------------------- */

/* How the values of a receiving end come. A zeroed struct is the default. */
struct chan_end_options {
	/*
	 * How many values of a buffered channel the library may fetch ahead of the receives, so
	 * that each does not cost a round trip; 0 and 1: none, a value is asked for by each
	 * receive. Values that were fetched ahead belong to this end until it is released, then go
	 * back to their place; if the program dies, others see again (marked by attempt) what it
	 * had received of them and not more than credit. On an unbuffered channel a receive is
	 * always one that waits now, and credit has no effect. An end with credit above 1 cannot
	 * stand in a select.
	 */
	uint32_t credit;

	/* The program confirms each value by chan_confirm, or gives it back by chan_return; without
	 * it, receiving a value confirms it. */
	bool manual;

	/*
	 * Let the confirmation of a value leave with what the program says next, or when it waits,
	 * a quarter of chan_heartbeat_ns later at the latest, instead of before the call returns:
	 * that saves a system call a value where each is answered by a send, or followed by the
	 * next receive. In return a program that is stopped just then, for as long as the broker
	 * waits for a silent client, goes on with a value that somebody else was given, too (marked
	 * by attempt). For receives from a buffered channel, of a client with a keeper; without
	 * lease_ns and manual, and not in a select. Else it has no effect.
	 */
	bool confirm_late;

	/* Receive values as CHAN_TYPE_RAW. */
	bool raw;

	/* Receive values under a lease of so many nanoseconds, see leases below; 0: without one.
	 * manual has no effect then. At most 24 h. */
	int64_t lease_ns;
};

/* Any number of producers: the channel closes when all that ever opened it have closed it. */
#define CHAN_PRODUCERS_AUTO (-1)

struct chan_make_options {
	bool temporary;                /* the channel goes with the last session that holds it */
	enum chan_direction direction; /* of the end that is opened; 0: CHAN_BOTH */
	struct chan_end_options end;

	/*
	 * 0: whoever has an end for sending may close the channel, for all, and a sender that dies
	 * leaves no trace. N, or CHAN_PRODUCERS_AUTO: the channel counts its producers. Each
	 * client that opens an end for sending is one (by a value that hands one over: once it has
	 * the value for good), and at most N are let in: the next gets CHAN_ELIMIT. chan_close
	 * there says that this client is done; the channel closes by itself when N have said so
	 * (with AUTO: when all that came have, and at least one did). A producer that ends without
	 * it, in whatever way, *aborts* the channel, see chan_abort.
	 */
	int producers;

	/*
	 * How often a value may be tried: one that comes back from a lease (by chan_nack, because
	 * its time is up, or because its holder died) for the attempts_max-th time goes to the
	 * channel dead_letter instead of to its place. 0: for ever. The two go together.
	 * dead_letter: a buffered channel of the same type, or of any, that exists and is open when
	 * a value is to go there; as long as it is not, values go back to their place after all.
	 */
	uint32_t attempts_max;
	const char *dead_letter;

	/*
	 * So many signals are in the channel from its making on, in one step with it, and none can
	 * be sent: its values are permits. Who receives one under a lease and gives it back by
	 * chan_nack when done has made it a lock (1 permit) or a semaphore. 0: an ordinary channel.
	 * Of type CHAN_TYPE_SIGNAL only, and not more than its capacity.
	 */
	uint32_t permits;
};

struct chan_open_options {
	bool wait_create;   /* wait until somebody makes the channel; else CHAN_ENOCHANNEL */
	int64_t timeout_ns; /* of that waiting; 0: no deadline */
	struct chan_end_options end;
};

/*
 * Makes a channel, or opens the one that exists with the same attributes, and opens an end of it.
 * Blocks. name: 1 to 255 bytes of A-Z a-z 0-9 . _ - / : or NULL for an unnamed channel, which is
 * passed on as a value and lives while somebody holds it. capacity 0: unbuffered. options may be
 * NULL. ret_chan may be NULL, and then no end is opened. The end is the caller's, who gives it up
 * with chan_release. CHAN_EEXIST: with other attributes; CHAN_EINVAL: the name, type or capacity.
 */
int chan_make(struct chan_client *client, const char *name, enum chan_type type, int64_t capacity,
	const struct chan_make_options *options, struct chan **ret_chan);

/* Opens an end of a channel that exists. Blocks. CHAN_ENOCHANNEL; CHAN_ETIMEDOUT. */
int chan_open(struct chan_client *client, const char *name, enum chan_direction direction,
	const struct chan_open_options *options, struct chan **ret_chan);

/*
 * The end that a reference (a value of type chan, as CHAN_TYPE_RAW) stands for, once it was
 * received by this client. Blocks. CHAN_ESTALE: the channel is no more.
 */
int chan_open_reference(struct chan_client *client, const void *bytes, size_t len,
	const struct chan_end_options *options, struct chan **ret_chan);

/*
 * Gives an end up and frees it: what was fetched ahead goes back, confirmations leave. Does not
 * wait for the broker. No other thread may use the end any more; operations of it in flight go on
 * and complete. NULL is allowed.
 */
void chan_release(struct chan *ch);

/* The channel's name ("" of an unnamed one), type, capacity, id within this run of the broker, and
 * what the end may do. An end that was received as a value learns its type from the broker: the
 * first call on it, also one of chan_type, chan_cap and chan_start_..., may block for a round trip.
 * Type 0 and capacity -1 say that the channel is no more. */
const char *chan_name(const struct chan *ch);
enum chan_type chan_type(struct chan *ch);
int64_t chan_cap(struct chan *ch);
uint64_t chan_id(const struct chan *ch);
enum chan_direction chan_direction(const struct chan *ch);
struct chan_client *chan_client_of(const struct chan *ch);

/* Values in the buffer now, those that are out and not taken included. Blocks. */
int64_t chan_len(struct chan *ch);

/*
 * Closes the channel for everybody: no more sends; receivers get what is left and then 0. reason
 * (may be NULL) is shown to those who send later. Blocks. CHAN_ECLOSED: it was closed before;
 * CHAN_EWRONGEND: a receive-only end. On a channel that counts its producers: this client sends no
 * more (its sends get CHAN_ECLOSED), and the channel closes with the last of them.
 */
int chan_close(struct chan *ch, const char *reason);

/*
 * Ends the channel as a death would, for everybody: whoever waits to send, or sends later, gets
 * CHAN_EABORTED; receivers get what is left and then CHAN_EABORTED instead of 0, so that they do
 * not take it for the whole. chan_last_error says who did it, when and why. Blocks. Failures as
 * chan_close.
 */
int chan_abort(struct chan *ch, const char *reason);

/* Removes a channel by name: whoever waits gets CHAN_EREMOVED, what was buffered is dropped.
 * Blocks. CHAN_ENOCHANNEL. */
int chan_remove(struct chan_client *client, const char *name);

/* ---- sending ------------------------------------------------------------------------------ */

/*
 * Sends a value. Blocks until it is in the buffer, or, on an unbuffered channel, until a receiver
 * has taken it. The value stays the caller's, on failure too.
 *
 * CHAN_ECLOSED: chan_last_error says who closed it and when; CHAN_ETYPE, CHAN_ETOOLARGE: nothing
 * was sent; CHAN_EREMOVED, CHAN_ESTALE: the channel is no more; CHAN_EABORTED: it was aborted, or
 * nobody is left who could receive; CHAN_EWRONGEND; CHAN_EWOULDBLOCK (try), CHAN_ETIMEDOUT
 * (deadline).
 */
int chan_send(struct chan *ch, const struct chan_value *v);
int chan_try_send(struct chan *ch, const struct chan_value *v);
int chan_send_timeout(struct chan *ch, const struct chan_value *v, int64_t timeout_ns);

int chan_send_int(struct chan *ch, int64_t i);
int chan_send_float(struct chan *ch, double f);
int chan_send_bool(struct chan *ch, bool b);
int chan_send_string(struct chan *ch, const char *string);
int chan_send_bytes(struct chan *ch, const void *bytes, size_t len);
int chan_send_signal(struct chan *ch);
int chan_send_chan(struct chan *ch, struct chan *passed);

/*
 * Sends n values, in order, as n sends of which none waits for a round trip of the one before.
 * Blocks until all have ended. Returns 0 when all were sent, else the failure of the first that
 * was not, and those behind it were not sent either (only after CHAN_ELIMIT, the broker being short
 * of memory, may some of them have been). A value that does not fit refuses all. *ret_sent (may be
 * NULL) is set in every case. The deadline or CHAN_TRY holds for all together.
 *
 * On an unbuffered channel they are offered one after another: the next when a receiver has taken
 * the one before. So *ret_sent values from the first on were taken, and no other.
 */
int chan_sendv(struct chan *ch, const struct chan_value *values, size_t n, int64_t timeout_ns,
	size_t *ret_sent);

/* ---- receiving ---------------------------------------------------------------------------- */

/*
 * Receives a value. Blocks. 1: *ret_value is the caller's, who ends it by chan_value_clear; it is
 * confirmed by this call (unless the end was opened with manual confirmation). 0: the channel is
 * closed and drained, now and for ever. CHAN_EABORTED: it is drained and was aborted, or nobody is
 * left who could send. Other failures as chan_send's, CHAN_ECLOSED excepted.
 */
int chan_recv(struct chan *ch, struct chan_value *ret_value);
int chan_try_recv(struct chan *ch, struct chan_value *ret_value);
int chan_recv_timeout(struct chan *ch, struct chan_value *ret_value, int64_t timeout_ns);

/*
 * The same for a channel of exactly that type: on another, of any too, CHAN_ETYPE, and nothing is
 * received. Not for ends with manual confirmation or raw values (CHAN_EINVAL). Strings and bytes
 * are the caller's, to free(), and followed by a NUL; ret_len may be NULL. *ret_chan is to be
 * released.
 */
int chan_recv_int(struct chan *ch, int64_t *ret_int);
int chan_recv_float(struct chan *ch, double *ret_float);
int chan_recv_bool(struct chan *ch, bool *ret_bool);
int chan_recv_string(struct chan *ch, char **ret_string, size_t *ret_len);
int chan_recv_bytes(struct chan *ch, void **ret_bytes, size_t *ret_len);
int chan_recv_signal(struct chan *ch);
int chan_recv_chan(struct chan *ch, struct chan **ret_chan);

/*
 * Receives one value or more: waits for the first, takes as many more as were fetched ahead (see
 * credit), n at most. Blocks. Returns how many, or as chan_recv.
 */
int chan_recvv(struct chan *ch, struct chan_value *values, size_t n, int64_t timeout_ns);

/*
 * Manual confirmation: the values are done with, and only now gone from their channel; or they go
 * back to their place, to be received again with a higher attempt. n values that were received
 * through ch; each is to be confirmed or returned once (its delivery becomes 0). Blocks for the
 * broker's answer. CHAN_EGONE: at least one had been taken away, because this client was thought
 * lost; somebody else will see it, and the others were settled.
 */
int chan_confirm(struct chan *ch, struct chan_value *values, size_t n);
int chan_return(struct chan *ch, struct chan_value *values, size_t n);

/* ---- leases -------------------------------------------------------------------------------
 *
 * To take a value is one thing, to be done with it another. Through an end with lease_ns a value is
 * lent: when chan_recv returns it, it no longer counts in the channel (a place in the buffer is
 * free, an unbuffered send has ended), but it comes back to its place, before everything younger
 * and with a higher attempt, unless chan_ack says in time that it is done with. It comes back when
 * chan_nack says so, when its time is up, and when this client's session ends. So every value is
 * dealt with at least once, whatever dies; it may be more than once.
 *
 * A channel that is closed answers so (chan_recv returns 0) only when every lease is settled and
 * nothing is left: until then receivers wait.
 *
 * A lease is not mutual exclusion. A program that was stopped for longer than its lease finds out
 * later than the one who got the value next. Where two must never act, give the value's token to
 * whatever they act on, and let that refuse a token lower than the highest it has seen: tokens rise
 * with every lease of a channel, also of one that was removed and made again, and after a restart
 * of the broker, as long as the clock of its machine is not set back.
 */

/*
 * Of values that were received through ch, an end with a lease: they are done with; or they come
 * back, and are not offered to anybody before delay_ns (0: at once); or they are needed for
 * lease_ns from now on. Each is to be acknowledged or given back once (its delivery becomes 0).
 * Block for the broker's answer.
 *
 * CHAN_EGONE: the lease of at least one was over, and somebody else may have the value; what was
 * asked has happened to the others. An extension is best asked for when half of the time is left.
 */
int chan_ack(struct chan *ch, struct chan_value *values, size_t n);
int chan_nack(struct chan *ch, struct chan_value *values, size_t n, int64_t delay_ns);
int chan_extend(struct chan *ch, const struct chan_value *values, size_t n, int64_t lease_ns);

/*
 * Whether the lease of a value that was not settled yet is over, or may be: the broker has said so,
 * the session is lost, or its time is up by the clock of this machine. Looks at what has arrived,
 * without waiting (as chan_process does).
 */
bool chan_lease_lost(struct chan *ch, const struct chan_value *v);

/* ---- select ------------------------------------------------------------------------------- */

struct chan_case {
	struct chan *chan;             /* NULL: never ready */
	enum chan_direction direction; /* CHAN_SEND or CHAN_RECV */
	struct chan_value value;       /* to send; or what was received, as by chan_recv */
	int result; /* of the case that happened: 1 sent or received, 0 closed and drained,
		     * CHAN_ECLOSED a send case on a closed channel; of all others 0 */
};

/*
 * Waits until one of the cases can happen and does that one; among several that can, chance
 * decides. Blocks. Returns its index, with the case's value and result set (for a receive on a
 * closed and drained channel: the index, with result 0). CHAN_EWOULDBLOCK: CHAN_TRY and none was
 * ready, Go's default; CHAN_ETIMEDOUT; CHAN_ECLOSED: a send case on a closed channel was chosen.
 * All channels are of this client. With no case (or only NULL ones) it waits for its deadline.
 */
int chan_select(struct chan_client *client, struct chan_case *cases, size_t n, int64_t timeout_ns);

/* ---- looking around ----------------------------------------------------------------------- */

struct chan_stat {
	char name[256];
	uint64_t id;
	enum chan_type type;
	int64_t capacity;
	uint64_t length; /* values in it, those out for delivery included */
	bool closed, temporary;
	uint64_t senders_waiting, receivers_waiting;
	uint64_t in_flight;                   /* out for delivery, not confirmed */
	uint64_t sent, received, redelivered; /* since it was made */
	uint64_t bytes_buffered;
	uint64_t ends_open;
	int64_t made_unix_ns;
	int64_t closed_unix_ns; /* 0: not closed */
	char closed_by[256];    /* "program[pid]@host" */
	char reason[256];       /* given to chan_close or chan_abort; cut to this size */

	uint64_t leased;               /* taken under a lease and not settled; not in length */
	uint64_t delayed;              /* in length, but given back to be offered later */
	bool aborted;                  /* closed by chan_abort or the death of a producer */
	int producers;                 /* as it was made */
	uint64_t producers_open;       /* that came and are not done */
	uint32_t attempts_max;         /* as it was made */
	char dead_letter[256];         /* as it was made; "": none */
	uint64_t dead_lettered;        /* values that went there */
	uint64_t dead_letter_failures; /* that could not, and went back to their place */
	char dead_letter_problem[256]; /* why, the last time; "": none did */
	uint32_t permits;              /* as it was made */
};

/* Blocks. CHAN_ENOCHANNEL. */
int chan_stat(struct chan_client *client, const char *name, struct chan_stat *ret_stat);

/*
 * Calls each() for every named channel whose name begins with prefix (NULL: all), in the order of
 * the names, with what lives for that call only. each() may use the client; it ends the walk by
 * returning other than 0, which chan_list then returns. Blocks; asks for a page at a time, so what
 * is made or removed meanwhile may be seen or not.
 */
int chan_list(struct chan_client *client, const char *prefix,
	int (*each)(const struct chan_stat *stat, void *arg), void *arg);

/* An operation that waits in the broker. */
struct chan_waiter {
	uint64_t id;
	const char *host, *program, *group; /* who waits */
	uint64_t pid;
	uint32_t participant;        /* which thread of it */
	const char *operation;       /* "send", "recv", "select", "open" */
	const char *const *channels; /* of a select with the direction: "recv:jobs" */
	size_t channel_count;
	int64_t waiting_ns;   /* since it began */
	int64_t remaining_ns; /* to its deadline; CHAN_FOREVER: none */
};

/* The same walk over all operations that wait, oldest first. */
int chan_ps(struct chan_client *client, int (*each)(const struct chan_waiter *waiter, void *arg),
	void *arg);

/* ---- the asynchronous face ----------------------------------------------------------------
 *
 * chan_start_... begins what the call without start_ does and returns at once; each operation ends
 * with exactly one completion. The calls above are this and a wait. For an event loop:
 *
 *	poll chan_fd() for chan_events(), for at most chan_heartbeat_ns() / 2;
 *	when ready: chan_process(client);
 *	after it, and after starting operations: while (chan_next_completion(client, &c) > 0) ...;
 *		(many at once: chan_next_completions)
 *
 * A chan_start_... fails at once, and then there is no operation, where the library can tell
 * without the broker: a value that does not fit, the wrong end, CHAN_ENOMEM. Everything else comes
 * with the completion. They copy what they are given; ret_op may be NULL. Operations on one channel
 * take effect in the order in which they were started; sends that are started one after another
 * share frames. What exceeds the broker's bounds on what may be in flight waits in the library, so
 * how much is started is bounded by the program only.
 *
 * Where a thread starts sends and then blocks in a receive or a select, completions of sends that
 * succeed may come together with what it waits for, a second or two later than they could at most:
 * they cost nothing of their own then. Whoever waits for completions, or asks chan_events what to
 * poll for, has them at once.
 *
 * A receive or select completes with CHAN_EGONE when this client was thought lost before the
 * completion was taken: nothing was received, what was on its way goes to somebody else, and the
 * operation may be started anew (the blocking calls do so by themselves).
 */

struct chan_completion {
	void *tag;         /* as given to chan_start_... */
	struct chan *chan; /* the operation's channel; of a make or open the new end, the caller's;
			    * NULL of a select and of a failed open */
	int status;        /* what the blocking call would have returned */
	size_t count;      /* of a send: values that were sent; of a receive: 1 or 0 */
	struct chan_value value; /* what was received (also by a select's case); the caller's */
	bool closed;    /* a receive (also a select's case) found its channel closed and drained */
	int case_index; /* of a select: the case that happened, also a send case that failed with
			 * CHAN_ECLOSED; else -1 */
	const struct chan_error *error; /* of status < 0, as chan_last_error() until this thread's
					 * next failing call */
};

int chan_start_make(struct chan_client *client, const char *name, enum chan_type type,
	int64_t capacity, const struct chan_make_options *options, void *tag,
	struct chan_op **ret_op);
int chan_start_open(struct chan_client *client, const char *name, enum chan_direction direction,
	const struct chan_open_options *options, void *tag, struct chan_op **ret_op);
int chan_start_send(struct chan *ch, const struct chan_value *values, size_t n, int64_t timeout_ns,
	void *tag, struct chan_op **ret_op);
int chan_start_recv(struct chan *ch, int64_t timeout_ns, void *tag, struct chan_op **ret_op);
int chan_start_select(struct chan_client *client, const struct chan_case *cases, size_t n,
	int64_t timeout_ns, void *tag, struct chan_op **ret_op);
int chan_start_confirm(
	struct chan *ch, struct chan_value *values, size_t n, void *tag, struct chan_op **ret_op);
int chan_start_return(
	struct chan *ch, struct chan_value *values, size_t n, void *tag, struct chan_op **ret_op);
int chan_start_ack(
	struct chan *ch, struct chan_value *values, size_t n, void *tag, struct chan_op **ret_op);
int chan_start_nack(struct chan *ch, struct chan_value *values, size_t n, int64_t delay_ns,
	void *tag, struct chan_op **ret_op);
int chan_start_extend(struct chan *ch, const struct chan_value *values, size_t n, int64_t lease_ns,
	void *tag, struct chan_op **ret_op);
int chan_start_close(struct chan *ch, const char *reason, void *tag, struct chan_op **ret_op);
int chan_start_abort(struct chan *ch, const char *reason, void *tag, struct chan_op **ret_op);

/* The descriptor to poll, and what for: POLLIN, and POLLOUT while something waits to be written.
 * Ask both again before every wait that follows a call, in either order, also one that blocks. Without
 * a connection the descriptor is a timer's, or -1, and with the next one it is another. Over shared
 * memory (ring_after), to which a busy connection goes over at any time, it is one that the broker
 * rings, or for as long as something has come already another that is ready; the two calls look for
 * that, and have the broker ring for what comes next. A loop that polls without having asked may find
 * out half a heartbeat later only. Poll it by level, never with EPOLLET: a call may leave for the next
 * one what has come. chan_events sends off what has gathered, as a wait follows. */
int chan_fd(const struct chan_client *client);
short chan_events(struct chan_client *client);

/* Reads and writes as much as is possible without waiting. 0, also while a connection that was lost
 * is made again; or why the session is over (its operations have completed then). Without a keeper
 * it is what reconnects: an attempt may block for 5 s, as chan_dial does. While a blocking call of
 * another thread does the reading, there is nothing to do here. */
int chan_process(struct chan_client *client);

/* Takes the next completion, in the order in which they happened: 1, or 0 when there is none. A
 * received value is confirmed here, before the call returns (but see confirm_late). */
int chan_next_completion(struct chan_client *client, struct chan_completion *ret_completion);

/* The same for as many as there are, at most n; returns how many. What all of them received is
 * confirmed by one write, where the call above writes once a value. One with a status < 0 is the
 * last that a call takes, so that its error can be looked at. */
size_t chan_next_completions(
	struct chan_client *client, struct chan_completion *ret_completions, size_t n);

/* Operations started that have not completed, and completions not taken. */
size_t chan_ops_pending(struct chan_client *client);

/* The same as chan_next_completion, but waits for one. Blocks, at most timeout_ns. 1, or
 * CHAN_ETIMEDOUT, or CHAN_EINVAL when no operation is in flight; CHAN_ECANCELED after a signal
 * with withdraw_on_signal (nothing was withdrawn). */
int chan_wait_completion(
	struct chan_client *client, struct chan_completion *ret_completion, int64_t timeout_ns);

/* The same as chan_next_completions, but waits for the first: how many (at least 1), or a failure
 * as above; CHAN_EINVAL also where n is 0. */
int chan_wait_completions(struct chan_client *client, struct chan_completion *ret_completions,
	size_t n, int64_t timeout_ns);

/* Waits for one operation, whose completion it takes. Blocks. 0; the outcome is in
 * *ret_completion. Not for clients whose completions another thread takes. */
int chan_op_wait(struct chan_op *op, struct chan_completion *ret_completion);

/*
 * Withdraws an operation, which any thread may do while its completion has not been taken. Does not
 * wait: the completion follows, with CHAN_ECANCELED if it was withdrawn, or with its result if it
 * was faster. Of a send of several values those that were not accepted are withdrawn.
 */
void chan_op_cancel(struct chan_op *op);

#ifdef __cplusplus
}
#endif

#endif
