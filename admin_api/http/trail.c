/* SPDX-License-Identifier: Apache-2.0
 *
 * The audit trail (trail.h). The table of what was refused has a fixed size; what finds
 * no room in it is counted in its last place, without saying more.
 */
#include "trail.h"
#include "../../core/addr.h"
#include "../../core/schema/schema.h"
#include "../../core/schema/utf8.h"
#include "../log.h"
#include "../store/store_audit.h"
#include "../store/store_objects.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES 256
#define ROW_EVERY_MS 60000
#define DAYS 400
#define DAY_MS ((uint64_t)86400000)
#define DONE_MAX 500000
#define REFUSED_MAX 20000
#define PRUNE_ROUNDS_MAX 10

/* One kind of refusal. Only a flush moves or removes entries. */
typedef struct {
    int64_t seq;    /* of its row; 0: not written yet */
    uint64_t fresh; /* times since it was written */
    uint64_t at_ms, last_ms;
    bool has_client;
    l7s_addr_t client;  /* of the first time */
    l7s_cidr_t network; /* what counts as one client */
    unsigned status;
    const char *code, *route; /* static */
    char principal[80], token_id[16], session[24], method[16], path[260], object[100],
        reason[260];
} entry_t;

struct admin_trail {
    admin_store_t *store;
    pthread_mutex_t flush_lock; /* one flush at a time; for `copy`, taken before `lock` */
    entry_t copy[ENTRIES];
    pthread_mutex_t lock; /* for the rest */
    size_t used;
    entry_t entries[ENTRIES];
};

l7s_status_t admin_trail_create(admin_store_t *store, admin_trail_t **out)
{
    admin_trail_t *trail = calloc(1, sizeof *trail);
    if (trail == NULL) {
        return L7S_NO_MEMORY;
    }
    trail->store = store;
    pthread_mutex_init(&trail->flush_lock, NULL);
    pthread_mutex_init(&trail->lock, NULL);
    *out = trail;
    return L7S_OK;
}

void admin_trail_free(admin_trail_t *trail, uint64_t now_ms)
{
    if (trail == NULL) {
        return;
    }
    admin_trail_flush(trail, now_ms);
    pthread_mutex_destroy(&trail->flush_lock);
    pthread_mutex_destroy(&trail->lock);
    free(trail);
}

/* -- rows -- */

static const char *text(const char *value)
{
    return value == NULL ? "" : value;
}

static admin_audit_t row_of_call(const admin_call_t *call)
{
    const char *object =
        call->object[0] != '\0' ? call->object : text(call->parameters[0]);
    return (admin_audit_t){.at_ms = call->now_ms,
                           .last_ms = call->now_ms,
                           .count = 1,
                           .outcome = "done",
                           .code = "",
                           .principal = text(call->principal),
                           .token_id = text(call->token_id),
                           .session = text(call->session),
                           .client = call->peer,
                           .method = call->method,
                           .route = text(call->route),
                           .path = text(call->target),
                           .object = object,
                           .reason = text(call->reason),
                           .revision = call->revision};
}

static admin_audit_t row_of_entry(const entry_t *entry)
{
    return (admin_audit_t){.seq = entry->seq,
                           .at_ms = entry->at_ms,
                           .last_ms = entry->last_ms,
                           .count = entry->fresh,
                           .outcome = entry->status >= 500 ? "failed" : "refused",
                           .code = entry->code,
                           .principal = entry->principal,
                           .token_id = entry->token_id,
                           .session = entry->session,
                           .client = entry->has_client ? entry->client.bytes : NULL,
                           .method = entry->method,
                           .route = entry->route,
                           .path = entry->path,
                           .object = entry->object,
                           .reason = entry->reason,
                           .revision = -1};
}

l7s_status_t admin_trail_write(admin_call_t *call)
{
    admin_audit_t row = row_of_call(call);
    call->audited = true;
    return admin_audit_put(call->daemon->store, &row, NULL);
}

/* It is done already and cannot be taken back, so at least the log tells. */
static void write_alone(admin_call_t *call)
{
    admin_store_t *store = call->daemon->store;
    l7s_status_t status = admin_store_begin(store, ADMIN_CONFIG_DB);
    if (status == L7S_OK) {
        status = admin_trail_write(call);
        status = admin_store_end(store, ADMIN_CONFIG_DB, status);
    }
    if (status != L7S_OK) {
        admin_log(ADMIN_ERROR, "L7S3110", "done, but not in the audit: %s %s by %s",
                  call->method, text(call->target), text(call->principal));
    }
}

/* -- what was refused -- */

static void describe(const admin_call_t *call, entry_t *out)
{
    *out = (entry_t){.at_ms = call->now_ms,
                     .last_ms = call->now_ms,
                     .status = call->status,
                     .code = text(call->code),
                     .route = text(call->route)};
    admin_audit_t row = row_of_call(call);
    l7s_utf8_copy(out->principal, sizeof out->principal, row.principal);
    l7s_utf8_copy(out->token_id, sizeof out->token_id, row.token_id);
    l7s_utf8_copy(out->session, sizeof out->session, row.session);
    l7s_utf8_copy(out->method, sizeof out->method, row.method);
    l7s_utf8_copy(out->path, sizeof out->path, row.path);
    l7s_utf8_copy(out->object, sizeof out->object, row.object);
    l7s_utf8_copy(out->reason, sizeof out->reason, row.reason);
    if (call->peer != NULL) {
        out->has_client = true;
        memcpy(out->client.bytes, call->peer, sizeof out->client.bytes);
        out->network = l7s_addr_client(&out->client);
    }
}

