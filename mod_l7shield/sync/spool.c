/* SPDX-License-Identifier: Apache-2.0
 *
 * See spool.h. A queue in a ring: first the entries that stand in the incident log, in
 * the order of their numbers, then those that wait for one.
 *
 *   head                 head + sent            head + count
 *   | sent, not acknowledged | waiting              |
 */
#include "spool.h"
#include "../../core/json/config.h"
#include "file.h"
#include "log.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX 8192
#define WINDOW_MAX 256 /* sent and not acknowledged */
#define SEND_MAX 64    /* per tick */
#define TTL_SECONDS 600
#define FILE_MAX ((size_t)64 << 20)
/* Without progress for so long, what was sent is sent again; the pause doubles. */
#define RESEND_MS 2000
#define RESEND_MAX_MS 16000
#define WRITE_MS 1000
#define WRITE_LARGE_MS 10000
#define LARGE 256
#define LOG_INTERVAL_MS 60000

typedef struct {
    char id[32];
    char *text;
    size_t size;
} entry_t;

struct sync_spool {
    sync_bus_t *bus;
    const char *node;
    char path[4096];
    entry_t *entries; /* a ring of ENTRIES_MAX */
    size_t head, count, sent;
    size_t resend;  /* of the sent ones, how many must be sent again */
    uint64_t first; /* number of the entry at `head` */
    uint64_t turn;
    uint64_t progress_ms, resend_pause_ms;
    uint64_t dropped;
    bool changed; /* since the file was written */
    uint64_t write_at_ms;
    sync_log_gate_t dropped_gate, file_gate;
};

static entry_t *at(const sync_spool_t *spool, size_t index)
{
    return &spool->entries[(spool->head + index) % ENTRIES_MAX];
}

static void drop_head(sync_spool_t *spool)
{
    free(at(spool, 0)->text);
    spool->head = (spool->head + 1) % ENTRIES_MAX;
    spool->count--;
    if (spool->sent > 0) {
        spool->sent--;
        spool->first++;
    }
    if (spool->resend > spool->sent) {
        spool->resend = spool->sent;
    }
    spool->changed = true;
}

static void put(sync_spool_t *spool, const char *id, char *text)
{
    if (spool->count == ENTRIES_MAX) {
        spool->dropped++;
        drop_head(spool);
    }
    entry_t *entry = at(spool, spool->count++);
    (void)snprintf(entry->id, sizeof entry->id, "%s", id);
    entry->text = text;
    entry->size = strlen(text);
    spool->changed = true;
}

static void load(sync_spool_t *spool)
{
    char *text = NULL;
    size_t size = 0;
    l7s_status_t status = sync_file_read(spool->path, FILE_MAX, &text, &size);

    if (status == L7S_NOT_FOUND) {
        return;
    }
    json_t *document = status == L7S_OK ? l7s_json_read(text, size, NULL) : NULL;
    free(text);
    const json_t *reports = json_object_get(document, "reports");
    if (!json_is_array(reports)) {
        sync_log(SYNC_ERROR, "L7S2081", "%s cannot be read; its incidents are lost",
                 spool->path);
    }
    for (size_t i = 0; i < json_array_size(reports); i++) {
        const json_t *report = json_array_get(reports, i);
        const char *id = json_string_value(json_object_get(report, "id"));
        char *copy = id == NULL ? NULL : json_dumps(report, JSON_COMPACT);
        if (copy != NULL) {
            put(spool, id, copy);
        }
    }
    spool->changed = false;
    json_decref(document);
}

l7s_status_t sync_spool_create(sync_bus_t *bus, const sync_options_t *options,
                               l7s_now_t now, sync_spool_t **out)
{
    sync_spool_t *spool = calloc(1, sizeof *spool);

    if (spool == NULL) {
        return L7S_NO_MEMORY;
    }
    spool->bus = bus;
    spool->node = options->node;
    spool->first = now.wall_ms;
    spool->resend_pause_ms = RESEND_MS;
    spool->entries = calloc(ENTRIES_MAX, sizeof *spool->entries);
    if (spool->entries == NULL) {
        free(spool);
        return L7S_NO_MEMORY;
    }
    if (options->state_dir[0] != '\0') {
        (void)snprintf(spool->path, sizeof spool->path, "%s/spool.json",
                       options->state_dir);
        load(spool);
    }
    *out = spool;
    return L7S_OK;
}

void sync_spool_free(sync_spool_t *spool)
{
    if (spool == NULL) {
        return;
    }
    for (size_t i = 0; i < spool->count; i++) {
        free(at(spool, i)->text);
    }
    free(spool->entries);
    free(spool);
}

void sync_spool_add(sync_spool_t *spool, const json_t *report, l7s_now_t now)
{
    const char *id = json_string_value(json_object_get(report, "id"));
    char *text = id == NULL ? NULL : json_dumps(report, JSON_COMPACT);

    if (text == NULL) {
        return;
    }
    for (size_t i = spool->sent; i < spool->count; i++) {
        entry_t *entry = at(spool, i);
        if (strcmp(entry->id, id) == 0) {
            free(entry->text);
            entry->text = text;
            entry->size = strlen(text);
            spool->changed = true;
            return;
        }
    }
    put(spool, id, text);
    if (spool->dropped > 0 &&
        sync_log_gate(&spool->dropped_gate, sync_mono_ms(now), LOG_INTERVAL_MS, NULL)) {
        sync_log(SYNC_ERROR, "L7S2080",
                 "%llu incident reports were dropped: more than %d wait for the daemon",
                 (unsigned long long)spool->dropped, ENTRIES_MAX);
        spool->dropped = 0;
    }
}

