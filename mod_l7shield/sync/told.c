/* SPDX-License-Identifier: Apache-2.0
 *
 * See told.h.
 */
#include "told.h"
#include <stdlib.h>

typedef struct {
    uint64_t total;
    uint32_t period, at_ms;
    uint32_t seen_ms; /* when its number was last seen, or heard of */
} note_t;

struct sync_told {
    note_t *notes; /* one per slot */
};

l7s_status_t sync_told_create(size_t slots, sync_told_t **out)
{
    sync_told_t *told = calloc(1, sizeof *told);

    if (told == NULL) {
        return L7S_NO_MEMORY;
    }
    told->notes = calloc(slots, sizeof *told->notes);
    if (told->notes == NULL) {
        free(told);
        return L7S_NO_MEMORY;
    }
    *out = told;
    return L7S_OK;
}

void sync_told_free(sync_told_t *told)
{
    if (told != NULL) {
        free(told->notes);
        free(told);
    }
}

uint32_t sync_told_seen(sync_told_t *told, uint32_t index, uint32_t now_ms)
{
    uint32_t since_ms = now_ms - told->notes[index].seen_ms;

    told->notes[index].seen_ms = now_ms;
    return since_ms;
}

void sync_told_note(sync_told_t *told, uint32_t index, uint64_t total, uint32_t period,
                    uint32_t now_ms)
{
    note_t *note = &told->notes[index];

    if (note->period != period || total > note->total) {
        note->total = total;
        note->period = period;
        note->at_ms = now_ms;
    }
}

uint64_t sync_told_moved(const sync_told_t *told, uint32_t index, uint64_t total,
                         uint32_t period, uint64_t otherwise)
{
    const note_t *note = &told->notes[index];

    if (note->period != period) {
        return otherwise;
    }
    return total > note->total ? total - note->total : 0;
}

uint32_t sync_told_silent_ms(const sync_told_t *told, uint32_t index, uint32_t now_ms)
{
    return now_ms - told->notes[index].at_ms;
}
