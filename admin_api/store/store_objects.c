/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects as they are now, and whole configurations put together from them
 * (store_objects.h). A configuration is read by one statement, so it is consistent
 * without a transaction.
 */
#include "store_objects.h"
#include "../../core/bus/trust.h"
#include "sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *kind, *member;
} kinds[] = {
    {"policy", "policies"},    {"list", "lists"}, {"app", "apps"},
    {"response", "responses"}, {"set", "sets"},   {"override", "overrides"},
};

#define KINDS (sizeof kinds / sizeof kinds[0])
_Static_assert(KINDS >= ADMIN_NODE_KINDS, "the first of them");

const char *admin_kind_member(const char *kind)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (strcmp(kinds[i].kind, kind) == 0) {
            return kinds[i].member;
        }
    }
    return NULL;
}

const char *admin_member_kind(const char *member)
{
    for (size_t i = 0; i < KINDS && member != NULL; i++) {
        if (strcmp(kinds[i].member, member) == 0) {
            return kinds[i].kind;
        }
    }
    return NULL;
}

const char *admin_kind_name(size_t index)
{
    return kinds[index].kind;
}

l7s_status_t admin_etag(const json_t *spec, char out[ADMIN_ETAG_MAX])
{
    char *text = json_dumps(spec, JSON_COMPACT);
    if (text == NULL) {
        return L7S_NO_MEMORY;
    }
    char digest[L7S_SHA256_TEXT];
    l7s_sha256_text(text, strlen(text), digest);
    free(text);
    snprintf(out, ADMIN_ETAG_MAX, "\"%.32s\"", digest);
    return L7S_OK;
}

#define OBJECT_COLUMNS "name, etag, revision, created_ms, updated_ms, spec, owner"

static void read_object(const admin_query_t *query, admin_object_t *out)
{
    *out = (admin_object_t){.revision = admin_query_number(query, 2),
                            .created_ms = (uint64_t)admin_query_number(query, 3),
                            .updated_ms = (uint64_t)admin_query_number(query, 4),
                            .spec = admin_query_json(query, 5)};
    snprintf(out->name, sizeof out->name, "%s", admin_query_text(query, 0));
    snprintf(out->etag, sizeof out->etag, "%s", admin_query_text(query, 1));
    snprintf(out->owner, sizeof out->owner, "%s", admin_query_text(query, 6));
}

void admin_object_clear(admin_object_t *object)
{
    json_decref(object->spec);
    object->spec = NULL;
}

l7s_status_t admin_object_get(admin_store_t *store, const char *kind, const char *name,
                              admin_object_t *out)
{
    *out = (admin_object_t){0};
    admin_query_t query;
    admin_query_begin(store, ADMIN_CONFIG_DB, &query,
                      "SELECT " OBJECT_COLUMNS " FROM object WHERE kind = ? AND name = ?",
                      "tt", kind, name);
    if (admin_query_row(&query)) {
        read_object(&query, out);
    }
    return admin_query_end_one(&query);
}

l7s_status_t admin_object_each(admin_store_t *store, const char *kind, const char *after,
                               admin_object_fn each, void *context)
{
    admin_query_t query;
    admin_query_begin(store, ADMIN_CONFIG_DB, &query,
                      "SELECT " OBJECT_COLUMNS
                      " FROM object WHERE kind = ? AND name > ? ORDER BY name",
                      "tt", kind, after);
    bool more = true;
    while (more && admin_query_row(&query)) {
        admin_object_t object;
        read_object(&query, &object);
        more = each(context, &object);
        admin_object_clear(&object);
    }
    return admin_query_end(&query);
}

l7s_status_t admin_object_owner(admin_store_t *store, const char *kind, const char *name,
                                char out[64])
{
    admin_query_t query;
    admin_query_begin(store, ADMIN_CONFIG_DB, &query,
                      "SELECT owner FROM object WHERE kind = ? AND name = ?", "tt", kind,
                      name);
    snprintf(out, 64, "%s", admin_query_row(&query) ? admin_query_text(&query, 0) : "");
    return admin_query_end(&query);
}

