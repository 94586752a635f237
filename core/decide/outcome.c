/* SPDX-License-Identifier: Apache-2.0 */
#include "outcome.h"

const char *l7s_outcome_name(l7s_outcome_t outcome)
{
    static const char *const names[L7S_OUTCOMES] = {
        [L7S_OUTCOME_ADMITTED] = "admitted", [L7S_OUTCOME_ALLOW_LISTED] = "allow_listed",
        [L7S_OUTCOME_LOGGED] = "logged",     [L7S_OUTCOME_OBSERVED] = "observed",
        [L7S_OUTCOME_DENIED] = "denied",     [L7S_OUTCOME_THROTTLED] = "throttled",
        [L7S_OUTCOME_BANNED] = "banned",     [L7S_OUTCOME_LISTED] = "listed",
        [L7S_OUTCOME_DROPPED] = "dropped",   [L7S_OUTCOME_CHALLENGED] = "challenged",
    };

    return (unsigned)outcome < L7S_OUTCOMES ? names[outcome] : "refused";
}
