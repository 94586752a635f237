/* SPDX-License-Identifier: Apache-2.0
 *
 * Would a policy shut out whoever writes it? Only what is certain counts: a policy that
 * acts on each request of that address, whatever is requested. Limits are not guessed at,
 * and a policy for some paths or methods leaves its author the others.
 */
#ifndef ADMIN_OWN_ADDRESS_H
#define ADMIN_OWN_ADDRESS_H

#include "../../core/json/config.h"
#include <stdbool.h>
#include <stdint.h>

/* True: the enforced policy `name` of this configuration bans or denies `peer` (16 bytes,
 * v4-mapped). A caller on the daemon's own machine may deny everybody, itself included:
 * nobody's way to the API leads through a shield there. */
bool admin_own_address_hit(const l7s_config_t *config, const char *name,
                           const uint8_t *peer, uint64_t now_ms);

#endif
