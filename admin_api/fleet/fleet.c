/* SPDX-License-Identifier: Apache-2.0
 *
 * The table behind fleet.h, sorted by name. The seats come from nodes: authenticated, but
 * one of them may be in the wrong hands, so every member is read with its type checked
 * and the number of nodes is bounded.
 */
#include "fleet.h"

#include "../../core/json/json_time.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Within this time an older seat of the same name is a leftover, not a clock set back. */
#define LEFTOVER_MS 2000

typedef struct {
    char name[ADMIN_NODE_NAME_MAX];
    json_t *seat;
    uint64_t sealed_at_ms; /* by the node's clock */
    uint64_t changed_ms;   /* when it last differed, by ours */
    uint64_t seen_ms;      /* when it was last there at all */
    int64_t skew_ms;
    uint64_t bans_refused;
    bool live;
} node_t;

struct admin_fleet {
    pthread_mutex_t lock; /* everything below */
    size_t count;
    node_t nodes[ADMIN_NODES_MAX]; /* by name */
};

admin_fleet_t *admin_fleet_create(void)
{
    admin_fleet_t *fleet = calloc(1, sizeof(*fleet));
    if (fleet != NULL) {
        pthread_mutex_init(&fleet->lock, NULL);
    }
    return fleet;
}

void admin_fleet_free(admin_fleet_t *fleet)
{
    if (fleet == NULL) {
        return;
    }
    for (size_t i = 0; i < fleet->count; i++) {
        json_decref(fleet->nodes[i].seat);
    }
    pthread_mutex_destroy(&fleet->lock);
    free(fleet);
}

