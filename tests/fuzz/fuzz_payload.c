/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands inside an envelope whose seal held: a node that was taken over can seal
 * anything. Mode items, manifests, bans and reports of incidents; whatever their checks
 * let through is used as the product uses it.
 */
#include "../../core/bus/manifest.h"
#include "../../core/json/ban_json.h"
#include "../../core/json/config.h"
#include "../../core/json/incident.h"
#include "../../core/schema/schema.h"
#include "input.h"

#define BANS 64

static l7s_bans_t bans;
static const l7s_now_t now = {.mono_us = 1000000000, .wall_ms = 1700000000000ULL};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    bans.head = aligned_alloc(64, (l7s_bans_memory(BANS) + 63) / 64 * 64);
    fuzz_must(bans.head != NULL, "memory");
    bans.slots = (l7s_ban_slot_t *)((char *)bans.head + l7s_bans_memory(0));
    bans.capacity = BANS;
    return 0;
}

static void check_mode(const char *text, size_t size)
{
    char again[128];
    l7s_mode_item_t item, same;
    if (!l7s_mode_item_read(text, size, &item)) {
        return;
    }
    size = l7s_mode_item_write(&item, again, sizeof again);
    fuzz_must(size > 0 && l7s_mode_item_read(again, size, &same) &&
                  memcmp(&item, &same, sizeof item) == 0,
              "a mode item is read as it was written");
}

static void *no_chunk(void *context, const char *hash, size_t *size)
{
    (void)context;
    fuzz_must(strlen(hash) == L7S_SHA256_TEXT - 1, "a hash is a hash");
    *size = 0;
    return NULL;
}

static void check_manifest(const json_t *document)
{
    const json_t *parts = json_object_get(document, "parts");
    if (l7s_manifest_check(document) != L7S_OK) {
        return;
    }
    for (size_t i = 0; i < json_array_size(parts); i++) {
        char *text;
        size_t size;
        fuzz_must(l7s_manifest_part(json_array_get(parts, i), no_chunk, NULL, &text,
                                    &size) == L7S_NOT_FOUND,
                  "a part of a good manifest is asked for");
    }
}

static void check_ban(const json_t *document)
{
    l7s_ban_t ban, same;
    bool lift = false, lift_again = false;
    uint64_t hold_ms = 0, hold_again = 0;
    json_t *json;
    if (l7s_ban_from_json(document, &ban, &lift, &hold_ms) != L7S_OK) {
        return;
    }
    json = lift ? l7s_ban_lift_to_json(&ban, hold_ms) : l7s_ban_to_json(&ban);
    fuzz_must(l7s_ban_from_json(json, &same, &lift_again, &hold_again) == L7S_OK &&
                  lift == lift_again && hold_ms == hold_again &&
                  ban.digest.lo == same.digest.lo && ban.until_ms == same.until_ms &&
                  strcmp(ban.id, same.id) == 0,
              "a ban is read as it was written");
    json_decref(json);
    memset(bans.head, 0, l7s_bans_memory(BANS));
    if (!lift && l7s_bans_put(&bans, &ban, now) == L7S_OK) {
        (void)l7s_bans_find(&bans, ban.digest, now, &same);
        (void)l7s_bans_find_address(&bans, &(l7s_hashkey_t){1, 2}, &ban.network.base, now,
                                    &same);
    }
}

static void check_incident(const json_t *report)
{
    json_t *record, *merged, *shown;
    if (l7s_incident_report_check(report) != L7S_OK) {
        return;
    }
    record = l7s_incident_merge(NULL, report);
    fuzz_must(record != NULL, "a good report makes a record");
    (void)l7s_incident_same(record, report);
    merged = l7s_incident_merge(record, report);
    fuzz_must(merged != NULL, "and changes it");
    fuzz_must(json_equal(merged, record), "once");
    shown = l7s_incident_public(merged);
    fuzz_must(shown != NULL && json_object_get(shown, "_reports") == NULL, "shown");
    fuzz_must(l7s_schema_validate(l7s_openapi_schema("Incident"), shown, NULL) == L7S_OK,
              "as the contract has it");
    json_decref(shown);
    json_decref(merged);
    json_decref(record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    l7s_problems_t problems;
    char *text = fuzz_copy(data, size);
    json_t *document;
    problems.count = problems.dropped = 0;
    check_mode(text, size);
    document = l7s_json_read(text, size, &problems);
    if (document != NULL) {
        check_manifest(document);
        check_ban(document);
        check_incident(document);
        json_decref(document);
    }
    free(text);
    return 0;
}
