/* SPDX-License-Identifier: Apache-2.0
 *
 * Replacing the whole configuration at once: PUT /v1/config and restoring a revision.
 */
#ifndef ADMIN_WHOLE_H
#define ADMIN_WHOLE_H

#include "edit.h"

/* Makes the configuration what `document` says (policies, lists, apps, responses; an
 * absent member is empty; settings stay; so does who owns what, unless the document has
 * "sets") and answers the call with what was created, updated and deleted. The document
 * has passed its schema. */
void admin_whole_replace(admin_call_t *call, const json_t *document);

/* {"policies":[…],…} without settings, as GET /v1/config shows it, and its etag. New
 * reference; NULL: the call has its problem. */
json_t *admin_whole_document(admin_call_t *call, char etag[ADMIN_ETAG_MAX],
                             int64_t *revision);

#endif