/* Names stand in URLs, metric labels and logs: host name characters only. */
static bool name_is_sane(const char *name)
{
    size_t size = strlen(name);
    return size > 0 && size < ADMIN_NODE_NAME_MAX &&
           strspn(name,
                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               size;
}

/* The place of `name`, or where it belongs. */
static size_t find(const admin_fleet_t *fleet, const char *name, bool *exists)
{
    size_t low = 0, high = fleet->count;
    *exists = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(fleet->nodes[middle].name, name);
        if (order == 0) {
            *exists = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void drop(admin_fleet_t *fleet, size_t index)
{
    json_decref(fleet->nodes[index].seat);
    fleet->count--;
    memmove(&fleet->nodes[index], &fleet->nodes[index + 1],
            (fleet->count - index) * sizeof(node_t));
}

/* Makes room by forgetting the node that has been lost for longest. */
static bool drop_longest_lost(admin_fleet_t *fleet)
{
    size_t oldest = fleet->count;
    for (size_t i = 0; i < fleet->count; i++) {
        if (!fleet->nodes[i].live &&
            (oldest == fleet->count ||
             fleet->nodes[i].changed_ms < fleet->nodes[oldest].changed_ms)) {
            oldest = i;
        }
    }
    if (oldest == fleet->count) {
        return false;
    }
    drop(fleet, oldest);
    return true;
}

/* NULL: the table is full of live nodes. */
static node_t *obtain(admin_fleet_t *fleet, const char *name)
{
    bool exists;
    size_t index = find(fleet, name, &exists);
    if (exists) {
        return &fleet->nodes[index];
    }
    if (fleet->count == ADMIN_NODES_MAX) {
        if (!drop_longest_lost(fleet)) {
            return NULL;
        }
        index = find(fleet, name, &exists);
    }
    memmove(&fleet->nodes[index + 1], &fleet->nodes[index],
            (fleet->count - index) * sizeof(node_t));
    fleet->count++;
    node_t *node = &fleet->nodes[index];
    *node = (node_t){.seat = NULL};
    snprintf(node->name, sizeof(node->name), "%s", name);
    return node;
}

static l7s_status_t take_seat(node_t *node, const json_t *seat, uint64_t sealed_at_ms,
                              uint64_t now_ms)
{
    node->seen_ms = now_ms;
    if (sealed_at_ms == node->sealed_at_ms) {
        return L7S_OK;
    }
    if (sealed_at_ms < node->sealed_at_ms && now_ms - node->changed_ms < LEFTOVER_MS) {
        return L7S_STALE;
    }
    json_t *copy = json_deep_copy(seat);
    if (copy == NULL) {
        return L7S_NO_MEMORY;
    }
    json_decref(node->seat);
    node->seat = copy;
    node->sealed_at_ms = sealed_at_ms;
    node->changed_ms = now_ms;
    node->skew_ms = (int64_t)(sealed_at_ms - now_ms);
    return L7S_OK;
}

l7s_status_t admin_fleet_heartbeat(admin_fleet_t *fleet, const char *sender,
                                   const json_t *seat, uint64_t sealed_at_ms,
                                   uint64_t now_ms)
{
    const char *name = json_string_value(json_object_get(seat, "name"));
    if (name == NULL || strcmp(name, sender) != 0 || !name_is_sane(name)) {
        return L7S_INVALID;
    }
    pthread_mutex_lock(&fleet->lock);
    node_t *node = obtain(fleet, name);
    l7s_status_t status =
        node == NULL ? L7S_TOO_BIG : take_seat(node, seat, sealed_at_ms, now_ms);
    pthread_mutex_unlock(&fleet->lock);
    return status;
}

l7s_status_t admin_fleet_restore(admin_fleet_t *fleet, const char *name,
                                 const json_t *seat, uint64_t last_seen_ms)
{
    if (!name_is_sane(name)) {
        return L7S_INVALID;
    }
    pthread_mutex_lock(&fleet->lock);
    node_t *node = obtain(fleet, name);
    if (node != NULL && node->seat == NULL) {
        node->seat = json_deep_copy(seat);
        node->changed_ms = last_seen_ms;
    }
    pthread_mutex_unlock(&fleet->lock);
    return node == NULL ? L7S_TOO_BIG : L7S_OK;
}

void admin_fleet_touch(admin_fleet_t *fleet, const char *name, uint64_t now_ms)
{
    bool exists;
    pthread_mutex_lock(&fleet->lock);
    size_t index = find(fleet, name, &exists);
    if (exists) {
        fleet->nodes[index].seen_ms = now_ms;
    }
    pthread_mutex_unlock(&fleet->lock);
}

bool admin_fleet_is_live(admin_fleet_t *fleet, const char *name)
{
    bool exists;
    pthread_mutex_lock(&fleet->lock);
    size_t index = find(fleet, name, &exists);
    bool live = exists && fleet->nodes[index].live;
    pthread_mutex_unlock(&fleet->lock);
    return live;
}

void admin_fleet_refused(admin_fleet_t *fleet, const char *name)
{
    bool exists;
    pthread_mutex_lock(&fleet->lock);
    size_t index = find(fleet, name, &exists);
    if (exists) {
        fleet->nodes[index].bans_refused++;
    }
    pthread_mutex_unlock(&fleet->lock);
}

static void show(const node_t *node, admin_seat_fn visit, void *context)
{
    visit(context, &(admin_seat_t){node->name, node->seat, node->changed_ms, node->live});
}

void admin_fleet_settle(admin_fleet_t *fleet, bool complete, uint64_t now_ms,
                        admin_seat_fn changed, void *context)
{
    pthread_mutex_lock(&fleet->lock);
    for (size_t i = 0; i < fleet->count; i++) {
        node_t *node = &fleet->nodes[i];
        bool gone = complete && now_ms - node->seen_ms >= ADMIN_NODE_GONE_MS;
        /* sealed_at_ms is 0 until the first heartbeat in this life of the daemon. */
        bool live = node->sealed_at_ms != 0 && !gone &&
                    now_ms - node->changed_ms < ADMIN_NODE_LIVE_MS;
        if (live != node->live) {
            node->live = live;
            show(node, changed, context);
        }
    }
    pthread_mutex_unlock(&fleet->lock);
}

/* A member of the seat as it was sent when it has the right type, else null. */
static json_t *member(const json_t *seat, const char *name, json_type type)
{
    json_t *value = json_object_get(seat, name);
    if (value == NULL || json_typeof(value) != type) {
        return json_null();
    }
    return json_deep_copy(value);
}

static json_t *started_json(const json_t *seat)
{
    json_int_t started_ms = json_integer_value(json_object_get(seat, "started_ms"));
    return l7s_json_time(started_ms > 0 ? (uint64_t)started_ms : 0);
}

/* Nothing of a node belongs to a client, so all but the name is `status`. */
static json_t *document(const node_t *node)
{
    const json_t *seat = node->seat;
    json_t *status = json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}",
        "state", node->live ? "live" : "lost", "version",
        member(seat, "version", JSON_STRING), "features",
        member(seat, "features", JSON_ARRAY), "instance",
        member(seat, "instance", JSON_STRING), "started_at", started_json(seat),
        "last_seen_at", l7s_json_time(node->changed_ms), "skew_ms",
        (json_int_t)node->skew_ms, "config_epoch",
        member(seat, "config_epoch", JSON_INTEGER), "applied_revision",
        member(seat, "revision", JSON_INTEGER), "effective_mode",
        member(seat, "mode", JSON_STRING), "because",
        member(seat, "because", JSON_STRING), "secret_ids",
        member(seat, "secret_ids", JSON_ARRAY), "health",
        member(seat, "health", JSON_OBJECT), "policies",
        member(seat, "policies", JSON_OBJECT), "verdicts",
        member(seat, "verdicts", JSON_OBJECT), "demoted_policies",
        member(seat, "demoted_policies", JSON_ARRAY), "refused_revision",
        member(seat, "refused_revision", JSON_OBJECT), "bans_refused",
        (json_int_t)node->bans_refused);
    return json_pack("{s:s, s:o}", "name", node->name, "status", status);
}

json_t *admin_fleet_nodes(admin_fleet_t *fleet)
{
    json_t *items = json_array();
    pthread_mutex_lock(&fleet->lock);
    for (size_t i = 0; i < fleet->count; i++) {
        json_array_append_new(items, document(&fleet->nodes[i]));
    }
    pthread_mutex_unlock(&fleet->lock);
    return items;
}

json_t *admin_fleet_node(admin_fleet_t *fleet, const char *name)
{
    bool exists;
    pthread_mutex_lock(&fleet->lock);
    size_t index = find(fleet, name, &exists);
    json_t *result = exists ? document(&fleet->nodes[index]) : NULL;
    pthread_mutex_unlock(&fleet->lock);
    return result;
}

l7s_status_t admin_fleet_forget(admin_fleet_t *fleet, const char *name)
{
    bool exists;
    l7s_status_t status = L7S_NOT_FOUND;
    pthread_mutex_lock(&fleet->lock);
    size_t index = find(fleet, name, &exists);
    if (exists && fleet->nodes[index].live) {
        status = L7S_CONFLICT;
    } else if (exists) {
        drop(fleet, index);
        status = L7S_OK;
    }
    pthread_mutex_unlock(&fleet->lock);
    return status;
}

/* Has this node applied (config_epoch, revision) or a later one? */
static bool applied(const json_t *seat, uint64_t config_epoch, uint64_t revision)
{
    json_int_t epoch = json_integer_value(json_object_get(seat, "config_epoch"));
    json_int_t number = json_integer_value(json_object_get(seat, "revision"));
    if (epoch < 0 || number < 0) {
        return false;
    }
    return (uint64_t)epoch > config_epoch ||
           ((uint64_t)epoch == config_epoch && (uint64_t)number >= revision);
}

admin_rollout_t admin_fleet_rollout(admin_fleet_t *fleet, uint64_t config_epoch,
                                    uint64_t revision)
{
    admin_rollout_t rollout = {0, 0};
    pthread_mutex_lock(&fleet->lock);
    for (size_t i = 0; i < fleet->count; i++) {
        if (fleet->nodes[i].live) {
            rollout.live++;
            rollout.applied +=
                applied(fleet->nodes[i].seat, config_epoch, revision) ? 1 : 0;
        }
    }
    pthread_mutex_unlock(&fleet->lock);
    return rollout;
}

void admin_fleet_visit(admin_fleet_t *fleet, admin_seat_fn visit, void *context)
{
    pthread_mutex_lock(&fleet->lock);
    for (size_t i = 0; i < fleet->count; i++) {
        show(&fleet->nodes[i], visit, context);
    }
    pthread_mutex_unlock(&fleet->lock);
}
