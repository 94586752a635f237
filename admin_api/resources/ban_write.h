/* SPDX-License-Identifier: Apache-2.0
 *
 * One change of bans through the API: a durable transaction, and what the fleet is told
 * after its commit. A dry run does all of it and rolls back.
 */
#ifndef ADMIN_BAN_WRITE_H
#define ADMIN_BAN_WRITE_H

#include "../store/store_objects.h"
#include "ban_input.h"

typedef struct {
    admin_call_t *call;
    admin_store_t *store;
    uint64_t hold_until_ms; /* for lifts; set by the caller */
    size_t room;            /* bans that may be added; from here on private */
    uint64_t held_until_ms; /* of a put that was refused */
    json_t *entries;        /* for the ban log */
} admin_ban_write_t;

typedef enum {
    ADMIN_BAN_UNCHANGED,
    ADMIN_BAN_CREATED,
    ADMIN_BAN_UPDATED
} admin_ban_outcome_t;

/* False: the call has its problem. Else end with _end or _refuse. */
bool admin_ban_write_begin(admin_call_t *call, admin_ban_write_t *write);
/* Commits, unless `status` is a failure, tells the fleet, sets changed and revision of
 * the call. False: nothing was stored, and the call has its problem. */
bool admin_ban_write_end(admin_ban_write_t *write, l7s_status_t status);
/* Rolls back a write whose call has its problem already. */
void admin_ban_write_refuse(admin_ban_write_t *write);

/* Is there the response that it names? False: its problem, at `pointer`, is among those
 * of the call. */
bool admin_ban_response_check(admin_call_t *call, const l7s_ban_t *ban,
                              const char *pointer);

/* `known`: the record of this id as it is, or NULL. An equal document changes nothing.
 * L7S_CONFLICT: it was lifted and is held off. L7S_TOO_BIG: ADMIN_BANS_MAX are in force.
 */
L7S_MUST_USE l7s_status_t admin_ban_write_put(admin_ban_write_t *write,
                                              admin_ban_input_t *input,
                                              const admin_ban_record_t *known,
                                              admin_ban_outcome_t *outcome);
L7S_MUST_USE l7s_status_t admin_ban_write_lift(admin_ban_write_t *write,
                                               const l7s_ban_t *ban);

/* Answers a put that was refused as L7S_CONFLICT: it was lifted, and may not come back
 * before its hold is over. */
void admin_ban_write_held(const admin_ban_write_t *write, const l7s_ban_t *ban);

/* What is stored beside the document of a PUT. New reference. */
json_t *admin_ban_write_spec(const admin_ban_write_t *write, json_t *document);
/* "" when it cannot be computed. */
void admin_ban_etag(const admin_ban_record_t *record, char out[ADMIN_ETAG_MAX]);
/* Would it shut out whoever asks for it, without saying ?force=true? */
bool admin_ban_hits_caller(const admin_call_t *call, const l7s_ban_t *ban);
/* The query parameter hold_seconds as a time; without it now. False: the call has its
 * problem. */
bool admin_ban_hold(admin_call_t *call, uint64_t *hold_until_ms);

#endif
