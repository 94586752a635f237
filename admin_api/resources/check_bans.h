/* SPDX-License-Identifier: Apache-2.0
 *
 * The bans that concern a request which is asked about: of its client, of networks around
 * it, of other tuples that a policy counts it by; and whether the client is held free.
 */
#ifndef ADMIN_CHECK_BANS_H
#define ADMIN_CHECK_BANS_H

#include "../fleet/ban_record.h"
#include "check_engine.h"
#include "check_request.h"

#define ADMIN_CHECK_BANS_MAX 160 /* one for every width, and some of other tuples */

typedef struct {
    size_t count;
    admin_ban_record_t items[ADMIN_CHECK_BANS_MAX];
    bool held;              /* a lift holds the client free … */
    uint64_t hold_until_ms; /* … until then */
} admin_check_bans_t;

/* Reads them and puts them into the engine's segment. The engine has explained. */
L7S_MUST_USE l7s_status_t admin_check_bans_read(admin_check_engine_t *engine,
                                                const admin_daemon_t *daemon,
                                                const admin_check_request_t *request,
                                                admin_check_bans_t *out);
void admin_check_bans_clear(admin_check_bans_t *bans);

/* Is it of exactly this client? Else of a network around it, or of another tuple. */
bool admin_check_ban_is_own(const l7s_ban_t *ban, const l7s_addr_t *client);

/* [{"id","of":"client"|"network"|"key","in_force","policy","until","incident"}] */
json_t *admin_check_bans_describe(const admin_check_bans_t *bans);

/* [{"kind":"ban"|"list"|"policy","name"}]: everything that refuses the request now, not
 * only what comes first. */
json_t *admin_check_stopped_by(const admin_check_engine_t *engine,
                               const admin_check_bans_t *bans);

#endif
