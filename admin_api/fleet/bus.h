/* SPDX-License-Identifier: Apache-2.0
 *
 * One thread's end of the bus: its own pool of connections, and items by what they are
 * instead of by name. Adds nothing to the trust: an item that does not open is reported
 * as such and never parsed. Not thread-safe; all signals must be blocked in its thread.
 *
 * Log entries (bans, incidents) are accepted however old they are: their place in the log
 * orders them, and an outage of the daemon must not make a waiting report worthless. Only
 * those from the future are refused.
 */
#ifndef ADMIN_BUS_H
#define ADMIN_BUS_H

#include "../../core/bus/manifest.h"
#include "bus_epoch.h"

#define ADMIN_BUS_SENDER "l7shieldd"
#define ADMIN_BUS_TIMEOUT_MS 250
#define ADMIN_BUS_RANGE_MAX 1024
#define ADMIN_LOG_TTL_SECONDS 600

typedef struct admin_bus admin_bus_t;

typedef struct {
    l7s_item_kind_t kind;
    const char *detail; /* node name or content hash; "" when the kind has none */
    uint64_t index;     /* of seats and log entries; else 0 */
} admin_place_t;

/* Enters the present bus epoch (bus_epoch.h). */
L7S_MUST_USE l7s_status_t admin_bus_open(const admin_daemon_t *daemon, admin_bus_t **out);
void admin_bus_close(admin_bus_t *bus);

/* Works with the keys in force from now on, as far as signing and checking go. */
void admin_bus_refresh(admin_bus_t *bus);
/* Takes part in another bus epoch from now on, under names of the first secret. */
void admin_bus_enter(admin_bus_t *bus, const char *bus_epoch);
const char *admin_bus_epoch(const admin_bus_t *bus);

/* The secret of our names, and whether the first one in force is another by now: then a
 * new bus epoch is due. */
const char *admin_bus_secret_id(const admin_bus_t *bus);
bool admin_bus_outdated(const admin_bus_t *bus);

/* Which servers answered when they were last asked: one bit each. */
uint32_t admin_bus_servers_up(const admin_bus_t *bus);

/* Seals as the daemon and stores; `put` replaces, `add` is L7S_CONFLICT when there is
 * one. */
L7S_MUST_USE l7s_status_t admin_bus_put(admin_bus_t *bus, admin_place_t place,
                                        const char *payload, uint64_t now_ms);
/* The mode item, under the names of all secrets: whoever lacks the newest one must still
 * obey the kill switch. */
L7S_MUST_USE l7s_status_t admin_bus_put_mode(admin_bus_t *bus, const char *payload,
                                             uint64_t now_ms);
L7S_MUST_USE l7s_status_t admin_bus_add(admin_bus_t *bus, admin_place_t place,
                                        const char *payload, uint32_t ttl_seconds,
                                        uint64_t now_ms);
/* The payload of an item whose seal holds, malloc'ed. L7S_NOT_FOUND: no item, or garbage.
 */
L7S_MUST_USE l7s_status_t admin_bus_get(admin_bus_t *bus, admin_place_t place,
                                        uint64_t now_ms, char **payload);
/* Chunks are not sealed: their name is their hash. `check` is L7S_NOT_FOUND when the
 * chunk is not there or is not what its name says. */
L7S_MUST_USE l7s_status_t admin_bus_put_chunk(admin_bus_t *bus, const l7s_chunk_t *chunk,
                                              uint64_t now_ms);
L7S_MUST_USE l7s_status_t admin_bus_check_chunk(admin_bus_t *bus, const char *hash,
                                                uint64_t now_ms);
L7S_MUST_USE l7s_status_t admin_bus_delete(admin_bus_t *bus, admin_place_t place,
                                           uint64_t now_ms);

/* Reads the indexes [place.index, place.index + count) at once, count at most
 * ADMIN_BUS_RANGE_MAX. `found` is called for each that exists; `opened` is L7S_OK with an
 * item, else why it did not open, with NULL. L7S_OK only when every server answered. */
typedef void (*admin_bus_found_fn)(void *context, uint64_t index, l7s_status_t opened,
                                   const l7s_item_t *item);
L7S_MUST_USE l7s_status_t admin_bus_range(admin_bus_t *bus, admin_place_t place,
                                          size_t count, uint64_t now_ms,
                                          admin_bus_found_fn found, void *context);

#endif
