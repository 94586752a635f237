/* SPDX-License-Identifier: Apache-2.0
 *
 * Features and who lacks them (features.h).
 */
#include "features.h"

#include "../fleet/collector.h"
#include "../http/problem.h"
#include "body_pointer.h"
#include <stdio.h>
#include <string.h>

#define NAMES_MAX 200

/* A member of an object of this kind, the value that needs the feature (NULL: any) or the
 * word that does: a key or the beginning of a value, anywhere within the member. */
static const struct {
    const char *kind, *member, *value, *word, *feature;
} needs[] = {
    {"policy", "consistency", "strict", NULL, "strict"},
    {"policy", "when_store_down", NULL, NULL, "strict"},
    {"policy", "guard", NULL, NULL, "guard"},
    {"policy", "match", NULL, "path_regex", "matching"},
    {"policy", "count", NULL, "statuses", "answers"},
    {"policy", "count", NULL, "cost", "costs"},
    {"policy", "match", NULL, "regex", "matching"},
    {"policy", "match", NULL, "any", "matching"},
    {"policy", "match", NULL, "query", "matching"},
    {"policy", "match", NULL, "cookies", "matching"},
    {"policy", "match", NULL, "country:", "geo"},
    {"policy", "match", NULL, "asn:", "geo"},
    {"policy", "count", NULL, "cookie:", "matching"},
    {"policy", "count", NULL, "country", "geo"},
    {"policy", "count", NULL, "asn", "geo"},
    {"policy", "count", NULL, "user", "user"},
    {"policy", "match", NULL, "signals", "signals"},
    {"policy", "detect", NULL, "concurrency", "concurrency"},
    {"policy", "detect", NULL, "ratio", "ratio"},
    {"list", "kind", "strings", NULL, "strings"},
    {"list", "kind", "countries", NULL, "geo"},
    {"list", "kind", "asns", NULL, "geo"},
    {"policy", "escalate", NULL, NULL, "escalate"},
    {"policy", "escalate", NULL, "drop", "drop"},
    {"policy", "action", NULL, "drop", "drop"},
    {"policy", "escalate", NULL, "challenge", "challenge"},
    {"policy", "action", NULL, "challenge", "challenge"},
    {"settings", "guard", NULL, NULL, "guard"},
    {"settings", "privacy", NULL, "include", "queries"},
    {"override", "until", NULL, NULL, "overrides"},
};

static bool holds_text(const json_t *array, const char *text)
{
    size_t index;
    json_t *value;
    json_array_foreach(array, index, value)
    {
        if (strcmp(json_string_value(value), text) == 0) {
            return true;
        }
    }
    return false;
}

json_t *admin_features(void)
{
    json_t *names = json_array();
    for (size_t row = 0; row < sizeof(needs) / sizeof(needs[0]); row++) {
        if (!holds_text(names, needs[row].feature)) {
            json_array_append_new(names, json_string(needs[row].feature));
        }
    }
    return names;
}

typedef struct {
    const char *feature;
    size_t count;
    char names[NAMES_MAX]; /* of nodes without it, as far as they fit */
} lacking_t;

static bool has(const json_t *seat, const char *feature)
{
    size_t index;
    json_t *value;
    json_array_foreach(json_object_get(seat, "features"), index, value)
    {
        const char *name = json_string_value(value);
        if (name != NULL && strcmp(name, feature) == 0) {
            return true;
        }
    }
    return false;
}

static void ask(void *context, const admin_seat_t *seat)
{
    lacking_t *lacking = context;
    if (!seat->live || has(seat->seat, lacking->feature)) {
        return;
    }
    size_t used = strlen(lacking->names);
    snprintf(lacking->names + used, NAMES_MAX - used, "%s%s",
             lacking->count == 0 ? "" : ", ", seat->name);
    lacking->count++;
}

/* Documents are at most 32 levels deep. */
static bool holds_word(const json_t *value, const char *word)
{
    const char *text = json_string_value(value);
    const char *name;
    json_t *item;
    size_t index;
    json_object_foreach((json_t *)value, name, item)
    {
        if (strcmp(name, word) == 0 || holds_word(item, word)) {
            return true;
        }
    }
    json_array_foreach(value, index, item)
    {
        if (holds_word(item, word)) {
            return true;
        }
    }
    return text != NULL && strncmp(text, word, strlen(word)) == 0;
}

/* Settings hold everything that was ever set: what the call does not touch is in force
 * already, and the kill switch must not wait for an update. */
static bool is_needed(const admin_call_t *call, size_t row, const admin_change_t *change)
{
    bool settings = strcmp(change->kind, "settings") == 0;
    const json_t *value =
        json_object_get(settings ? call->body : change->spec, needs[row].member);
    const char *text = json_string_value(value);
    return strcmp(needs[row].kind, change->kind) == 0 && value != NULL &&
           (needs[row].value == NULL ||
            (text != NULL && strcmp(text, needs[row].value) == 0)) &&
           (needs[row].word == NULL || holds_word(value, needs[row].word));
}

static void check_one(admin_call_t *call, const admin_change_t *change)
{
    /* In a set or a whole configuration; "" where the body is the object itself. */
    char place[64];
    (void)admin_body_pointer(call, admin_kind_member(change->kind), change->name, place);
    for (size_t row = 0; row < sizeof(needs) / sizeof(needs[0]); row++) {
        lacking_t lacking = {.feature = needs[row].feature};
        char pointer[128];
        if (change->spec == NULL || !is_needed(call, row, change)) {
            continue;
        }
        admin_collector_seats(call->daemon->collector, ask, &lacking);
        if (lacking.count > 0) {
            snprintf(pointer, sizeof(pointer), "%s/%s", place, needs[row].member);
            l7s_problems_add(&call->problems, pointer, "unsupported_by_nodes",
                             "%s \"%.63s\" needs \"%s\", which %s cannot do",
                             change->kind, change->name, lacking.feature, lacking.names);
        }
    }
}

bool admin_features_check(admin_call_t *call, const admin_change_t *changes, size_t count)
{
    if (call->force || call->daemon->collector == NULL) {
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        check_one(call, &changes[i]);
    }
    if (call->problems.count > 0) {
        admin_call_problem(call, "unsupported_by_nodes",
                           "Live nodes of an older version would refuse the whole "
                           "configuration. Update them, or add ?force=true.");
        return false;
    }
    return true;
}
