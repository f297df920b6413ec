/*
 * terminal.h - the terminal, lent to a command that runs in a group of its own.
 *
 * Only the foreground group of a terminal may read it and gets its ^C and ^Z. A command that
 * chanctl runs in its own place shall have that. The functions do nothing where there is no
 * terminal, or another job has it.
 */
#ifndef CHANCTL_TERMINAL_H
#define CHANCTL_TERMINAL_H

#include <stdbool.h>
#include <sys/types.h>

/* The terminal of our session, or -1. The descriptor is close-on-exec. */
int terminal_open(void);

/* Whether our group is its foreground. */
bool terminal_is_ours(int fd);

/* Gives it to the group if it is ours, and takes it back if it is the group's. */
void terminal_give(int fd, pid_t group);
void terminal_take(int fd, pid_t group);

#endif