json_t *admin_objects_owned(admin_store_t *store, const char *owner)
{
    json_t *owned = json_array();
    admin_query_t query;
    admin_query_begin(store, ADMIN_CONFIG_DB, &query,
                      "SELECT kind, name FROM object WHERE owner = ? AND owner <> ''"
                      " ORDER BY kind, name",
                      "t", owner);
    while (admin_query_row(&query)) {
        json_array_append_new(owned,
                              json_pack("{s:s, s:s}", "kind", admin_query_text(&query, 0),
                                        "name", admin_query_text(&query, 1)));
    }
    if (admin_query_end(&query) != L7S_OK) {
        json_decref(owned);
        return NULL;
    }
    return owned;
}

static json_t *empty_document(void)
{
    json_t *document = json_object();
    for (size_t i = 0; i < ADMIN_NODE_KINDS; i++) {
        if (json_object_set_new(document, kinds[i].member, json_array()) != 0) {
            json_decref(document);
            return NULL;
        }
    }
    return document;
}

/* Steals `spec`. Kinds that are no member of the document are left out, except settings.
 */
static bool place(json_t *document, const char *kind, json_t *spec)
{
    if (strcmp(kind, "settings") == 0) {
        return json_object_set_new(document, "settings", spec) == 0;
    }
    const char *member = admin_kind_member(kind);
    if (member == NULL) {
        json_decref(spec);
        return true;
    }
    json_t *array = json_object_get(document, member);
    if (array == NULL) {
        array = json_array();
        json_object_set_new(document, member, array);
    }
    return json_array_append_new(array, spec) == 0;
}

/* Rows are (kind, spec); a row with kind "" carries the revision instead. */
static json_t *assemble(admin_query_t *query, int64_t *revision)
{
    json_t *document = empty_document();
    bool good = document != NULL;
    while (good && admin_query_row(query)) {
        const char *kind = admin_query_text(query, 0);
        if (kind[0] == '\0') {
            *revision = admin_query_number(query, 1);
            continue;
        }
        good = place(document, kind, admin_query_json(query, 1));
    }
    if (admin_query_end(query) != L7S_OK || !good) {
        json_decref(document);
        return NULL;
    }
    return document;
}

json_t *admin_config_document(admin_store_t *store, int64_t *revision)
{
    admin_query_t query;
    admin_query_begin(store, ADMIN_CONFIG_DB, &query,
                      "SELECT '' AS kind, coalesce(max(revision), 0), '' AS name"
                      " FROM revision"
                      " UNION ALL SELECT kind, spec, name FROM object"
                      " WHERE kind <> 'set' ORDER BY kind, name",
                      "");
    json_t *document = assemble(&query, revision);
    if (document != NULL && json_object_get(document, "settings") == NULL &&
        json_object_set_new(document, "settings", json_object()) != 0) {
        json_decref(document);
        return NULL;
    }
    return document;
}

json_t *admin_config_at(admin_store_t *store, int64_t revision)
{
    admin_query_t query;
    admin_query_begin(
        store, ADMIN_CONFIG_DB, &query,
        "SELECT '' AS kind, revision, '' AS name FROM revision"
        " WHERE revision = ?1"
        " UNION ALL SELECT c.kind, c.spec, c.name FROM change c"
        " WHERE c.kind NOT IN ('settings', 'override') AND c.spec IS NOT NULL"
        " AND c.revision = (SELECT max(revision) FROM change"
        "  WHERE kind = c.kind AND name = c.name AND revision <= ?1)"
        " ORDER BY kind, name",
        "i", revision);
    int64_t found = -1;
    json_t *document = assemble(&query, &found);
    if (document != NULL && json_object_get(document, "sets") == NULL) {
        json_object_set_new(document, "sets", json_array());
    }
    if (found != revision) {
        json_decref(document);
        return NULL;
    }
    return document;
}

int64_t admin_store_revision(admin_store_t *store)
{
    admin_query_t query;
    admin_query_begin(store, ADMIN_CONFIG_DB, &query,
                      "SELECT coalesce(max(revision), 0) FROM revision", "");
    int64_t revision = admin_query_row(&query) ? admin_query_number(&query, 0) : 0;
    return admin_query_end(&query) == L7S_OK ? revision : 0;
}
