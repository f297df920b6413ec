/*
 * printable.h - text of others on a person's terminal.
 */
#ifndef CHANCTL_PRINTABLE_H
#define CHANCTL_PRINTABLE_H

/* Makes the control characters of a text question marks, in place: names of programs, hosts and
 * reasons are whatever a client said, and shall neither steer a terminal nor break a table. */
void printable(char *text);

#endif
