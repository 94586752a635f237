/* SPDX-License-Identifier: Apache-2.0
 *
 * What travels: tokens that were counted here and that core's rules (fleet.h) want known
 * by the fleet. A slot that was pushed stays dirty for one tick more, so that what could
 * not leave (memcached known not to have seen it) can simply be put back.
 */
#ifndef SYNC_PUSH_H
#define SYNC_PUSH_H

#include "exchange.h"

/* Looks at a dirty counter. `exchange` may be NULL: nothing travels then. True: it stays
 * dirty. */
bool sync_push(sync_exchange_t *exchange, const sync_counter_t *counter);

/* What was asked certainly did not arrive. It waits for the store; until then this node
 * takes its share of the limit only. */
void sync_push_put_back(sync_exchange_t *exchange, const sync_question_t *question,
                        const l7s_meta_op_t *op);

/* It may have arrived: it is not sent again. If it did, the next total does not look like
 * somebody else's use; if not, a little of theirs goes unseen. */
void sync_push_assume_applied(const sync_question_t *question, const l7s_meta_op_t *op);

#endif
