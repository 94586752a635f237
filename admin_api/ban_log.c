/* SPDX-License-Identifier: Apache-2.0
 *
 * The ban log's reader (ban_log.h). A log in memcached can lose entries: to a flush, to a
 * server's restart, to their time to live while the daemon was away. So beside the window
 * at the position there is a wide look, every two seconds, which finds where the log goes
 * on behind a gap and what was written into places that had been read before the loss.
 * Taking an entry twice changes nothing.
 */
#include "ban_log.h"

#include "../core/config.h"
#include "ban_record.h"
#include "log.h"
#include "worker.h"
#include <stdlib.h>
#include <string.h>

#define WINDOW 16
#define ROUNDS_MAX 16 /* windows of one read: at most 2,560 bans a second */
#define GAP_WAIT_MS 250
#define WIDE_EVERY_MS 2000
#define WIDE_BACK 64
#define WIDE ADMIN_BUS_RANGE_MAX
#define FIRST_LOOKS 64 /* wide looks ahead of the position, once, after the start */
#define COMPLAIN_EVERY_MS 10000

typedef struct {
    bool present;
    uint64_t sealed_at_ms;
    json_t *entry; /* of a node; NULL: nothing for us */
} slot_t;

struct admin_ban_log {
    const admin_daemon_t *daemon;
    admin_bus_t *bus;
    uint64_t position;     /* next entry to read; as in the store */
    uint64_t gap_since_ms; /* 0: none */
    uint64_t wide_due_ms;
    bool looked_ahead;
    uint64_t complained_ms;
    uint64_t sealed[WIDE_BACK]; /* when the entries before the position were sealed */
    /* The look that is under way. */
    uint64_t first, now_ms, mono_ms;
    size_t count;
    slot_t slots[WIDE];
};