/* ---- acknowledgements ---- */

typedef struct {
    sync_spool_t *spool;
    char names[1][L7S_ITEM_NAME_MAX];
    uint64_t sequence;
} ack_t;

static void take_ack(void *context, size_t index, const void *value, size_t size)
{
    ack_t *ack = context;
    l7s_item_t item;

    (void)index;
    if (sync_bus_open(ack->spool->bus, L7S_ITEM_ACK, ack->names[0], value, size, &item) !=
        L7S_OK) {
        return;
    }
    json_t *json = l7s_json_read(item.payload, item.size, NULL);
    const char *node = json_string_value(json_object_get(json, "node"));
    json_int_t sequence = json_integer_value(json_object_get(json, "sequence"));
    if (node != NULL && strcmp(node, ack->spool->node) == 0 && sequence > 0) {
        ack->sequence = (uint64_t)sequence;
    }
    json_decref(json);
}

static void read_ack(sync_spool_t *spool, uint64_t now_ms)
{
    ack_t ack = {.spool = spool};

    sync_bus_name(spool->bus, L7S_ITEM_ACK, spool->node, 0, ack.names[0]);
    l7s_status_t status = sync_bus_read(spool->bus, ack.names, 1, take_ack, &ack);
    if (status != L7S_OK || ack.sequence < spool->first ||
        ack.sequence >= spool->first + spool->sent) {
        return;
    }
    while (spool->sent > 0 && spool->first <= ack.sequence) {
        drop_head(spool);
    }
    spool->progress_ms = now_ms;
    spool->resend_pause_ms = RESEND_MS;
}

/* ---- sending ---- */

/* Only this node writes its incident log and no number is used twice, so a repetition may
 * replace what stands there: it then carries a fresh seal. */
static bool send(sync_spool_t *spool, size_t index)
{
    const entry_t *entry = at(spool, index);
    sync_bus_place_t place = {.kind = L7S_ITEM_INCIDENT,
                              .detail = spool->node,
                              .index = spool->first + index,
                              .ttl_seconds = TTL_SECONDS,
                              .replace = true};

    return sync_bus_write(spool->bus, &place, entry->text, entry->size) == L7S_OK;
}

static void send_again(sync_spool_t *spool, uint64_t now_ms, unsigned *left)
{
    if (spool->resend == 0 && spool->sent > 0 &&
        now_ms - spool->progress_ms >= spool->resend_pause_ms) {
        spool->resend = spool->sent;
        spool->progress_ms = now_ms;
        spool->resend_pause_ms = spool->resend_pause_ms * 2 > RESEND_MAX_MS
                                     ? RESEND_MAX_MS
                                     : spool->resend_pause_ms * 2;
    }
    while (spool->resend > 0 && *left > 0 && send(spool, spool->sent - spool->resend)) {
        spool->resend--;
        (*left)--;
    }
}

static void send_waiting(sync_spool_t *spool, uint64_t now_ms, unsigned *left)
{
    while (spool->sent < spool->count && spool->sent<WINDOW_MAX && * left> 0 &&
           send(spool, spool->sent)) {
        if (spool->sent == 0) {
            spool->progress_ms = now_ms; /* the clock of the acknowledgement starts */
        }
        spool->sent++;
        (*left)--;
    }
}

/* ---- the file ---- */

static void write_file(sync_spool_t *spool, l7s_now_t now)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (out == NULL) {
        return;
    }
    (void)fprintf(out, "{\"reports\":[");
    for (size_t i = 0; i < spool->count; i++) {
        (void)fprintf(out, "%s\n%s", i == 0 ? "" : ",", at(spool, i)->text);
    }
    (void)fprintf(out, "]}\n");
    bool good = fclose(out) == 0;
    if (good && sync_file_write(spool->path, text, size) == L7S_OK) {
        spool->changed = false;
    } else if (sync_log_gate(&spool->file_gate, sync_mono_ms(now), LOG_INTERVAL_MS,
                             NULL)) {
        sync_log(SYNC_ERROR, "L7S2081", "%s cannot be written: %s", spool->path,
                 strerror(errno));
    }
    free(text);
}

void sync_spool_flush(sync_spool_t *spool, l7s_now_t now)
{
    if (spool->changed && spool->path[0] != '\0') {
        write_file(spool, now);
    }
}

void sync_spool_tick(sync_spool_t *spool, l7s_now_t now)
{
    uint64_t now_ms = sync_mono_ms(now);
    unsigned left = SEND_MAX;

    if (spool->turn != sync_bus_turn(spool->bus)) {
        spool->turn = sync_bus_turn(spool->bus);
        spool->resend = spool->sent;
    }
    if (sync_bus_epoch(spool->bus)[0] != '\0') {
        if (spool->sent > 0) {
            read_ack(spool, now_ms);
        }
        send_again(spool, now_ms, &left);
        send_waiting(spool, now_ms, &left);
    }
    if (now_ms >= spool->write_at_ms) {
        spool->write_at_ms = now_ms + (spool->count > LARGE ? WRITE_LARGE_MS : WRITE_MS);
        sync_spool_flush(spool, now);
    }
}

void sync_spool_range(const sync_spool_t *spool, uint64_t *first, uint64_t *next)
{
    *first = spool->first;
    *next = spool->first + spool->sent;
}
