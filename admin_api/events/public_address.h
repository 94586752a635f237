/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether an address belongs to the public internet. Whoever may set a webhook's URL must
 * not reach the daemon's own network by it.
 */
#ifndef ADMIN_PUBLIC_ADDRESS_H
#define ADMIN_PUBLIC_ADDRESS_H

#include "../../core/addr.h"
#include <stdbool.h>

/* False for every block that IANA's special-purpose registries (RFC 6890) do not call
 * globally reachable, for multicast, and for IPv6 that only carries an IPv4 address. */
bool admin_address_is_public(const l7s_addr_t *address);

#endif
