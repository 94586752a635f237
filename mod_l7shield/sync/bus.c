/* SPDX-License-Identifier: Apache-2.0
 *
 * See bus.h. All exchanges of one tick are given the same time, so that a server whose
 * breaker opens in a tick stays alone for the rest of it and costs its timeout once.
 */
#include "bus.h"
#include "file.h"
#include "log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the 50 ms, dead servers may eat this much in all; the counters keep the rest. */
#define DEAD_SERVERS_MS 20
#define TIMEOUT_MIN_MS 2
/* No exchange begins later than this: its own timeout must still fit. */
#define LAST_START_MS (SYNC_NETWORK_MS - DEAD_SERVERS_MS)
#define RELOAD_MS 1000
#define TRUST_FILE_MAX 4096
#define LOG_INTERVAL_MS 10000

struct sync_bus {
    const sync_options_t *options;
    l7s_pool_t *pool;
    l7s_trust_t *trust;
    char trust_id[L7S_SHA256_TEXT];
    sync_stamp_t secret_stamp, trust_stamp;
    l7s_hashkey_t name_key;
    char name_secret[L7S_SECRET_ID_MAX]; /* "" until the daemon's is known */
    char epoch[40];
    uint64_t turn;
    l7s_now_t now;
    uint64_t deadline_us, last_start_us, reload_at_ms;
    sync_log_gate_t item_gate;
};

/* The naming key: of the daemon's secret once it is known, else of our first. */
static void derive_name_key(sync_bus_t *bus)
{
    const char *id = bus->name_secret;

    if (id[0] == '\0' || !l7s_trust_has_secret(bus->trust, id)) {
        id = l7s_trust_secret_id(bus->trust);
    }
    if (l7s_trust_name_key(bus->trust, id, &bus->name_key) != L7S_OK) {
        memset(&bus->name_key, 0, sizeof bus->name_key);
    }
}

/* The trust file holds nothing but the public key. */
static void identify_daemon(sync_bus_t *bus)
{
    char *text = NULL;
    size_t size = 0;

    if (sync_file_read(bus->options->trust_file, TRUST_FILE_MAX, &text, &size) ==
        L7S_OK) {
        l7s_sha256_text(text, size, bus->trust_id);
    }
    free(text);
}

/* A file that has become unreadable leaves the keys that we have in force. */
static void load_trust(sync_bus_t *bus)
{
    char why[256] = "";
    l7s_trust_t *trust = NULL;

    bus->secret_stamp = sync_file_stamp(bus->options->secret_file);
    bus->trust_stamp = sync_file_stamp(bus->options->trust_file);
    if (l7s_trust_load(bus->options->secret_file, bus->options->trust_file, NULL, why,
                       &trust) != L7S_OK) {
        sync_log(SYNC_ERROR, "L7S2030",
                 "the fleet's keys cannot be used: %s; this node %s until they can", why,
                 bus->trust == NULL ? "stands alone" : "keeps those it has");
        return;
    }
    l7s_trust_free(bus->trust);
    bus->trust = trust;
    identify_daemon(bus);
    derive_name_key(bus);
    bus->turn++;
}

static bool trust_changed(const sync_bus_t *bus)
{
    sync_stamp_t secret = sync_file_stamp(bus->options->secret_file);
    sync_stamp_t trust = sync_file_stamp(bus->options->trust_file);

    return !sync_stamp_same(&secret, &bus->secret_stamp) ||
           !sync_stamp_same(&trust, &bus->trust_stamp);
}

l7s_status_t sync_bus_create(const sync_options_t *options, sync_bus_t **out)
{
    sync_bus_t *bus = calloc(1, sizeof *bus);

    if (bus == NULL) {
        return L7S_NO_MEMORY;
    }
    bus->options = options;
    unsigned timeout = DEAD_SERVERS_MS / (unsigned)options->server_count;
    l7s_status_t status =
        l7s_pool_create(options->servers, options->server_count,
                        timeout < TIMEOUT_MIN_MS ? TIMEOUT_MIN_MS : timeout, &bus->pool);
    if (status != L7S_OK) {
        free(bus);
        return status;
    }
    load_trust(bus);
    *out = bus;
    return L7S_OK;
}

void sync_bus_free(sync_bus_t *bus)
{
    if (bus == NULL) {
        return;
    }
    l7s_pool_free(bus->pool);
    l7s_trust_free(bus->trust);
    free(bus);
}

void sync_bus_begin(sync_bus_t *bus, l7s_now_t now)
{
    bus->now = now;
    bus->deadline_us = now.mono_us + SYNC_NETWORK_MS * 1000;
    bus->last_start_us = now.mono_us + LAST_START_MS * 1000;
    if (sync_mono_ms(now) >= bus->reload_at_ms) {
        bus->reload_at_ms = sync_mono_ms(now) + RELOAD_MS;
        if (trust_changed(bus)) {
            load_trust(bus);
        }
    }
}

void sync_bus_rest(sync_bus_t *bus)
{
    bus->deadline_us = bus->last_start_us = 0;
}

bool sync_bus_rests(const sync_bus_t *bus)
{
    return bus->deadline_us == 0;
}

bool sync_bus_has_time(const sync_bus_t *bus)
{
    return sync_clock_now().mono_us < bus->last_start_us;
}

unsigned sync_bus_time_left_ms(const sync_bus_t *bus)
{
    uint64_t now_us = sync_clock_now().mono_us;

    return now_us >= bus->deadline_us ? 0 : (unsigned)(bus->deadline_us - now_us) / 1000;
}

const l7s_trust_t *sync_bus_trust(const sync_bus_t *bus)
{
    return bus->trust;
}