admin_ban_log_t *admin_ban_log_create(const admin_daemon_t *daemon, admin_bus_t *bus)
{
    admin_ban_log_t *log = calloc(1, sizeof(*log));
    if (log == NULL) {
        return NULL;
    }
    log->daemon = daemon;
    log->bus = bus;
    log->position = (uint64_t)admin_number_get(daemon->store, ADMIN_BAN_LOG_POSITION, 1);
    return log;
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
    if (opened == L7S_OK) {
        slot->sealed_at_ms = item->sealed_at_ms;
        slot->entry =
            item->by_daemon ? NULL : l7s_json_read(item->payload, item->size, NULL);
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

/* The first slot from `from` on that holds something; log->count: none does. */
static size_t next_present(const admin_ban_log_t *log, size_t from)
{
    while (from < log->count && !log->slots[from].present) {
        from++;
    }
    return from;
}

static size_t present_from(const admin_ban_log_t *log, size_t from)
{
    size_t end = from;
    while (end < log->count && log->slots[end].present) {
        end++;
    }
    return end - from;
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

/* Only the daemon lifts: a lift from a node is ignored. */
static l7s_status_t take(admin_ban_log_t *log, const json_t *entry, bool *changed)
{
    l7s_ban_t ban;
    bool lift;
    uint64_t hold_until_ms;
    if (l7s_ban_from_json(entry, &ban, &lift, &hold_until_ms) != L7S_OK || lift ||
        !is_news(log->daemon->store, &ban, log->now_ms)) {
        return L7S_OK;
    }
    ban.origin = L7S_ORIGIN_NODE;
    *changed = true;
    return admin_ban_record_put(log->daemon->store, &ban, NULL);
}

/* Was exactly this entry taken before? */
static bool is_known(const admin_ban_log_t *log, size_t slot)
{
    uint64_t index = log->first + slot;
    return index < log->position && index + WIDE_BACK >= log->position &&
           log->sealed[index % WIDE_BACK] == log->slots[slot].sealed_at_ms;
}

static l7s_status_t take_range(admin_ban_log_t *log, size_t from, size_t count,
                               uint64_t position, bool *changed)
{
    l7s_status_t status = L7S_OK;
    for (size_t i = from; i < from + count && status == L7S_OK; i++) {
        if (log->slots[i].entry != NULL && !is_known(log, i)) {
            status = take(log, log->slots[i].entry, changed);
        }
    }
    return status == L7S_OK ? admin_number_set(log->daemon->store, ADMIN_BAN_LOG_POSITION,
                                               (int64_t)position)
                            : status;
}

/* Takes `count` slots from `from` and moves to `position`, in one transaction. False: it
 * could not be stored and will be read again. */
static bool commit(admin_ban_log_t *log, size_t from, size_t count, uint64_t position,
                   bool *changed)
{
    admin_store_t *store = log->daemon->store;
    bool changes = false;
    if (admin_store_begin(store, ADMIN_EVENTS_DB) != L7S_OK) {
        return false;
    }
    if (take_range(log, from, count, position, &changes) != L7S_OK) {
        admin_store_rollback(store, ADMIN_EVENTS_DB);
        return false;
    }
    if (admin_store_commit(store, ADMIN_EVENTS_DB) != L7S_OK) {
        return false;
    }
    for (size_t i = from; i < from + count; i++) {
        log->sealed[(log->first + i) % WIDE_BACK] = log->slots[i].sealed_at_ms;
    }
    log->position = position;
    *changed |= changes;
    return true;
}

/* ---- reading on ---- */

/* A gap that lasts is a loss: jumps to where the log goes on. `slot` is the first present
 * one behind the gap. */
static bool jump(admin_ban_log_t *log, size_t slot)
{
    bool unchanged = false;
    log->gap_since_ms = 0;
    admin_log(ADMIN_WARN, "L7S3531",
              "Entries %llu to %llu of the ban log are lost; the bans part has what was "
              "read before.",
              (unsigned long long)log->position,
              (unsigned long long)(log->first + slot - 1));
    return commit(log, slot, 0, log->first + slot, &unchanged);
}

/* One window. True: it was full, there may be more. */
static bool read_window(admin_ban_log_t *log, bool *changed)
{
    l7s_status_t status = look(log, log->position, WINDOW);
    size_t count = present_from(log, 0);
    if (count > 0) {
        log->gap_since_ms = 0;
        return commit(log, 0, count, log->position + count, changed) && count == WINDOW;
    }
    size_t next = next_present(log, 0);
    if (status != L7S_OK || next == log->count) {
        log->gap_since_ms = 0;
        return false;
    }
    /* Entries are added in order, but servers are asked one after the other. */
    if (log->gap_since_ms == 0) {
        log->gap_since_ms = log->mono_ms;
        return false;
    }
    return log->mono_ms - log->gap_since_ms >= GAP_WAIT_MS && jump(log, next);
}

/* Looks back over what was read and far ahead. */
static void read_wide(admin_ban_log_t *log, bool *changed)
{
    size_t back = log->position > WIDE_BACK ? WIDE_BACK : (size_t)log->position - 1;
    l7s_status_t status = look(log, log->position - back, WIDE);
    for (size_t i = 0; i < back; i++) {
        if (log->slots[i].entry != NULL && !is_known(log, i)) {
            /* The rest is read again two seconds later. */
            (void)commit(log, i, 1, log->position, changed);
        }
    }
    size_t next = next_present(log, back);
    if (status == L7S_OK && next < log->count && next >= back + WINDOW) {
        (void)jump(log, next);
    }
}

/* After an absence the log may go on far behind the stored position. */
static void look_ahead(admin_ban_log_t *log)
{
    for (unsigned i = 0; i < FIRST_LOOKS; i++) {
        if (look(log, log->position + (uint64_t)i * WIDE, WIDE) != L7S_OK) {
            return; /* memcached is not there yet; the next read tries again */
        }
        size_t next = next_present(log, 0);
        if (next < log->count) {
            if (i > 0 || next >= WINDOW) {
                (void)jump(log, next);
            }
            break;
        }
    }
    log->looked_ahead = true;
}

bool admin_ban_log_read(admin_ban_log_t *log, uint64_t now_ms)
{
    bool changed = false;
    log->now_ms = now_ms;
    log->mono_ms = admin_mono_ms();
    if (!log->looked_ahead) {
        look_ahead(log);
    }
    for (unsigned i = 0; i < ROUNDS_MAX && read_window(log, &changed); i++) {
    }
    if (log->mono_ms >= log->wide_due_ms) {
        read_wide(log, &changed);
        log->wide_due_ms = log->mono_ms + WIDE_EVERY_MS;
    }
    clear(log);
    return changed;
}
