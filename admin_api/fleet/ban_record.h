/* SPDX-License-Identifier: Apache-2.0
 *
 * A ban between its three forms: the row in events.db, the entry that travels
 * (core/json/ban_json.h), the public document (API.md). Every change goes through here,
 * so that none forgets the generation that makes the fleet converge.
 *
 * A lifted ban stays as a tombstone: at least as long as an entry of the ban log lives
 * (which may be read again), and longer where a node that was away could bring the ban
 * back.
 */
#ifndef ADMIN_BAN_RECORD_H
#define ADMIN_BAN_RECORD_H

#include "../../core/json/ban_json.h"
#include "../store/store_events.h"

/* Numbers in events.db. */
#define ADMIN_BANS_GENERATION "bans_generation"
#define ADMIN_BAN_LOG_POSITION "ban_log_position" /* next entry to read, from 1 */

#define ADMIN_TOMBSTONE_MIN_MS ((uint64_t)3600 * 1000)
#define ADMIN_TOMBSTONE_MAX_MS ((uint64_t)7 * 24 * 3600 * 1000)
/* Ten years; who means longer means until lifted. */
#define ADMIN_BAN_SECONDS_MAX 315360000
#define ADMIN_HOLD_SECONDS_MAX 2592000

/* Bans in force, of nodes and by hand together. */
#define ADMIN_BANS_MAX 100000

typedef struct {
    l7s_ban_t ban;
    bool lifted;            /* a tombstone: ban.since_ms is when it was lifted */
    uint64_t hold_until_ms; /* of a tombstone: keeps the key from being banned again */
    json_t *spec;           /* {"document","by","revision"} of a PUT, or NULL; owned */
} admin_ban_record_t;

/* The record of `id`: in force at now_ms, or also a tombstone. L7S_NOT_FOUND, L7S_IO. */
L7S_MUST_USE l7s_status_t admin_ban_record_get(admin_store_t *store, const char *id,
                                               bool with_lifted, uint64_t now_ms,
                                               admin_ban_record_t *out);
/* From a row that admin_ban_each shows; spec gets a new reference. L7S_INVALID. */
L7S_MUST_USE l7s_status_t admin_ban_record_read(const admin_ban_t *row,
                                                admin_ban_record_t *out);
void admin_ban_record_clear(admin_ban_record_t *record);

/* How many bans are in force. */
size_t admin_ban_record_count(admin_store_t *store, uint64_t now_ms);

/* Inside a transaction of ADMIN_EVENTS_DB; both raise the generation and write the event
 * (event_log.h). */
L7S_MUST_USE l7s_status_t admin_ban_record_put(admin_store_t *store, const l7s_ban_t *ban,
                                               json_t *spec);
/* *entry is the lift for the ban log; new reference, owned by the caller. */
typedef struct {
    const char *by; /* who lifts it */
    uint64_t now_ms, hold_until_ms;
} admin_ban_lift_t;
L7S_MUST_USE l7s_status_t admin_ban_record_lift(admin_store_t *store,
                                                const l7s_ban_t *ban,
                                                const admin_ban_lift_t *lift,
                                                json_t **entry);

/* What stands in a snapshot: entries of the bans in force and of the tombstones. New
 * reference; NULL: the store cannot be read. */
json_t *admin_ban_entries(const admin_daemon_t *daemon, uint64_t now_ms);

/* The digest under which nodes look for a banned address or network. */
L7S_MUST_USE l7s_status_t admin_ban_digest(const admin_daemon_t *daemon,
                                           const l7s_cidr_t *network, l7s_hash128_t *out);

/* What the client owns: what was PUT, or for a ban of a node the equivalent. New
 * reference. */
json_t *admin_ban_document(const admin_ban_record_t *record);
/* With id and, unless view_spec, `status`. New reference. */
json_t *admin_ban_public(const admin_ban_record_t *record, bool view_spec);

#endif
