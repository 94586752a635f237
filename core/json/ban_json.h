/* SPDX-License-Identifier: Apache-2.0
 *
 * A ban as JSON, in the one form that the ban log, the bans part of a snapshot, the spool
 * and the daemon share:
 * {"op":"put"|"lift","id":"ip:203.0.113.7","digest":"HEX32","network":"203.0.113.7"|null,
 *  "since_ms":…,"until_ms":…|null,"status":403,"policy":"","incident":"","response":"",
 *  "origin":"node"|"daemon","hold_until_ms":…}            (the last for lifts only)
 */
#ifndef L7S_BAN_JSON_H
#define L7S_BAN_JSON_H

#include "../segment/ban_id.h"
#include "../segment/bans.h"
#include "../status.h"
#include <jansson.h>

json_t *l7s_ban_to_json(const l7s_ban_t *ban); /* op "put"; new reference */
json_t *l7s_ban_lift_to_json(const l7s_ban_t *ban, uint64_t hold_until_ms);
/* *lift tells the op; every string is bounded and checked. */
L7S_MUST_USE l7s_status_t l7s_ban_from_json(const json_t *json, l7s_ban_t *out,
                                            bool *lift, uint64_t *hold_until_ms);

/* May a node have banned this? No policy bans more than a /8 of IPv4 or a /16 of IPv6:
 * one node in the wrong hands must not shut out everybody with one entry. */
bool l7s_ban_fits_node(const l7s_ban_t *ban);

#endif
