/* SPDX-License-Identifier: Apache-2.0
 *
 * See verdict.h. Only the outcome of an admitted request is set.
 */
#include "verdict.h"

static const char *text_or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

json_t *admin_verdict(const l7s_verdict_t *verdict)
{
    bool plain = verdict->outcome == L7S_OUTCOME_ADMITTED;
    json_t *out =
        json_pack("{s:s, s:b, s:s?, s:s?}", "outcome", l7s_outcome_name(verdict->outcome),
                  "refused", l7s_outcome_refuses(verdict->outcome), "by",
                  plain ? NULL : text_or_null(verdict->policy), "action",
                  plain ? NULL : text_or_null(verdict->action));

    if (l7s_outcome_refuses(verdict->outcome)) {
        json_object_set_new(out, "status", json_integer(verdict->status));
    }
    return out;
}
