/* SPDX-License-Identifier: Apache-2.0
 *
 * Checks of a written ban (ban_input.h). The schema says what a ban may look like; here
 * is what it cannot say. Types are checked again, so that a gap in the schema is an error
 * for the client and not a crash.
 */
#include "ban_input.h"

#include "../../core/clock.h"
#include "../../core/schema/schema.h"
#include "../store/store_objects.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POINTER_MAX 192

typedef struct {
    const json_t *document;
    const char *pointer;
    l7s_problems_t *problems;
    size_t before; /* problems that were there already */
} reader_t;

static void wrong(const reader_t *reader, const char *member, const char *code,
                  const char *message)
{
    char pointer[POINTER_MAX];
    snprintf(pointer, sizeof(pointer), "%s%s", reader->pointer, member);
    l7s_problems_add(reader->problems, pointer, code, "%s", message);
}

static bool is_fine(const reader_t *reader)
{
    return reader->problems->count + reader->problems->dropped == reader->before;
}

/* The schema's problems, with our pointer in front. */
static void check_schema(const reader_t *reader)
{
    const l7s_schema_t *schema = l7s_openapi_schema("BanPut");
    l7s_problems_t found = {.count = 0};
    if (schema == NULL ||
        l7s_schema_validate(schema, reader->document, &found) == L7S_OK) {
        return;
    }
    for (size_t i = 0; i < found.count; i++) {
        wrong(reader, found.items[i].pointer, found.items[i].code,
              found.items[i].message);
    }
    reader->problems->dropped += found.dropped;
}

/* ---- the key ---- */

/* An address counts as what is banned with it: itself, or its /64. */
static void read_client(const reader_t *reader, const char *text, l7s_cidr_t *out)
{
    l7s_addr_t addr;
    if (!l7s_addr_parse(text, &addr)) {
        wrong(reader, "/key/client", "bad_address",
              "is not an address like \"203.0.113.7\"; write networks as \"network\"");
        return;
    }
    *out = l7s_addr_client(&addr);
}

static void read_network(const reader_t *reader, const char *text, l7s_cidr_t *out)
{
    char message[128], corrected[L7S_CIDR_TEXT];
    l7s_status_t status = l7s_cidr_parse(text, out);
    if (status == L7S_CONFLICT) {
        l7s_cidr_text(out, corrected);
        snprintf(message, sizeof(message), "has host bits set; write \"%s\"", corrected);
        wrong(reader, "/key/network", "cidr_host_bits", message);
    } else if (status != L7S_OK) {
        wrong(reader, "/key/network", "bad_cidr",
              "is not a network like \"203.0.113.0/24\"");
    } else if (out->prefix == 0 || (l7s_addr_is_v4(&out->base) && out->prefix == 96)) {
        wrong(reader, "/key/network", "bans_everybody",
              "would ban everybody; the kill switch is /v1/settings");
    }
}

static void read_key(const reader_t *reader, l7s_ban_t *ban)
{
    json_t *key = json_object_get(reader->document, "key");
    const char *client = json_string_value(json_object_get(key, "client"));
    const char *network = json_string_value(json_object_get(key, "network"));
    if (!json_is_object(key) || json_object_size(key) != 1) {
        wrong(reader, "/key", "wrong_members",
              "must be an object with exactly one member, \"client\" or \"network\"");
    } else if (client != NULL) {
        read_client(reader, client, &ban->network);
    } else if (network != NULL) {
        read_network(reader, network, &ban->network);
    } else {
        wrong(reader, "/key", "unsupported_key",
              "bans by hand are for addresses: {\"client\":\"203.0.113.7\"} or "
              "{\"network\":\"203.0.113.0/24\"}; other keys are banned by policies");
    }
    ban->is_address = true;
    l7s_ban_id(&ban->network, ban->id);
    const char *id = json_string_value(json_object_get(reader->document, "id"));
    if (is_fine(reader) && id != NULL && strcmp(id, ban->id) != 0) {
        wrong(reader, "/id", "id_mismatch", "is not the id that derives from the key");
    }
}

