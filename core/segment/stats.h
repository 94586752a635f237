/* SPDX-License-Identifier: Apache-2.0
 *
 * What each policy did, counted in shared memory under the policy's name, so that the
 * numbers survive new images. Bounded; a policy beyond the table counts in its last row.
 */
#ifndef L7S_STATS_H
#define L7S_STATS_H

#include "bans.h"

#define L7S_STATS_ROWS 1025 /* the last one: every policy that found no row */

typedef struct {
    char name[L7S_POLICY_NAME_MAX]; /* written once, before `used` */
    _Atomic uint32_t used;
    _Atomic uint32_t demoted;     /* by the guard: it only observes, whatever its mode */
    _Atomic uint64_t matched;     /* requests that the policy matched */
    _Atomic uint64_t acted;       /* refused by it */
    _Atomic uint64_t would_act;   /* observed: would have been refused */
    _Atomic uint64_t logged;      /* tripped with action log or allow */
    uint64_t demoted_fingerprint; /* sync process only: of the policy as it tripped */
    uint64_t spare[2];
} l7s_stats_row_t;

_Static_assert(sizeof(l7s_stats_row_t) == 128, "two cache lines");

typedef struct {
    l7s_stats_row_t *rows;
} l7s_stats_t;

/* Sync process only: the row of a policy's name, claimed when it is new. */
uint32_t l7s_stats_row(const l7s_stats_t *stats, const char *policy);

#endif
