/* SPDX-License-Identifier: Apache-2.0
 *
 * See ban_log.h. The log has no head that could be wrong: its end is the first entry that
 * is missing. An entry that memcached lost leaves a hole, which is passed over once later
 * entries are seen behind it; the daemon's whole set brings what stood in it.
 */
#include "ban_log.h"
#include "../../core/bus/quota.h"
#include "../../core/json/ban_json.h"
#include "../../core/json/config.h"
#include "log.h"
#include <stdlib.h>
#include <string.h>

#define READ_AHEAD 16
#define WINDOWS_MAX 32 /* per tick */
#define APPEND_MAX 64
#define TTL_SECONDS 600

struct sync_ban_log {
    sync_bus_t *bus;
    sync_bans_t *bans;
    uint64_t position; /* of the next entry to read, at least 1 */
    uint64_t turn;
    bool at_end;
    l7s_quota_t *readers, *writer;
    uint64_t refused; /* since the last line about it */
    sync_log_gate_t full_gate, quota_gate;
    l7s_now_t now;
    l7s_ban_t outgoing[APPEND_MAX];
};

l7s_status_t sync_ban_log_create(sync_bus_t *bus, sync_bans_t *bans, sync_ban_log_t **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        return L7S_NO_MEMORY;
    }
    (*out)->bus = bus;
    (*out)->bans = bans;
    (*out)->position = 1;
    (*out)->readers = l7s_quota_create(L7S_QUOTA_READER);
    (*out)->writer = l7s_quota_create(L7S_QUOTA_WRITER);
    if ((*out)->readers == NULL || (*out)->writer == NULL) {
        sync_ban_log_free(*out);
        *out = NULL;
        return L7S_NO_MEMORY;
    }
    return L7S_OK;
}

void sync_ban_log_free(sync_ban_log_t *log)
{
    if (log != NULL) {
        l7s_quota_free(log->readers);
        l7s_quota_free(log->writer);
        free(log);
    }
}

void sync_ban_log_begin(sync_ban_log_t *log)
{
    if (log->turn != sync_bus_turn(log->bus)) {
        log->turn = sync_bus_turn(log->bus);
        log->position = 1;
        sync_bans_turn(log->bans);
    }
}

void sync_ban_log_jump(sync_ban_log_t *log, uint64_t first)
{
    if (first > log->position) {
        log->position = first;
    }
}

typedef struct {
    sync_ban_log_t *log;
    char names[READ_AHEAD][L7S_ITEM_NAME_MAX];
    json_t *entries[READ_AHEAD];
    bool by_daemon[READ_AHEAD];
    bool present[READ_AHEAD];
} window_t;

/* Only so many bans of one node, whoever it is by now. */
static bool within_quota(sync_ban_log_t *log, const l7s_item_t *item)
{
    uint64_t now_ms = sync_mono_ms(log->now);

    if (item->by_daemon || l7s_quota_take(log->readers, item->sender, now_ms)) {
        return true;
    }
    log->refused++;
    if (sync_log_gate(&log->quota_gate, now_ms, 10000, NULL)) {
        sync_log(SYNC_WARN, "L7S2068",
                 "node %s bans too many at once: %llu bans of the fleet are refused "
                 "since the last such line",
                 item->sender, (unsigned long long)log->refused);
        log->refused = 0;
    }
    return false;
}

static void take(void *context, size_t index, const void *value, size_t size)
{
    window_t *window = context;
    l7s_item_t item;

    window->present[index] = true;
    if (sync_bus_open(window->log->bus, L7S_ITEM_BAN, window->names[index], value, size,
                      &item) == L7S_OK &&
        within_quota(window->log, &item)) {
        window->entries[index] = l7s_json_read(item.payload, item.size, NULL);
        window->by_daemon[index] = item.by_daemon;
    }
}

/* Applies what is there in the order of the log. `complete`: every server answered, so
 * what is missing does not exist. Returns whether there may be more. */
static bool apply(sync_ban_log_t *log, window_t *window, bool complete)
{
    uint64_t first = log->position;
    bool gap = false;

    for (unsigned i = 0; i < READ_AHEAD; i++) {
        gap = gap || !window->present[i];
        if (window->present[i] && (!gap || complete)) {
            log->position = first + i + 1;
            if (window->entries[i] != NULL) {
                sync_bans_entry(log->bans, window->entries[i], window->by_daemon[i],
                                first + i, log->now);
            }
        }
        json_decref(window->entries[i]);
    }
    return complete && log->position == first + READ_AHEAD;
}

static void read_on(sync_ban_log_t *log)
{
    bool more = true;

    log->at_end = false;
    /* A node that floods the log slows the log down, not this process. */
    for (unsigned i = 0; more && i < WINDOWS_MAX && sync_bus_has_time(log->bus); i++) {
        window_t window = {.log = log};
        for (unsigned k = 0; k < READ_AHEAD; k++) {
            sync_bus_name(log->bus, L7S_ITEM_BAN, "", log->position + k, window.names[k]);
        }
        bool complete =
            sync_bus_read(log->bus, window.names, READ_AHEAD, take, &window) == L7S_OK;
        more = apply(log, &window, complete);
        log->at_end = complete && !more;
    }
}

/* Appends one ban at the end of the log. Somebody who was faster is read first. */
static l7s_status_t append(sync_ban_log_t *log, const l7s_ban_t *ban)
{
    l7s_status_t status = L7S_NO_MEMORY;
    json_t *json = l7s_ban_to_json(ban);
    char *text = json_dumps(json, JSON_COMPACT);

    json_decref(json);
    while (text != NULL && sync_bus_has_time(log->bus)) {
        sync_bus_place_t place = {.kind = L7S_ITEM_BAN,
                                  .detail = "",
                                  .index = log->position,
                                  .ttl_seconds = TTL_SECONDS};
        uint64_t before = log->position;
        status = sync_bus_write(log->bus, &place, text, strlen(text));
        if (status != L7S_CONFLICT) {
            break;
        }
        read_on(log);
        if (log->position == before) { /* the entry is there and cannot be read */
            log->position++;
        }
    }
    free(text);
    if (status == L7S_OK) {
        sync_bans_published(log->bans, ban, log->position);
        log->position++;
    }
    return status;
}

void sync_ban_log_tick(sync_ban_log_t *log, l7s_now_t now)
{
    log->now = now;
    sync_ban_log_begin(log);
    if (sync_bus_epoch(log->bus)[0] == '\0') {
        return;
    }
    read_on(log);
    if (!log->at_end) {
        return;
    }
    sync_bans_converge(log->bans, now);
    size_t count = sync_bans_unpublished(log->bans, log->outgoing, APPEND_MAX, now);
    for (size_t i = 0; i < count; i++) {
        if (!l7s_quota_take(log->writer, "", sync_mono_ms(now)) ||
            append(log, &log->outgoing[i]) != L7S_OK) {
            break; /* still unpublished: the next tick finds it again */
        }
    }
    if (count == APPEND_MAX &&
        sync_log_gate(&log->full_gate, sync_mono_ms(now), 10000, NULL)) {
        sync_log(SYNC_WARN, "L7S2067",
                 "more than %d new bans in one tick; the others are published after them",
                 APPEND_MAX);
    }
}
