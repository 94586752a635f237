/* SPDX-License-Identifier: Apache-2.0
 *
 * Bans to and from JSON. What is read comes from other nodes over the bus: authentic, but
 * a compromised node may have written it, so every member is checked and bounded.
 */
#include "ban_json.h"
#include "../schema/schema.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DIGEST_TEXT = 33 };

static json_t *time_or_null(uint64_t ms)
{
    return ms == UINT64_MAX ? json_null() : json_integer((json_int_t)ms);
}

static void set_text(json_t *out, const char *key, const char *text)
{
    json_object_set_new(out, key, json_string(text));
}

static json_t *entry(const char *op, const l7s_ban_t *ban)
{
    json_t *out = json_object();
    char digest[DIGEST_TEXT], network[L7S_CIDR_TEXT];

    snprintf(digest, sizeof digest, "%016" PRIx64 "%016" PRIx64, ban->digest.hi,
             ban->digest.lo);
    set_text(out, "op", op);
    set_text(out, "id", ban->id);
    set_text(out, "digest", digest);
    if (ban->is_address) {
        l7s_cidr_text(&ban->network, network);
        set_text(out, "network", network);
    } else {
        json_object_set_new(out, "network", json_null());
    }
    json_object_set_new(out, "since_ms", json_integer((json_int_t)ban->since_ms));
    json_object_set_new(out, "until_ms", time_or_null(ban->until_ms));
    json_object_set_new(out, "status", json_integer(ban->status));
    set_text(out, "policy", ban->policy);
    set_text(out, "incident", ban->incident);
    set_text(out, "response", ban->response);
    set_text(out, "origin", ban->origin == L7S_ORIGIN_DAEMON ? "daemon" : "node");
    return out;
}

json_t *l7s_ban_to_json(const l7s_ban_t *ban)
{
    return entry("put", ban);
}

json_t *l7s_ban_lift_to_json(const l7s_ban_t *ban, uint64_t hold_until_ms)
{
    json_t *out = entry("lift", ban);

    json_object_set_new(out, "hold_until_ms", json_integer((json_int_t)hold_until_ms));
    return out;
}

/* --- reading --- */

/* A string of at most capacity - 1 bytes of the given characters; absent counts as "". */
static bool read_text(const json_t *json, const char *key, char *out, size_t capacity)
{
    const json_t *value = json_object_get(json, key);
    const char *text = value == NULL ? "" : json_string_value(value);

    if (text == NULL || strlen(text) >= capacity) {
        return false;
    }
    for (const char *c = text; *c != '\0'; c++) {
        if ((*c < '0' || *c > '9') && (*c < 'a' || *c > 'z') && (*c < 'A' || *c > 'Z') &&
            strchr(":._-", *c) == NULL) {
            return false;
        }
    }
    memcpy(out, text, strlen(text) + 1);
    return true;
}

/* Milliseconds since 1970; null and absent are `otherwise`. */
static bool read_time(const json_t *json, const char *key, uint64_t otherwise,
                      uint64_t *out)
{
    const json_t *value = json_object_get(json, key);
    int64_t ms = 0;

    if (value == NULL || json_is_null(value)) {
        *out = otherwise;
        return true;
    }
    if (!l7s_json_integer(value, &ms) || ms < 0) {
        return false;
    }
    *out = (uint64_t)ms;
    return true;
}

static bool read_digest(const json_t *json, l7s_hash128_t *out)
{
    const char *text = json_string_value(json_object_get(json, "digest"));

    return text != NULL && strlen(text) == DIGEST_TEXT - 1 &&
           strspn(text, "0123456789abcdef") == DIGEST_TEXT - 1 &&
           sscanf(text, "%16" SCNx64 "%16" SCNx64, &out->hi, &out->lo) == 2;
}

/* An address ban's id must be the one of its network: a ban of everybody cannot hide
 * behind a harmless id. */
static bool read_network(const json_t *json, l7s_ban_t *out)
{
    const json_t *value = json_object_get(json, "network");
    char id[L7S_BAN_ID_MAX];

    if (value == NULL || json_is_null(value)) {
        out->is_address = false;
        return strncmp(out->id, "ip:", 3) != 0 && strncmp(out->id, "net:", 4) != 0;
    }
    if (!json_is_string(value) ||
        l7s_cidr_parse(json_string_value(value), &out->network) != L7S_OK) {
        return false;
    }
    out->is_address = true;
    l7s_ban_id(&out->network, id);
    return strcmp(id, out->id) == 0;
}

static bool read_status(const json_t *json, uint16_t *out)
{
    const json_t *value = json_object_get(json, "status");
    int64_t status = 403;

    if (value != NULL &&
        (!l7s_json_integer(value, &status) || status < 400 || status > 599)) {
        return false;
    }
    *out = (uint16_t)status;
    return true;
}

static bool read_names(const json_t *json, l7s_ban_t *out)
{
    const char *origin = json_string_value(json_object_get(json, "origin"));

    if (origin == NULL ||
        (strcmp(origin, "node") != 0 && strcmp(origin, "daemon") != 0)) {
        return false;
    }
    out->origin = strcmp(origin, "daemon") == 0 ? L7S_ORIGIN_DAEMON : L7S_ORIGIN_NODE;
    return read_text(json, "policy", out->policy, sizeof out->policy) &&
           read_text(json, "incident", out->incident, sizeof out->incident) &&
           read_text(json, "response", out->response, sizeof out->response);
}

l7s_status_t l7s_ban_from_json(const json_t *json, l7s_ban_t *out, bool *lift,
                               uint64_t *hold_until_ms)
{
    const char *op = json_string_value(json_object_get(json, "op"));

    memset(out, 0, sizeof *out);
    *lift = op != NULL && strcmp(op, "lift") == 0;
    *hold_until_ms = 0;
    if (op == NULL || (!*lift && strcmp(op, "put") != 0) ||
        !read_text(json, "id", out->id, sizeof out->id) || out->id[0] == '\0' ||
        !read_digest(json, &out->digest) || !read_network(json, out) ||
        !read_time(json, "since_ms", 0, &out->since_ms) ||
        !read_time(json, "until_ms", UINT64_MAX, &out->until_ms) ||
        !read_status(json, &out->status) || !read_names(json, out) ||
        !read_time(json, "hold_until_ms", 0, hold_until_ms)) {
        return L7S_INVALID;
    }
    return L7S_OK;
}

bool l7s_ban_fits_node(const l7s_ban_t *ban)
{
    uint8_t widest = l7s_addr_is_v4(&ban->network.base) ? 96 + 8 : 16;

    return !ban->is_address || ban->network.prefix >= widest;
}
