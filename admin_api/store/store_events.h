/* SPDX-License-Identifier: Apache-2.0
 *
 * events.db: incidents, bans, nodes and the counters that go with them. The documents are
 * JSON and the store does not look inside; what is searched stands in columns of its own.
 * Writing functions must be called inside a transaction of ADMIN_EVENTS_DB. "L7S_IO" is a
 * possible answer of every function.
 */
#ifndef ADMIN_STORE_EVENTS_H
#define ADMIN_STORE_EVENTS_H

#include "selection.h"
#include "store.h"

/* -- numbers and texts by key: "bans_generation", "ban_log_position", … -- */

int64_t admin_number_get(admin_store_t *store, const char *key, int64_t otherwise);
L7S_MUST_USE l7s_status_t admin_number_set(admin_store_t *store, const char *key,
                                           int64_t value);
/* malloc'ed, owned by the caller; NULL: not there. */
char *admin_text_get(admin_store_t *store, const char *key);
L7S_MUST_USE l7s_status_t admin_text_set(admin_store_t *store, const char *key,
                                         const char *value);

/* -- incidents -- */

typedef struct {
    const char *id;      /* "inc_…", unique */
    const char *subject; /* what is merged: policy and key, as the caller writes it */
    const char *state;   /* "active", "ended" */
    const char *policy, *app, *kind, *severity, *signature, *action; /* may be NULL */
    const l7s_addr_t *client;                                        /* NULL: none */
    uint64_t started_ms, last_seen_ms, ended_ms;                     /* 0: not yet */
    json_t *doc; /* the record with its private members; borrowed */
} admin_incident_t;

/* Writes the record, new or replaced by id. Its "aliases" (array of ids in `doc`) become
 * findable. */
L7S_MUST_USE l7s_status_t admin_incident_put(admin_store_t *store,
                                             const admin_incident_t *incident);
/* The record by id or alias. New reference; NULL: not there. */
json_t *admin_incident_get(admin_store_t *store, const char *id);
/* The newest record of a subject. New reference; NULL: not there. */
json_t *admin_incident_of(admin_store_t *store, const char *subject);
/* The active records that were last seen before `before_ms`, at most `limit`: an array.
 */
json_t *admin_incident_idle(admin_store_t *store, uint64_t before_ms, size_t limit);

typedef struct {
    admin_selection_t rows;     /* columns "state", "policy", "app", "kind", "severity",
                                   "signature", "action"; client: within */
    uint64_t before_started_ms; /* keyset: only records that sort after this one … */
    int64_t before_seq;         /* … 0: from the newest */
    size_t limit;
} admin_incident_filter_t;

/* Newest start first. `each` gets the key to go on from and borrows the record; it
 * returns false to stop. L7S_INVALID: an unknown column. */
typedef bool (*admin_incident_fn)(void *context, uint64_t started_ms, int64_t seq,
                                  const json_t *doc);
L7S_MUST_USE l7s_status_t admin_incident_each(admin_store_t *store,
                                              const admin_incident_filter_t *filter,
                                              admin_incident_fn each, void *context);
/* How many match, by the value of `column`: {"rate":3,…}. New reference or NULL. */
json_t *admin_incident_count(admin_store_t *store, const admin_incident_filter_t *filter,
                             const char *column);
/* Retention: deletes at most 1000 ended records, those that ended before `before_ms` and
 * the oldest ones beyond `rows_max`. *deleted tells how many. */
L7S_MUST_USE l7s_status_t admin_incident_prune(admin_store_t *store, uint64_t before_ms,
                                               uint64_t rows_max, size_t *deleted);

/* -- bans: active ones and, as tombstones, lifted ones until their hold ends -- */

typedef struct {
    const char *id;
    const char *policy, *origin; /* origin "node" or "daemon"; policy may be NULL */
    const l7s_cidr_t *network;   /* NULL: not an address ban */
    bool lifted;                 /* a tombstone */
    uint64_t since_ms, until_ms; /* until 0: until lifted */
    uint64_t hold_until_ms;      /* of a tombstone */
    json_t *entry;               /* ban_json.h form; borrowed */
    json_t *spec;                /* what a client PUT, or NULL; borrowed */
} admin_ban_t;

L7S_MUST_USE l7s_status_t admin_ban_put(admin_store_t *store, const admin_ban_t *ban);
/* Removes the row altogether. L7S_NOT_FOUND. */
L7S_MUST_USE l7s_status_t admin_ban_delete(admin_store_t *store, const char *id);

typedef struct {
    const char *id;         /* this one only; NULL: any */
    const char *after;      /* ids that sort after it; NULL or "": from the first */
    admin_selection_t rows; /* columns "policy", "origin"; client: whose network contains
                               it; no times */
    bool with_lifted;       /* tombstones too */
    uint64_t now_ms;        /* leaves out what has expired by then; 0: nothing */
    size_t limit;           /* 0: all */
} admin_ban_filter_t;

/* In the order of ids. `each` borrows the row and returns false to stop. */
typedef bool (*admin_ban_fn)(void *context, const admin_ban_t *ban);
L7S_MUST_USE l7s_status_t admin_ban_each(admin_store_t *store,
                                         const admin_ban_filter_t *filter,
                                         admin_ban_fn each, void *context);
/* How many match, by the value of "policy" or "origin": {"node":3,…}. New reference or
 * NULL. */
json_t *admin_ban_count(admin_store_t *store, const admin_ban_filter_t *filter,
                        const char *column);
/* Deletes bans and tombstones that have run out; *deleted tells how many. */
L7S_MUST_USE l7s_status_t admin_ban_prune(admin_store_t *store, uint64_t now_ms,
                                          size_t *deleted);

/* -- nodes ever seen, and how far their incident logs were read -- */

typedef struct {
    const char *name;
    uint64_t first_seen_ms, last_seen_ms;
    int64_t position; /* next entry of its incident log to read */
    json_t *seat;     /* the last heartbeat; borrowed */
} admin_node_t;

/* New or replaced by name: it is live. first_seen_ms of an existing one stays, and so
 * does its position. */
L7S_MUST_USE l7s_status_t admin_node_put(admin_store_t *store, const admin_node_t *node);
L7S_MUST_USE l7s_status_t admin_node_position(admin_store_t *store, const char *name,
                                              int64_t position);
/* The names of those that were live when last heard of, an array; the others' loss has
 * been told. New reference; NULL: the file cannot be read. */
json_t *admin_node_untold(admin_store_t *store);
L7S_MUST_USE l7s_status_t admin_node_lost(admin_store_t *store, const char *name);
/* L7S_NOT_FOUND. */
L7S_MUST_USE l7s_status_t admin_node_delete(admin_store_t *store, const char *name);
/* In the order of names; `each` borrows the node. */
typedef bool (*admin_node_fn)(void *context, const admin_node_t *node);
L7S_MUST_USE l7s_status_t admin_node_each(admin_store_t *store, admin_node_fn each,
                                          void *context);

#endif
