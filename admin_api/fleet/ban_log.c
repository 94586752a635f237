/* SPDX-License-Identifier: Apache-2.0
 *
 * The ban log's reader (ban_log.h). A log in memcached can lose entries: to a flush, to a
 * server's restart, to their time to live while the daemon was away. A gap cannot be
 * mended here; it is reported, and the bus begins anew (bus_epoch.h). Beside the window
 * at the position there is a wide look, every two seconds, since a gap may be wider than
 * a window.
 */
#include "ban_log.h"

#include "../../core/bus/quota.h"
#include "../../core/json/config.h"
#include "../log.h"
#include "../worker.h"
#include "ban_record.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW 16
#define ROUNDS_MAX 16 /* windows of one read: at most 2,560 bans a second */
#define GAP_WAIT_MS 250
#define WIDE_EVERY_MS 2000
#define WIDE ADMIN_BUS_RANGE_MAX
#define FIRST_LOOKS 64 /* wide looks ahead of the position, once, after the start */
#define COMPLAIN_EVERY_MS 10000
#define COUNT_EVERY_MS 5000

typedef struct {
    bool present;
    bool sealed;   /* its seal holds: only such an entry proves where the log goes on */
    json_t *entry; /* of a node; NULL: nothing for us */
    char sender[ADMIN_NODE_NAME_MAX];
} slot_t;

struct admin_ban_log {
    const admin_daemon_t *daemon;
    admin_bus_t *bus;
    admin_fleet_t *fleet;
    l7s_quota_t *quota;
    uint64_t position;     /* next entry to read; as in the store */
    uint64_t gap_since_ms; /* 0: none */
    uint64_t wide_due_ms;
    size_t room; /* bans that may be added until the next count */
    uint64_t count_due_ms;
    bool looked_ahead;
    uint64_t complained_ms, lost_ms, full_ms, quota_ms;
    /* The look that is under way. */
    uint64_t first, now_ms, mono_ms;
    size_t count;
    slot_t slots[WIDE];
};

admin_ban_log_t *admin_ban_log_create(const admin_daemon_t *daemon, admin_bus_t *bus,
                                      admin_fleet_t *fleet)
{
    admin_ban_log_t *log = calloc(1, sizeof(*log));
    if (log == NULL) {
        return NULL;
    }
    log->daemon = daemon;
    log->bus = bus;
    log->fleet = fleet;
    log->quota = l7s_quota_create(L7S_QUOTA_READER);
    if (log->quota == NULL) {
        free(log);
        return NULL;
    }
    admin_ban_log_begin(log);
    return log;
}

void admin_ban_log_begin(admin_ban_log_t *log)
{
    log->position =
        (uint64_t)admin_number_get(log->daemon->store, ADMIN_BAN_LOG_POSITION, 1);
    log->gap_since_ms = 0;
    log->looked_ahead = false;
}

static void clear(admin_ban_log_t *log)
{
    for (size_t i = 0; i < log->count; i++) {
        json_decref(log->slots[i].entry);
        log->slots[i] = (slot_t){.present = false};
    }
    log->count = 0;
}

void admin_ban_log_free(admin_ban_log_t *log)
{
    if (log != NULL) {
        clear(log);
        l7s_quota_free(log->quota);
        free(log);
    }
}

/* ---- looking ---- */

static void found(void *context, uint64_t index, l7s_status_t opened,
                  const l7s_item_t *item)
{
    admin_ban_log_t *log = context;
    slot_t *slot = &log->slots[index - log->first];
    slot->present = true;
    slot->sealed = opened == L7S_OK;
    if (slot->sealed) {
        slot->entry =
            item->by_daemon ? NULL : l7s_json_read(item->payload, item->size, NULL);
        snprintf(slot->sender, sizeof(slot->sender), "%.63s", item->sender);
    }
    bool ignored = opened != L7S_OK || (!item->by_daemon && slot->entry == NULL);
    if (ignored && log->mono_ms - log->complained_ms >= COMPLAIN_EVERY_MS) {
        admin_log(ADMIN_WARN, "L7S3530", "Entry %llu of the ban log is ignored: %s.",
                  (unsigned long long)index,
                  opened == L7S_OK ? "it is not JSON" : "its seal does not hold");
        log->complained_ms = log->mono_ms;
    }
}

