/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses and networks. Everything is 16 bytes: IPv4 is held v4-mapped
 * (::ffff:a.b.c.d), so one code path serves both families and a dual-stack listener
 * cannot be a bypass. Prefixes are counted in the 128-bit form; 10.0.0.0/8 is held as
 * /104.
 */
#ifndef L7S_ADDR_H
#define L7S_ADDR_H

#include "status.h"
#include <stdint.h>

typedef struct {
    uint8_t bytes[16];
} l7s_addr_t;

typedef struct {
    l7s_addr_t base; /* host bits are zero */
    uint8_t prefix;  /* 0…128, 96 + n for IPv4 */
} l7s_cidr_t;

#define L7S_ADDR_TEXT 46
#define L7S_CIDR_TEXT 50

bool l7s_addr_is_v4(const l7s_addr_t *addr);
bool l7s_addr_parse(const char *text, l7s_addr_t *out);
void l7s_addr_text(const l7s_addr_t *addr, char out[L7S_ADDR_TEXT]);

/* `addr` with all bits behind `prefix` (128-bit form) cleared. */
l7s_addr_t l7s_addr_mask(const l7s_addr_t *addr, uint8_t prefix);

/* The unit that is counted and banned as one client: the address for IPv4, its /64 for
 * IPv6, since one subscriber owns at least that much. */
l7s_cidr_t l7s_addr_client(const l7s_addr_t *addr);

/* Reads "192.0.2.0/24", "2001:db8::/32" or a bare address. L7S_INVALID: not one.
 * L7S_CONFLICT: host bits are set; `out` then holds the corrected network. */
L7S_MUST_USE l7s_status_t l7s_cidr_parse(const char *text, l7s_cidr_t *out);

/* "192.0.2.0/24"; a single address has no suffix. */
void l7s_cidr_text(const l7s_cidr_t *cidr, char out[L7S_CIDR_TEXT]);
/* A network wider than the mapped block (::/0 … ::/95) contains IPv6 addresses only. */
bool l7s_cidr_contains(const l7s_cidr_t *cidr, const l7s_addr_t *addr);

#endif
