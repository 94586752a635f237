/* SPDX-License-Identifier: Apache-2.0
 *
 * Transactions of the open store, and its identity (store.h).
 */
#include "store.h"
#include "sql.h"

#include <stdio.h>
#include <time.h>

#define PROBE_EVERY_MS 1000

l7s_status_t admin_store_begin(admin_store_t *store, admin_file_t file)
{
    return admin_sql_begin(&store->files[file], file == ADMIN_CONFIG_DB);
}

l7s_status_t admin_store_begin_durable(admin_store_t *store)
{
    return admin_sql_begin(&store->files[ADMIN_EVENTS_DB], true);
}

/* Of interest to listeners: what changed the configuration, and events. Asked while the
 * writer is still held, which guards event_written. */
static bool is_news(admin_store_t *store, admin_file_t file)
{
    if (file == ADMIN_CONFIG_DB) {
        return true;
    }
    bool news = store->event_written;
    store->event_written = false;
    return news;
}

l7s_status_t admin_store_commit(admin_store_t *store, admin_file_t file)
{
    bool news = is_news(store, file);
    l7s_status_t status = admin_sql_end(&store->files[file], true);
    if (status == L7S_OK && news && store->listener != NULL) {
        store->listener(store->listener_context, file);
    }
    return status;
}

void admin_store_listen(admin_store_t *store, admin_store_fn listener, void *context)
{
    store->listener_context = context;
    store->listener = listener;
}

void admin_store_rollback(admin_store_t *store, admin_file_t file)
{
    (void)is_news(store, file);
    if (admin_sql_end(&store->files[file], false) != L7S_OK) {
        return; /* logged there; nothing was stored either way */
    }
}

l7s_status_t admin_store_end(admin_store_t *store, admin_file_t file, l7s_status_t status)
{
    if (status != L7S_OK) {
        admin_store_rollback(store, file);
        return status;
    }
    return admin_store_commit(store, file);
}

static uint64_t mono_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool try_files(admin_store_t *store)
{
    for (int file = ADMIN_CONFIG_DB; file <= ADMIN_EVENTS_DB; file++) {
        if (admin_store_begin(store, file) != L7S_OK) {
            return false;
        }
        l7s_status_t status = admin_sql_run(
            store, file, NULL,
            "INSERT OR REPLACE INTO meta(key, value) VALUES('probe', '')", "");
        admin_store_rollback(store, file);
        if (status != L7S_OK) {
            return false;
        }
    }
    return true;
}

/* Anybody may ask, so the files are tried once a second only, and while somebody waits
 * for a long write to end, the others get the answer before. */
bool admin_store_writable(admin_store_t *store)
{
    if (pthread_mutex_trylock(&store->probe_mutex) == 0) {
        uint64_t now_ms = mono_ms();
        if (store->probed_ms == 0 || now_ms - store->probed_ms >= PROBE_EVERY_MS) {
            atomic_store(&store->writable, try_files(store));
            store->probed_ms = mono_ms();
        }
        pthread_mutex_unlock(&store->probe_mutex);
    }
    return atomic_load(&store->writable);
}

l7s_status_t admin_store_raise_epoch(admin_store_t *store, uint64_t epoch)
{
    char text[24];
    l7s_status_t status = epoch > store->config_epoch
                              ? admin_store_begin(store, ADMIN_CONFIG_DB)
                              : L7S_INVALID;
    if (status != L7S_OK) {
        return status;
    }
    snprintf(text, sizeof text, "%llu", (unsigned long long)epoch);
    status =
        admin_sql_run(store, ADMIN_CONFIG_DB, NULL,
                      "UPDATE meta SET value = ? WHERE key = 'config_epoch'", "t", text);
    status = admin_store_end(store, ADMIN_CONFIG_DB, status);
    if (status == L7S_OK) {
        store->config_epoch = epoch;
    }
    return status;
}

uint64_t admin_store_config_epoch(const admin_store_t *store)
{
    return store->config_epoch;
}

const char *admin_store_bus_epoch(const admin_store_t *store)
{
    return store->bus_epoch;
}
