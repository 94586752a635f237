/* SPDX-License-Identifier: Apache-2.0
 *
 * The audit trail: what every mutation leaves behind, done or refused. A change of the
 * configuration or of a token writes its row inside its own transaction; any other one
 * writes it before it is answered. What was refused is only counted here, by whom, from
 * where, what and why, and goes to the disk once a second: a row a minute for each, so
 * that a flood of refused requests fills neither the disk nor the memory.
 */
#ifndef ADMIN_TRAIL_H
#define ADMIN_TRAIL_H

#include "../daemon.h"

L7S_MUST_USE l7s_status_t admin_trail_create(admin_store_t *store, admin_trail_t **out);
/* After the last call; writes what is left. */
void admin_trail_free(admin_trail_t *trail, uint64_t now_ms);

/* Inside a transaction of ADMIN_CONFIG_DB that will be committed: the call is done. */
L7S_MUST_USE l7s_status_t admin_trail_write(admin_call_t *call);
/* The call has its answer, or its problem; it was one that changes something. Outside of
 * any transaction; a problem is only counted. */
void admin_trail_end(admin_call_t *call);

/* Writes what was refused meanwhile. Any thread. */
void admin_trail_flush(admin_trail_t *trail, uint64_t now_ms);
/* Deletes rows older than settings.retention.audit_days, and those beyond the maxima. */
void admin_trail_prune(admin_trail_t *trail, uint64_t now_ms);

#endif
