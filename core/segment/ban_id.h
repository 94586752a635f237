/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of bans. They derive from the key, so that whoever knows whom to ban or to
 * release knows the name. Secrets never stand in them, only hashes.
 */
#ifndef L7S_BAN_ID_H
#define L7S_BAN_ID_H

#include "../rule.h"
#include "../status.h"
#include "bans.h"

/* The id of an address ban: "ip:203.0.113.7", "net:203.0.113.0_24", "net:2001:db8::_64".
 * And back: L7S_INVALID when it is not an address id. */
void l7s_ban_id(const l7s_cidr_t *network, char out[L7S_BAN_ID_MAX]);
L7S_MUST_USE l7s_status_t l7s_ban_id_parse(const char *id, l7s_cidr_t *out);

/* The id of any other ban: the first part of its tuple and the tuple's digest,
 * "header:h-…". */
void l7s_ban_id_hash(l7s_part_t part, l7s_hash128_t digest, char out[L7S_BAN_ID_MAX]);

#endif
