/* SPDX-License-Identifier: Apache-2.0
 *
 * What a replay of many requests would have done: to how many requests, to which clients,
 * on which paths, when, and which limits would have touched fewer. Of a fixed size, but
 * for samples of keys that grow up to theirs (about 130 MB in all).
 */
#ifndef ADMIN_TALLY_H
#define ADMIN_TALLY_H

#include "rehearsal.h"

typedef struct admin_tally admin_tally_t;

/* Borrows `rehearsal`. NULL: no memory. */
admin_tally_t *admin_tally_create(const admin_rehearsal_t *rehearsal);
void admin_tally_free(admin_tally_t *tally);

/* Right after it has been replayed. `answer` may be NULL. */
void admin_tally_add(admin_tally_t *tally, const l7s_request_t *request,
                     const l7s_answer_t *answer, const l7s_verdict_t *verdict);

/* A request of this client comes soon. */
void admin_tally_expect(const admin_tally_t *tally, const l7s_addr_t *client);

/* {"requests","clients","policies","top","time"} of the schema BacktestResult. New
 * reference. */
json_t *admin_tally_json(const admin_tally_t *tally);

#endif
