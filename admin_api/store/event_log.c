/* SPDX-License-Identifier: Apache-2.0
 *
 * Events as rows (event_log.h). AUTOINCREMENT keeps the last id even when every row is
 * gone.
 */
#include "event_log.h"
#include "sql.h"
#include "store_events.h"

#include <stdlib.h>
#include <string.h>

#define PRUNE_CHUNK 1000
/* The hard bound is kept every so many events, not at each. */
#define TRIM_EVERY 256
/* More events than one epoch has; 2^53 of them fit a JavaScript number. */
#define EPOCH_IDS ((int64_t)1000000000)
#define EPOCHS_MAX 9000000
#define EPOCH_KEY "event_epoch"

static const char *const names[ADMIN_EVENT_TYPES] = {
    "incident.opened", "incident.updated", "incident.ended", "ban.added",    "ban.lifted",
    "policy.changed",  "node.lost",        "mode.changed",   "guard.tripped"};

const char *admin_event_type_name(admin_event_type_t type)
{
    return type < ADMIN_EVENT_TYPES ? names[type] : "";
}

unsigned admin_event_types(const char *name)
{
    unsigned types = 0;
    size_t stem = strlen(name);
    bool group = stem >= 2 && strcmp(name + stem - 2, ".*") == 0;
    for (unsigned i = 0; i < ADMIN_EVENT_TYPES; i++) {
        bool match =
            group ? strncmp(names[i], name, stem - 1) == 0 : strcmp(names[i], name) == 0;
        types |= match ? 1u << i : 0;
    }
    return types;
}

/* Keeps the bound that holds whatever the settings say. */
static l7s_status_t trim(admin_store_t *store, int64_t newest)
{
    return admin_sql_run(store, ADMIN_EVENTS_DB, NULL, "DELETE FROM event WHERE id <= ?",
                         "i", newest - ADMIN_EVENTS_MAX);
}

l7s_status_t admin_event_write(admin_store_t *store, admin_event_type_t type,
                               const json_t *data, uint64_t now_ms)
{
    if (data == NULL) {
        return L7S_NO_MEMORY;
    }
    l7s_status_t status =
        admin_sql_run(store, ADMIN_EVENTS_DB, NULL,
                      "INSERT INTO event(at_ms, type, data) VALUES(?, ?, ?)", "itj",
                      (int64_t)now_ms, names[type], data);
    if (status != L7S_OK) {
        return status;
    }
    store->event_written = true;
    int64_t id = sqlite3_last_insert_rowid(store->files[ADMIN_EVENTS_DB].writer);
    return id % TRIM_EVERY == 0 ? trim(store, id) : L7S_OK;
}

l7s_status_t admin_event_range(admin_store_t *store, int64_t *first, int64_t *last)
{
    admin_query_t query;
    *first = 1;
    *last = 0;
    admin_query_begin(store, ADMIN_EVENTS_DB, &query,
                      "SELECT (SELECT min(id) FROM event),"
                      " (SELECT seq FROM sqlite_sequence WHERE name = 'event')",
                      "");
    if (admin_query_row(&query)) {
        *first = admin_query_number(&query, 0);
        *last = admin_query_number(&query, 1);
        *first = *first == 0 ? *last + 1 : *first;
    }
    return admin_query_end(&query);
}

/* A type that a newer version wrote is nobody's. */
static bool read_event(const admin_query_t *query, unsigned types, admin_event_t *out)
{
    unsigned type = admin_event_types(admin_query_text(query, 2));
    if ((type & types) == 0) {
        return false;
    }
    *out = (admin_event_t){.id = admin_query_number(query, 0),
                           .at_ms = (uint64_t)admin_query_number(query, 1),
                           .type = (admin_event_type_t)__builtin_ctz(type),
                           .data = admin_query_text(query, 3)};
    return true;
}

l7s_status_t admin_event_each(admin_store_t *store, unsigned types, size_t limit,
                              int64_t *after, bool *more, admin_event_fn each,
                              void *context)
{
    admin_query_t query;
    size_t seen = 0;
    bool taken = true;
    admin_query_begin(store, ADMIN_EVENTS_DB, &query,
                      "SELECT id, at_ms, type, data FROM event WHERE id > ?"
                      " ORDER BY id LIMIT ?",
                      "ii", *after, (int64_t)limit);
    while (taken && admin_query_row(&query)) {
        admin_event_t event;
        seen++;
        taken = !read_event(&query, types, &event) || each(context, &event);
        *after = taken ? admin_query_number(&query, 0) : *after;
    }
    *more = !taken || seen == limit;
    return admin_query_end(&query);
}

/* The last id that may go, of those that are too old or too many. */
static int64_t horizon(admin_store_t *store, uint64_t before_ms, uint64_t rows_max)
{
    int64_t old = 0, first, last;
    admin_query_t query;
    if (admin_event_range(store, &first, &last) != L7S_OK) {
        return 0;
    }
    admin_query_begin(store, ADMIN_EVENTS_DB, &query,
                      "SELECT id FROM event WHERE at_ms >= ? ORDER BY id LIMIT 1", "i",
                      (int64_t)before_ms);
    old = admin_query_row(&query) ? admin_query_number(&query, 0) - 1 : last;
    if (admin_query_end(&query) != L7S_OK) {
        return 0;
    }
    int64_t many = rows_max < (uint64_t)last ? last - (int64_t)rows_max : 0;
    return many > old ? many : old;
}

l7s_status_t admin_event_prune(admin_store_t *store, uint64_t before_ms,
                               uint64_t rows_max, size_t *deleted)
{
    int64_t changed = 0;
    l7s_status_t status =
        admin_sql_run(store, ADMIN_EVENTS_DB, &changed,
                      "DELETE FROM event WHERE id IN (SELECT id FROM event"
                      " WHERE id <= ? ORDER BY id LIMIT ?)",
                      "ii", horizon(store, before_ms, rows_max), (int64_t)PRUNE_CHUNK);
    *deleted = (size_t)changed;
    return status;
}

/* A row comes and goes: the sequence remembers its id. */
static l7s_status_t jump(admin_store_t *store, int64_t epoch)
{
    int64_t first, last, base = (epoch - 1) * EPOCH_IDS;
    l7s_status_t status = admin_event_range(store, &first, &last);
    if (status == L7S_OK && base > last) {
        status = admin_sql_run(store, ADMIN_EVENTS_DB, NULL,
                               "INSERT INTO event(id, at_ms, type, data)"
                               " VALUES(?, 0, '', '')",
                               "i", base);
    }
    if (status == L7S_OK && base > last) {
        status = admin_sql_run(store, ADMIN_EVENTS_DB, NULL,
                               "DELETE FROM event WHERE id = ?", "i", base);
    }
    return status == L7S_OK ? admin_number_set(store, EPOCH_KEY, epoch) : status;
}

l7s_status_t admin_event_enter_epoch(admin_store_t *store)
{
    int64_t epoch = (int64_t)admin_store_config_epoch(store);
    if (admin_number_get(store, EPOCH_KEY, 1) == epoch || epoch > EPOCHS_MAX) {
        return L7S_OK;
    }
    l7s_status_t status = admin_store_begin(store, ADMIN_EVENTS_DB);
    if (status != L7S_OK) {
        return status;
    }
    return admin_store_end(store, ADMIN_EVENTS_DB, jump(store, epoch));
}
