/* SPDX-License-Identifier: Apache-2.0
 *
 * Names, seals and connections of one thread (bus.h).
 */
#include "bus.h"

#include "keys.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct admin_bus {
    admin_keys_t *keys;
    const l7s_trust_t *trust; /* held */
    l7s_pool_t *pool;
    l7s_hashkey_t name_key;
    char name_secret[L7S_SECRET_ID_MAX];
    char epoch[ADMIN_BUS_EPOCH_TEXT];
    /* Room for one range, so that a tick allocates nothing. */
    char names[ADMIN_BUS_RANGE_MAX][L7S_ITEM_NAME_MAX];
    const char *pointers[ADMIN_BUS_RANGE_MAX];
};

static l7s_status_t derive_names(admin_bus_t *bus)
{
    const char *id = l7s_trust_secret_id(bus->trust);
    snprintf(bus->name_secret, sizeof(bus->name_secret), "%s", id);
    return l7s_trust_name_key(bus->trust, id, &bus->name_key);
}

l7s_status_t admin_bus_open(const admin_daemon_t *daemon, admin_bus_t **out)
{
    admin_bus_t *bus = calloc(1, sizeof(*bus));
    *out = NULL;
    if (bus == NULL) {
        return L7S_NO_MEMORY;
    }
    bus->keys = daemon->keys;
    bus->trust = admin_keys_hold(bus->keys);
    admin_bus_epoch_read(daemon->store, bus->epoch);
    for (size_t i = 0; i < ADMIN_BUS_RANGE_MAX; i++) {
        bus->pointers[i] = bus->names[i];
    }
    l7s_status_t status = derive_names(bus);
    if (status == L7S_OK) {
        status = l7s_pool_create(daemon->options->servers, daemon->options->server_count,
                                 ADMIN_BUS_TIMEOUT_MS, &bus->pool);
    }
    if (status != L7S_OK) {
        admin_keys_let_go(bus->keys, bus->trust);
        free(bus);
        return status;
    }
    *out = bus;
    return L7S_OK;
}

void admin_bus_close(admin_bus_t *bus)
{
    if (bus != NULL) {
        l7s_pool_free(bus->pool);
        admin_keys_let_go(bus->keys, bus->trust);
        free(bus);
    }
}

void admin_bus_refresh(admin_bus_t *bus)
{
    const l7s_trust_t *before = bus->trust;
    bus->trust = admin_keys_hold(bus->keys);
    admin_keys_let_go(bus->keys, before);
}

void admin_bus_enter(admin_bus_t *bus, const char *bus_epoch)
{
    snprintf(bus->epoch, sizeof(bus->epoch), "%s", bus_epoch);
    if (derive_names(bus) != L7S_OK) {
        memset(&bus->name_key, 0, sizeof(bus->name_key));
    }
}

const char *admin_bus_secret_id(const admin_bus_t *bus)
{
    return bus->name_secret;
}

bool admin_bus_outdated(const admin_bus_t *bus)
{
    return strcmp(bus->name_secret, l7s_trust_secret_id(bus->trust)) != 0;
}

const char *admin_bus_epoch(const admin_bus_t *bus)
{
    return bus->epoch;
}

uint32_t admin_bus_servers_up(const admin_bus_t *bus)
{
    uint32_t up = 0;
    for (size_t i = 0; i < l7s_pool_servers(bus->pool); i++) {
        up |= l7s_pool_up(bus->pool, i) ? (uint32_t)1 << i : 0;
    }
    return up;
}

static void name_of(const admin_bus_t *bus, admin_place_t place,
                    char out[L7S_ITEM_NAME_MAX])
{
    bool fixed = place.kind == L7S_ITEM_HEAD || place.kind == L7S_ITEM_MODE;
    l7s_item_name(&bus->name_key, fixed ? "" : bus->epoch, place.kind, place.detail,
                  place.index, out);
}

static l7s_status_t seal(const admin_bus_t *bus, admin_place_t place, const char *payload,
                         uint64_t now_ms, char name[L7S_ITEM_NAME_MAX], void **item,
                         size_t *size)
{
    name_of(bus, place, name);
    return l7s_item_seal(bus->trust, place.kind, name, ADMIN_BUS_SENDER, true, payload,
                         strlen(payload), now_ms, item, size);
}

l7s_status_t admin_bus_put(admin_bus_t *bus, admin_place_t place, const char *payload,
                           uint64_t now_ms)
{
    char name[L7S_ITEM_NAME_MAX];
    void *item = NULL;
    size_t size = 0;
    l7s_status_t status = seal(bus, place, payload, now_ms, name, &item, &size);
    if (status == L7S_OK) {
        status = l7s_pool_set(bus->pool, name, item, size, 0, now_ms);
    }
    free(item);
    return status;
}

