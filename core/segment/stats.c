/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of the per-policy statistics. Only the sync process claims rows, when it compiles
 * an image, so a linear search without a lock is enough; workers get the row's number
 * from the image. Rows are never given back: a policy that returns finds its numbers
 * again.
 */
#include "stats.h"

#include <stdio.h>
#include <string.h>

uint32_t l7s_stats_row(const l7s_stats_t *stats, const char *policy)
{
    for (uint32_t i = 0; i < L7S_STATS_ROWS - 1; i++) {
        l7s_stats_row_t *row = &stats->rows[i];
        if (atomic_load_explicit(&row->used, memory_order_acquire) == 0) {
            snprintf(row->name, sizeof row->name, "%s", policy);
            atomic_store_explicit(&row->used, 1, memory_order_release);
            return i;
        }
        if (strncmp(row->name, policy, sizeof row->name - 1) == 0) {
            return i;
        }
    }
    l7s_stats_row_t *last = &stats->rows[L7S_STATS_ROWS - 1];
    atomic_store_explicit(&last->used, 1, memory_order_release);
    return L7S_STATS_ROWS - 1;
}
