/*
 * interrupt.h - SIGINT and SIGTERM as something to poll for.
 *
 * Before interrupt_init they end the program at once, with 128 + N: nothing of it waits yet, or
 * the broker withdraws it with the session. After it they make a descriptor readable, so that
 * who waits can withdraw its operation and learn whether it had completed first.
 */
#ifndef CHANCTL_INTERRUPT_H
#define CHANCTL_INTERRUPT_H

/* For main: ends by exit code, and makes writes to a closed pipe fail instead of killing us. */
void interrupt_prepare(void);

/* Returns the descriptor that polls readable once a signal has come. Where there are no
 * descriptors left it is -1, and signals wait until the program ends. */
int interrupt_init(void);

/* The first signal that has come, or 0. Does not block. A second one ends the program at once: who
 * is asked twice does not wait for a broker that does not answer. */
int interrupt_signal(void);

#endif
