/* SPDX-License-Identifier: Apache-2.0
 *
 * See ban_ledger.h. Open addressing over twice as many places as there may be notes;
 * forgetting rebuilds it in a second array, so no place is ever half deleted.
 */
#include "ban_ledger.h"
#include <stdlib.h>

struct sync_ban_ledger {
    uint32_t places; /* a power of two */
    uint32_t count, limit;
    sync_ban_note_t *notes, *other;
};

l7s_status_t sync_ban_ledger_create(uint32_t bans, sync_ban_ledger_t **out)
{
    sync_ban_ledger_t *ledger = calloc(1, sizeof *ledger);

    if (ledger == NULL) {
        return L7S_NO_MEMORY;
    }
    ledger->limit = bans * 2;
    ledger->places = 1024;
    while (ledger->places < bans * 4) {
        ledger->places *= 2;
    }
    ledger->notes = calloc(ledger->places, sizeof *ledger->notes);
    ledger->other = calloc(ledger->places, sizeof *ledger->other);
    if (ledger->notes == NULL || ledger->other == NULL) {
        sync_ban_ledger_free(ledger);
        return L7S_NO_MEMORY;
    }
    *out = ledger;
    return L7S_OK;
}

void sync_ban_ledger_free(sync_ban_ledger_t *ledger)
{
    if (ledger != NULL) {
        free(ledger->notes);
        free(ledger->other);
        free(ledger);
    }
}

/* The note of `digest` or the free place where it would stand. Terminates because at most
 * half of the places are in use. */
static sync_ban_note_t *place(sync_ban_note_t *notes, uint32_t places,
                              l7s_hash128_t digest)
{
    uint32_t at = (uint32_t)digest.lo & (places - 1);

    while (notes[at].used &&
           (notes[at].digest.lo != digest.lo || notes[at].digest.hi != digest.hi)) {
        at = (at + 1) & (places - 1);
    }
    return &notes[at];
}

sync_ban_note_t *sync_ban_ledger_find(sync_ban_ledger_t *ledger, l7s_hash128_t digest)
{
    sync_ban_note_t *note = place(ledger->notes, ledger->places, digest);

    return note->used ? note : NULL;
}

sync_ban_note_t *sync_ban_ledger_note(sync_ban_ledger_t *ledger, l7s_hash128_t digest)
{
    sync_ban_note_t *note = place(ledger->notes, ledger->places, digest);

    if (note->used) {
        return note;
    }
    if (ledger->count == ledger->limit) {
        return NULL;
    }
    ledger->count++;
    *note = (sync_ban_note_t){.used = true, .digest = digest};
    return note;
}

void sync_ban_ledger_clear_marks(sync_ban_ledger_t *ledger)
{
    if (ledger->count == 0) {
        return;
    }
    for (uint32_t i = 0; i < ledger->places; i++) {
        ledger->notes[i].marked = false;
    }
}

void sync_ban_ledger_forget(sync_ban_ledger_t *ledger, uint64_t lifted_since_ms)
{
    sync_ban_note_t *kept = ledger->other;

    if (ledger->count == 0) {
        return; /* the calm case, once a second */
    }
    ledger->count = 0;
    for (uint32_t i = 0; i < ledger->places; i++) {
        kept[i].used = false;
    }
    for (uint32_t i = 0; i < ledger->places; i++) {
        const sync_ban_note_t *note = &ledger->notes[i];
        bool lifted = note->lifted_ms != 0 && note->lifted_ms >= lifted_since_ms;
        if (note->used && (note->marked || lifted)) {
            *place(kept, ledger->places, note->digest) = *note;
            ledger->count++;
        }
    }
    ledger->other = ledger->notes;
    ledger->notes = kept;
}

void sync_ban_ledger_turn(sync_ban_ledger_t *ledger)
{
    for (uint32_t i = 0; i < ledger->places; i++) {
        ledger->notes[i].log_index = 0;
        ledger->notes[i].published = false;
    }
}