static l7s_status_t look(admin_ban_log_t *log, uint64_t first, size_t count)
{
    clear(log);
    log->first = first;
    log->count = count;
    return admin_bus_range(log->bus, (admin_place_t){L7S_ITEM_BAN, "", first}, count,
                           log->now_ms, found, log);
}

/* How many slots hold something before the first that does not. */
static size_t present_first(const admin_ban_log_t *log)
{
    size_t count = 0;
    while (count < log->count && log->slots[count].present) {
        count++;
    }
    return count;
}

static bool present_within(const admin_ban_log_t *log, size_t count)
{
    for (size_t i = 0; i < log->count && i < count; i++) {
        if (log->slots[i].present) {
            return true;
        }
    }
    return false;
}

static bool goes_on(const admin_ban_log_t *log)
{
    for (size_t i = 0; i < log->count; i++) {
        if (log->slots[i].sealed) {
            return true;
        }
    }
    return false;
}

/* ---- taking ---- */

/* May this ban of a node be recorded beside what is known of its id? Later ends win, as
 * they do on the nodes; a lift beats what began before it. */
static bool is_news(admin_store_t *store, const l7s_ban_t *ban, uint64_t now_ms)
{
    admin_ban_record_t known;
    if (ban->until_ms <= now_ms) {
        return false;
    }
    if (admin_ban_record_get(store, ban->id, true, now_ms, &known) != L7S_OK) {
        return true;
    }
    bool news = known.lifted ? ban->since_ms > known.ban.since_ms &&
                                   ban->since_ms >= known.hold_until_ms
                             : ban->until_ms > known.ban.until_ms;
    admin_ban_record_clear(&known);
    return news;
}

static void complain_full(admin_ban_log_t *log)
{
    if (log->full_ms == 0 || log->mono_ms - log->full_ms >= COMPLAIN_EVERY_MS) {
        log->full_ms = log->mono_ms;
        admin_log(ADMIN_ERROR, "L7S3532",
                  "%d bans are in force: further bans of nodes hold on those nodes only.",
                  ADMIN_BANS_MAX);
    }
}

static bool within_quota(admin_ban_log_t *log, const char *sender)
{
    if (l7s_quota_take(log->quota, sender, log->mono_ms)) {
        return true;
    }
    admin_fleet_refused(log->fleet, sender);
    if (log->quota_ms == 0 || log->mono_ms - log->quota_ms >= COMPLAIN_EVERY_MS) {
        log->quota_ms = log->mono_ms;
        admin_log(ADMIN_WARN, "L7S3533",
                  "Node %s bans too many at once: what exceeds %d and %d per second "
                  "holds on that node only (bans_refused in /v1/nodes counts).",
                  sender, L7S_QUOTA_BURST, L7S_QUOTA_PER_SECOND);
    }
    return false;
}

/* Counting reads the whole table, so it is not done for every entry. */
static void make_room(admin_ban_log_t *log)
{
    if (log->mono_ms >= log->count_due_ms) {
        size_t count = admin_ban_record_count(log->daemon->store, log->now_ms);
        log->room = count < ADMIN_BANS_MAX ? ADMIN_BANS_MAX - count : 0;
        log->count_due_ms = log->mono_ms + COUNT_EVERY_MS;
    }
}

/* Only the daemon lifts: a lift from a node is ignored. */
static l7s_status_t take(admin_ban_log_t *log, const slot_t *slot, bool *changed)
{
    l7s_ban_t ban;
    bool lift;
    uint64_t hold_until_ms;
    if (!within_quota(log, slot->sender) ||
        l7s_ban_from_json(slot->entry, &ban, &lift, &hold_until_ms) != L7S_OK || lift ||
        !l7s_ban_fits_node(&ban) || !is_news(log->daemon->store, &ban, log->now_ms)) {
        return L7S_OK;
    }
    if (log->room == 0) {
        complain_full(log);
        return L7S_OK;
    }
    log->room--;
    ban.origin = L7S_ORIGIN_NODE;
    *changed = true;
    return admin_ban_record_put(log->daemon->store, &ban, NULL);
}

