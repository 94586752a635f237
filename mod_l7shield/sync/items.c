/* SPDX-License-Identifier: Apache-2.0
 *
 * See items.h. While secrets are rotated there may be a head under each of them; which
 * one is the daemon's is told by config epoch and time, both under its signature.
 */
#include "items.h"
#include "../../core/json/config.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADS_MAX 8 /* secrets whose head is looked for */
#define PLACES (HEADS_MAX + 2)
#define PLACE_MODE HEADS_MAX
#define PLACE_MANIFEST (HEADS_MAX + 1)

/* One item as it was seen. */
typedef struct {
    char name[L7S_ITEM_NAME_MAX];
    void *raw; /* its bytes, owned; NULL: nothing seen under this name */
    size_t size;
    bool present; /* at the last look */
    bool good;    /* it opened and could be read */
    bool changed; /* at the last look */
    size_t payload_at, payload_size;
} seen_t;

struct sync_items {
    seen_t seen[PLACES];
    sync_head_t heads[HEADS_MAX];
    l7s_mode_item_t mode;
};

l7s_status_t sync_items_create(sync_items_t **out)
{
    *out = calloc(1, sizeof **out);
    return *out == NULL ? L7S_NO_MEMORY : L7S_OK;
}

void sync_items_forget(sync_items_t *items)
{
    for (size_t i = 0; i < PLACES; i++) {
        free(items->seen[i].raw);
        items->seen[i] = (seen_t){.raw = NULL};
    }
}

void sync_items_free(sync_items_t *items)
{
    if (items != NULL) {
        sync_items_forget(items);
        free(items);
    }
}

static bool read_head(sync_head_t *out, const l7s_item_t *item, const char *secret_id)
{
    json_t *head = l7s_json_read(item->payload, item->size, NULL);
    const char *epoch = json_string_value(json_object_get(head, "bus_epoch"));
    json_int_t number = json_integer_value(json_object_get(head, "config_epoch"));
    bool good = epoch != NULL && strlen(epoch) == SYNC_BUS_EPOCH_TEXT && number >= 0;

    if (good) {
        out->config_epoch = (uint64_t)number;
        out->sealed_at_ms = item->sealed_at_ms;
        memcpy(out->bus_epoch, epoch, sizeof out->bus_epoch);
        (void)snprintf(out->secret_id, sizeof out->secret_id, "%s", secret_id);
    }
    json_decref(head);
    return good;
}

typedef struct {
    sync_items_t *items;
    sync_bus_t *bus;
    size_t count;
    size_t places[PLACES]; /* by position in the question */
    char names[PLACES][L7S_ITEM_NAME_MAX];
} look_t;

static bool open_item(look_t *look, size_t place, seen_t *seen)
{
    l7s_item_kind_t kind = place == PLACE_MODE       ? L7S_ITEM_MODE
                           : place == PLACE_MANIFEST ? L7S_ITEM_MANIFEST
                                                     : L7S_ITEM_HEAD;
    l7s_item_t item;

    if (sync_bus_open(look->bus, kind, seen->name, seen->raw, seen->size, &item) !=
        L7S_OK) {
        return false;
    }
    seen->payload_at = (size_t)(item.payload - (const char *)seen->raw);
    seen->payload_size = item.size;
    if (kind == L7S_ITEM_MODE) {
        return l7s_mode_item_read(item.payload, item.size, &look->items->mode);
    }
    if (kind == L7S_ITEM_MANIFEST) {
        return true;
    }
    return read_head(&look->items->heads[place], &item,
                     l7s_trust_secret_at(sync_bus_trust(look->bus), place));
}

static void take_item(void *context, size_t index, const void *value, size_t size)
{
    look_t *look = context;
    size_t place = look->places[index];
    seen_t *seen = &look->items->seen[place];

    seen->present = true;
    if (seen->raw != NULL && seen->size == size && memcmp(seen->raw, value, size) == 0 &&
        strcmp(seen->name, look->names[index]) == 0) {
        return;
    }
    free(seen->raw);
    seen->raw = malloc(size == 0 ? 1 : size);
    seen->good = false;
    if (seen->raw == NULL) {
        return;
    }
    memcpy(seen->raw, value, size);
    seen->size = size;
    memcpy(seen->name, look->names[index], sizeof seen->name);
    seen->changed = true;
    seen->good = open_item(look, place, seen);
}

void sync_items_read(sync_items_t *items, sync_bus_t *bus)
{
    const l7s_trust_t *trust = sync_bus_trust(bus);
    look_t look = {.items = items, .bus = bus};
    l7s_hashkey_t key;

    for (size_t i = 0; i < PLACES; i++) {
        items->seen[i].present = false;
        items->seen[i].changed = false;
    }
    for (size_t i = 0; i < l7s_trust_secrets(trust) && i < HEADS_MAX; i++) {
        if (l7s_trust_name_key(trust, l7s_trust_secret_at(trust, i), &key) == L7S_OK) {
            look.places[look.count] = i;
            l7s_item_name(&key, "", L7S_ITEM_HEAD, "", 0, look.names[look.count++]);
        }
    }
    look.places[look.count] = PLACE_MODE;
    sync_bus_name(bus, L7S_ITEM_MODE, "", 0, look.names[look.count++]);
    look.places[look.count] = PLACE_MANIFEST;
    sync_bus_name(bus, L7S_ITEM_MANIFEST, "", 0, look.names[look.count++]);
    l7s_status_t status = sync_bus_read(bus, look.names, look.count, take_item, &look);
    (void)status; /* what arrived is sealed and ordered; the rest comes another time */
}

bool sync_items_head(const sync_items_t *items, sync_head_t *out)
{
    const sync_head_t *best = NULL;

    for (size_t i = 0; i < HEADS_MAX; i++) {
        const sync_head_t *head = &items->heads[i];
        if (!items->seen[i].present || !items->seen[i].good) {
            continue;
        }
        if (best == NULL || head->config_epoch > best->config_epoch ||
            (head->config_epoch == best->config_epoch &&
             head->sealed_at_ms > best->sealed_at_ms)) {
            best = head;
        }
    }
    if (best != NULL) {
        *out = *best;
    }
    return best != NULL;
}

bool sync_items_mode(const sync_items_t *items, l7s_mode_item_t *out)
{
    const seen_t *seen = &items->seen[PLACE_MODE];

    *out = items->mode;
    return seen->present && seen->good;
}

const char *sync_items_new_manifest(const sync_items_t *items, size_t *size)
{
    const seen_t *seen = &items->seen[PLACE_MANIFEST];

    if (!seen->present || !seen->good || !seen->changed) {
        return NULL;
    }
    *size = seen->payload_size;
    return (const char *)seen->raw + seen->payload_at;
}
