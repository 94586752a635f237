/* SPDX-License-Identifier: Apache-2.0
 *
 * The node's end of the bus: the pool, the keys and the bus epoch, with one budget of
 * time per tick. Every part that reads or writes items does it through here, so that
 * together they never hold a tick for longer than 50 ms, whatever memcached does. It
 * knows names, seals and servers; what the items mean is the business of those who ask.
 */
#ifndef SYNC_BUS_H
#define SYNC_BUS_H

#include "../../core/bus/item.h"
#include "clock.h"
#include "options.h"

typedef struct sync_bus sync_bus_t;

/* Milliseconds of network work in one tick: bus and counters together. */
#define SYNC_NETWORK_MS 50

/* Does not connect. A trust or secret file that cannot be read is logged and tried again
 * every second; until then sync_bus_trust is NULL. */
L7S_MUST_USE l7s_status_t sync_bus_create(const sync_options_t *options,
                                          sync_bus_t **out);
void sync_bus_free(sync_bus_t *bus);

/* The tick begins: a new budget, changed key files are read again. */
void sync_bus_begin(sync_bus_t *bus, l7s_now_t now);
/* The store is to be left alone in this tick: there is no time for any exchange. */
void sync_bus_rest(sync_bus_t *bus);
bool sync_bus_rests(const sync_bus_t *bus);
/* May another exchange be started in this tick? Reads the clock. */
bool sync_bus_has_time(const sync_bus_t *bus);
/* What is left of the tick's budget. */
unsigned sync_bus_time_left_ms(const sync_bus_t *bus);

const l7s_trust_t *sync_bus_trust(const sync_bus_t *bus);
/* Tells one daemon's signing key from another's; "" without trust. */
const char *sync_bus_trust_id(const sync_bus_t *bus);
l7s_pool_t *sync_bus_pool(const sync_bus_t *bus);
unsigned sync_bus_servers_up(const sync_bus_t *bus);

/* Where the items stand: epoch and naming key come from the daemon's head. `turn` grows
 * whenever they change: positions kept under an earlier turn are void. */
const char *sync_bus_epoch(const sync_bus_t *bus); /* "" until a head has been seen */
uint64_t sync_bus_turn(const sync_bus_t *bus);
void sync_bus_enter(sync_bus_t *bus, const char *bus_epoch, const char *secret_id);
/* The key that names items and counters. NULL without trust. */
const l7s_hashkey_t *sync_bus_name_key(const sync_bus_t *bus);

void sync_bus_name(const sync_bus_t *bus, l7s_item_kind_t kind, const char *detail,
                   uint64_t index, char out[L7S_ITEM_NAME_MAX]);

/* Like l7s_pool_get_many; L7S_IO when the tick has no time left. */
L7S_MUST_USE l7s_status_t sync_bus_read(sync_bus_t *bus, char (*names)[L7S_ITEM_NAME_MAX],
                                        size_t count, l7s_pool_found_fn found,
                                        void *context);

/* Seals `payload` as this node and stores it; without `replace` and `append` it adds
 * (L7S_CONFLICT when it is there already). L7S_IO also when the tick has no time left. */
typedef struct {
    l7s_item_kind_t kind;
    const char *detail;
    uint64_t index;
    uint32_t ttl_seconds;
    bool replace;
    bool append; /* behind the items that are there */
} sync_bus_place_t;
L7S_MUST_USE l7s_status_t sync_bus_write(sync_bus_t *bus, const sync_bus_place_t *place,
                                         const char *payload, size_t size);
/* Best effort. */
void sync_bus_delete(sync_bus_t *bus, l7s_item_kind_t kind, const char *detail,
                     uint64_t index);

/* Opens an item that was read under `name`; a bad one is logged (rate-limited). */
L7S_MUST_USE l7s_status_t sync_bus_open(sync_bus_t *bus, l7s_item_kind_t kind,
                                        const char *name, const void *data, size_t size,
                                        l7s_item_t *out);

#endif
