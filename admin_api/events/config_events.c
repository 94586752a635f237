/* SPDX-License-Identifier: Apache-2.0
 *
 * The outbox (config_events.h). Reading config.db needs no transaction: a revision never
 * changes once it is there.
 */
#include "config_events.h"

#include "../store/event_log.h"
#include "../store/store_events.h"
#include "../store/store_objects.h"

#define TOLD "event_revision"
#define ROUND_MAX 100
#define CHANGES_MAX 100

static l7s_status_t keep_position(admin_store_t *store, int64_t revision)
{
    l7s_status_t status = admin_store_begin(store, ADMIN_EVENTS_DB);
    if (status != L7S_OK) {
        return status;
    }
    return admin_store_end(store, ADMIN_EVENTS_DB,
                           admin_number_set(store, TOLD, revision));
}

/* A position ahead of the configuration is one of events.db that was copied later than
 * config.db into the same backup. */
l7s_status_t admin_config_events_begin(admin_store_t *store)
{
    int64_t newest = admin_store_revision(store);
    int64_t told = admin_number_get(store, TOLD, -1);
    return told >= 0 && told <= newest ? L7S_OK : keep_position(store, newest);
}

/* Inside the transaction. *told moves behind the revision; L7S_NOT_FOUND: none is left.
 */
static l7s_status_t tell_next(admin_store_t *store, uint64_t now_ms, int64_t *told)
{
    json_t *revision;
    l7s_status_t status = admin_revision_next(store, *told, CHANGES_MAX, &revision);
    if (status != L7S_OK || revision == NULL) {
        return status == L7S_OK ? L7S_NOT_FOUND : status;
    }
    *told = json_integer_value(json_object_get(revision, "revision"));
    status = admin_event_write(store, ADMIN_EVENT_POLICY_CHANGED, revision, now_ms);
    json_decref(revision);
    return status;
}

static l7s_status_t tell_round(admin_store_t *store, uint64_t now_ms, bool *more)
{
    int64_t told = admin_number_get(store, TOLD, 0);
    l7s_status_t status = L7S_OK;
    unsigned count = 0;
    while (status == L7S_OK && count < ROUND_MAX) {
        status = tell_next(store, now_ms, &told);
        count += status == L7S_OK ? 1 : 0;
    }
    *more = status == L7S_OK;
    return status == L7S_OK || status == L7S_NOT_FOUND
               ? admin_number_set(store, TOLD, told)
               : status;
}

l7s_status_t admin_config_events_tell(admin_store_t *store, uint64_t now_ms, bool *more)
{
    *more = false;
    if (admin_store_revision(store) <= admin_number_get(store, TOLD, 0)) {
        return L7S_OK;
    }
    l7s_status_t status = admin_store_begin(store, ADMIN_EVENTS_DB);
    if (status != L7S_OK) {
        return status;
    }
    status = tell_round(store, now_ms, more);
    if (status != L7S_OK) {
        *more = false;
        admin_store_rollback(store, ADMIN_EVENTS_DB);
        return status;
    }
    return admin_store_commit(store, ADMIN_EVENTS_DB);
}
