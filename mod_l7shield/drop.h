/* SPDX-License-Identifier: Apache-2.0
 *
 * The action `drop`: no answer, and the end of the connection.
 */
#ifndef SHIELD_DROP_H
#define SHIELD_DROP_H

#include "process.h"

/* What the access log shows of a dropped request, as other servers do: no status that a
 * client has ever received. */
#define SHIELD_STATUS_DROPPED 444

/* May the connection of `r` end for the sake of one client? Not behind a trusted proxy:
 * it is not the client's own. */
bool shield_drop_may(const request_rec *r);

/* Ends the connection without a byte, with all its streams. Returns DONE. */
int shield_drop(request_rec *r);

#endif
