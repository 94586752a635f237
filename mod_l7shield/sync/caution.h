/* SPDX-License-Identifier: Apache-2.0
 *
 * What a process owes to the end of its predecessor. Answers of a server that is not what
 * it should be can end the process inside libmemcached, at every tick anew. A process
 * that only ever lives for one tick cannot divide limits among the nodes; so after the
 * second such end in a row it leaves the store alone for a while, a little longer each
 * time, and counts as in any other outage. The numbers live in the segment.
 */
#ifndef SYNC_CAUTION_H
#define SYNC_CAUTION_H

#include "../../core/segment/segment.h"

typedef struct {
    l7s_segment_t *header;
    uint64_t rests_until_ms, calm_at_ms; /* mono */
} sync_caution_t;

/* Looks at how the last process ended, and says so when it rests. On the caller's stack
 * or in its structure; holds nothing. */
void sync_caution_begin(sync_caution_t *caution, l7s_segment_t *header, l7s_now_t now);

/* The tick begins. False: the store is left alone in it. */
bool sync_caution_enter(sync_caution_t *caution, l7s_now_t now);
/* The tick has ended, and we live. */
void sync_caution_leave(sync_caution_t *caution, l7s_now_t now);

#endif
