/* SPDX-License-Identifier: Apache-2.0
 *
 * How many bans one node may publish. Every node that holds the fleet's secret can append
 * to the ban log, one in the wrong hands too: readers (nodes and daemon) take no more of
 * a sender than this, and a node's own writer keeps to a little less, so that an honest
 * node's bans wait for a moment and are never refused.
 *
 * A sender's name is its own word, under the fleet's seal. So all senders together have a
 * limit as well, and the table of senders a fixed size: names beyond it share one bucket.
 */
#ifndef L7S_BUS_QUOTA_H
#define L7S_BUS_QUOTA_H

#include "../status.h"
#include <stdint.h>

/* A node that bans a whole botnet at once may publish so many, and so many per second
 * from then on. */
#define L7S_QUOTA_BURST 2048
#define L7S_QUOTA_PER_SECOND 64
#define L7S_QUOTA_SENDERS 256

typedef enum { L7S_QUOTA_READER, L7S_QUOTA_WRITER } l7s_quota_side_t;

typedef struct l7s_quota l7s_quota_t;

/* NULL: no memory. */
l7s_quota_t *l7s_quota_create(l7s_quota_side_t side);
void l7s_quota_free(l7s_quota_t *quota);

/* One ban of `sender`, at a time of the monotonic clock. False: one too many. */
bool l7s_quota_take(l7s_quota_t *quota, const char *sender, uint64_t now_ms);

#endif