l7s_status_t admin_bus_put_mode(admin_bus_t *bus, const char *payload, uint64_t now_ms)
{
    admin_place_t place = {L7S_ITEM_MODE, "", 0};
    l7s_hashkey_t own = bus->name_key;
    for (size_t i = 0; i < l7s_trust_secrets(bus->trust); i++) {
        const char *id = l7s_trust_secret_at(bus->trust, i);
        if (strcmp(id, bus->name_secret) != 0 &&
            l7s_trust_name_key(bus->trust, id, &bus->name_key) == L7S_OK) {
            (void)!admin_bus_put(bus, place, payload, now_ms);
        }
    }
    bus->name_key = own;
    return admin_bus_put(bus, place, payload, now_ms);
}

l7s_status_t admin_bus_add(admin_bus_t *bus, admin_place_t place, const char *payload,
                           uint32_t ttl_seconds, uint64_t now_ms)
{
    char name[L7S_ITEM_NAME_MAX];
    void *item = NULL;
    size_t size = 0;
    l7s_status_t status = seal(bus, place, payload, now_ms, name, &item, &size);
    if (status == L7S_OK) {
        status = l7s_pool_add(bus->pool, name, item, size, ttl_seconds, now_ms);
    }
    free(item);
    return status;
}

l7s_status_t admin_bus_put_chunk(admin_bus_t *bus, const l7s_chunk_t *chunk,
                                 uint64_t now_ms)
{
    char name[L7S_ITEM_NAME_MAX];
    name_of(bus, (admin_place_t){L7S_ITEM_CHUNK, chunk->hash, 0}, name);
    return l7s_pool_set(bus->pool, name, chunk->data, chunk->size, 0, now_ms);
}

l7s_status_t admin_bus_check_chunk(admin_bus_t *bus, const char *hash, uint64_t now_ms)
{
    char name[L7S_ITEM_NAME_MAX], actual[L7S_SHA256_TEXT];
    void *data = NULL;
    size_t size = 0;
    name_of(bus, (admin_place_t){L7S_ITEM_CHUNK, hash, 0}, name);
    l7s_status_t status = l7s_pool_get(bus->pool, name, now_ms, &data, &size);
    if (status == L7S_OK) {
        l7s_sha256_text(data, size, actual);
        status = strcmp(actual, hash) == 0 ? L7S_OK : L7S_UNTRUSTED;
    }
    free(data);
    return status;
}

/* L7S_STALE comes with a filled item whose seal has held: an old entry of a log counts.
 */
static l7s_status_t open_item(const admin_bus_t *bus, l7s_item_kind_t kind,
                              const char *name, const void *data, size_t size,
                              uint64_t now_ms, l7s_item_t *out)
{
    l7s_status_t status = l7s_item_open(bus->trust, kind, name, data, size, now_ms, out);
    bool log = kind == L7S_ITEM_BAN || kind == L7S_ITEM_INCIDENT;
    return status == L7S_STALE && log && out->sealed_at_ms < now_ms ? L7S_OK : status;
}

l7s_status_t admin_bus_get(admin_bus_t *bus, admin_place_t place, uint64_t now_ms,
                           char **payload)
{
    char name[L7S_ITEM_NAME_MAX];
    void *data = NULL;
    size_t size = 0;
    l7s_item_t item;
    *payload = NULL;
    name_of(bus, place, name);
    l7s_status_t status = l7s_pool_get(bus->pool, name, now_ms, &data, &size);
    if (status == L7S_OK) {
        status = open_item(bus, place.kind, name, data, size, now_ms, &item) == L7S_OK
                     ? L7S_OK
                     : L7S_UNTRUSTED;
    }
    if (status == L7S_OK) {
        *payload = strndup(item.payload, item.size);
        status = *payload == NULL ? L7S_NO_MEMORY : L7S_OK;
    }
    free(data);
    return status;
}

l7s_status_t admin_bus_delete(admin_bus_t *bus, admin_place_t place, uint64_t now_ms)
{
    char name[L7S_ITEM_NAME_MAX];
    name_of(bus, place, name);
    return l7s_pool_delete(bus->pool, name, now_ms);
}

typedef struct {
    admin_bus_t *bus;
    admin_place_t place;
    uint64_t now_ms;
    admin_bus_found_fn found;
    void *context;
} range_t;

static void found_in_range(void *context, size_t index, const void *value, size_t size)
{
    range_t *range = context;
    l7s_item_t item;
    l7s_status_t status =
        open_item(range->bus, range->place.kind, range->bus->names[index], value, size,
                  range->now_ms, &item);
    range->found(range->context, range->place.index + index, status,
                 status == L7S_OK ? &item : NULL);
}

l7s_status_t admin_bus_range(admin_bus_t *bus, admin_place_t place, size_t count,
                             uint64_t now_ms, admin_bus_found_fn found, void *context)
{
    range_t range = {bus, place, now_ms, found, context};
    if (count > ADMIN_BUS_RANGE_MAX) {
        return L7S_TOO_BIG;
    }
    for (size_t i = 0; i < count; i++) {
        name_of(bus, (admin_place_t){place.kind, place.detail, place.index + i},
                bus->names[i]);
    }
    return l7s_pool_get_many(bus->pool, bus->pointers, count, now_ms, found_in_range,
                             &range);
}
