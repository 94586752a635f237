/* SPDX-License-Identifier: Apache-2.0
 *
 * What comes back: the fleet's total of a counter, read from the store or told by another
 * node. What others used since it was last seen is debited here.
 */
#ifndef SYNC_TOTAL_H
#define SYNC_TOTAL_H

#include "exchange.h"

/* Takes in an answer of the store, and tells others if that is worth it. */
void sync_total_learn(const sync_question_t *question, const l7s_meta_op_t *op);

/* Takes in one piece of news. A counter that is not known here yet is made: its first
 * request is judged by what it used elsewhere. */
void sync_total_hear(sync_round_t *round, const sync_news_item_t *item);

#endif
