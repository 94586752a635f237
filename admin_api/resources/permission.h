/* SPDX-License-Identifier: Apache-2.0
 *
 * May this call change these objects? Roles were asked before, by the route; this is
 * about each object, and the only place where that is asked: every commit passes here,
 * with the set that owns the object before and after.
 */
#ifndef ADMIN_PERMISSION_H
#define ADMIN_PERMISSION_H

#include "../store/store_objects.h"

/* Inside the transaction. A token that is bound may change neither what lies beyond its
 * bounds (scope.h) nor into that. An object that a set owns is changed by that set's
 * apply, or by hand with ?force=true; entries that operators own, and overrides, by
 * operators. False: the call has its problem, which names every such object. */
bool admin_permission_check(admin_call_t *call, const admin_change_t *changes,
                            size_t count);

#endif