/* ---- how long and how ---- */

static void read_end(const reader_t *reader, uint64_t now_ms, l7s_ban_t *ban)
{
    const json_t *seconds = json_object_get(reader->document, "seconds");
    const json_t *until = json_object_get(reader->document, "until");
    bool has_seconds = seconds != NULL && !json_is_null(seconds);
    bool has_until = until != NULL && !json_is_null(until);
    int64_t count = l7s_json_integer_or(seconds, 0);
    ban->since_ms = now_ms;
    ban->until_ms = UINT64_MAX;
    if (has_seconds && has_until) {
        wrong(reader, "/until", "not_allowed",
              "give \"seconds\" or \"until\", or neither for a ban until it is lifted");
    } else if (has_seconds && (count < 1 || count > ADMIN_BAN_SECONDS_MAX)) {
        wrong(reader, "/seconds", "out_of_range",
              "must be an integer from 1 to 315360000; leave it out for no end");
    } else if (has_seconds) {
        ban->until_ms = now_ms + (uint64_t)count * 1000;
    } else if (has_until && (!json_is_string(until) ||
                             !l7s_time_parse(json_string_value(until), &ban->until_ms))) {
        wrong(reader, "/until", "bad_time",
              "must be a time like \"2026-01-31T23:59:59Z\"");
    } else if (has_until && ban->until_ms <= now_ms) {
        wrong(reader, "/until", "out_of_range", "lies in the past");
    }
}

/* `status` is the refusal's number in a ban that is written, and the daemon's own object
 * in one that was read; from that one the number is taken back. */
static void read_status(const reader_t *reader, l7s_ban_t *ban)
{
    const json_t *status = json_object_get(reader->document, "status");
    if (json_is_object(status)) {
        status = json_object_get(status, "refusal_status");
    }
    ban->status = 403;
    if (status == NULL || json_is_null(status)) {
        return;
    }
    int64_t number = l7s_json_integer_or(status, 0);
    if (number < 400 || number > 599) {
        wrong(reader, "/status", "out_of_range", "must be an integer from 400 to 599");
        return;
    }
    ban->status = (uint16_t)number;
}

static void read_rest(const reader_t *reader, l7s_ban_t *ban)
{
    const char *response =
        json_string_value(json_object_get(reader->document, "response"));
    const json_t *reason = json_object_get(reader->document, "reason");
    const json_t *labels = json_object_get(reader->document, "labels");
    if (reason != NULL &&
        (!json_is_string(reason) || json_string_length(reason) > 1024)) {
        wrong(reader, "/reason", "wrong_type",
              "must be a string of at most 1024 characters");
    }
    if (labels != NULL && !json_is_object(labels)) {
        wrong(reader, "/labels", "wrong_type", "must be an object");
    }
    if (response != NULL && strlen(response) < sizeof(ban->response)) {
        snprintf(ban->response, sizeof(ban->response), "%s", response);
    }
}

/* What comes back as it was sent: all but the id and the daemon's `status`. */
static json_t *client_part(const json_t *document, const l7s_ban_t *ban)
{
    json_t *copy = json_deep_copy(document);
    json_object_del(copy, "id");
    if (json_is_object(json_object_get(copy, "status"))) {
        json_object_del(copy, "status");
        if (ban->status != 403) {
            json_object_set_new(copy, "status", json_integer(ban->status));
        }
    }
    return copy;
}

bool admin_ban_input_read(const json_t *document, const char *pointer, uint64_t now_ms,
                          l7s_problems_t *problems, admin_ban_input_t *out)
{
    reader_t reader = {document, pointer, problems, problems->count + problems->dropped};
    *out = (admin_ban_input_t){.document = NULL};
    if (!json_is_object(document)) {
        wrong(&reader, "", "wrong_type", "must be an object");
        return false;
    }
    check_schema(&reader);
    if (!is_fine(&reader)) {
        return false;
    }
    read_key(&reader, &out->ban);
    read_end(&reader, now_ms, &out->ban);
    read_status(&reader, &out->ban);
    read_rest(&reader, &out->ban);
    if (!is_fine(&reader)) {
        return false;
    }
    out->ban.origin = L7S_ORIGIN_DAEMON;
    out->document = client_part(document, &out->ban);
    return out->document != NULL;
}

