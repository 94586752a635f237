/* SPDX-License-Identifier: Apache-2.0
 *
 * What a token is bound to beside its role: members "sets", "apps" and "addresses" of its
 * document. Addresses say from where it may be used at all. Sets and apps limit what it
 * may change, never what it may read: an object of one of the sets (if any are named),
 * and one that concerns these apps only (if any are named). Everything that belongs to no
 * app and no set needs a token without bounds.
 */
#ifndef ADMIN_SCOPE_H
#define ADMIN_SCOPE_H

#include "route.h"

/* Is it bound to sets or apps? */
bool admin_scope_is_bound(const json_t *token);
/* May it be used from `peer` (16 bytes; NULL: the unix socket, which is no address)? */
bool admin_scope_address(const json_t *token, const uint8_t *peer);

/* Could the caller be allowed to call this at all? False for a bound token where nobody
 * asks about the objects later; the call has its problem. */
bool admin_scope_route(admin_call_t *call, const admin_route_t *route);
/* May the caller change this object, whose document is `spec` and which belongs to `set`
 * (NULL: to none)? False: the call has its problem. */
bool admin_scope_object(admin_call_t *call, const char *kind, const char *name,
                        const char *set, const json_t *spec);
/* May the caller turn an app's document `before` into `after` (NULL: there is none)?
 * Whose requests an app's are bounds the tokens that are bound to it, so those do not
 * decide it. False: the call has its problem. */
bool admin_scope_extent(admin_call_t *call, const json_t *before, const json_t *after);
/* May the caller change what concerns one app (NULL: all)? */
bool admin_scope_app(admin_call_t *call, const char *app);

#endif
