/* SPDX-License-Identifier: Apache-2.0
 *
 * What an operator says for a while beside a policy: another mode, or its limits at so
 * many percent. It begins and ends by the clock of each node, so it ends even where
 * nobody can be reached any more.
 *
 * Scaled limits count anew, as edited ones do: a bucket's state means nothing at another
 * rate. With another mode alone the counters go on.
 */
#ifndef L7S_OVERRIDE_H
#define L7S_OVERRIDE_H

#include "config_reader.h"

/* "overrides" of the document, for the policies read already; one whose policy is not
 * there is left out. */
void l7s_overrides_read(l7s_reader_t *reader, const json_t *document,
                        l7s_config_t *config);

/* Does it run now? L7S_OVERRIDE_WAITS: not yet. */
typedef enum {
    L7S_OVERRIDE_NONE,
    L7S_OVERRIDE_WAITS,
    L7S_OVERRIDE_RUNS,
    L7S_OVERRIDE_ENDED
} l7s_override_state_t;
l7s_override_state_t l7s_override_state(const l7s_override_t *override, uint64_t now_ms);

/* The policy as it is while its override runs, in *out: a copy that borrows everything
 * but "plans" and "spec", which l7s_override_end frees. L7S_NO_MEMORY. */
L7S_MUST_USE l7s_status_t l7s_override_apply(const l7s_policy_t *policy,
                                             l7s_policy_t *out);
void l7s_override_end(l7s_policy_t *copy);

/* The same for people: changes a document of l7s_policy_effective in place. */
void l7s_override_show(json_t *effective, const json_t *override);

/* Gives each policy whose override runs now that override's mode: for whoever looks at a
 * configuration at one moment only. */
void l7s_overrides_settle_modes(l7s_config_t *config, uint64_t now_ms);

/* What a document says about its time alone. */
l7s_override_state_t l7s_override_document_state(const json_t *override, uint64_t now_ms);

#endif
