/* SPDX-License-Identifier: Apache-2.0
 *
 * config.db: named objects (policies, lists, apps, responses, the settings), their
 * history and the tokens. An object is the JSON text that its client sent; the store does
 * not look inside. Every change is kept with the revision that made it, so the
 * configuration of any kept revision can be put together again.
 */
#ifndef ADMIN_STORE_OBJECTS_H
#define ADMIN_STORE_OBJECTS_H

#include "store.h"

/* Kinds: "policy", "list", "app", "response"; "override", which has the name of its
 * policy and goes with it; "settings" with the one name "settings"; and "set", whose
 * document names the objects that it owns. */
#define ADMIN_ETAG_MAX 72 /* with quotes and a NUL */

typedef struct {
    char name[64];
    char etag[ADMIN_ETAG_MAX]; /* strong: hash of the spec */
    int64_t revision;          /* that wrote it last */
    uint64_t created_ms, updated_ms;
    char owner[64]; /* the set; "": made by hand */
    json_t *spec;   /* owned; order of keys as it was sent */
} admin_object_t;

/* L7S_NOT_FOUND, L7S_IO. Free the members with admin_object_clear. */
L7S_MUST_USE l7s_status_t admin_object_get(admin_store_t *store, const char *kind,
                                           const char *name, admin_object_t *out);
void admin_object_clear(admin_object_t *object);

/* In the order of names, those after `after` ("" = from the first). `each` returns false
 * to stop; it borrows the object. */
typedef bool (*admin_object_fn)(void *context, const admin_object_t *object);
L7S_MUST_USE l7s_status_t admin_object_each(admin_store_t *store, const char *kind,
                                            const char *after, admin_object_fn each,
                                            void *context);

/* The set that owns it, "" when nobody does or it is not there. */
L7S_MUST_USE l7s_status_t admin_object_owner(admin_store_t *store, const char *kind,
                                             const char *name, char out[64]);
/* Everything that a set owns, but itself: [{"kind","name"}], in the order of kinds and
 * names. New reference; NULL: the file cannot be read. */
json_t *admin_objects_owned(admin_store_t *store, const char *owner);

/* The whole configuration, consistent: {"policies":[…],"lists":[…],"apps":[…],
 * "responses":[…],"settings":{…}}, "overrides":[…] if there are any, and its revision.
 * New reference; NULL: the file cannot be read. */
json_t *admin_config_document(admin_store_t *store, int64_t *revision);
/* The same as of an earlier revision, without settings and overrides, with "sets":[…] as
 * they were stored; NULL: not kept (any more). */
json_t *admin_config_at(admin_store_t *store, int64_t revision);
/* "policies" for "policy", …; NULL for a kind that is no member of a document. */
const char *admin_kind_member(const char *kind);
/* The other way round. */
const char *admin_member_kind(const char *member);
/* "policy", "list", "app" and "response": what nodes enforce and sets own. */
#define ADMIN_NODE_KINDS 4
const char *admin_kind_name(size_t index);

/* What was published as this many revisions: the newest one, 0 in a new store. */
int64_t admin_store_revision(admin_store_t *store);

/* One change of a commit. */
typedef struct {
    const char *kind, *name;
    json_t *spec;      /* borrowed; NULL: delete */
    const char *owner; /* the set that owns it from now on; NULL: as before */
    bool entries_only; /* of a list whose entries are the operators', whoever owns it */
} admin_change_t;

/* Who makes a revision, and why. */
typedef struct {
    const char *author, *reason; /* reason may be NULL */
    const char *set;             /* whose apply it is; NULL: nobody's */
    uint64_t now_ms;
} admin_origin_t;

/* The next revision with all `changes`; inside a transaction of ADMIN_CONFIG_DB. */
L7S_MUST_USE l7s_status_t admin_revision_write(admin_store_t *store,
                                               const admin_change_t *changes,
                                               size_t count, const admin_origin_t *origin,
                                               int64_t *revision);
/* {"revision","at","author","reason","set","changes":[{"kind","name","op","differences"}]};
 * `differences` only in _get. NULL: not there. */
json_t *admin_revision_get(admin_store_t *store, int64_t revision);
/* Newest first, those before `before` (0: from the newest), at most `limit`. */
json_t *admin_revision_list(admin_store_t *store, int64_t before, size_t limit);

/* The first revision behind `after`, with no more than `changes_max` of its changes and
 * their "change_count". New reference in *out; NULL: there is none yet. */
L7S_MUST_USE l7s_status_t admin_revision_next(admin_store_t *store, int64_t after,
                                              size_t changes_max, json_t **out);

/* The etag of a document as the store computes it. L7S_NO_MEMORY. */
L7S_MUST_USE l7s_status_t admin_etag(const json_t *spec, char out[ADMIN_ETAG_MAX]);

typedef struct {
    char name[64], id[9];
    uint8_t hash[32]; /* SHA-256 of the whole token */
    admin_role_t role;
    uint64_t created_ms, rotated_ms, expires_ms, last_used_ms; /* 0: none */
    /* the secret before the last rotation, which holds for a while: "" and 0: none */
    char old_id[9];
    uint8_t old_hash[32];
    uint64_t old_until_ms, old_used_ms;
    json_t *spec;
} admin_token_t;

/* By public id (also the one before the last rotation) or by name. L7S_NOT_FOUND, L7S_IO.
 * `spec` is owned by the caller. */
L7S_MUST_USE l7s_status_t admin_token_by_id(admin_store_t *store, const char *id,
                                            admin_token_t *out);
L7S_MUST_USE l7s_status_t admin_token_get(admin_store_t *store, const char *name,
                                          admin_token_t *out);
typedef bool (*admin_token_fn)(void *context, const admin_token_t *token);
L7S_MUST_USE l7s_status_t admin_token_each(admin_store_t *store, const char *after,
                                           admin_token_fn each, void *context);
/* Inside a transaction of ADMIN_CONFIG_DB. */
L7S_MUST_USE l7s_status_t admin_token_put(admin_store_t *store,
                                          const admin_token_t *token);
L7S_MUST_USE l7s_status_t admin_token_delete(admin_store_t *store, const char *name);
/* Notes the use of a token; opens its own transaction of ADMIN_EVENTS_DB. */
void admin_token_used(admin_store_t *store, const char *id, uint64_t now_ms);

#endif
