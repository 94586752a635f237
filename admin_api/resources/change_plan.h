/* SPDX-License-Identifier: Apache-2.0
 *
 * Many changes on their way to one commit: which objects are created, updated, deleted or
 * stay as they are, as the client is told, and the changes themselves for edit.h.
 */
#ifndef ADMIN_CHANGE_PLAN_H
#define ADMIN_CHANGE_PLAN_H

#include "edit.h"

typedef struct admin_plan admin_plan_t;

/* `differences`: keep them, too (for a dry run). NULL: no memory. */
admin_plan_t *admin_plan_create(bool differences);
void admin_plan_free(admin_plan_t *plan);

/* The object as it is (`before->spec` NULL: not there; an empty etag is computed) and as
 * it shall be: `spec` is stolen, NULL deletes. `owner` as in admin_change_t. What stays
 * the same is noted and not written, so its revision and the counters of a policy stay.
 */
void admin_plan_add(admin_plan_t *plan, const char *kind, const char *name,
                    const admin_object_t *before, json_t *spec, const char *owner);
/* The same for what no client is told of. */
void admin_plan_add_silent(admin_plan_t *plan, const char *kind, const char *name,
                           const admin_object_t *before, json_t *spec, const char *owner);

/* The names of what it deletes, "policies/per-client"; borrowed. */
const json_t *admin_plan_deleted(const admin_plan_t *plan);

/* admin_edit_commit of all of it; too many changes are refused as a whole. */
bool admin_plan_commit(admin_call_t *call, const admin_plan_t *plan);
/* {"created","updated","deleted","unchanged"}, arrays of names, with "differences" when
 * they were kept. New reference. */
json_t *admin_plan_document(const admin_plan_t *plan);

#endif
