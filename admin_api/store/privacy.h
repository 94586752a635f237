/* SPDX-License-Identifier: Apache-2.0
 *
 * settings.privacy: what records, events and exports show of addresses and of the queries
 * that nodes recorded. It is applied when they are shown, so a change holds for old ones;
 * what is stored, and what nodes need in order to act, stays whole until retention takes
 * it.
 */
#ifndef ADMIN_PRIVACY_H
#define ADMIN_PRIVACY_H

#include "../../core/hash.h"
#include "store.h"

typedef enum {
    ADMIN_ADDRESSES_FULL,
    ADMIN_ADDRESSES_TRUNCATED, /* IPv4 to its /24, IPv6 to its /48 */
    ADMIN_ADDRESSES_PSEUDONYM  /* a keyed hash, always the same for the same address */
} admin_addresses_t;

typedef struct {
    admin_addresses_t addresses;
    bool queries;      /* samples show theirs */
    l7s_hashkey_t key; /* of the pseudonyms; in events.db, never shown */
} admin_privacy_t;

/* Draws the key when there is none. Once at start. */
L7S_MUST_USE l7s_status_t admin_privacy_begin(admin_store_t *store);
/* As the settings say now. L7S_IO: they cannot be read; *out is the strictest then. */
L7S_MUST_USE l7s_status_t admin_privacy_read(admin_store_t *store, admin_privacy_t *out);

/* May this JSON text hold anything that must not be shown? */
bool admin_privacy_concerns(const admin_privacy_t *privacy, const char *text);

/* Every text in `document` that is an address, a network, or the id of a ban of one, and
 * the query of every sample. False: no memory; some may still be whole. */
L7S_MUST_USE bool admin_privacy_apply(const admin_privacy_t *privacy, json_t *document);

/* The document as it may be shown now. Steals it; NULL: the settings cannot be read, or
 * no memory. */
json_t *admin_privacy_shown(admin_store_t *store, json_t *document);

#endif
