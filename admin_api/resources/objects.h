/* SPDX-License-Identifier: Apache-2.0
 *
 * What policies, lists, apps and responses have in common: all of it but the few things
 * that a kind says of itself here.
 */
#ifndef ADMIN_OBJECTS_H
#define ADMIN_OBJECTS_H

#include "edit.h"

typedef struct {
    const char *kind; /* "policy" */
    const char *noun; /* in messages; NULL: as the kind is called */
    /* Adds members to "status"; NULL: nothing to add. */
    void (*describe)(const admin_call_t *call, const json_t *spec, json_t *status);
    /* Completes what a client PUT from the object in force (`before` may be NULL); NULL:
     * the document stands for itself. */
    void (*adopt)(json_t *spec, const json_t *before);
    /* Inside the transaction: what no document can say by itself. False: the call has its
     * problem. NULL: nothing. */
    bool (*check)(admin_call_t *call, const json_t *spec);
    /* Does time have taken it away, although it is still stored? NULL: it never does. */
    bool (*is_gone)(const json_t *spec, uint64_t now_ms);
} admin_kind_t;

void admin_objects_list(admin_call_t *call, const admin_kind_t *kind);
void admin_objects_get(admin_call_t *call, const admin_kind_t *kind);
void admin_objects_put(admin_call_t *call, const admin_kind_t *kind);
void admin_objects_patch(admin_call_t *call, const admin_kind_t *kind);
void admin_objects_delete(admin_call_t *call, const admin_kind_t *kind);

#endif
