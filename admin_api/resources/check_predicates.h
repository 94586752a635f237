/* SPDX-License-Identifier: Apache-2.0
 *
 * Why a policy does or does not match a request: each member of its "match" by itself,
 * asked of the engine as a policy that has only this member. So there is no second
 * opinion on what a predicate means, and whatever the engine learns to match is explained
 * without a word here.
 */
#ifndef ADMIN_CHECK_PREDICATES_H
#define ADMIN_CHECK_PREDICATES_H

#include "../daemon.h"
#include "check_request.h"

/* {"name of the policy": [{"pointer":"/match/methods","holds":false,"found":"GET"}, …]}
 * for every policy in `document`, the whole configuration. An exception holds as long as
 * it does not exempt. New reference; NULL: no memory, or it does not compile. */
json_t *admin_check_predicates(const admin_daemon_t *daemon, const json_t *document,
                               admin_check_request_t *request, const char *app,
                               uint64_t now_ms);

#endif
