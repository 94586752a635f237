/* SPDX-License-Identifier: Apache-2.0
 *
 * The daemon's keys while it runs: read at start, read again within a second after the
 * secret file or the signing key file changed, so that secrets are rotated without a
 * restart. A loaded trust never changes; threads hold the one that they work with, and an
 * old one is freed when the last of them has let go.
 *
 * Which secret names items and counters is not decided here: whoever is on the bus
 * changes over together with the bus epoch (bus.h).
 */
#ifndef ADMIN_KEYS_H
#define ADMIN_KEYS_H

#include "../../core/bus/trust.h"
#include "../options.h"

typedef struct admin_keys admin_keys_t;

/* L7S_IO, L7S_UNTRUSTED, L7S_INVALID: `why` says what is wrong with which file. */
L7S_MUST_USE l7s_status_t admin_keys_open(const admin_options_t *options, char why[256],
                                          admin_keys_t **out);
/* Nobody holds anything any more. */
void admin_keys_close(admin_keys_t *keys);

/* Reads changed files; files that cannot be used are reported once and leave the keys as
 * they are. True: other keys than before are in force. */
bool admin_keys_refresh(admin_keys_t *keys);

/* The keys in force, until they are let go. */
const l7s_trust_t *admin_keys_hold(admin_keys_t *keys);
void admin_keys_let_go(admin_keys_t *keys, const l7s_trust_t *trust);

/* The ids in the secret file, the signing one first. New reference. */
json_t *admin_keys_ids(admin_keys_t *keys);

#endif
