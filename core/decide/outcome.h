/* SPDX-License-Identifier: Apache-2.0
 *
 * What may be said of a request. Counted in the segment by these numbers, and named alike
 * wherever they are told.
 */
#ifndef L7S_OUTCOME_H
#define L7S_OUTCOME_H

#include <stdbool.h>

typedef enum {
    L7S_OUTCOME_ADMITTED = 0,
    L7S_OUTCOME_ALLOW_LISTED, /* by an allow list or an allow policy */
    L7S_OUTCOME_LOGGED,       /* admitted; a log policy tripped */
    L7S_OUTCOME_OBSERVED,     /* admitted; a policy would have refused it */
    L7S_OUTCOME_DENIED,
    L7S_OUTCOME_THROTTLED,
    L7S_OUTCOME_BANNED, /* by a ban in force, or one that begins now */
    L7S_OUTCOME_LISTED, /* by a deny list */
    L7S_OUTCOME_DROPPED,
    L7S_OUTCOME_CHALLENGED,
    L7S_OUTCOMES
} l7s_outcome_t;

static inline bool l7s_outcome_refuses(l7s_outcome_t outcome)
{
    return outcome >= L7S_OUTCOME_DENIED;
}

/* "admitted", "allow_listed", …: never NULL. */
const char *l7s_outcome_name(l7s_outcome_t outcome);

#endif
