/* SPDX-License-Identifier: Apache-2.0
 *
 * From two versions of a record to its events (incident_news.h).
 */
#include "incident_news.h"

#include "../../core/json/incident.h"
#include <string.h>

#define UPDATE_EVERY_MS 5000
#define TOLD "_told_ms"

static const json_t *at(const json_t *record, const char *member, const char *name)
{
    const json_t *inner = json_object_get(record, member);
    return name == NULL ? inner : json_object_get(inner, name);
}

/* What somebody may act on. */
static bool says_something_new(const json_t *before, const json_t *record)
{
    static const struct {
        const char *member, *name;
    } told[] = {{"severity", NULL}, {"kind", NULL},       {"layer", "signature"},
                {"action", "type"}, {"action", "ban_id"}, {"policy", "mode"},
                {"ack", NULL},      {"note", NULL},       {"labels", NULL},
                {"nodes", NULL}};
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        const json_t *was = at(before, told[i].member, told[i].name);
        const json_t *is = at(record, told[i].member, told[i].name);
        if (was != is && !json_equal(was, is)) {
            return true;
        }
    }
    return false;
}

static bool is_ended(const json_t *record)
{
    const char *state = json_string_value(json_object_get(record, "state"));
    return state != NULL && strcmp(state, "ended") == 0;
}

static bool is_guard(const json_t *record)
{
    const char *kind = json_string_value(json_object_get(record, "kind"));
    return kind != NULL && strcmp(kind, "guard_tripped") == 0;
}

/* The types of the events, in the order in which they are told. */
static size_t choose(const json_t *before, const json_t *record, uint64_t now_ms,
                     admin_event_type_t out[3])
{
    size_t count = 0;
    json_int_t told_ms = json_integer_value(json_object_get(before, TOLD));
    if (before == NULL) {
        out[count++] = ADMIN_EVENT_INCIDENT_OPENED;
    }
    if (before == NULL && is_guard(record)) {
        out[count++] = ADMIN_EVENT_GUARD_TRIPPED;
    }
    if (is_ended(record) && (before == NULL || !is_ended(before))) {
        out[count++] = ADMIN_EVENT_INCIDENT_ENDED;
    }
    if (count == 0 && !json_equal(before, record) &&
        (now_ms - (uint64_t)told_ms >= UPDATE_EVERY_MS ||
         says_something_new(before, record))) {
        out[count++] = ADMIN_EVENT_INCIDENT_UPDATED;
    }
    return count;
}

l7s_status_t admin_incident_tell(admin_store_t *store, const json_t *before,
                                 json_t *record, uint64_t now_ms)
{
    admin_event_type_t types[3];
    size_t count = choose(before, record, now_ms, types);
    if (count == 0) {
        return L7S_OK;
    }
    l7s_status_t status = L7S_OK;
    json_t *document = l7s_incident_public(record);
    for (size_t i = 0; i < count && status == L7S_OK; i++) {
        status = admin_event_write(store, types[i], document, now_ms);
    }
    json_decref(document);
    json_object_set_new(record, TOLD, json_integer((json_int_t)now_ms));
    return status;
}
