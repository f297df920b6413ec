/*
 * clients.h - what the programs that measure through libchan share. Failures end the program.
 */
#ifndef BENCH_CLIENTS_H
#define BENCH_CLIENTS_H

#include <stdint.h>
#include <sys/resource.h>

struct chan;
struct chan_client;
struct chan_completion;
struct chan_dial_options;

/* CLOCK_MONOTONIC, so it compares between processes. */
int64_t now_ns(void);

/* What a role tells the harness: a line `key value` on stdout, at once. */
void say(const char *key, int64_t value);
void say_ready(void);

/* Sorts n durations and says p50_ns, p99_ns and p999_ns. */
void say_percentiles(int64_t *ns, long n);

/* Says cpu_us, the processor time of this process. */
void say_cpu(void);

/* rc, if it is no failure of libchan. */
int must(int rc);

/* Dials $BENCH_ADDR (unix:PATH or tcp:HOST:PORT), else what chan_dial finds. options may be NULL.
 */
struct chan_client *dial(const struct chan_dial_options *options);

/* The next completion of the client, and all that are still to come: of operations that succeed.
 * What all of them received is dropped. */
struct chan_completion await(struct chan_client *client);
void await_all(struct chan_client *client);

/* Raises the limit on descriptors to what n connections need. */
void need_descriptors(rlim_t n);

/* Has an epoll descriptor watch the client of ch, which next_completion(epoll) then drives. A
 * client is watched by one end. */
void watch(int epoll, struct chan *ch);

/* Waits for the next completion of any client that is watched; one that succeeded. */
struct chan_completion next_completion(int epoll);

/* The resident memory of the daemon, whose pid is $BENCH_DAEMON. */
int64_t daemon_resident_bytes(void);

#endif
