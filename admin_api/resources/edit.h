/* SPDX-License-Identifier: Apache-2.0
 *
 * One change of the configuration: transaction, preconditions, the check of the whole
 * resulting configuration, the revision, and what the call's headers say about it. Every
 * handler that changes objects goes through here, so a configuration that was committed
 * always compiles.
 */
#ifndef ADMIN_EDIT_H
#define ADMIN_EDIT_H

#include "../store/store_objects.h"

/* Opens the transaction. False: the call has its problem. */
bool admin_edit_begin(admin_call_t *call);
/* Ends it without a change. */
void admin_edit_abort(admin_call_t *call);

/* Inside the transaction: do If-Match and If-None-Match hold? `etag` NULL: there is no
 * such object. False: the call has its problem; the transaction is still open. */
bool admin_edit_precondition(admin_call_t *call, const char *etag);

/* Checks the configuration with these changes, commits it (not for a dry run) and kicks
 * the publisher. Ends the transaction in every case. Problems in a single changed object
 * get pointers relative to it; problems that the change causes in others answer 409. No
 * changes: Shield-Changed: false. False: the call has its problem. */
bool admin_edit_commit(admin_call_t *call, const admin_change_t *changes, size_t count);

/* What else is no object (tokens, webhooks) was written with `status`: writes the audit's
 * row, commits (not for a dry run), and ends the transaction in every case. False: the
 * call has its problem. */
bool admin_edit_finish(admin_call_t *call, l7s_status_t status);

/* A document without "status", and with "name" first when it has none. New reference. */
json_t *admin_edit_spec(const json_t *body, const char *name);
/* Adds a problem when the path's name is none, or the document's own is another. */
void admin_edit_check_name(l7s_problems_t *problems, const char *name);
void admin_edit_check_own_name(l7s_problems_t *problems, const char *name,
                               const json_t *document);
/* RFC 7396. New reference. */
json_t *admin_edit_merge(const json_t *target, const json_t *patch);

/* {"revision","created_at","updated_at"}: what every object's status begins with. */
json_t *admin_edit_status(const admin_object_t *object);

#endif