/* By the same one, from the same client, the same way, for the same reason. */
static bool same_kind(const entry_t *a, const entry_t *b)
{
    return a->code == b->code && a->route == b->route &&
           memcmp(&a->network.base, &b->network.base, sizeof a->network.base) == 0 &&
           strcmp(a->method, b->method) == 0 && strcmp(a->principal, b->principal) == 0;
}

/* With the lock held. */
static entry_t *place_for(admin_trail_t *trail, const entry_t *wanted)
{
    for (size_t i = 0; i < trail->used; i++) {
        if (same_kind(&trail->entries[i], wanted)) {
            return &trail->entries[i];
        }
    }
    if (trail->used == ENTRIES) {
        return &trail->entries[ENTRIES - 1];
    }
    entry_t *entry = &trail->entries[trail->used++];
    *entry = *wanted;
    if (trail->used == ENTRIES) {
        *entry = (entry_t){
            .at_ms = wanted->at_ms, .status = 400, .code = "others", .route = ""};
    }
    return entry;
}

static void count_refused(const admin_call_t *call)
{
    admin_trail_t *trail = call->daemon->trail;
    entry_t wanted;
    describe(call, &wanted);
    pthread_mutex_lock(&trail->lock);
    entry_t *entry = place_for(trail, &wanted);
    entry->fresh++;
    entry->last_ms = call->now_ms;
    pthread_mutex_unlock(&trail->lock);
}

void admin_trail_end(admin_call_t *call)
{
    if (call->status >= 400) {
        /* A dry run changes nothing; who may not even try it is worth a note. */
        if (!call->dry_run || call->status == 401 || call->status == 403) {
            count_refused(call);
        }
    } else if (!call->audited && !call->dry_run && call->changed != 0) {
        write_alone(call);
    }
}

/* -- flush -- */

static l7s_status_t write_copies(admin_trail_t *trail, size_t count)
{
    l7s_status_t status = admin_store_begin(trail->store, ADMIN_CONFIG_DB);
    if (status != L7S_OK) {
        return status;
    }
    for (size_t i = 0; i < count && status == L7S_OK; i++) {
        entry_t *entry = &trail->copy[i];
        admin_audit_t row = row_of_entry(entry);
        if (entry->fresh > 0) {
            status =
                admin_audit_put(trail->store, &row, entry->seq == 0 ? &entry->seq : NULL);
        }
    }
    return admin_store_end(trail->store, ADMIN_CONFIG_DB, status);
}

/* With both locks held. */
static void settle(admin_trail_t *trail, size_t count, bool written, uint64_t now_ms)
{
    for (size_t i = 0; i < count; i++) {
        if (written) {
            trail->entries[i].seq = trail->copy[i].seq;
        } else {
            trail->entries[i].fresh += trail->copy[i].fresh;
        }
    }
    for (size_t i = trail->used; i-- > 0;) {
        const entry_t *entry = &trail->entries[i];
        if (entry->fresh == 0 && entry->at_ms + ROW_EVERY_MS <= now_ms) {
            trail->entries[i] = trail->entries[--trail->used];
        }
    }
}

void admin_trail_flush(admin_trail_t *trail, uint64_t now_ms)
{
    pthread_mutex_lock(&trail->flush_lock);
    pthread_mutex_lock(&trail->lock);
    size_t count = trail->used;
    uint64_t fresh = 0;
    memcpy(trail->copy, trail->entries, count * sizeof trail->entries[0]);
    for (size_t i = 0; i < count; i++) {
        fresh += trail->entries[i].fresh;
        trail->entries[i].fresh = 0;
    }
    pthread_mutex_unlock(&trail->lock);
    bool written = fresh == 0 || write_copies(trail, count) == L7S_OK;
    pthread_mutex_lock(&trail->lock);
    settle(trail, count, written, now_ms);
    pthread_mutex_unlock(&trail->lock);
    pthread_mutex_unlock(&trail->flush_lock);
}

/* -- retention -- */

static uint64_t days_to_keep(admin_store_t *store)
{
    admin_object_t settings;
    int64_t days = 0;
    if (admin_object_get(store, "settings", "settings", &settings) == L7S_OK) {
        const json_t *retention = json_object_get(settings.spec, "retention");
        days = l7s_json_integer_or(json_object_get(retention, "audit_days"), 0);
    }
    admin_object_clear(&settings);
    return days > 0 ? (uint64_t)days : DAYS;
}

/* True: there may be more. */
static bool prune_once(admin_store_t *store, uint64_t before_ms)
{
    size_t deleted = 0;
    if (admin_store_begin(store, ADMIN_CONFIG_DB) != L7S_OK) {
        return false;
    }
    l7s_status_t status =
        admin_audit_prune(store, before_ms, DONE_MAX, REFUSED_MAX, &deleted);
    return admin_store_end(store, ADMIN_CONFIG_DB, status) == L7S_OK && deleted > 0;
}

void admin_trail_prune(admin_trail_t *trail, uint64_t now_ms)
{
    uint64_t kept_ms = days_to_keep(trail->store) * DAY_MS;
    uint64_t before_ms = kept_ms > now_ms ? 0 : now_ms - kept_ms;
    for (unsigned i = 0; i < PRUNE_ROUNDS_MAX && prune_once(trail->store, before_ms);
         i++) {
    }
}
