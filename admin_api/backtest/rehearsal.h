/* SPDX-License-Identifier: Apache-2.0
 *
 * What is tried out before it is put in force: a configuration, given or stored, on a
 * node of its own (core/compile/replay.h). The kill switch and the guard are left out:
 * the question is what the policies would do.
 */
#ifndef ADMIN_REHEARSAL_H
#define ADMIN_REHEARSAL_H

#include "../../core/compile/replay.h"

typedef struct {
    l7s_config_t *config;
    l7s_replay_t *replay;
} admin_rehearsal_t;

/* `stored` is a whole configuration (NULL: an empty one); each of policies, lists, apps
 * and responses that `given` has (NULL: none) takes the place of the stored ones. New
 * reference; NULL: no memory. */
json_t *admin_rehearsal_document(const json_t *stored, const json_t *given);

/* L7S_INVALID: `problems` says what is wrong with the document. Close in every case. */
L7S_MUST_USE l7s_status_t admin_rehearsal_open(const json_t *document, size_t memory,
                                               l7s_now_t now, l7s_problems_t *problems,
                                               admin_rehearsal_t *out);
/* What each policy did so far, in the order in which they are asked, as the schema
 * PolicyCounts has it. New reference. */
json_t *admin_rehearsal_counts(const admin_rehearsal_t *rehearsal);
void admin_rehearsal_close(admin_rehearsal_t *rehearsal);

#endif
