/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses in documents (privacy.h). They are found by what they look like and not by
 * where they stand: a member that is added to a record some day is covered, too. Queries
 * look like anything: they are the members "query" of what stands in "samples".
 */
#include "privacy.h"
#include "../../core/addr.h"
#include "../../core/bus/trust.h"
#include "store_events.h"
#include "store_objects.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY "privacy_key"
#define TRUNCATED_V4 (96 + 24)
#define TRUNCATED_V6 48
#define TEXT_MAX 96
/* As deep as a body may be, and a little. */
#define DEPTH_MAX 40

static l7s_status_t draw_key(admin_store_t *store)
{
    char text[40];
    uint64_t drawn[2];
    l7s_status_t status = l7s_random(drawn, sizeof drawn);
    if (status == L7S_OK) {
        status = admin_store_begin(store, ADMIN_EVENTS_DB);
    }
    if (status != L7S_OK) {
        return status;
    }
    snprintf(text, sizeof text, "%016" PRIx64 "%016" PRIx64, drawn[0], drawn[1]);
    return admin_store_end(store, ADMIN_EVENTS_DB, admin_text_set(store, KEY, text));
}

static bool read_key(admin_store_t *store, l7s_hashkey_t *out)
{
    char *text = admin_text_get(store, KEY);
    bool good =
        text != NULL && sscanf(text, "%16" SCNx64 "%16" SCNx64, &out->k0, &out->k1) == 2;
    free(text);
    return good;
}

l7s_status_t admin_privacy_begin(admin_store_t *store)
{
    l7s_hashkey_t key;
    return read_key(store, &key) ? L7S_OK : draw_key(store);
}

static admin_addresses_t addresses_of(const json_t *settings)
{
    const json_t *privacy = json_object_get(settings, "privacy");
    const char *text = json_string_value(json_object_get(privacy, "addresses"));
    if (text == NULL || strcmp(text, "full") == 0) {
        return ADMIN_ADDRESSES_FULL;
    }
    return strcmp(text, "truncated") == 0 ? ADMIN_ADDRESSES_TRUNCATED
                                          : ADMIN_ADDRESSES_PSEUDONYM;
}

static bool shows_queries(const json_t *settings)
{
    const json_t *privacy = json_object_get(settings, "privacy");
    const char *text = json_string_value(json_object_get(privacy, "query_strings"));
    return text != NULL && strcmp(text, "include") == 0;
}

l7s_status_t admin_privacy_read(admin_store_t *store, admin_privacy_t *out)
{
    admin_object_t settings;
    *out = (admin_privacy_t){.addresses = ADMIN_ADDRESSES_PSEUDONYM};
    l7s_status_t status = admin_object_get(store, "settings", "settings", &settings);
    if (status == L7S_OK || status == L7S_NOT_FOUND) {
        out->addresses = addresses_of(settings.spec);
        out->queries = shows_queries(settings.spec);
        admin_object_clear(&settings);
    } else {
        return status;
    }
    return out->addresses != ADMIN_ADDRESSES_PSEUDONYM || read_key(store, &out->key)
               ? L7S_OK
               : L7S_IO;
}

/* -- one text -- */

/* "ip:203.0.113.7" and "net:203.0.113.0_24" are ids of bans. */
static bool read_ban_id(const char *text, l7s_cidr_t *out)
{
    char copy[TEXT_MAX];
    size_t skip = strncmp(text, "ip:", 3) == 0    ? 3
                  : strncmp(text, "net:", 4) == 0 ? 4
                                                  : 0;
    if (skip == 0) {
        return false;
    }
    snprintf(copy, sizeof copy, "%s", text + skip);
    for (char *at = copy; *at != '\0'; at++) {
        *at = *at == '_' ? '/' : *at;
    }
    return l7s_cidr_parse(copy, out) == L7S_OK;
}

static void truncate(l7s_cidr_t *network)
{
    uint8_t widest = l7s_addr_is_v4(&network->base) ? TRUNCATED_V4 : TRUNCATED_V6;
    if (network->prefix > widest) {
        network->prefix = widest;
        network->base = l7s_addr_mask(&network->base, widest);
    }
}