static l7s_status_t take_range(admin_ban_log_t *log, size_t count, bool *changed)
{
    char epoch[ADMIN_BUS_EPOCH_TEXT];
    l7s_status_t status = L7S_OK;
    admin_bus_epoch_read(log->daemon->store, epoch);
    if (strcmp(epoch, admin_bus_epoch(log->bus)) != 0) {
        return L7S_STALE; /* the position is another log's by now */
    }
    for (size_t i = 0; i < count && status == L7S_OK; i++) {
        if (log->slots[i].entry != NULL) {
            status = take(log, &log->slots[i], changed);
        }
    }
    return status == L7S_OK ? admin_number_set(log->daemon->store, ADMIN_BAN_LOG_POSITION,
                                               (int64_t)(log->first + count))
                            : status;
}

/* Takes the first `count` slots and moves behind them, in one transaction. False: they
 * will be read again. */
static bool commit(admin_ban_log_t *log, size_t count, bool *changed)
{
    admin_store_t *store = log->daemon->store;
    bool changes = false;
    if (admin_store_begin(store, ADMIN_EVENTS_DB) != L7S_OK) {
        return false;
    }
    l7s_status_t status = take_range(log, count, &changes);
    if (admin_store_end(store, ADMIN_EVENTS_DB, status) != L7S_OK) {
        return false;
    }
    log->position = log->first + count;
    *changed |= changes;
    return true;
}

/* ---- reading on ---- */

/* One window. True: it was full, there may be more. */
static bool read_window(admin_ban_log_t *log, bool *changed, bool *lost)
{
    l7s_status_t status = look(log, log->position, WINDOW);
    size_t count = present_first(log);
    bool gap = status == L7S_OK && count == 0 && goes_on(log);
    if (count > 0) {
        log->gap_since_ms = 0;
        return commit(log, count, changed) && count == WINDOW;
    }
    /* Entries are added in order, but servers are asked one after the other: only a gap
     * that stays is one. */
    log->gap_since_ms = !gap                     ? 0
                        : log->gap_since_ms == 0 ? log->mono_ms
                                                 : log->gap_since_ms;
    *lost |= gap && log->mono_ms - log->gap_since_ms >= GAP_WAIT_MS;
    return false;
}

/* Is there anything behind the window, though nothing stands in it? */
static void look_ahead(admin_ban_log_t *log, unsigned times, bool *lost)
{
    for (unsigned i = 0; i < times && !*lost; i++) {
        if (look(log, log->position + (uint64_t)i * WIDE, WIDE) != L7S_OK) {
            return; /* memcached is not there; the next look tries again */
        }
        if (i == 0 && present_within(log, WINDOW)) {
            break; /* the next windows take it */
        }
        *lost = goes_on(log);
    }
    log->looked_ahead = true;
}

bool admin_ban_log_read(admin_ban_log_t *log, uint64_t now_ms, bool *lost)
{
    bool changed = false;
    log->now_ms = now_ms;
    log->mono_ms = admin_mono_ms();
    make_room(log);
    for (unsigned i = 0; i < ROUNDS_MAX && read_window(log, &changed, lost); i++) {
    }
    if (log->mono_ms >= log->wide_due_ms) {
        look_ahead(log, log->looked_ahead ? 1 : FIRST_LOOKS, lost);
        log->wide_due_ms = log->mono_ms + WIDE_EVERY_MS;
    }
    if (*lost &&
        (log->lost_ms == 0 || log->mono_ms - log->lost_ms >= COMPLAIN_EVERY_MS)) {
        log->lost_ms = log->mono_ms;
        admin_log(ADMIN_WARN, "L7S3531", "The ban log lost entries from %llu on.",
                  (unsigned long long)log->position);
    }
    clear(log);
    return changed;
}
