/*
 * status.h - what a status is called and what it says; the list stands in chan/status.h.
 */
#ifndef PROTO_STATUS_H
#define PROTO_STATUS_H

#include "chan/status.h"

/* "ECLOSED" for CHAN_ECLOSED; "OK" for 0; "?" for what is not a status. Static. */
const char *status_name(int status);

/* The status's sentence, without a full stop; "unknown status" for what is not one. Static. */
const char *status_text(int status);

/* Whether it is CHAN_OK or one of the CHAN_E... of this version. */
int status_known(int status);

#endif
