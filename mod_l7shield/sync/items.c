/* SPDX-License-Identifier: Apache-2.0
 *
 * See items.h. While secrets are rotated there may be a head under each of them; which
 * one is the daemon's is told by config epoch and time, both under its signature.
 */
#include "items.h"
#include "../../core/config.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADS_MAX 8 /* secrets whose head is looked for */

typedef struct {
    sync_bus_t *bus;
    sync_items_t *out;
    size_t heads; /* names[0 … heads - 1]; then mode, then manifest */
    char names[HEADS_MAX + 2][L7S_ITEM_NAME_MAX];
} look_t;

static void take_head(look_t *look, size_t secret, const l7s_item_t *item)
{
    sync_items_t *out = look->out;
    json_t *head = l7s_json_read(item->payload, item->size, NULL);
    const char *epoch = json_string_value(json_object_get(head, "bus_epoch"));
    json_int_t number = json_integer_value(json_object_get(head, "config_epoch"));
    uint64_t config_epoch = number < 0 ? 0 : (uint64_t)number;
    bool newer =
        !out->has_head || config_epoch > out->config_epoch ||
        (config_epoch == out->config_epoch && item->sealed_at_ms > out->sealed_at_ms);

    if (newer && epoch != NULL && strlen(epoch) == SYNC_BUS_EPOCH_TEXT) {
        out->has_head = true;
        out->config_epoch = config_epoch;
        out->sealed_at_ms = item->sealed_at_ms;
        memcpy(out->bus_epoch, epoch, sizeof out->bus_epoch);
        (void)snprintf(out->secret_id, sizeof out->secret_id, "%s",
                       l7s_trust_secret_at(sync_bus_trust(look->bus), secret));
    }
    json_decref(head);
}

static void take_manifest(sync_items_t *out, const l7s_item_t *item)
{
    free(out->manifest);
    out->manifest = malloc(item->size + 1);
    if (out->manifest != NULL) {
        memcpy(out->manifest, item->payload, item->size);
        out->manifest_size = item->size;
    }
}

static void take_item(void *context, size_t index, const void *value, size_t size)
{
    look_t *look = context;
    l7s_item_kind_t kind = index < look->heads    ? L7S_ITEM_HEAD
                           : index == look->heads ? L7S_ITEM_MODE
                                                  : L7S_ITEM_MANIFEST;
    l7s_item_t item;

    if (sync_bus_open(look->bus, kind, look->names[index], value, size, &item) !=
        L7S_OK) {
        return;
    }
    if (kind == L7S_ITEM_HEAD) {
        take_head(look, index, &item);
    } else if (kind == L7S_ITEM_MANIFEST) {
        take_manifest(look->out, &item);
    } else {
        look->out->has_mode =
            l7s_mode_item_read(item.payload, item.size, &look->out->mode);
    }
}

void sync_items_read(sync_bus_t *bus, sync_items_t *out)
{
    const l7s_trust_t *trust = sync_bus_trust(bus);
    look_t look = {.bus = bus, .out = out};
    l7s_hashkey_t key;

    *out = (sync_items_t){.manifest = NULL};
    for (size_t i = 0; i < l7s_trust_secrets(trust) && look.heads < HEADS_MAX; i++) {
        if (l7s_trust_name_key(trust, l7s_trust_secret_at(trust, i), &key) != L7S_OK) {
            break;
        }
        l7s_item_name(&key, "", L7S_ITEM_HEAD, "", 0, look.names[look.heads++]);
    }
    sync_bus_name(bus, L7S_ITEM_MODE, "", 0, look.names[look.heads]);
    sync_bus_name(bus, L7S_ITEM_MANIFEST, "", 0, look.names[look.heads + 1]);
    l7s_status_t status =
        sync_bus_read(bus, look.names, look.heads + 2, take_item, &look);
    (void)status; /* what arrived is sealed and ordered; the rest comes another time */
}

void sync_items_clear(sync_items_t *items)
{
    free(items->manifest);
    *items = (sync_items_t){.manifest = NULL};
}