const char *sync_bus_trust_id(const sync_bus_t *bus)
{
    return bus->trust_id;
}

l7s_pool_t *sync_bus_pool(const sync_bus_t *bus)
{
    return bus->pool;
}

unsigned sync_bus_servers_up(const sync_bus_t *bus)
{
    unsigned up = 0;

    for (size_t i = 0; i < l7s_pool_servers(bus->pool); i++) {
        up += l7s_pool_up(bus->pool, i) ? 1 : 0;
    }
    return up;
}

const char *sync_bus_epoch(const sync_bus_t *bus)
{
    return bus->epoch;
}

uint64_t sync_bus_turn(const sync_bus_t *bus)
{
    return bus->turn;
}

void sync_bus_enter(sync_bus_t *bus, const char *bus_epoch, const char *secret_id)
{
    if (strcmp(bus->epoch, bus_epoch) == 0 && strcmp(bus->name_secret, secret_id) == 0) {
        return;
    }
    (void)snprintf(bus->epoch, sizeof bus->epoch, "%s", bus_epoch);
    (void)snprintf(bus->name_secret, sizeof bus->name_secret, "%s", secret_id);
    bus->turn++;
    if (bus->trust != NULL) {
        derive_name_key(bus);
    }
}

const l7s_hashkey_t *sync_bus_name_key(const sync_bus_t *bus)
{
    return bus->trust == NULL ? NULL : &bus->name_key;
}

void sync_bus_name(const sync_bus_t *bus, l7s_item_kind_t kind, const char *detail,
                   uint64_t index, char out[L7S_ITEM_NAME_MAX])
{
    bool fixed = kind == L7S_ITEM_HEAD || kind == L7S_ITEM_MODE;

    l7s_item_name(&bus->name_key, fixed ? "" : bus->epoch, kind, detail, index, out);
}

#define READ_MAX 512

l7s_status_t sync_bus_read(sync_bus_t *bus, char (*names)[L7S_ITEM_NAME_MAX],
                           size_t count, l7s_pool_found_fn found, void *context)
{
    const char *pointers[READ_MAX];

    if (bus->trust == NULL || count > READ_MAX || !sync_bus_has_time(bus)) {
        return L7S_IO;
    }
    for (size_t i = 0; i < count; i++) {
        pointers[i] = names[i];
    }
    return l7s_pool_get_many(bus->pool, pointers, count, sync_mono_ms(bus->now), found,
                             context);
}

l7s_status_t sync_bus_write(sync_bus_t *bus, const sync_bus_place_t *place,
                            const char *payload, size_t size)
{
    char name[L7S_ITEM_NAME_MAX];
    void *item = NULL;
    size_t item_size = 0;

    if (bus->trust == NULL || !sync_bus_has_time(bus)) {
        return L7S_IO;
    }
    sync_bus_name(bus, place->kind, place->detail, place->index, name);
    l7s_status_t status =
        l7s_item_seal(bus->trust, place->kind, name, bus->options->node, false, payload,
                      size, sync_clock_now().wall_ms, &item, &item_size);
    if (status != L7S_OK) {
        return status;
    }
    uint64_t now_ms = sync_mono_ms(bus->now);
    uint32_t ttl = place->ttl_seconds;
    status =
        place->append    ? l7s_pool_append(bus->pool, name, item, item_size, ttl, now_ms)
        : place->replace ? l7s_pool_set(bus->pool, name, item, item_size, ttl, now_ms)
                         : l7s_pool_add(bus->pool, name, item, item_size, ttl, now_ms);
    free(item);
    return status;
}

void sync_bus_delete(sync_bus_t *bus, l7s_item_kind_t kind, const char *detail,
                     uint64_t index)
{
    char name[L7S_ITEM_NAME_MAX];

    if (bus->trust == NULL || !sync_bus_has_time(bus)) {
        return;
    }
    sync_bus_name(bus, kind, detail, index, name);
    l7s_status_t status = l7s_pool_delete(bus->pool, name, sync_mono_ms(bus->now));
    (void)status;
}

static const char *kind_name(l7s_item_kind_t kind)
{
    static const char *const names[] = {
        "item", "head", "mode item", "manifest",        "chunk",
        "seat", "ban",  "incident",  "acknowledgement", "news item"};
    return (size_t)kind < sizeof names / sizeof names[0] ? names[kind] : names[0];
}

/* The place of a log entry orders it and an acknowledgement is written once: both may be
 * older than the skew, since their name and the bus epoch are sealed with them. */
static bool may_be_old(l7s_item_kind_t kind, uint64_t sealed_at_ms, uint64_t wall_ms)
{
    return (kind == L7S_ITEM_BAN || kind == L7S_ITEM_ACK) && sealed_at_ms < wall_ms;
}

l7s_status_t sync_bus_open(sync_bus_t *bus, l7s_item_kind_t kind, const char *name,
                           const void *data, size_t size, l7s_item_t *out)
{
    uint64_t wall_ms = sync_clock_now().wall_ms, held_back = 0;
    l7s_status_t status = l7s_item_open(bus->trust, kind, name, data, size, wall_ms, out);

    if (status == L7S_STALE && may_be_old(kind, out->sealed_at_ms, wall_ms)) {
        status = L7S_OK;
    }
    if (status != L7S_OK && sync_log_gate(&bus->item_gate, sync_mono_ms(bus->now),
                                          LOG_INTERVAL_MS, &held_back)) {
        sync_log(
            SYNC_WARN, "L7S2033",
            "a %s on the bus is refused (%s); %llu more were since the last such line",
            kind_name(kind), l7s_status_name(status), (unsigned long long)held_back);
    }
    return status;
}