static void write_pseudonym(const l7s_hashkey_t *key, const l7s_cidr_t *network,
                            char out[TEXT_MAX])
{
    char hash[L7S_HASH128_TEXT];
    uint8_t bytes[17];
    memcpy(bytes, network->base.bytes, 16);
    bytes[16] = network->prefix;
    l7s_hash128_text(l7s_siphash128(key, bytes, sizeof bytes), hash);
    snprintf(out, TEXT_MAX, "p:%s", hash);
}

static void write_truncated(l7s_cidr_t network, bool is_id, char out[TEXT_MAX])
{
    char text[L7S_CIDR_TEXT];
    truncate(&network);
    l7s_cidr_text(&network, text);
    snprintf(out, TEXT_MAX, "%s%s", is_id ? "net:" : "", text);
    for (char *at = out; is_id && *at != '\0'; at++) {
        *at = *at == '/' ? '_' : *at;
    }
}

/* False: it is no address, or may be seen, and stays. */
static bool rewrite(const admin_privacy_t *privacy, const char *text, char out[TEXT_MAX])
{
    l7s_cidr_t network;
    if (privacy->addresses == ADMIN_ADDRESSES_FULL || strlen(text) >= TEXT_MAX) {
        return false;
    }
    bool is_id = read_ban_id(text, &network);
    if (!is_id && l7s_cidr_parse(text, &network) == L7S_INVALID) {
        return false;
    }
    if (privacy->addresses == ADMIN_ADDRESSES_TRUNCATED) {
        write_truncated(network, is_id, out);
        return true;
    }
    char pseudonym[TEXT_MAX];
    write_pseudonym(&privacy->key, &network, pseudonym);
    snprintf(out, TEXT_MAX, "%s%.64s", is_id ? "ip:" : "", pseudonym);
    return true;
}

/* -- the document -- */

static bool apply(const admin_privacy_t *privacy, json_t *value, unsigned depth);

/* A new text for `value`; NULL: it has none. */
static json_t *replacement(const admin_privacy_t *privacy, const json_t *value)
{
    char text[TEXT_MAX];
    const char *old = json_string_value(value);
    return old != NULL && rewrite(privacy, old, text) ? json_string(text) : NULL;
}

static void omit_queries(json_t *samples)
{
    size_t index;
    json_t *sample;
    json_array_foreach(samples, index, sample)
    {
        json_object_del(sample, "query");
    }
}

static bool apply_members(const admin_privacy_t *privacy, json_t *object, unsigned depth)
{
    const char *name;
    json_t *value;
    void *next;
    bool good = true;
    if (!privacy->queries) {
        omit_queries(json_object_get(object, "samples"));
    }
    json_object_foreach_safe(object, next, name, value)
    {
        json_t *text = replacement(privacy, value);
        good = good && (text != NULL ? json_object_set_new(object, name, text) == 0
                                     : apply(privacy, value, depth));
    }
    return good;
}

static bool apply_items(const admin_privacy_t *privacy, json_t *array, unsigned depth)
{
    size_t index;
    json_t *value;
    bool good = true;
    json_array_foreach(array, index, value)
    {
        json_t *text = replacement(privacy, value);
        good = good && (text != NULL ? json_array_set_new(array, index, text) == 0
                                     : apply(privacy, value, depth));
    }
    return good;
}

static bool apply(const admin_privacy_t *privacy, json_t *value, unsigned depth)
{
    if (json_is_object(value)) {
        return depth < DEPTH_MAX && apply_members(privacy, value, depth + 1);
    }
    return !json_is_array(value) ||
           (depth < DEPTH_MAX && apply_items(privacy, value, depth + 1));
}

bool admin_privacy_concerns(const admin_privacy_t *privacy, const char *text)
{
    return privacy->addresses != ADMIN_ADDRESSES_FULL ||
           (!privacy->queries && strstr(text, "\"query\"") != NULL);
}

bool admin_privacy_apply(const admin_privacy_t *privacy, json_t *document)
{
    bool all = privacy->addresses == ADMIN_ADDRESSES_FULL && privacy->queries;
    return all || apply(privacy, document, 0);
}

json_t *admin_privacy_shown(admin_store_t *store, json_t *document)
{
    admin_privacy_t privacy;
    if (admin_privacy_read(store, &privacy) != L7S_OK ||
        !admin_privacy_apply(&privacy, document)) {
        json_decref(document);
        return NULL;
    }
    return document;
}
