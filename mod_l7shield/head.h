/* SPDX-License-Identifier: Apache-2.0
 *
 * The stages that know the request: where it is judged, once.
 */
#ifndef SHIELD_HEAD_H
#define SHIELD_HEAD_H

#include "process.h"

/* quick_handler: the head has been read, no directory is known yet. */
int shield_head(request_rec *r, int lookup);

/* access_checker: the sections that hold for the request are known. */
int shield_access(request_rec *r);

/* check_authn: nobody may have talked us out of a refusal. */
int shield_insist(request_rec *r);

/* fixups: likewise; and now the user is known, whom policies may count by. */
int shield_fixups(request_rec *r);

#endif
