/* SPDX-License-Identifier: Apache-2.0
 *
 * See alone.h. A place that is given to another key forgets what was noted for the last
 * one.
 */
#include "alone.h"
#include <stdlib.h>

/* All nodes have told what they used alone by then. */
#define CREDIT_MS 3000

/* `charged` of the pending tokens were charged for all nodes; `credit` tokens of others
 * are charged already, until `until_ms`. */
typedef struct {
    uint32_t key; /* its low half is enough to tell it from the next one */
    uint32_t charged;
    uint32_t credit;
    uint32_t until_ms;
} note_t;

struct sync_alone {
    note_t *notes;
};

l7s_status_t sync_alone_create(size_t slots, sync_alone_t **out)
{
    sync_alone_t *alone = calloc(1, sizeof *alone);

    if (alone == NULL) {
        return L7S_NO_MEMORY;
    }
    /* Pages that no outage touches are never there. */
    alone->notes = calloc(slots, sizeof *alone->notes);
    if (alone->notes == NULL) {
        free(alone);
        return L7S_NO_MEMORY;
    }
    *out = alone;
    return L7S_OK;
}

void sync_alone_free(sync_alone_t *alone)
{
    if (alone != NULL) {
        free(alone->notes);
        free(alone);
    }
}

/* NULL: nothing is noted for this key. */
static note_t *find(sync_alone_t *alone, const sync_alone_place_t *place)
{
    note_t *note = &alone->notes[place->index];

    return note->key == (uint32_t)place->key_lo ? note : NULL;
}

static note_t *claim(sync_alone_t *alone, const sync_alone_place_t *place)
{
    note_t *note = &alone->notes[place->index];

    if (note->key != (uint32_t)place->key_lo) {
        *note = (note_t){.key = (uint32_t)place->key_lo};
    }
    return note;
}

static uint32_t others_of(const sync_alone_place_t *place)
{
    return place->nodes > 1 ? place->nodes - 1 : 0;
}

static uint32_t saturated(uint64_t tokens)
{
    return tokens < UINT32_MAX ? (uint32_t)tokens : UINT32_MAX;
}

/* The bucket drains at the whole rate what was put in for every node, so a share of what
 * is in it is ours; fresh tokens are in it once. */
uint32_t sync_alone_left(sync_alone_t *alone, const sync_alone_place_t *place,
                         uint32_t pending, uint32_t used)
{
    note_t *note = find(alone, place);

    if (note == NULL || note->charged == 0) {
        return pending;
    }
    uint32_t fresh = pending > note->charged ? pending - note->charged : 0;
    uint32_t nodes = others_of(place) + 1;
    uint32_t old = used > fresh ? (used - fresh + nodes - 1) / nodes : 0;
    note->charged = pending - fresh < old ? pending - fresh : old;
    return fresh + note->charged;
}

uint64_t sync_alone_failed(sync_alone_t *alone, const sync_alone_place_t *place,
                           uint32_t tokens, bool inherited)
{
    if (others_of(place) == 0) {
        return 0;
    }
    bool known = find(alone, place) != NULL;
    note_t *note = claim(alone, place);
    if (!known && inherited) {
        note->charged = tokens;
    }
    uint32_t fresh = tokens > note->charged ? tokens - note->charged : 0;
    note->charged = tokens;
    return (uint64_t)fresh * others_of(place);
}

void sync_alone_sent(sync_alone_t *alone, const sync_alone_place_t *place,
                     uint64_t now_ms)
{
    note_t *note = find(alone, place);

    if (note == NULL || note->charged == 0) {
        return;
    }
    note->credit = saturated(note->credit + (uint64_t)note->charged * others_of(place));
    note->until_ms = (uint32_t)now_ms + CREDIT_MS;
    note->charged = 0;
}

uint64_t sync_alone_uncharged(sync_alone_t *alone, const sync_alone_place_t *place,
                              uint64_t others, uint64_t now_ms)
{
    note_t *note = find(alone, place);

    if (note == NULL || note->credit == 0) {
        return others;
    }
    if ((int32_t)(note->until_ms - (uint32_t)now_ms) <= 0) {
        note->credit = 0;
        return others;
    }
    uint32_t known = others < note->credit ? (uint32_t)others : note->credit;
    note->credit -= known;
    return others - known;
}
