/* SPDX-License-Identifier: Apache-2.0
 *
 * The special-purpose blocks (public_address.h).
 */
#include "public_address.h"

static const char *const special[] = {
    "0.0.0.0/8",      "10.0.0.0/8",     "100.64.0.0/10", "127.0.0.0/8",
    "169.254.0.0/16", "172.16.0.0/12",  "192.0.0.0/24",  "192.0.2.0/24",
    "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4",   "::/95",
    "64:ff9b::/96",   "64:ff9b:1::/48", "100::/64",      "2001::/23",
    "2001:db8::/32",  "2002::/16",      "3fff::/20",     "5f00::/16",
    "fc00::/7",       "fe80::/10",      "fec0::/10",     "ff00::/8",
};

bool admin_address_is_public(const l7s_addr_t *address)
{
    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++) {
        l7s_cidr_t block;
        if (l7s_cidr_parse(special[i], &block) != L7S_OK ||
            l7s_cidr_contains(&block, address)) {
            return false;
        }
    }
    return true;
}
