/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the compiler share: one image under construction, the configuration
 * that it is made from and how names in it become indexes. compile.c leads; apps and
 * lists come first, since policies refer to them.
 */
#ifndef L7S_COMPILER_H
#define L7S_COMPILER_H

#include "../segment/stats.h"
#include "compile_client.h"
#include "compile_header.h"
#include "compile_index.h"
#include "compile_pattern.h"

typedef struct {
    l7s_builder_t builder;
    l7s_index_draft_t index;
    l7s_client_draft_t clients;
    l7s_header_draft_t headers;
    l7s_pattern_draft_t patterns;
    l7s_draft_t app_names, policy_names;
    const l7s_config_t *config;
    const l7s_hashkey_t *count_key;
    const l7s_stats_t *stats;
    uint64_t now_ms, next_expiry_ms;
    const l7s_policy_t **policies; /* those in force, in their order */
    uint32_t policy_count;
    l7s_policy_t *overridden; /* copies; compile_override.c */
    size_t overridden_count;
    l7s_vector_t grants; /* compile_plan.c */
} l7s_compiler_t;

/* --- compile_override.c --- */

/* Is what expires then still in force? Notes the next moment at which something ends. */
bool l7s_compiler_in_force(l7s_compiler_t *compiler, uint64_t expires_ms);

/* Fills `policies`. False: no memory. */
bool l7s_compiler_choose_policies(l7s_compiler_t *compiler);
void l7s_compiler_end_policies(l7s_compiler_t *compiler);

/* --- compile_app.c --- */

void l7s_compiler_add_apps(l7s_compiler_t *compiler);
/* The apps of these names; one that nobody declared may still be named by a directive. */
l7s_run_t l7s_compiler_app_refs(l7s_compiler_t *compiler, const l7s_strings_t *names);
/* When every policy is in: what may match in any app may match in each. */
void l7s_compiler_finish_apps(l7s_compiler_t *compiler);

/* --- compile_list.c --- */

void l7s_compiler_add_lists(l7s_compiler_t *compiler);
/* Sorted ranges of these networks, whose order is lost. */
l7s_ranges_t l7s_compiler_ranges(l7s_compiler_t *compiler, l7s_cidr_t *networks,
                                 size_t count);
/* References to these codes of countries or ASNs, sorted; `codes` is reordered. */
l7s_run_t l7s_compiler_codes(l7s_compiler_t *compiler, uint32_t *codes, size_t count);
/* Does client.in ask for what no address tells? */
bool l7s_compiler_asks_origin(const l7s_compiler_t *compiler, const l7s_match_t *match);
l7s_run_t l7s_compiler_list_refs(l7s_compiler_t *compiler, const l7s_strings_t *names);
/* The index of the list of this name; L7S_NONE: there is none, or `name` is NULL. */
uint32_t l7s_compiler_list_index(const l7s_config_t *config, const char *name);
/* How many networks client.in names, those of its lists included; and which. */
size_t l7s_compiler_count_clients(const l7s_compiler_t *compiler,
                                  const l7s_match_t *match);
size_t l7s_compiler_copy_clients(l7s_compiler_t *compiler, const l7s_match_t *match,
                                 l7s_cidr_t *out);

/* --- compile_plan.c --- */

/* Numbers what the policies in force ask of entries; before lists are added. */
void l7s_compiler_add_grants(l7s_compiler_t *compiler);
/* What this entry grants, as references. */
l7s_run_t l7s_compiler_grants(l7s_compiler_t *compiler, const char *list,
                              const l7s_list_entry_t *entry);
/* Appends a plan to the image; those of one policy one after the other. */
void l7s_compiler_add_plan(l7s_compiler_t *compiler, const l7s_policy_t *policy,
                           const l7s_plan_t *plan, l7s_run_t limits);

/* --- compile_step.c --- */

l7s_image_sanction_t l7s_compiler_sanction(l7s_compiler_t *compiler,
                                           const l7s_sanction_t *sanction);
/* The steps of the policy with this index, when all policies are in. */
void l7s_compiler_add_steps(l7s_compiler_t *compiler, uint32_t index);

/* --- compile_match.c --- */

/* What the index cannot tell about a policy's own match. */
l7s_image_match_t l7s_compiler_rest(l7s_compiler_t *compiler, const l7s_match_t *match);
/* An exception is not in the index: everything in it is looked at. */
l7s_image_match_t l7s_compiler_whole(l7s_compiler_t *compiler, const l7s_match_t *match);
/* Files a policy's own match in the index. Returns what must be looked at more closely:
 * L7S_CLOSER_… */
uint8_t l7s_compiler_file(l7s_compiler_t *compiler, uint32_t bit,
                          const l7s_match_t *match);

#endif
