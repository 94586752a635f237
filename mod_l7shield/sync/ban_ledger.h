/* SPDX-License-Identifier: Apache-2.0
 *
 * What this process knows of a ban beyond the shared table: whether the fleet has been
 * told, where it stands in the ban log, when it was lifted. Private memory, bounded,
 * swept by its owner; losing it costs a repeated log entry, never a ban.
 */
#ifndef SYNC_BAN_LEDGER_H
#define SYNC_BAN_LEDGER_H

#include "../../core/hash.h"
#include "../../core/status.h"

typedef struct {
    l7s_hash128_t digest;
    uint64_t until_ms;  /* end of the ban as the fleet knows it */
    uint64_t log_index; /* its latest place in the ban log of this turn; 0: none */
    uint64_t lifted_ms; /* when it was lifted; 0: never */
    uint64_t named_in;  /* the number of the last whole set that named it */
    bool used;
    bool published; /* the fleet knows it */
    bool marked;    /* in force at the last look at the table */
} sync_ban_note_t;

typedef struct sync_ban_ledger sync_ban_ledger_t;

/* Room for `bans` notes and as many lifts. */
L7S_MUST_USE l7s_status_t sync_ban_ledger_create(uint32_t bans, sync_ban_ledger_t **out);
void sync_ban_ledger_free(sync_ban_ledger_t *ledger);

/* NULL: nothing is known. */
sync_ban_note_t *sync_ban_ledger_find(sync_ban_ledger_t *ledger, l7s_hash128_t digest);
/* Makes the note when there is none. NULL: full. */
sync_ban_note_t *sync_ban_ledger_note(sync_ban_ledger_t *ledger, l7s_hash128_t digest);

/* Clears every mark; forgets the notes that are neither marked nor were lifted at or
 * after `lifted_since_ms`. */
void sync_ban_ledger_clear_marks(sync_ban_ledger_t *ledger);
void sync_ban_ledger_forget(sync_ban_ledger_t *ledger, uint64_t lifted_since_ms);

/* A new turn of the bus: no place in the log holds, and nothing is known to be told. */
void sync_ban_ledger_turn(sync_ban_ledger_t *ledger);

#endif