void admin_ban_input_clear(admin_ban_input_t *input)
{
    json_decref(input->document);
    input->document = NULL;
}

/* ---- allow lists ---- */

typedef struct {
    l7s_cidr_t network;
    size_t list;
} allowed_network_t;

struct admin_allowed {
    uint64_t now_ms;
    bool failed;
    size_t list_count, count, capacity;
    char (*lists)[64];
    allowed_network_t *networks;
};

static bool add_network(admin_allowed_t *allowed, const l7s_cidr_t *network)
{
    if (allowed->count == allowed->capacity) {
        size_t capacity = allowed->capacity == 0 ? 64 : allowed->capacity * 2;
        void *grown = realloc(allowed->networks, capacity * sizeof(allowed_network_t));
        if (grown == NULL) {
            return false;
        }
        allowed->networks = grown;
        allowed->capacity = capacity;
    }
    allowed->networks[allowed->count++] =
        (allowed_network_t){*network, allowed->list_count - 1};
    return true;
}

static bool add_entries(admin_allowed_t *allowed, const json_t *entries)
{
    size_t index;
    json_t *entry;
    json_array_foreach(entries, index, entry)
    {
        const char *value = json_string_value(json_object_get(entry, "value"));
        const char *end = json_string_value(json_object_get(entry, "expires_at"));
        uint64_t end_ms;
        l7s_cidr_t network;
        bool over =
            end != NULL && l7s_time_parse(end, &end_ms) && end_ms <= allowed->now_ms;
        if (over || value == NULL || l7s_cidr_parse(value, &network) != L7S_OK) {
            continue;
        }
        if (!add_network(allowed, &network)) {
            return false;
        }
    }
    return true;
}

/* A list that is bound to applications does not hold on the connection, where bans do. */
static bool take_list(void *context, const admin_object_t *list)
{
    admin_allowed_t *allowed = context;
    const char *effect = json_string_value(json_object_get(list->spec, "effect"));
    if (effect == NULL || strcmp(effect, "allow") != 0 ||
        json_array_size(json_object_get(list->spec, "apps")) > 0) {
        return true;
    }
    void *grown = realloc(allowed->lists, (allowed->list_count + 1) * 64);
    if (grown == NULL) {
        allowed->failed = true;
        return false;
    }
    allowed->lists = grown;
    snprintf(allowed->lists[allowed->list_count++], 64, "%s", list->name);
    allowed->failed = !add_entries(allowed, json_object_get(list->spec, "entries"));
    return !allowed->failed;
}

admin_allowed_t *admin_allowed_read(admin_store_t *store, uint64_t now_ms)
{
    admin_allowed_t *allowed = calloc(1, sizeof(*allowed));
    if (allowed == NULL) {
        return NULL;
    }
    allowed->now_ms = now_ms;
    if (admin_object_each(store, "list", "", take_list, allowed) != L7S_OK ||
        allowed->failed) {
        admin_allowed_free(allowed);
        return NULL;
    }
    return allowed;
}

void admin_allowed_free(admin_allowed_t *allowed)
{
    if (allowed != NULL) {
        free(allowed->lists);
        free(allowed->networks);
        free(allowed);
    }
}

const char *admin_allowed_by(const admin_allowed_t *allowed, const l7s_cidr_t *network)
{
    for (size_t i = 0; i < allowed->count; i++) {
        const allowed_network_t *entry = &allowed->networks[i];
        if (entry->network.prefix <= network->prefix &&
            l7s_cidr_contains(&entry->network, &network->base)) {
            return allowed->lists[entry->list];
        }
    }
    return NULL;
}
