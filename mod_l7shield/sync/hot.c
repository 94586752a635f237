/* SPDX-License-Identifier: Apache-2.0
 *
 * See hot.h. A bit per place tells whether it is listed, so that most of a tick's many
 * counters cost one look at a bit.
 */
#include "hot.h"
#include <stdlib.h>

typedef struct {
    uint64_t key_lo;
    uint64_t look_at_ms;
    uint32_t index;
} entry_t;

struct sync_hot {
    size_t count;
    uint8_t *listed; /* one bit per slot */
    entry_t *entries;
};

l7s_status_t sync_hot_create(size_t slots, sync_hot_t **out)
{
    sync_hot_t *hot = calloc(1, sizeof *hot);

    if (hot == NULL) {
        return L7S_NO_MEMORY;
    }
    hot->listed = calloc(slots / 8 + 1, 1);
    hot->entries = calloc(SYNC_HOT_MAX, sizeof *hot->entries);
    if (hot->listed == NULL || hot->entries == NULL) {
        sync_hot_free(hot);
        return L7S_NO_MEMORY;
    }
    *out = hot;
    return L7S_OK;
}

void sync_hot_free(sync_hot_t *hot)
{
    if (hot != NULL) {
        free(hot->listed);
        free(hot->entries);
        free(hot);
    }
}

bool sync_hot_has(const sync_hot_t *hot, uint32_t index)
{
    return (hot->listed[index / 8] >> (index % 8) & 1) != 0;
}

bool sync_hot_add(sync_hot_t *hot, uint32_t index, uint64_t key_lo, uint64_t look_at_ms)
{
    if (hot->count == SYNC_HOT_MAX) {
        return false;
    }
    hot->entries[hot->count++] =
        (entry_t){.key_lo = key_lo, .look_at_ms = look_at_ms, .index = index};
    hot->listed[index / 8] |= (uint8_t)(1U << (index % 8));
    return true;
}

static void take_off(sync_hot_t *hot, size_t place)
{
    uint32_t index = hot->entries[place].index;

    hot->listed[index / 8] &= (uint8_t) ~(1U << (index % 8));
    hot->entries[place] = hot->entries[--hot->count];
}

void sync_hot_look(sync_hot_t *hot, uint64_t now_ms, uint64_t interval_ms,
                   sync_hot_look_fn look, void *context)
{
    for (size_t i = 0; i < hot->count;) {
        entry_t *entry = &hot->entries[i];
        sync_hot_answer_t answer = now_ms < entry->look_at_ms
                                       ? SYNC_HOT_WAITS
                                       : look(context, entry->index, entry->key_lo);
        if (answer == SYNC_HOT_DRAINED) {
            take_off(hot, i);
            continue;
        }
        if (answer == SYNC_HOT_LOOKED) {
            entry->look_at_ms = now_ms + interval_ms;
        }
        i++;
    }
}
